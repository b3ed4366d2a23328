package cmd

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) mailbox() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "mailbox",
		Short: "Show the captured mails, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			desk, err := a.openDelivered(cmd.Context())
			if err != nil {
				return err
			}
			mails, err := desk.Mailbox(cmd.Context(), a.cli(), limit)
			if err != nil {
				return err
			}
			return a.printMails(mails)
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	c.AddCommand(&cobra.Command{
		Use:   "show N",
		Short: "Read one captured mail",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("mailbox show takes a mail's number")}
			}
			desk, err := a.openDelivered(cmd.Context())
			if err != nil {
				return err
			}
			m, err := desk.Mail(cmd.Context(), a.cli(), n)
			if err != nil {
				return err
			}
			return a.print(struct {
				flows.Mail
				From string `json:"from"`
				Text string `json:"text"`
			}{m, m.From, m.Text}, func(w io.Writer) {
				fmt.Fprintf(w, "From:    %s\nTo:      %s\nDate:    %s\nSubject: %s\n\n%s\n", clean(m.From), clean(m.ToMasked), when(&m.At), clean(m.Subject), m.Text)
			})
		},
	})
	return c
}

func (a *app) printMails(mails []flows.Mail) error {
	return a.print(map[string]any{"mails": mails}, func(w io.Writer) {
		if len(mails) == 0 {
			fmt.Fprintln(w, "No mail was captured.")
			return
		}
		t := newTable(w)
		fmt.Fprintln(t, "NUMBER\tAT\tTO\tSUBJECT")
		for _, m := range mails {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", m.Number, when(&m.At), clean(m.ToMasked), clean(m.Subject))
		}
		t.flush()
	})
}
