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
)

// mostKey bounds a file of a public key, in bytes.
const mostKey = 64 << 10

func (a *app) staff() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		desk, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		all, err := desk.Staff(cmd.Context(), a.cli())
		if err != nil {
			return err
		}
		return a.printStaff(all)
	}
	c := &cobra.Command{Use: "staff", Short: "Show who may do what", Args: cobra.NoArgs, RunE: list}
	c.AddCommand(
		&cobra.Command{Use: "list", Short: "Show all staff with their keys", Args: cobra.NoArgs, RunE: list},
		a.staffAdd(),
		a.staffAct("disable NAME", "Let somebody sign in no more, and end their sessions", 1, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
			return desk.EnableStaff(ctx, a.cli(), args[0], false)
		}),
		a.staffAct("enable NAME", "Let somebody who was disabled sign in again", 1, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
			return desk.EnableStaff(ctx, a.cli(), args[0], true)
		}),
		a.staffAct("role NAME ROLE", "Give somebody another role: support, marketer, operator, owner or auditor", 2, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
			return desk.SetRole(ctx, a.cli(), args[0], flows.Role(args[1]))
		}),
		a.staffKeys(),
	)
	return c
}

func (a *app) staffAdd() *cobra.Command {
	var role, key string
	c := &cobra.Command{
		Use:   "add NAME --role ROLE [--key FILE|KEY]",
		Short: "Take somebody into staff: the first one as an owner",
		Long: "Take somebody into staff. The roles are support (browse, find, prove, reveal with a reason), marketer (and unsubscribe, resubscribe, import, lists), " +
			"operator (and export, erase, correct, freeze, requests), owner (and approve, staff, keys, retention) and auditor (audit and proofs only). " +
			"The key is a public SSH key: the path of a .pub file, the key itself, or - for standard input; without one, somebody works on this machine only, with --as NAME.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			line, err := a.publicKey(key)
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			m, err := desk.AddStaff(cmd.Context(), a.cli(), args[0], flows.Role(role), line)
			if err != nil {
				return err
			}
			return a.printStaff([]flows.Staffer{m})
		},
	}
	c.Flags().StringVar(&role, "role", "", "support, marketer, operator, owner or auditor")
	c.Flags().StringVar(&key, "key", "", "a public SSH key: the path of a .pub file, the key itself, or - for standard input")
	must(c, "role")
	return c
}

func (a *app) staffKeys() *cobra.Command {
	c := a.staffAct("keys NAME", "Show, add and remove the keys that sign somebody in", 1, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
		all, err := desk.Staff(ctx, a.cli())
		if err != nil {
			return flows.Staffer{}, err
		}
		for _, m := range all {
			if strings.EqualFold(m.Name, args[0]) {
				return m, nil
			}
		}
		return flows.Staffer{}, fmt.Errorf("there is nobody of that name in staff: %w", flows.ErrNotFound)
	})
	c.AddCommand(
		a.staffAct("add NAME FILE|KEY", "Let another public SSH key sign somebody in", 2, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
			line, err := a.publicKey(args[1])
			if err != nil {
				return flows.Staffer{}, err
			}
			return desk.AddStaffKey(ctx, a.cli(), args[0], line)
		}),
		a.staffAct("remove NAME FINGERPRINT", "Let a key sign nobody in any more", 2, func(ctx context.Context, desk *flows.Service, args []string) (flows.Staffer, error) {
			return desk.RemoveStaffKey(ctx, a.cli(), args[0], args[1])
		}),
	)
	return c
}

// staffAct makes a command that does one thing to one of staff, and shows them.
func (a *app) staffAct(use, short string, n int, act func(context.Context, *flows.Service, []string) (flows.Staffer, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(n), RunE: func(cmd *cobra.Command, args []string) error {
		desk, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		m, err := act(cmd.Context(), desk, args)
		if err != nil {
			return err
		}
		return a.printStaff([]flows.Staffer{m})
	}}
}

// publicKey reads a key that is given itself, as a file, or on standard input.
func (a *app) publicKey(arg string) (string, error) {
	from := a.in
	switch {
	case arg == "" || strings.Contains(arg, " "):
		return arg, nil
	case arg != "-":
		f, err := os.Open(arg)
		if err != nil {
			return "", fmt.Errorf("reading the public key: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, mostKey+1))
	if err != nil {
		return "", fmt.Errorf("reading the public key: %w", err)
	}
	if len(text) > mostKey {
		return "", usageError{errors.New("this is too long for a public key")}
	}
	return string(text), nil
}

func (a *app) printStaff(all []flows.Staffer) error {
	return a.print(map[string]any{"staff": all}, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "There are no staff: whoever can open the store is its owner. Begin with kartotek staff add NAME --role owner.")
			return
		}
		t := newTable(w)
		fmt.Fprintln(t, "NAME\tROLE\tSTATE\tSINCE\tKEY")
		for _, m := range all {
			state := "enabled"
			if !m.Enabled {
				state = "disabled"
			}
			line := fmt.Sprintf("%s\t%s\t%s\t%s\t", clean(m.Name), m.Role, state, when(&m.Since))
			if len(m.Keys) == 0 {
				fmt.Fprintln(t, line+"none: works on this machine only")
			}
			for _, k := range m.Keys {
				fmt.Fprintln(t, line+k.Kind+" "+k.Fingerprint)
				line = "\t\t\t\t"
			}
		}
		t.flush()
	})
}
