package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/flows/proof"
	"kartotek/store"
)

// proofWidth is how wide a proof is printed.
const proofWidth = 100

func (a *app) prove() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "prove ADDRESS [--out FILE]",
		Short: "Show what a person agreed to, when and from where, and write the proof of it",
		Long: "Show what a person agreed to, when, from where and under which text, how it was confirmed and what happened since. " +
			"With --out proof.json the proof is written to a file that anybody can check with kartotek verify and the company's public key; proof.html is the same for reading and printing.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			b, err := desk.Prove(cmd.Context(), a.cli(), target, nil)
			if err != nil {
				return err
			}
			if out != "" {
				if err := desk.SaveProof(b, out); err != nil {
					return err
				}
			}
			if a.set.JSON {
				return desk.WriteProof(b, a.out)
			}
			for _, line := range b.Story().Text(proofWidth, clean) {
				fmt.Fprintln(a.out, line)
			}
			if out != "" {
				fmt.Fprintln(a.out, "\nWritten to "+out)
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "the file to write: its name ends in .json or .html")
	return c
}

// errUnproven ends verify with exit code 1.
var errUnproven = errors.New("this proves nothing")

func (a *app) verify() *cobra.Command {
	var key, address string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a proof, with nothing but the file and the company's public key",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			trust := proof.Trust{PublicKey: cmp.Or(key, a.set.ProofKey)}
			if address != "" {
				given, err := a.address(address)
				if err != nil {
					return err
				}
				parsed, err := store.ParseAddress(given)
				if err != nil {
					return usageError{flows.ErrPiece}
				}
				trust.Address = parsed.Canonical()
			}
			data, err := readProof(args[0])
			if err != nil {
				return err
			}
			r := proof.Check(data, trust)
			if err := a.print(r, func(w io.Writer) { printReport(w, r) }); err != nil {
				return err
			}
			switch {
			case r.Wrong != "":
				return fmt.Errorf("%w: %s", errUnproven, r.Wrong)
			case !r.Trusted:
				return fmt.Errorf("%w yet: give the company's public key with --key, or as proof-key in the configuration", errUnproven)
			}
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", "the company's public key, as kartotek audit key prints it (default: the setting proof-key)")
	c.Flags().StringVar(&address, "address", "", "whom the proof must be about, - for standard input")
	return c
}

func readProof(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the proof: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, proof.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the proof: %w", err)
	}
	if len(data) > proof.MaxSize {
		return nil, errors.New("the file is too large to be a proof")
	}
	return data, nil
}

func printReport(w io.Writer, r proof.Report) {
	if r.Wrong != "" {
		return
	}
	fmt.Fprintf(w, "%s: the log %s, signed %s over %d entries\n", clean(r.Address), clean(r.Log), when(&r.SignedAt), r.Size)
	heading := "Proven:"
	if !r.Trusted {
		heading = "Proven, if the key is the company's:"
	}
	fmt.Fprintln(w, "\n"+heading)
	for _, l := range r.Proven {
		fmt.Fprintln(w, "  + "+clean(l))
	}
	fmt.Fprintln(w, "\nNot proven:")
	for _, l := range r.NotProven {
		fmt.Fprintln(w, "  - "+clean(l))
	}
}
