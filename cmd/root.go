package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"charm.land/fang/v2"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"kartotek/flows"
)

// The exit codes of every command.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitRefused  = 3 // by a rule: frozen, erased, role, limit
	exitNotFound = 4
)

// Version is set when a release is built.
var Version = "development"

// Main runs one command line and returns its exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, errOut: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	if f, ok := out.(*os.File); ok && slices.ContainsFunc(args, asksHelp) {
		if columns, _, err := term.GetSize(f.Fd()); err == nil {
			fitHelp(root, columns)
		}
	}
	err := fang.Execute(context.Background(), root, fang.WithVersion(Version),
		fang.WithNotifySignal(os.Interrupt, syscall.SIGTERM),
		fang.WithErrorHandler(func(io.Writer, fang.Styles, error) {}))
	err = errors.Join(err, a.close())
	if err != nil {
		fmt.Fprintln(errOut, "kartotek: "+sentence(err))
	}
	return exitCode(err)
}

func asksHelp(arg string) bool { return arg == "--help" || arg == "-h" || arg == "help" }

// sentence makes an error one clear line.
func sentence(err error) string {
	var usage usageError
	s := strings.ReplaceAll(err.Error(), "\n", "; ")
	s = strings.TrimSuffix(s, ": "+flows.ErrNotFound.Error())
	s = strings.TrimSuffix(s, " ("+flows.ErrNotFound.Error()+")")
	if errors.As(err, &usage) {
		s += " (see kartotek --help)"
	}
	return clean(s)
}

func exitCode(err error) int {
	var usage usageError
	var refusal *flows.Refusal
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refusal):
		return exitRefused
	case errors.Is(err, flows.ErrNotFound), errors.Is(err, flows.ErrPiece):
		return exitNotFound
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kartotek",
		Short: "The card index of the people on your email lists",
		Long:  "Kartotek keeps the smallest record that proves consent, masks what staff see, forgets what must be forgotten, and sends the confirmation mail itself. Without a command it opens the console.",
		Example: `kartotek
kartotek find marie.jensen@example.dk
kartotek import people.csv --list News --confirmed`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.console(cmd.Context()) },
	}
	root.PersistentFlags().Bool("json", false, "print JSON")
	if a.desk != nil {
		root.PersistentPreRunE = a.fenced
	} else {
		a.settles(root)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongFlag(err) })
	root.AddCommand(a.find(), a.browse(), a.importing(), a.export(), a.erase(), a.unsubscribe(), a.resubscribe(),
		a.mailbox(), a.lists(), a.outbox(), a.audit(), a.serve(), a.sample(), a.migrate(), a.overview(), a.mail(), a.staff(), a.requests(), a.reveal(), a.fields(),
		a.backup(), a.restore(), a.journal(), a.keyring(), a.doctor(), a.copying(), a.prove(), a.verify(), a.retention())
	for _, c := range root.Commands() {
		strict(c)
	}
	return root
}

// settles adds the flags of this machine's own command lines.
func (a *app) settles(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String("store", "", "the store: sqlite:PATH, or mysql://USER@HOST:PORT/DB?password-file=PATH (default: a file in the XDG data directory)")
	f.String("keys", "", "the key file (default: in the XDG configuration directory)")
	f.String("config", "", "the configuration file (default: config.toml in the XDG configuration directory)")
	f.String("as", "", "who is acting, for the audit (default: the system's user)")
	addServing(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.configure(cmd.Flags()) }
}

// addServing adds the flags of what serves pages and sends mail.
func addServing(c *cobra.Command) {
	f := c.Flags()
	f.String("web", "", "where the web pages listen: HOST:PORT (default "+defaultWeb+")")
	f.String("public-url", "", "the address under which contacts reach the web pages (default: as --web)")
	f.String("bounce", "", "where mail that comes back is taken: HOST:PORT, under bounce-domain of the configuration (default: nowhere)")
	f.String("ssh", "", "where the team's console is served over SSH: HOST:PORT (default: nowhere)")
	f.String("mail", "", "how mail leaves: capture, direct, or relay=URL, as in smtp://USER@HOST:587?password-file=PATH (default capture)")
}
