package cmd

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"kartotek/flows"
)

// overviewRows is how many days and weeks the text shows; JSON holds all.
const overviewRows = 7

func (a *app) overview() *cobra.Command {
	return &cobra.Command{
		Use:   "overview",
		Short: "Show how the lists and the mail are doing, in numbers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			o, err := desk.Overview(cmd.Context(), a.cli())
			if err != nil {
				return err
			}
			return a.print(o, func(w io.Writer) { printOverview(w, o) })
		},
	}
}

func printOverview(w io.Writer, o flows.Overview) {
	n := func(v int64) string { return humanize.Comma(v) }
	t := newTable(w)
	fmt.Fprintln(t, "CONFIRMED\tPENDING\tUNSUBSCRIBED\tTOMBSTONES\tLETTERS OPEN\tHELD")
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", n(o.ByPermission[flows.Confirmed]), n(o.ByPermission[flows.Pending]), n(o.ByPermission[flows.Unsubscribed]),
		n(o.ByPermission[flows.Deleted]), n(o.LettersOpen), n(o.LettersHeld))
	fmt.Fprintln(t, "\nLIST\tSUBSCRIBED\tPENDING\tUNSUBSCRIBED")
	for _, l := range o.Lists {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", clean(l.Name), n(l.Subscribed), n(l.Pending), n(l.Left))
	}
	fmt.Fprintln(t, "\nDAY (UTC)\tCONFIRMED\tASKED\tGIVEN\tRESUBSCRIBED\tERASED\tDELIVERED\tDEFERRED\tREFUSED")
	for i := len(o.Days) - 1; i >= max(0, len(o.Days)-overviewRows); i-- {
		d := o.Days[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Day.Format(time.DateOnly), n(d.ByPermission[flows.Confirmed]), n(d.Asked), n(d.Given),
			n(d.Resubscribed), n(d.Erased), n(d.Delivered), n(d.Deferred), n(d.Refused))
	}
	fmt.Fprintln(t, "\nWEEK FROM\tOPENS\tCLICKS\tUPDATES")
	for i := len(o.Weeks) - 1; i >= max(0, len(o.Weeks)-overviewRows); i-- {
		v := o.Weeks[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", v.Start.Format(time.DateOnly), n(v.Opens), n(v.Clicks), n(v.Updates))
	}
	t.flush()
	fmt.Fprintln(w)
	if share, ok := o.Conversion(30); ok {
		fmt.Fprintf(w, "Of the confirmation mails of the last 30 days %.0f %% were confirmed.\n", 100*share)
	}
	more := ""
	if o.AndMore {
		more = "at least "
	}
	fmt.Fprintf(w, "Within 24 hours %s%s unconfirmed sign-ups are forgotten, and within 7 days %s%s.\n", more, n(o.Forgotten.Day), more, n(o.Forgotten.Week))
	if o.Requests.Next != nil {
		fmt.Fprintf(w, "Requests that wait: %s, of them %s late and %s due within 7 days; the next is due on %s.\n",
			n(o.Requests.Open), n(o.Requests.Late), n(o.Requests.Week), o.Requests.Next.Format(time.DateOnly))
	}
	fmt.Fprintf(w, "Within 30 days the evidence of %s erased people goes.\n", n(o.Evidence.Month))
}
