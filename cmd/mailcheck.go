package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/mta"
)

func (a *app) mailCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look whether the name service says of your domains what receivers of mail go by",
		Long: "Looks up SPF, DKIM, DMARC, the name of this machine's address and where answers go, and prints what to publish where something is missing. " +
			"It ends with exit code 1 when something has to be mended.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			found, err := a.checkMail(cmd.Context(), desk)
			if err != nil {
				return err
			}
			if err := a.print(map[string]any{"findings": found}, func(w io.Writer) { printFindings(w, found) }); err != nil {
				return err
			}
			bad := 0
			for _, f := range found {
				if f.State == mta.FoundMissing || f.State == mta.FoundWrong {
					bad++
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d things have to be mended before mail arrives everywhere", bad, len(found))
			}
			return nil
		},
	}
}

// checkMail looks at what is published for the sender of the letters.
func (a *app) checkMail(ctx context.Context, desk *flows.Service) ([]mta.Finding, error) {
	address := a.common.from.Address
	from, err := mta.DomainASCII(address[strings.LastIndexByte(address, '@')+1:])
	if err != nil {
		return nil, usageError{errors.New("from takes the address that letters come from, such as news@your.domain")}
	}
	pub := mta.Publication{From: from, Bounce: a.common.bounces, Helo: a.helo()}
	kept, err := desk.SenderKeys(ctx, a.cli(), from)
	if err != nil && !errors.Is(err, flows.ErrNotFound) {
		return nil, err
	}
	if pub.Keys, err = parseSigning(from, kept); err != nil {
		return nil, err
	}
	var resolver mta.PTRResolver = net.DefaultResolver
	if r, ok := a.set.Delivery.Resolver.(mta.PTRResolver); ok {
		resolver = r
	}
	return mta.CheckPublished(ctx, resolver, pub), nil
}

// helo is how this machine introduces itself; "" where another one delivers.
func (a *app) helo() string {
	if a.common.route != routeDirect {
		return ""
	}
	if a.set.Delivery.Helo != "" {
		return a.set.Delivery.Helo
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func printFindings(w io.Writer, found []mta.Finding) {
	for _, f := range found {
		fmt.Fprintf(w, "%-8s %-6s %s\n         %s\n", f.State, f.Check, clean(f.Name), clean(f.Words))
		if f.Publish != "" {
			fmt.Fprintf(w, "         publish: %s\n", clean(f.Publish))
		}
	}
}
