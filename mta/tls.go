package mta

import (
	"context"
	"slices"
)

// tlsPolicy says how much encryption mail to a domain must have. Its layers are asked in order of strength: what is
// required by configuration, then what the domain itself asks for by MTA-STS; without either, what the server offers.
type tlsPolicy struct {
	required []string // domains in A-labels; "*" for all
	sts      *stsPolicies
}

// tlsDemand is the policy's answer for one domain.
type tlsDemand struct {
	level tlsLevel
	// allows tells whether mail for the domain may go to a host at all; nil for any.
	allows func(host string) bool
}

func (p *tlsPolicy) require(domains []string) {
	for _, d := range domains {
		if ascii, err := domainASCII(d); err == nil {
			d = ascii
		}
		p.required = append(p.required, d)
	}
}

// demand is the policy for a domain in A-labels.
func (p *tlsPolicy) demand(ctx context.Context, domain string) tlsDemand {
	d := tlsDemand{level: tlsOpportunistic}
	if p.sts != nil {
		if enforced := p.sts.enforced(ctx, domain); enforced != nil {
			d = tlsDemand{tlsRequired, func(host string) bool { return allowed(enforced, host) }}
		}
	}
	if slices.Contains(p.required, "*") || slices.Contains(p.required, domain) {
		d.level = tlsRequired
	}
	return d
}
