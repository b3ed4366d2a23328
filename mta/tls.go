package mta

import "slices"

// tlsPolicy says how much encryption mail to a domain must have.
type tlsPolicy struct {
	required []string // domains in A-labels; "*" for all
}

func (p *tlsPolicy) require(domains []string) {
	for _, d := range domains {
		if ascii, err := domainASCII(d); err == nil {
			d = ascii
		}
		p.required = append(p.required, d)
	}
}

// level is the policy's answer for a domain in A-labels.
func (p *tlsPolicy) level(domain string) tlsLevel {
	if slices.Contains(p.required, "*") || slices.Contains(p.required, domain) {
		return tlsRequired
	}
	return tlsOpportunistic
}
