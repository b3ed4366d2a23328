package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/mta"
)

func (a *app) mail() *cobra.Command {
	c := &cobra.Command{
		Use:   "mail",
		Short: "Set up what mail that leaves this machine needs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("say what: kartotek mail dkim, mail check, or mail allow")}
		},
	}
	c.AddCommand(a.mailDKIM(), a.mailCheck(), a.mailAllow())
	return c
}

func (a *app) mailDKIM() *cobra.Command {
	var renew bool
	c := &cobra.Command{
		Use:   "dkim [DOMAIN]",
		Short: "Make the keys that letters are signed with, and print the DNS records to publish",
		Long: "Makes an RSA and an Ed25519 key for the domain that letters come from, keeps them in the key file, and prints the records " +
			"that the domain must publish (RFC 6376). Where there are keys it prints their records again. Letters are signed from the next start of " +
			"kartotek serve or of the console.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 && a.common.from.Address == noSender {
				return usageError{errors.New("name the domain that letters come from: kartotek mail dkim your.domain; or set from in the configuration")}
			}
			given := a.common.from.Address[strings.LastIndexByte(a.common.from.Address, '@')+1:]
			if len(args) == 1 {
				given = args[0]
			}
			domain, err := mta.DomainASCII(given)
			if err != nil {
				return usageError{errors.New("mail dkim takes the domain that letters come from, such as your.domain")}
			}
			kept, err := desk.MakeSigningKeys(cmd.Context(), a.cli(), domain, renew, func(selector string) ([]flows.SigningKey, error) {
				return newSigningKeys(domain, selector)
			})
			if err != nil {
				return err
			}
			return a.printSigning(domain, kept)
		},
	}
	c.Flags().BoolVar(&renew, "renew", false, "make new keys in the place of those that are there; leave the old records published for a week")
	return c
}

func (a *app) mailAllow() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "allow ADDRESS|ID --reason TEXT",
		Short: "Let mail go again to an address that it came back from",
		Long:  "An address that a server says takes no mail gets none for 30 days, or until this lifts it: when somebody knows that the mailbox was mended.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			lifted, err := desk.AllowMail(cmd.Context(), a.cli(), target, reason)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"lifted": lifted}, func(w io.Writer) {
				if lifted {
					fmt.Fprintln(w, "Mail goes to this address again.")
				} else {
					fmt.Fprintln(w, "No mail has come back from this address: nothing stood in the way.")
				}
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	must(c, "reason")
	return c
}

func newSigningKeys(domain, selector string) ([]flows.SigningKey, error) {
	made, err := mta.NewSigningKeys(domain, selector)
	if err != nil {
		return nil, err
	}
	var keys []flows.SigningKey
	for _, k := range made {
		text, err := k.PEM()
		if err != nil {
			return nil, err
		}
		keys = append(keys, flows.SigningKey{Selector: k.Selector(), PEM: string(text)})
	}
	return keys, nil
}

// record is a DNS record to publish.
type record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (a *app) printSigning(domain string, kept []flows.SigningKey) error {
	keys, err := parseSigning(domain, kept)
	if err != nil {
		return err
	}
	var records []record
	for _, k := range keys {
		name, value, err := k.Record()
		if err != nil {
			return err
		}
		records = append(records, record{name, "TXT", value})
	}
	return a.print(map[string]any{"domain": domain, "records": records}, func(w io.Writer) {
		fmt.Fprintf(w, "Letters from %s are signed from the next start on. Publish these records, in the form of a zone file:\n\n", clean(domain))
		for _, r := range records {
			fmt.Fprintln(w, mta.ZoneLine(r.Name, r.Value))
		}
		fmt.Fprintln(w, "\nThe private keys are in the key file: keep your copy of it up to date.")
	})
}

func parseSigning(domain string, kept []flows.SigningKey) ([]mta.SigningKey, error) {
	var keys []mta.SigningKey
	for _, k := range kept {
		key, err := mta.ParseSigningKey(domain, k.Selector, []byte(k.PEM))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// signers are those of all domains that the key file has keys for.
func signers(desk *flows.Service) (mta.Signers, error) {
	out := mta.Signers{}
	for _, domain := range desk.SigningDomains() {
		kept, err := desk.SigningKeys(domain)
		if err != nil {
			return nil, err
		}
		keys, err := parseSigning(domain, kept)
		if err != nil {
			return nil, err
		}
		if out[domain], err = mta.NewSigner(keys...); err != nil {
			return nil, err
		}
	}
	return out, nil
}
