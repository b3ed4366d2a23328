package cmd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"kartotek/tui"
)

// shown are the settings as the console tells them to whoever sits at this
// machine. What may hold a password or a token is only said to be set.
func (a *app) shown(e *engine) []tui.Setting {
	isSet := func(value string) string {
		if value != "" {
			value = "(set)"
		}
		return value
	}
	networks := func(all []netip.Prefix) string {
		words := make([]string, len(all))
		for i, p := range all {
			words[i] = p.String()
		}
		return strings.Join(words, ", ")
	}
	s := a.set
	return []tui.Setting{
		{Name: "store", Value: a.store.Name()},
		{Name: "keys", Value: s.Keys},
		{Name: "web", Value: s.Web},
		{Name: "ssh", Value: s.SSH},
		{Name: "public-url", Value: a.common.publicURL},
		{Name: "mail", Value: e.mailWords()},
		{Name: "mail-helo", Value: s.Delivery.Helo},
		{Name: "mail-tls-required", Value: strings.Join(s.Delivery.TLS, ", ")},
		{Name: "bounce", Value: s.Bounce},
		{Name: "bounce-domain", Value: a.common.bounces},
		{Name: "company", Value: a.common.company},
		{Name: "from", Value: a.common.from.Address},
		{Name: "from-name", Value: a.common.from.Name},
		{Name: "metrics", Value: networks(s.Metrics)},
		{Name: "trusted-proxies", Value: networks(s.Proxies)},
		{Name: "checkpoint-command", Value: isSet(s.CheckpointCommand)},
		{Name: "checkpoint-url", Value: isSet(s.CheckpointURL)},
		{Name: "proof-key", Value: s.ProofKey},
		{Name: "as", Value: s.As},
	}
}

// configPath is where the configuration file is, unless --config says otherwise.
func configPath() string {
	if path := os.Getenv("KARTOTEK_CONFIG"); path != "" {
		return path
	}
	return filepath.Join(xdg.ConfigHome, "kartotek", "config.toml")
}
