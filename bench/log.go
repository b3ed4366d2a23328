package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"kartotek/flows"
	"kartotek/store"
	"kartotek/store/ledger"
)

// loggedActs is how many acts are timed each way.
const loggedActs = 1500

// ledger measures what the tamper-evident log costs: an act with its entries
// against the same statements without them, and walking through a large log.
func (b *bench) ledger(ctx context.Context) error {
	p, err := b.fresh(ctx, "log")
	if err != nil {
		return err
	}
	if err := b.importInto(ctx, p, 1000); err != nil {
		return err
	}
	if err := b.logCost(ctx, p); err != nil {
		return err
	}
	return b.verifyLarge(ctx)
}

// logCost does the statements of an act bare: its evidence, audit row and
// contact; once with what the log adds.
func (b *bench) logCost(ctx context.Context, p place) error {
	db, err := openBare(p, writePragmas)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	a := &bareAct{conn: conn, stmts: map[string]*sql.Stmt{}, server: p.onServer(), sealed: make([]byte, 180)}
	rand.Read(a.sealed)
	secret, err := ledger.NewKey()
	if err != nil {
		return err
	}
	if a.key, err = ledger.ParseKey(secret); err != nil {
		return err
	}
	b.tell("acts with and without the log")
	took, err := alternate(b.rounds(loggedActs),
		func(r int) error { return a.do(ctx, int64(2*r), true) },
		func(r int) error { return a.do(ctx, int64(2*r+1), false) })
	if err != nil {
		return err
	}
	with, without := took[0].median(), took[1].median()
	b.add(row{
		what: "acts a second: with the log, against without", ours: fmt.Sprintf("%.0f/s", 1/with.Seconds()), baseline: fmt.Sprintf("%.0f/s", 1/without.Seconds()),
		ratio: fmt.Sprintf("%.0f %%", 100*float64(without)/float64(with)), target: ">= 75 %", verdict: verdict(float64(without) >= 0.75*float64(with)),
	})
	return nil
}

// bareAct does acts by the driver alone, on one connection with statements
// that are prepared once, as the store does.
type bareAct struct {
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	server bool  // the store takes ids in blocks there, beside the transaction
	id     int64 // the last one of these
	key    *ledger.Key
	sealed []byte
	err    error // of the act under way
}

func (a *bareAct) stmt(ctx context.Context, query string) *sql.Stmt {
	st := a.stmts[query]
	if st == nil && a.err == nil {
		st, a.err = a.conn.PrepareContext(ctx, query)
		a.stmts[query] = st
	}
	return st
}

func (a *bareAct) exec(ctx context.Context, query string, args ...any) {
	if st := a.stmt(ctx, query); a.err == nil {
		_, a.err = st.ExecContext(ctx, args...)
	}
}

func (a *bareAct) next(ctx context.Context, sequence string) (id int64) {
	if a.server {
		a.id++
		return 1_000_000 + a.id
	}
	a.exec(ctx, `UPDATE sequences SET next_id = next_id + ? WHERE name = ?`, 1, sequence)
	if st := a.stmt(ctx, `SELECT next_id FROM sequences WHERE name = ?`); a.err == nil {
		a.err = st.QueryRowContext(ctx, sequence).Scan(&id)
	}
	return id
}

// do does the act of a number: all that freezing a card reads and writes.
func (a *bareAct) do(ctx context.Context, n int64, logged bool) error {
	begin := "BEGIN IMMEDIATE"
	if a.server {
		begin = "BEGIN"
	}
	if _, a.err = a.conn.ExecContext(ctx, begin); a.err != nil {
		return a.err
	}
	at := store.At(time.Now())
	if a.server { // what tells an act that was kept from one that was not
		key := make([]byte, 16)
		rand.Read(key)
		a.exec(ctx, `INSERT INTO applied (applied_key) VALUES (?)`, key)
	}
	var card cardInto
	if st := a.stmt(ctx, `SELECT `+cardColumns+` FROM contacts WHERE subscriber_id = ?`); a.err == nil {
		a.err = st.QueryRowContext(ctx, n%1000+1).Scan(card.fields()...)
	}
	a.exec(ctx, `UPDATE outbox SET state = 4, owner = '' WHERE subscriber_id = ? AND state = 1`, n%1000+1)
	row := store.AuditRow{ID: a.next(ctx, "audit"), At: at, Actor: "bench", Role: "owner", Door: "bench", Act: "freeze", SubscriberID: n%1000 + 1, Salt: []byte{}}
	var batch int64
	if logged {
		batch = a.next(ctx, "batches")
		salt := ledger.NewSalt()
		row.Salt = salt[:]
		act := store.Evidence{SubscriberID: row.SubscriberID, N: n + 10, Kind: store.Freezing, At: at, Salt: ledger.NewSalt(), Sealed: a.sealed}
		leaves := ledger.Evidence(ledger.Commit(act.Salt, act.Record(store.Address{})), act.SealedDigest())
		leaves = append(leaves, row.Leaf()...)
		a.exec(ctx, `INSERT INTO batches (batch_id, leaves, mac) VALUES (?, ?, ?)`, batch, leaves, a.key.MAC("batch", leaves, batch))
		a.exec(ctx, `INSERT INTO unplaced (batch_id) VALUES (?)`, batch)
	}
	a.exec(ctx, `INSERT INTO evidence (subscriber_id, n, kind, at, sealed, batch_id, place) VALUES (?, ?, ?, ?, ?, ?, ?)`, row.SubscriberID, n+10, store.Freezing, at, a.sealed, batch, 0)
	a.exec(ctx, `INSERT INTO audit (audit_id, at, actor, role, door, act, subscriber_id, why, dropped, salt, batch_id, place) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?, 1)`,
		row.ID, row.At, row.Actor, row.Role, row.Door, row.Act, row.SubscriberID, row.Salt, batch)
	a.exec(ctx, `UPDATE contacts SET frozen = 1, acts = acts + 1, version = version + 1 WHERE subscriber_id = ?`, row.SubscriberID)
	if a.err != nil {
		_, err := a.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(a.err, err)
	}
	_, err := a.conn.ExecContext(ctx, "COMMIT")
	return err
}

