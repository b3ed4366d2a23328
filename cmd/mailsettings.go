package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/knadh/koanf/v2"

	"kartotek/mta"
)

// mailSettings say how the direct route delivers.
type mailSettings struct {
	Helo     string
	Resolver mta.Resolver // nil for the system's
	TLS      []string     // domains that must encrypt
	Limits   map[string]mta.Limits
}

// listOf reads a setting of several values: the environment has one text.
func listOf(k *koanf.Koanf, name string) []string {
	if list := k.Strings(name); len(list) > 0 {
		return list
	}
	return strings.FieldsFunc(k.String(name), func(r rune) bool { return r == ',' })
}

func readMailSettings(k *koanf.Koanf) (m mailSettings, err error) {
	if m.Helo = k.String("mail-helo"); m.Helo != "" && mta.CheckDomain(m.Helo) != nil {
		return m, usageError{errors.New("mail-helo takes this machine's name in the name service, such as mx.your.domain")}
	}
	if at := k.String("mail-resolver"); at != "" {
		if m.Resolver, err = mta.ResolverAt(at); err != nil {
			return m, usageError{fmt.Errorf("mail-resolver: %w", err)}
		}
	}
	for _, domain := range listOf(k, "mail-tls-required") {
		domain = strings.TrimSpace(domain)
		if domain != "*" && mta.CheckDomain(domain) != nil {
			return m, usageError{errors.New("mail-tls-required takes domains, or * for all")}
		}
		m.TLS = append(m.TLS, domain)
	}
	m.Limits = map[string]mta.Limits{}
	for _, text := range listOf(k, "mail-limits") {
		name, limits, err := mta.ParseLimits(text)
		if err != nil {
			return m, usageError{fmt.Errorf("mail-limits: %w", err)}
		}
		m.Limits[name] = limits
	}
	return m, nil
}

// direct makes the route to the recipients' servers, whose policies are kept.
func (m mailSettings) direct(kept mta.Policies) (mta.Route, error) {
	opts := []mta.DirectOption{mta.WithRequiredTLS(m.TLS...), mta.WithLimits(m.Limits), mta.WithPolicies(kept)}
	if m.Helo != "" {
		opts = append(opts, mta.WithHelo(m.Helo))
	}
	if m.Resolver != nil {
		opts = append(opts, mta.WithResolver(m.Resolver))
	}
	return mta.NewDirect(opts...)
}
