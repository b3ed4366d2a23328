package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) serve() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the web pages, the mail sender and the clock, without a console",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.start(cmd.Context(), logTo(a.errOut), false)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.errOut, "kartotek: web pages on http://%s, mail by %s; stop with ctrl+c\n", e.web.Addr(), e.mailWords())
			if e.ssh != nil {
				fmt.Fprintf(a.errOut, "kartotek: %s\n", e.sshWords())
			}
			if e.inlet != nil {
				fmt.Fprintf(a.errOut, "kartotek: mail that comes back is taken on %s\n", a.set.Bounce)
			}
			return e.wait()
		},
	}
	addServing(c)
	return c
}
