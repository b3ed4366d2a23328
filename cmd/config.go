package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adrg/xdg"
	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"kartotek/flows/letters"
	"kartotek/mta"
	"kartotek/store"
)

const defaultWeb = "127.0.0.1:8425"

// settings are what flags, environment and configuration file say, in this
// order of weight.
type settings struct {
	Config    string // the file's path, there or not
	Store     string
	Keys      string
	JSON      bool
	As        string
	User      string // the operating system's
	Web       string
	SSH       string
	PublicURL string
	Mail      string
	Bounce    string // where mail that comes back is taken
	Bounces   string // the domain of its addresses
	Company   string
	From      letters.Sender
	Proxies   []netip.Prefix
	Metrics   []netip.Prefix // who besides this machine sees the numbers
	Delivery  mailSettings

	CheckpointCommand string // is run with each checkpoint of the log
	CheckpointURL     string // gets each by POST
	ProofKey          string // public key of the log whose proofs verify trusts
}

// settingNames are all there are: an unknown one in the file is a mistake.
var settingNames = map[string]bool{
	"store": true, "keys": true, "json": true, "as": true, "web": true, "ssh": true, "public-url": true,
	"mail": true, "company": true, "from": true, "from-name": true, "trusted-proxies": true,
	"mail-helo": true, "mail-resolver": true, "mail-tls-required": true, "mail-limits": true,
	"bounce": true, "bounce-domain": true, "metrics": true,
	"checkpoint-command": true, "checkpoint-url": true, "proof-key": true,
}

// configure reads the settings before any command runs.
func (a *app) configure(flags *pflag.FlagSet) error {
	k := koanf.New(".")
	if err := a.loadFile(k, flags); err != nil {
		return err
	}
	// KARTOTEK_PUBLIC_URL is --public-url, and so on; an empty one says nothing.
	if err := k.Load(env.Provider(".", env.Opt{Prefix: "KARTOTEK_", TransformFunc: func(name, value string) (string, any) {
		if value == "" || name == store.PasswordVariable {
			return "", nil
		}
		return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "KARTOTEK_")), "_", "-"), value
	}}), nil); err != nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	if err := k.Load(posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		if f.Name == copyFrom { // the letters' sender is no flag
			return "", nil
		}
		return f.Name, posflag.FlagVal(flags, f)
	}), nil); err != nil {
		return fmt.Errorf("reading the flags: %w", err)
	}
	a.set = settings{
		Config: a.set.Config, Store: k.String("store"), Keys: k.String("keys"), JSON: k.Bool("json"), As: k.String("as"), Web: k.String("web"), SSH: k.String("ssh"),
		PublicURL: strings.TrimRight(k.String("public-url"), "/"), Mail: k.String("mail"), Bounce: k.String("bounce"), Bounces: k.String("bounce-domain"), Company: k.String("company"),
		From:              letters.Sender{Name: k.String("from-name"), Address: k.String("from")},
		CheckpointCommand: k.String("checkpoint-command"), CheckpointURL: k.String("checkpoint-url"), ProofKey: k.String("proof-key"),
	}
	var err error
	if a.set.Proxies, err = networks(k, "trusted-proxies"); err != nil {
		return err
	}
	if a.set.Metrics, err = networks(k, "metrics"); err != nil {
		return err
	}
	if a.set.Delivery, err = readMailSettings(k); err != nil {
		return err
	}
	return a.set.defaults()
}

// networks reads a setting that takes any number of them.
func networks(k *koanf.Koanf, name string) (out []netip.Prefix, err error) {
	given := k.Strings(name)
	if len(given) == 0 { // the environment has one text
		given = strings.FieldsFunc(k.String(name), func(r rune) bool { return r == ',' || r == ' ' })
	}
	for _, p := range given {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s takes networks such as 10.0.0.0/8, not %q", name, p)}
		}
		out = append(out, prefix)
	}
	return out, nil
}

func (a *app) loadFile(k *koanf.Koanf, flags *pflag.FlagSet) error {
	path, _ := flags.GetString("config")
	given := path != ""
	if !given {
		path, given = configPath(), os.Getenv("KARTOTEK_CONFIG") != ""
	}
	a.set.Config = path
	err := k.Load(file.Provider(path), toml.Parser())
	switch {
	case errors.Is(err, fs.ErrNotExist) && !given:
		return nil
	case err != nil:
		return fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	for _, name := range k.Keys() {
		if !settingNames[name] {
			return fmt.Errorf("the configuration %s has a setting %q that there isn't: see the README for those there are", path, name)
		}
	}
	return nil
}

func (s *settings) defaults() error {
	if s.Store == "" {
		s.Store = "sqlite:" + filepath.Join(xdg.DataHome, "kartotek", "kartotek.db")
	}
	if s.Keys == "" {
		s.Keys = filepath.Join(xdg.ConfigHome, "kartotek", "keys.json")
	}
	if s.Web == "" {
		s.Web = defaultWeb
	}
	if err := store.CheckURL(s.Store); err != nil {
		return usageError{err}
	}
	if err := hidePassword(s.Store); err != nil {
		return fmt.Errorf("taking the password out of sight: %w", err)
	}
	if _, _, err := net.SplitHostPort(s.Web); err != nil {
		return usageError{fmt.Errorf("--web takes HOST:PORT, such as %s", defaultWeb)}
	}
	if s.SSH != "" {
		if _, _, err := net.SplitHostPort(s.SSH); err != nil {
			return usageError{errors.New("--ssh takes HOST:PORT, such as 0.0.0.0:2222")}
		}
	}
	if s.From.Address != "" {
		if _, err := store.ParseAddress(s.From.Address); err != nil {
			return usageError{errors.New("from takes the address that letters come from, such as news@your.domain")}
		}
	}
	if s.PublicURL != "" {
		if u, err := url.Parse(s.PublicURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return usageError{errors.New("--public-url takes an address such as https://consent.your.domain")}
		}
	}
	if s.Mail != "" && s.Mail != routeCapture && s.From.Address == "" {
		return usageError{errors.New("mail that leaves needs a sender: set from = \"news@your.domain\" in the configuration, or KARTOTEK_FROM")}
	}
	if s.Bounce != "" {
		if _, _, err := net.SplitHostPort(s.Bounce); err != nil {
			return usageError{errors.New("--bounce takes HOST:PORT, such as 0.0.0.0:25")}
		}
		domain, err := mta.DomainASCII(s.Bounces)
		if err != nil {
			return usageError{errors.New("mail that comes back needs a domain whose MX is this machine: set bounce-domain = \"bounces.your.domain\" in the configuration, or KARTOTEK_BOUNCE_DOMAIN")}
		}
		s.Bounces = domain
	}
	s.User = "operator"
	if u, err := user.Current(); err == nil && u.Username != "" {
		s.User = u.Username
	}
	if s.As == "" {
		s.As = s.User
	}
	// These names stand for those who are not staff, in evidence and audit.
	if s.As = clean(strings.TrimSpace(s.As)); len(s.As) > 60 || slices.Contains([]string{"", "contact", "clock"}, strings.ToLower(s.As)) {
		return usageError{errors.New("--as takes the name of who is acting, at most 60 characters, and not contact or clock")}
	}
	return nil
}
