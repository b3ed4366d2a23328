package cmd

import (
	"cmp"
	"context"
	"strings"

	"kartotek/flows"
	"kartotek/flows/letters"
	"kartotek/store"
)

// The routes that mail leaves by.
const (
	routeCapture = "capture"
	routeDirect  = "direct"
	routeRelay   = "relay"
)

// shared is what the processes on one store have in common: a letter that a
// command writes must carry the address of the pages that a server serves, and
// a console must not capture the mail that a server relays. Who serves keeps
// it in the store; who isn't told otherwise goes by it.
type shared struct {
	publicURL string
	route     string
	company   string
	from      letters.Sender
	bounces   string // domain of the addresses that mail comes back to
}

// sharedSettings are what was given here, else what the store says, else the
// defaults.
func (a *app) sharedSettings(ctx context.Context) (shared, error) {
	kept := map[string]string{}
	for _, name := range []string{store.SettingPublicURL, store.SettingRoute, store.SettingCompany, store.SettingFrom, store.SettingFromName, store.SettingBounce} {
		value, err := a.store.Setting(ctx, name)
		if err != nil {
			return shared{}, err
		}
		kept[name] = value
	}
	s := shared{
		publicURL: cmp.Or(a.set.PublicURL, kept[store.SettingPublicURL], "http://"+a.set.Web),
		route:     cmp.Or(routeName(a.set.Mail), kept[store.SettingRoute], routeCapture),
		company:   cmp.Or(a.set.Company, kept[store.SettingCompany], "Kartotek"),
	}
	s.from.Address = cmp.Or(a.set.From.Address, kept[store.SettingFrom], noSender)
	s.from.Name = cmp.Or(a.set.From.Name, kept[store.SettingFromName], s.company)
	s.bounces = kept[store.SettingBounce]
	if a.set.Bounce != "" {
		s.bounces = a.set.Bounces
	}
	return s, nil
}

// keep tells the other processes; the web pages' address only if they are
// served here.
func (s shared) keep(ctx context.Context, desk *flows.Service, user string, serves bool) error {
	values := map[string]string{store.SettingRoute: s.route, store.SettingCompany: s.company, store.SettingFrom: s.from.Address, store.SettingFromName: s.from.Name}
	if serves {
		values[store.SettingPublicURL], values[store.SettingBounce] = s.publicURL, s.bounces
	}
	return desk.KeepSettings(ctx, user, values)
}

// config is what the flows go by.
func (s shared) config() flows.Config {
	return flows.Config{PublicURL: s.publicURL, Company: s.company, From: s.from, BounceDomain: s.bounces}
}

// routeName is the word for a --mail: capture, direct or relay.
func routeName(mail string) string {
	name, _, _ := strings.Cut(mail, "=")
	return name
}

// noSender is who letters are from as long as nobody has said: they stay on
// this machine.
const noSender = "no-reply@localhost.localdomain"
