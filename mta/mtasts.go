package mta

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/foxcpp/go-mtasts"
)

const (
	// policyTime bounds fetching a policy, from the question to the last byte (RFC 8461 section 3.3 suggests a minute;
	// a letter is waiting).
	policyTime = 20 * time.Second
	// maxPolicy is the size in bytes of a policy that is read (RFC 8461 section 3.2 leaves the limit to us).
	maxPolicy = 64 << 10
	// maxPolicyAge is the longest max_age of RFC 8461 section 3.2, in seconds.
	maxPolicyAge = 31557600
	// policyAsked is how long a domain's answer stands before its TXT record is looked up again.
	policyAsked = 5 * time.Minute
)

var errPolicy = errors.New("the domain's MTA-STS policy is malformed")

// stsPolicies knows which domains demand encryption by MTA-STS (RFC 8461). go-mtasts holds the rules of caching; the
// fetching is ours, bounded, for its own reads without limit what a stranger's server sends.
type stsPolicies struct {
	resolver Resolver
	client   *http.Client
	store    *policyStore
	kept     Policies // nil for none
	now      func() time.Time

	mu    sync.Mutex
	asked map[string]stsAnswer
}

type stsAnswer struct {
	until  time.Time
	policy *mtasts.Policy // nil for none
}

func newSTS(r Resolver, client *http.Client, kept Policies) *stsPolicies {
	return &stsPolicies{
		resolver: r, client: client, store: newPolicyStore(), kept: kept, now: time.Now, asked: map[string]stsAnswer{},
	}
}

// stsClient fetches policies over connections that dial makes. A redirect is an error (RFC 8461 section 3.3).
func stsClient(dial func(ctx context.Context, host string) (net.Conn, error), roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				host, _, err := net.SplitHostPort(addr)
				if err != nil {
					return nil, err
				}
				return dial(ctx, host)
			},
			TLSClientConfig:        &tls.Config{RootCAs: roots},
			MaxResponseHeaderBytes: maxPolicy,
			DisableKeepAlives:      true,
		},
	}
}

// enforced returns the policy that a domain enforces, nil if it has none, or one in testing. Trouble with finding out
// counts as having none, unless a policy found earlier still holds (RFC 8461 section 5.1).
func (s *stsPolicies) enforced(ctx context.Context, domain string) *mtasts.Policy {
	s.mu.Lock()
	answer, ok := s.asked[domain]
	s.mu.Unlock()
	if !ok || s.now().After(answer.until) {
		ctx, cancel := context.WithTimeout(ctx, policyTime)
		defer cancel()
		cache := mtasts.Cache{Store: lasting{s.store, s.kept, ctx, s.now()}, Resolver: absolute{s.resolver}}
		cache.DownloadPolicy = func(domain string) (*mtasts.Policy, error) { return fetchPolicy(ctx, s.client, domain) }
		policy, err := cache.Get(ctx, domain)
		if err != nil && !mtasts.IsNoPolicy(err) {
			return nil // not an answer that may stand
		}
		answer = stsAnswer{until: s.now().Add(policyAsked), policy: policy}
		s.mu.Lock()
		if len(s.asked) >= maxDomains {
			clear(s.asked) // costs look-ups only: policies are kept in the store
		}
		s.asked[domain] = answer
		s.mu.Unlock()
	}
	if answer.policy == nil || answer.policy.Mode != mtasts.ModeEnforce {
		return nil
	}
	return answer.policy
}

// allowed tells whether a policy names the host, in A-labels; "*" stands for one label (RFC 8461 section 4.1).
// go-mtasts has a Match, which such a label makes panic.
func allowed(policy *mtasts.Policy, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	for _, pattern := range policy.MX {
		want, wild := strings.CutPrefix(pattern, "*.")
		want, err := domainASCII(want)
		if err == nil && (!wild && want == host || wild && want == parent) {
			return true
		}
	}
	return false
}

// absolute asks for full names only, never within a search domain.
type absolute struct{ Resolver }

func (a absolute) LookupTXT(ctx context.Context, name string) ([]string, error) {
	records, err := a.Resolver.LookupTXT(ctx, name+".")
	// Other TXT records at that name are no policies (RFC 8461 section 3.1).
	var policies []string
	for _, r := range records {
		if strings.HasPrefix(r, "v=STSv1;") {
			policies = append(policies, r)
		}
	}
	return policies, err
}

func fetchPolicy(ctx context.Context, client *http.Client, domain string) (*mtasts.Policy, error) {
	url := "https://mta-sts." + domain + "/.well-known/mta-sts.txt"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || resp.StatusCode != http.StatusOK || kind != "text/plain" {
		return nil, errPolicy
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxPolicy {
		return nil, errPolicy
	}
	return parsePolicy(string(body))
}

// parsePolicy reads a policy by RFC 8461 section 3.2: fields that are not known are skipped, and of a field that may
// stand once the first counts.
func parsePolicy(text string) (*mtasts.Policy, error) {
	fields := map[string]string{}
	policy := &mtasts.Policy{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok {
			if key == "" {
				continue
			}
			return nil, errPolicy
		}
		if key == "mx" {
			policy.MX = append(policy.MX, strings.ToLower(value))
		} else if _, twice := fields[key]; !twice {
			fields[key] = value
		}
	}
	age, err := strconv.ParseUint(fields["max_age"], 10, 32)
	if err != nil || lines.Err() != nil || fields["version"] != "STSv1" {
		return nil, errPolicy
	}
	policy.MaxAge = int(min(age, maxPolicyAge))
	policy.Mode = mtasts.Mode(fields["mode"])
	switch policy.Mode {
	case mtasts.ModeNone:
		return policy, nil
	case mtasts.ModeEnforce, mtasts.ModeTesting:
		if len(policy.MX) > 0 {
			return policy, nil
		}
	}
	return nil, errPolicy
}

// Policies keeps the policies of domains, in A-labels, for longer than this process lives: whoever is made to forget one
// can be made to send in clear (RFC 8461 section 10.2).
type Policies interface {
	// Keep keeps a policy until a time.
	Keep(ctx context.Context, domain string, until time.Time, policy []byte) error
	// Kept returns a policy; nil when none is kept that holds.
	Kept(ctx context.Context, domain string) ([]byte, error)
}
