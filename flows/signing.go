package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kartotek/store"
)

// SigningKey is a private key that letters are signed with (DKIM, RFC 6376), as
// the key file keeps it.
type SigningKey struct {
	Selector string    `json:"selector"` // the name under which the domain publishes it
	PEM      string    `json:"pem"`      // PKCS #8
	Made     time.Time `json:"made"`
}

// signingName is the name under which the key file holds a domain's keys.
const signingName = "dkim/"

// SigningDomains are the domains that the key file has signing keys for.
func (s *Service) SigningDomains() []string {
	var out []string
	for _, name := range s.store.Keys().Names() {
		if domain, ok := strings.CutPrefix(name, signingName); ok {
			out = append(out, domain)
		}
	}
	return out
}

// SigningKeys reads the keys of a domain; ErrNotFound when it has none. They
// are secret: they go to the signer and nowhere else.
func (s *Service) SigningKeys(domain string) ([]SigningKey, error) {
	text, err := s.store.Keys().Named(signingName + domain)
	if err != nil {
		return nil, err
	}
	var keys []SigningKey
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, errors.New("the signing keys in the key file are damaged: restore your copy of it, or make new ones with kartotek mail dkim --renew")
	}
	return keys, nil
}

// SenderKeys is SigningKeys for staff who look after how letters leave.
func (s *Service) SenderKeys(ctx context.Context, a Actor, domain string) ([]SigningKey, error) {
	if err := s.allow(ctx, a, doMail); err != nil {
		return nil, err
	}
	return s.SigningKeys(domain)
}

// MakeSigningKeys keeps new keys of a domain in the key file, in the place of
// those that are there only with renew set. fresh makes them under a selector.
func (s *Service) MakeSigningKeys(ctx context.Context, a Actor, domain string, renew bool, fresh func(selector string) ([]SigningKey, error)) (_ []SigningKey, err error) {
	defer func() { err = s.trace(ctx, a, doMail, 0, err) }()
	if err := s.allow(ctx, a, doMail); err != nil {
		return nil, err
	}
	there, err := s.SigningKeys(domain)
	if err == nil && !renew {
		return there, nil
	}
	if err != nil && !renew && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	keys, err := fresh(s.newSelector(there))
	if err != nil {
		return nil, err
	}
	for i := range keys {
		keys[i].Made = s.now().UTC().Truncate(time.Second)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("writing the signing keys: %w", err)
	}
	if err := s.store.Keys().SetNamed(signingName+domain, text); err != nil {
		return nil, err
	}
	return keys, s.store.InTx(ctx, func(tx *store.Tx) error {
		return audit(ctx, tx, a, store.At(s.now()), "make signing keys", 0, domain)
	})
}

// newSelector names a day, and which keys of it: receivers may remember the
// record of the ones before.
func (s *Service) newSelector(there []SigningKey) string {
	day := "kartotek" + s.now().UTC().Format("20060102")
	name := day
	for n := 2; slices.ContainsFunc(there, func(k SigningKey) bool { return strings.HasPrefix(k.Selector, name+"-") }); n++ {
		name = fmt.Sprintf("%s%c", day, 'a'+n-1)
	}
	return name
}
