package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// strict turns wrong arguments and missing flags into usage errors, in words
// of ours.
func strict(c *cobra.Command) {
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if missing := missingFlags(cmd); len(missing) > 0 {
			return usageError{fmt.Errorf("%s needs %s", cmd.CommandPath(), strings.Join(missing, " and "))}
		}
		return nil
	}
	use := c.Use
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			switch {
			case check(cmd, args) == nil:
				return nil
			case len(args) > 0 && cmd.HasSubCommands():
				return usageError{fmt.Errorf("there is no command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "kartotek "))}
			}
			return usageError{fmt.Errorf("it goes like this: %s %s", cmd.Parent().CommandPath(), use)}
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// missingFlags are those that a command needs and was not given.
func missingFlags(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

// wrongFlag is about a flag that can't be read, without what was given: it may
// be personal.
func wrongFlag(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return usageError{err}
	}
	f := wrong.GetFlag()
	kind := "another value"
	switch f.Value.Type() {
	case "int", "int64", "uint64":
		kind = "a number"
	case "duration":
		kind = "a time such as 2s or 5m"
	}
	return usageError{fmt.Errorf("--%s takes %s", f.Name, kind)}
}
