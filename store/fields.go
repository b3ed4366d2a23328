package store

import (
	"context"
	"errors"
)

// OwnKind is what is known of one of the company's own fields.
type OwnKind struct {
	Name      string `db:"name"`
	Kind      string `db:"kind"`
	Sensitive bool   `db:"hidden"`
}

// OwnKinds reads all that were named, by name.
func (q queries) OwnKinds(ctx context.Context) ([]OwnKind, error) {
	var out []OwnKind
	err := q.all(ctx, &out, `SELECT name, kind, hidden FROM own_fields ORDER BY name`)
	return out, err
}

// OwnKind reads what is known of a field; ErrNotFound where it was never named.
func (q queries) OwnKind(ctx context.Context, name string) (OwnKind, error) {
	var k OwnKind
	err := q.get(ctx, []any{&k.Name, &k.Kind, &k.Sensitive}, `SELECT name, kind, hidden FROM own_fields WHERE name = ?`, name)
	return k, err
}

// AddOwnKind keeps what is known of a field that nobody had named: of two that do
// so at once one starts again.
func (tx *Tx) AddOwnKind(ctx context.Context, k OwnKind) error {
	return tx.fresh(ctx, `INSERT INTO own_fields (name, kind, hidden) VALUES (?, ?, ?)`, k.Name, k.Kind, k.Sensitive)
}

// SetOwnKind keeps what is known of a field.
func (tx *Tx) SetOwnKind(ctx context.Context, k OwnKind) error {
	_, err := tx.OwnKind(ctx, k.Name)
	if errors.Is(err, ErrNotFound) {
		return tx.AddOwnKind(ctx, k)
	}
	if err == nil {
		_, err = tx.exec(ctx, `UPDATE own_fields SET kind = ?, hidden = ? WHERE name = ?`, k.Kind, k.Sensitive, k.Name)
	}
	return err
}
