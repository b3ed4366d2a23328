package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// policyCipher seals what is kept of a domain under the domain itself, as
// evidence is under its address: the store doesn't tell which domains mail went
// to, and needs to forget none with a person.
func (k *Keys) policyCipher(domain string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.underNewest("policy key\x00" + domain))
	if err != nil {
		return nil, fmt.Errorf("sealing a policy: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// policyKey is what the row of a domain is found by. Under another pepper it is
// another one: then the policy is fetched again, and its row ends with its time.
func (k *Keys) policyKey(domain string) []byte { return k.underNewest("policy\x00" + domain) }

// KeepPolicy keeps the policy of a domain until a time.
func (tx *Tx) KeepPolicy(ctx context.Context, domain string, until Micros, policy []byte) error {
	seal, err := tx.keys.policyCipher(domain)
	if err != nil {
		return err
	}
	key := tx.keys.policyKey(domain)
	sealed := seal.Seal(nil, nil, policy, key)
	n, err := tx.exec(ctx, `UPDATE policies SET until_at = ?, policy = ? WHERE domain_key = ?`, until, sealed, key)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO policies (domain_key, until_at, policy) VALUES (?, ?, ?)`, key, until, sealed)
	}
	return err
}

// Policy reads the policy of a domain; [ErrNotFound] when none is kept that
// holds at a time.
func (q queries) Policy(ctx context.Context, domain string, now Micros) ([]byte, error) {
	key := q.keys.policyKey(domain)
	var sealed []byte
	if err := q.get(ctx, []any{&sealed}, `SELECT policy FROM policies WHERE domain_key = ? AND until_at > ?`, key, now); err != nil {
		return nil, err
	}
	seal, err := q.keys.policyCipher(domain)
	if err != nil {
		return nil, err
	}
	policy, err := seal.Open(nil, nil, sealed, key)
	if err != nil {
		return nil, ErrSealed
	}
	return policy, nil
}

// DropOldPolicies removes up to n that hold no longer.
func (tx *Tx) DropOldPolicies(ctx context.Context, now Micros, n int) error {
	_, err := tx.exec(ctx, `DELETE FROM policies WHERE domain_key IN (SELECT domain_key FROM (SELECT domain_key FROM policies WHERE until_at <= ? LIMIT ?) AS old)`, now, n)
	return err
}
