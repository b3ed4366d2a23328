package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/tui/sshd"
)

// overSSH are the commands that can be had over SSH, each with what keeps it
// from the files of this machine; nil where it knows none. What isn't here
// can't be had: migrate and serve, for instance, are this machine's own.
var overSSH = map[string]func(*cobra.Command, []string) error{
	"find": nil, "browse": nil, "erase": nil, "unsubscribe": nil, "resubscribe": nil, "overview": nil, "sample": nil,
	"audit": nil, "audit verify": nil, "audit key": nil, "audit restored": nil, "retention": nil, "retention run": nil,
	"mailbox": nil, "mailbox show": nil, "lists": nil, "lists add": nil,
	"outbox": nil, "outbox show": nil, "outbox retry": nil, "outbox hold": nil, "outbox release": nil, "outbox drop": nil,
	"staff": nil, "staff list": nil, "staff disable": nil, "staff enable": nil, "staff role": nil, "staff keys": nil, "staff keys remove": nil,
	"reveal": nil, "fields": nil, "fields list": nil, "fields add": nil, "fields mark": nil,
	"requests": nil, "requests list": nil, "requests show": nil, "requests add": nil, "requests close": nil, "requests approve": nil, "requests reject": nil, "requests fetch": nil,
	"import":         fromStdin,
	"export":         toStdout,
	"prove":          noFile,
	"staff add":      func(c *cobra.Command, _ []string) error { return keyItself(c.Flag("key").Value.String()) },
	"staff keys add": func(_ *cobra.Command, args []string) error { return keyItself(args[1]) },
}

// fromStdin takes a file on standard input only.
func fromStdin(c *cobra.Command, args []string) error {
	if strings.Join(args, " ") != "-" || c.Flags().Changed("follow") {
		return usageError{errors.New("over SSH a file comes on standard input: give - for FILE, and < FILE after the ssh command")}
	}
	return nil
}

// toStdout gives a file on standard output only.
func toStdout(c *cobra.Command, _ []string) error {
	if out := c.Flag("out").Value.String(); out != "" && out != "-" {
		return usageError{errors.New("over SSH a file goes to standard output: leave --out away, and put > FILE after the ssh command")}
	}
	if c.Flags().Changed("list") || c.Flags().Changed("all") {
		return nil // asks only
	}
	return c.Flags().Set("out", "-")
}

// noFile refuses to write one where --json prints the same.
func noFile(c *cobra.Command, _ []string) error {
	if c.Flag("out").Value.String() == "" {
		return nil
	}
	return usageError{errors.New("over SSH a proof goes to standard output: leave --out away, and put --json > proof.json after the ssh command")}
}

// keyItself takes a key, but no path.
func keyItself(arg string) error {
	if arg == "" || arg == "-" || strings.Contains(arg, " ") {
		return nil
	}
	return usageError{errors.New("over SSH give the public key itself, in quotes, or - and the .pub file on standard input")}
}

// remote makes what runs the commands of SSH sessions: the same as on this
// machine, under another actor, with this process's store and settings.
func (a *app) remote(desk *flows.Service) func(context.Context, flows.Actor, []string, sshd.Streams) int {
	return func(ctx context.Context, who flows.Actor, args []string, s sshd.Streams) int {
		sub := &app{in: s.In, out: s.Out, errOut: s.Err, set: a.set, store: a.store, common: a.common, who: who, desk: desk}
		sub.set.JSON = false
		root := sub.root()
		root.SilenceErrors, root.SilenceUsage = true, true
		root.CompletionOptions.DisableDefaultCmd = true
		root.SetArgs(append([]string{}, args...)) // nil would stand for this process's own
		root.SetIn(s.In)
		root.SetOut(s.Out)
		root.SetErr(s.Err)
		err := root.ExecuteContext(ctx)
		if err != nil {
			fmt.Fprintln(s.Err, "kartotek: "+sentence(err))
		}
		return exitCode(err)
	}
}

// fenced settles before a command over SSH runs that it may be had there, and
// what of its flags holds.
func (a *app) fenced(c *cobra.Command, args []string) error {
	check, ok := overSSH[strings.TrimPrefix(c.CommandPath(), "kartotek ")]
	if !ok {
		return usageError{fmt.Errorf("%s can't be had over SSH", c.CommandPath())}
	}
	var err error
	if a.set.JSON, err = c.Flags().GetBool("json"); err != nil || check == nil {
		return err
	}
	return check(c, args)
}

// mostPiped bounds a file on standard input, in bytes.
const mostPiped = 4 << 30

// piped keeps what comes on standard input in a file of its own, for what
// reads a file more than once; done removes it. Where the system lets a file
// be opened that has no name any more, it has none: nothing of it is left
// behind by a process that is killed.
func (a *app) piped(path string) (file string, done func() error, err error) {
	if path != "-" {
		return path, func() error { return nil }, nil
	}
	f, err := os.CreateTemp("", "kartotek-*") // mode 0600
	if err != nil {
		return "", nil, fmt.Errorf("keeping standard input: %w", err)
	}
	file, done = f.Name(), func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }
	if nameless := fmt.Sprintf("/proc/self/fd/%d", f.Fd()); exists(nameless) && os.Remove(file) == nil {
		file, done = nameless, f.Close
	}
	n, err := io.Copy(f, io.LimitReader(a.in, mostPiped+1))
	if err == nil && n > mostPiped {
		err = errors.New("it is longer than 4 GB")
	}
	if err != nil {
		return "", nil, fmt.Errorf("keeping standard input: %w", errors.Join(err, done()))
	}
	return file, done, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