// logLeaves is how long the log is that is walked through, unless the large
// store is asked for smaller.
const logLeaves = 1_000_000

// verifyLarge walks through a long log: three of five entries came by imports,
// the others by acts of one at a time, with a batch each.
func (b *bench) verifyLarge(ctx context.Context) error {
	want := min(int64(b.n), logLeaves)
	p, err := b.fresh(ctx, "long")
	if err != nil {
		return err
	}
	b.tell("making a log of %d entries", want)
	s, desk, err := b.longLog(ctx, p, want)
	if err != nil {
		return err
	}
	defer s.Close()
	b.tell("signing the log")
	before, err := s.LogHead(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := desk.Seal(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	head, err := s.LogHead(ctx)
	if err != nil {
		return err
	}
	b.add(row{what: "ordering and signing acts of two entries", ours: fmt.Sprintf("%.0f acts/s", float64(head.Size-before.Size)/2/took.Seconds())})
	b.tell("verifying the log")
	start, used := time.Now(), usedCPU()
	v, err := desk.VerifyAudit(ctx, staff, nil)
	if err != nil {
		return err
	}
	took, used = time.Since(start), usedCPU()-used
	if v.Entries < want || !v.Whole() {
		return fmt.Errorf("the log of %d entries is not whole: %+v", v.Entries, v.First)
	}
	r := row{what: fmt.Sprintf("verifying a log of %d entries with its rows (CPU time in brackets)", v.Entries), ours: short(took) + " (" + short(used) + ")"}
	if want == logLeaves {
		r.target, r.verdict = "< 10 s", verdict(took < 10*time.Second)
	}
	b.add(r)
	return b.leafSize(ctx, p, v.Entries)
}

// longLog makes a store whose log has so many entries or a few more, all by
// the store's own ways to append them.
func (b *bench) longLog(ctx context.Context, p place, want int64) (*store.Store, *flows.Service, error) {
	contacts := int(want * 3 / 10) // two entries each
	if err := b.importInto(ctx, p, contacts); err != nil {
		return nil, nil, err
	}
	s, desk, err := openStore(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := desk.Seal(ctx); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	head, err := s.LogHead(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	var g errgroup.Group
	var next atomic.Int64
	for range loggingAtOnce {
		g.Go(func() error {
			for n := next.Add(2); n <= want-head.Size+1; n = next.Add(2) {
				r := store.AuditRow{At: store.At(time.Now()), Actor: staff.Name, Role: string(staff.Role), Door: staff.From, Act: "open", SubscriberID: n%int64(contacts) + 1}
				if err := s.InTx(ctx, func(tx *store.Tx) error { return errors.Join(tx.AddAudit(ctx, r), tx.AddAudit(ctx, r)) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, desk, nil
}

// loggingAtOnce is how many acts are done at once to make a log.
const loggingAtOnce = 48

// usedCPU is the time that this process has computed.
func usedCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// leafSize tells how many bytes an entry takes in all tables of the log.
func (b *bench) leafSize(ctx context.Context, p place, entries int64) error {
	db, err := openBare(p, readPragmas)
	if err != nil {
		return err
	}
	defer db.Close()
	var leaves, tree int64
	if err := db.QueryRowContext(ctx, `SELECT SUM(LENGTH(leaves) + 24), (SELECT COUNT(*) * 40 FROM placed) + (SELECT COALESCE(SUM(LENGTH(hashes)), 0) FROM subtrees) FROM batches`).Scan(&leaves, &tree); err != nil {
		return err
	}
	b.add(row{what: "one entry of the log, with its share of the tree", ours: fmt.Sprintf("%.1f bytes", float64(leaves+tree)/float64(entries))})
	return nil
}
