package cmd

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) reveal() *cobra.Command {
	var what, reason string
	c := &cobra.Command{
		Use:   "reveal ID --reason TEXT [--field email|mobile|NAME]",
		Short: "Show an address, a number or a sensitive field unmasked; the audit keeps who and why",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id <= 0 {
				return usageError{errors.New("give the SubscriberID: find ADDRESS and browse tell it")}
			}
			if what != flows.RevealEmail && what != flows.RevealMobile {
				what = flows.OwnPrefix + strings.TrimPrefix(what, flows.OwnPrefix)
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			r, err := desk.Reveal(cmd.Context(), a.cli(), id, what, reason)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { fmt.Fprintln(w, clean(r.Value)) })
		},
	}
	c.Flags().StringVar(&what, "field", flows.RevealEmail, "email, mobile, or the name of one of the company's own fields")
	c.Flags().StringVar(&reason, "reason", "", "why, in ten characters or more; without the person's name or address")
	must(c, "reason")
	return c
}

func (a *app) fields() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		desk, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		all, err := desk.OwnKinds(cmd.Context(), a.cli())
		if err != nil {
			return err
		}
		return a.printFields(all)
	}
	c := &cobra.Command{Use: "fields", Short: "Show the company's own fields and which of them are sensitive", Args: cobra.NoArgs, RunE: list}
	c.AddCommand(&cobra.Command{Use: "list", Short: "Show them", Args: cobra.NoArgs, RunE: list}, a.fieldsAdd(), a.fieldsMark())
	return c
}

func (a *app) fieldsAdd() *cobra.Command {
	var k flows.OwnKind
	c := &cobra.Command{
		Use:   "add NAME [--kind text|number|date] [--sensitive]",
		Short: "Name an own field: columns of imports without a meaning of their own become fields by themselves",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			k.Name = args[0]
			made, err := desk.AddOwnKind(cmd.Context(), a.cli(), k)
			if err != nil {
				return err
			}
			return a.printFields([]flows.OwnKind{made})
		},
	}
	c.Flags().StringVar(&k.Kind, "kind", flows.FieldKinds[0], strings.Join(flows.FieldKinds, ", "))
	c.Flags().BoolVar(&k.Sensitive, "sensitive", false, "show it masked, and uncover it with a reason only")
	return c
}

func (a *app) fieldsMark() *cobra.Command {
	var sensitive, plain bool
	c := &cobra.Command{
		Use:   "mark NAME (--sensitive | --plain)",
		Short: "Make a field sensitive, which masks it on every card at once, or plain again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if sensitive == plain {
				return usageError{errors.New("give either --sensitive or --plain")}
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := desk.MarkOwnKind(cmd.Context(), a.cli(), args[0], sensitive)
			if err != nil {
				return err
			}
			return a.printFields([]flows.OwnKind{made})
		},
	}
	c.Flags().BoolVar(&sensitive, "sensitive", false, "show it masked, and uncover it with a reason only")
	c.Flags().BoolVar(&plain, "plain", false, "show it on the card")
	return c
}

func (a *app) printFields(all []flows.OwnKind) error {
	return a.print(map[string]any{"fields": all}, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "No own field was named: all of them are plain text.")
			return
		}
		t := newTable(w)
		fmt.Fprintln(t, "FIELD\tKIND\tSHOWN")
		for _, k := range all {
			shown := "plain"
			if k.Sensitive {
				shown = "masked"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", clean(k.Name), k.Kind, shown)
		}
		t.flush()
	})
}
