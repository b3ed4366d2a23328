package mta

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/foxcpp/go-mtasts"
)

// policyStore keeps policies in memory, a bounded number of them.
type policyStore struct {
	mu   sync.Mutex
	kept map[string]keptPolicy
}

// keptPolicy is a policy as it was fetched, and as [Policies] has it, in JSON.
type keptPolicy struct {
	ID      string         `json:"id"`
	Fetched time.Time      `json:"fetched"`
	Policy  *mtasts.Policy `json:"policy"`
}

func newPolicyStore() *policyStore { return &policyStore{kept: map[string]keptPolicy{}} }

// List names the domains whose policies are kept.
func (s *policyStore) List() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var domains []string
	for d := range s.kept {
		domains = append(domains, d)
	}
	return domains, nil
}

// Store keeps a policy; when too many are kept, another one goes.
func (s *policyStore) Store(domain, id string, fetched time.Time, policy *mtasts.Policy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.kept {
		if len(s.kept) < maxDomains {
			break
		}
		delete(s.kept, d)
	}
	s.kept[domain] = keptPolicy{id, fetched, policy}
	return nil
}

// Load returns a policy kept earlier.
func (s *policyStore) Load(domain string) (id string, fetched time.Time, policy *mtasts.Policy, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[domain]
	if !ok {
		return "", time.Time{}, nil, mtasts.ErrNoPolicy
	}
	return k.ID, k.Fetched, k.Policy, nil
}

// lasting is a policyStore with one behind it that lasts, for the time of one look.
type lasting struct {
	*policyStore
	behind Policies // nil for none
	ctx    context.Context
	now    time.Time
}

// maxLasting is the size in bytes of a policy that is kept for longer than a process lives: a stranger wrote it.
const maxLasting = 8 << 10

// until is when a policy ends (RFC 8461 section 3.2, max_age).
func until(fetched time.Time, policy *mtasts.Policy) time.Time {
	return fetched.Add(time.Duration(policy.MaxAge) * time.Second)
}

// Store keeps a policy in both. What can't be kept for long holds in memory, and ends what was kept before it.
func (l lasting) Store(domain, id string, fetched time.Time, policy *mtasts.Policy) error {
	if l.behind != nil {
		text, err := json.Marshal(keptPolicy{id, fetched, policy})
		end := until(fetched, policy)
		if err != nil || len(text) > maxLasting {
			text, end = nil, fetched
		}
		_ = l.behind.Keep(l.ctx, domain, end, text)
	}
	return l.policyStore.Store(domain, id, fetched, policy)
}

// Load returns a policy that either keeps; where it has ended in memory, another process may have fetched it anew.
func (l lasting) Load(domain string) (id string, fetched time.Time, policy *mtasts.Policy, err error) {
	id, fetched, policy, err = l.policyStore.Load(domain)
	if l.behind == nil || err == nil && l.now.Before(until(fetched, policy)) {
		return id, fetched, policy, err
	}
	text, failed := l.behind.Kept(l.ctx, domain)
	var k keptPolicy
	if failed != nil || text == nil || json.Unmarshal(text, &k) != nil || k.Policy == nil {
		return id, fetched, policy, err
	}
	return k.ID, k.Fetched, k.Policy, l.policyStore.Store(domain, k.ID, k.Fetched, k.Policy)
}
