package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"slices"
)

// LetterState is where a letter stands.
type LetterState int8

// The states of a letter. Urgent and Due both wait for their first attempt, the
// urgent ones ahead of all others; what both show as is "due".
const (
	LetterUrgent LetterState = iota + 1
	LetterDue
	LetterDeferred // an attempt failed, another follows
	LetterSending  // leased to a sender until its due time; rows of older versions only say so themselves
	LetterDelivered
	LetterRefused // for good, or given up
	LetterHeld    // by staff, or with its card
)

var letterStates = [...]string{"", "due", "due", "deferred", "sending", "delivered", "refused", "held"}

// String is the word that screens, docs and JSON use.
func (s LetterState) String() string {
	if s < 0 || int(s) >= len(letterStates) {
		return ""
	}
	return letterStates[s]
}

// LetterStates are the states that a word stands for; none for an unknown one.
func LetterStates(word string) []LetterState {
	var out []LetterState
	for i, w := range letterStates {
		if w == word && w != "" {
			out = append(out, LetterState(i))
		}
	}
	return out
}

// Open tells whether the letter is on its way: it has a body, and a sender takes
// it sooner or later.
func (s LetterState) Open() bool { return s >= LetterUrgent && s <= LetterSending }

// counter is the name under which the letters of a state are counted; "" for
// those that are done, of which only the verdicts are.
func (s LetterState) counter() string {
	if s.Open() || s == LetterHeld {
		return countLetters + s.String()
	}
	return ""
}

// Letter is a row of the outbox with its last attempt; its body lies sealed in
// a table of its own.
type Letter struct {
	ID           int64       `db:"letter_id"`
	SubscriberID int64       `db:"subscriber_id"`
	ListID       int64       `db:"list_id"`
	Kind         string      `db:"kind"`
	ToMasked     string      `db:"to_masked"`
	State        LetterState `db:"state"`
	DueAt        Micros      `db:"due_at"` // while it is being sent: when the lease ends
	Attempts     int         `db:"attempts"`
	Owner        string      `db:"owner"`
	CreatedAt    Micros      `db:"created_at"`
	DoneAt       Micros      `db:"done_at"`
	Code         int         `db:"code"`
	Enhanced     string      `db:"enhanced"`
	Reply        string      `db:"reply"`
	Host         string      `db:"host"`
	TLS          string      `db:"tls"`
	LastLease    int64       `db:"last_lease"` // number of the last lease that the letter was in and has left

	row letterRow
}

// letterRow is what the row of a letter says itself, and what guards its
// changes: of one that is leased, State, DueAt, Owner and Attempts tell of that.
type letterRow struct {
	state    LetterState
	due      Micros
	owner    string
	attempts int
	lease    int64
}

// Lease is the number of the lease that a letter is in; 0 when it is in none.
func (l Letter) Lease() int64 { return l.row.lease }

// leased makes a letter tell of the lease that it is in, if it is in one.
func (l *Letter) leased(in *lease) {
	l.row = letterRow{state: l.State, due: l.DueAt, owner: l.Owner, attempts: l.Attempts}
	if in != nil && l.State.Open() {
		l.row.lease = in.id
		l.State, l.DueAt, l.Owner, l.Attempts = LetterSending, in.until, in.owner, l.Attempts+1
	}
}

// Envelope is what is sealed of a letter.
type Envelope struct {
	From      string `json:"from"`
	To        string `json:"to"`
	MessageID string `json:"message_id"`
	Data      []byte `json:"-"` // the message itself
}

// sealEnvelope seals a letter, packed: sender, recipient and Message-ID, each
// behind its length, and the message as it is.
func (k *Keys) sealEnvelope(id int64, e Envelope) ([]byte, error) {
	plain := make([]byte, 0, 16+len(e.From)+len(e.To)+len(e.MessageID)+len(e.Data))
	for _, text := range []string{e.From, e.To, e.MessageID} {
		plain = append(binary.AppendUvarint(plain, uint64(len(text))), text...)
	}
	return k.sealBytes(sealLetter, id, pack(append(plain, e.Data...)))
}

func (k *Keys) openEnvelope(id int64, sealed []byte, e *Envelope) error {
	plain, err := k.openBytes(sealLetter, id, sealed)
	if err != nil {
		return err
	}
	if len(plain) > 0 && plain[0] == 0 {
		return openUnpacked(plain, e)
	}
	if plain, err = unpack(plain); err != nil {
		return err
	}
	for _, text := range []*string{&e.From, &e.To, &e.MessageID} {
		size, n := binary.Uvarint(plain)
		if n <= 0 || size > uint64(len(plain)-n) {
			return ErrSealed
		}
		end := n + int(size)
		*text, plain = string(plain[n:end]), plain[end:]
	}
	e.Data = plain
	return nil
}

// openUnpacked reads a letter that was sealed before there was packing: the
// length of its head, the head in JSON, and the message.
func openUnpacked(plain []byte, e *Envelope) error {
	if len(plain) < 4 {
		return ErrSealed
	}
	n, rest := int(binary.BigEndian.Uint32(plain)), plain[4:]
	if n > len(rest) || json.Unmarshal(rest[:n], e) != nil {
		return ErrSealed
	}
	e.Data = rest[n:]
	return nil
}

const letterRows = `SELECT o.letter_id, o.subscriber_id, o.list_id, o.kind, o.to_masked, o.state, o.due_at, o.attempts, o.owner, o.created_at, o.done_at, o.last_lease,
 COALESCE(a.code, 0) AS code, COALESCE(a.enhanced, '') AS enhanced, COALESCE(a.reply, '') AS reply, COALESCE(a.host, '') AS host, COALESCE(a.tls, '') AS tls
 FROM outbox o LEFT JOIN attempts a ON a.letter_id = o.letter_id AND a.n = o.tried`

// Enqueue puts a letter into the outbox, due or urgent as its state says.
func (tx *Tx) Enqueue(ctx context.Context, l *Letter, e Envelope) error {
	id, err := tx.NextIDs(ctx, "letters", 1)
	if err != nil {
		return err
	}
	l.ID = id
	if l.State != LetterUrgent {
		l.State = LetterDue
	}
	sealed, err := tx.keys.sealEnvelope(id, e)
	if err != nil {
		return err
	}
	tx.add(l.State.counter(), 1)
	n := newLetter{
		row:  []any{l.ID, l.SubscriberID, l.ListID, l.Kind, l.ToMasked, l.State, l.DueAt, l.CreatedAt},
		body: []any{l.ID, sealed},
	}
	if tx.shared != nil {
		return tx.shared.enqueue(ctx, tx.queries, n)
	}
	return insertLetters(ctx, tx, []newLetter{n})
}

// newLetter is what is inserted of a letter.
type newLetter struct{ row, body []any }

func insertLetters(ctx context.Context, tx *Tx, letters []newLetter) error {
	rows, bodies := make([][]any, len(letters)), make([][]any, len(letters))
	for i, l := range letters {
		rows[i], bodies[i] = l.row, l.body
	}
	if err := tx.insertAll(ctx, `INSERT INTO outbox (letter_id, subscriber_id, list_id, kind, to_masked, state, due_at, created_at)`, rows); err != nil {
		return err
	}
	return tx.insertAll(ctx, `INSERT INTO bodies (letter_id, sealed)`, bodies)
}

// Envelope unseals a letter; ErrNotFound when it is gone or done.
func (q queries) Envelope(ctx context.Context, id int64) (Envelope, error) {
	var e Envelope
	var sealed []byte
	if err := q.get(ctx, []any{&sealed}, `SELECT sealed FROM bodies WHERE letter_id = ?`, id); err != nil {
		return e, err
	}
	return e, q.keys.openEnvelope(id, sealed, &e)
}

// lettersWhere reads rows of the outbox by the end of a query.
func (q queries) lettersWhere(ctx context.Context, where string, args ...any) ([]Letter, error) {
	f, err := q.finder(ctx)
	if err != nil {
		return nil, err
	}
	return q.lettersBeside(ctx, f, where, args...)
}

func (q queries) lettersBeside(ctx context.Context, f *finder, where string, args ...any) (out []Letter, err error) {
	if err := q.all(ctx, &out, letterRows+where, args...); err != nil {
		return nil, err
	}
	for i := range out {
		l := &out[i]
		l.leased(f.of(l.ID, l.LastLease))
	}
	return out, nil
}

// Letter reads one row of the outbox.
func (q queries) Letter(ctx context.Context, id int64) (Letter, error) {
	out, err := q.lettersWhere(ctx, ` WHERE o.letter_id = ?`, id)
	if err == nil && len(out) == 0 {
		return Letter{}, ErrNotFound
	}
	if err != nil {
		return Letter{}, err
	}
	return out[0], nil
}

// Letters reads the outbox, newest first, with ids below before (0: all).
func (q queries) Letters(ctx context.Context, before int64, limit int) ([]Letter, error) {
	return q.lettersWhere(ctx, ` WHERE o.letter_id < ? ORDER BY o.letter_id DESC LIMIT ?`, orMost(before), limit)
}

// LettersIn reads the letters of some states, those with the latest due time
// first, below a place among them (0, 0: all). Of the states that are done, the
// due time is when that was.
func (q queries) LettersIn(ctx context.Context, states []LetterState, due Micros, id int64, limit int) ([]Letter, error) {
	all, err := q.leases(ctx)
	if err != nil {
		return nil, err
	}
	var out []Letter
	f := all.finder()
	for _, s := range states {
		rows, err := q.lettersUnleased(ctx, f, s, due, id, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
		if s == LetterSending {
			leased, err := q.leasedLetters(ctx, all, f, due, id)
			if err != nil {
				return nil, err
			}
			out = append(out, leased...)
		}
	}
	slices.SortStableFunc(out, func(a, b Letter) int { return cmp.Or(cmp.Compare(b.DueAt, a.DueAt), cmp.Compare(b.ID, a.ID)) })
	return out[:min(limit, len(out))], nil
}

// lettersUnleased reads letters of a state that are in no lease, below a place
// among them, past as many that are in one as stand between.
func (q queries) lettersUnleased(ctx context.Context, f *finder, s LetterState, due Micros, id int64, limit int) ([]Letter, error) {
	for behind := lookBehind; ; behind *= lookFurther {
		most := limit + min(behind, f.size)
		rows, err := q.lettersBeside(ctx, f, ` WHERE o.state = ? AND o.due_at <= ? AND (o.due_at < ? OR o.letter_id < ?) ORDER BY o.due_at DESC, o.letter_id DESC LIMIT ?`,
			s, orMost(due), orMost(due), orMost(id), most)
		if err != nil {
			return nil, err
		}
		all := len(rows) < most || behind >= f.size
		rows = slices.DeleteFunc(rows, func(l Letter) bool { return l.row.lease != 0 })
		if all || len(rows) >= limit {
			return rows, nil
		}
	}
}

// leasedAtOnce is how many leased letters one query reads.
const leasedAtOnce = 500

// leasedLetters reads the letters that are in leases, below a place among them.
func (q queries) leasedLetters(ctx context.Context, all leases, f *finder, due Micros, id int64) (out []Letter, err error) {
	due, id = orMost(due), orMost(id)
	var ids []any
	for _, l := range all {
		if l.until <= due {
			ids = append(ids, l.letters.ids()...)
		}
	}
	slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	ids = slices.Compact(ids) // a letter may have come back to be in a lease again
	for some := range slices.Chunk(ids, leasedAtOnce) {
		among, args := among(some)
		rows, err := q.lettersBeside(ctx, f, ` WHERE o.letter_id`+among, args...)
		if err != nil {
			return nil, err
		}
		for _, x := range rows {
			if x.row.lease != 0 && (x.DueAt < due || x.DueAt == due && x.ID < id) {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// orMost is a place, or beyond all when it is 0.
func orMost[T ~int64](n T) T {
	if n == 0 {
		return 1<<63 - 1
	}
	return n
}

// LettersOf reads the letters of a card, oldest first.
func (q queries) LettersOf(ctx context.Context, id int64) ([]Letter, error) {
	return q.lettersWhere(ctx, ` WHERE o.subscriber_id = ? ORDER BY o.letter_id`, id)
}

// OldestDue is when the letter that has waited longest for a first attempt was
// written; 0 when none waits.
func (q queries) OldestDue(ctx context.Context) (Micros, error) {
	f, err := q.finder(ctx)
	if err != nil {
		return 0, err
	}
	found, err := q.waiting(ctx, f, orMost(Micros(0)), map[LetterState]int{LetterUrgent: 1, LetterDue: 1})
	var oldest Micros
	for _, l := range found {
		if oldest == 0 || l.due < oldest {
			oldest = l.due
		}
	}
	return oldest, err
}

// Attempt is one try to send a letter, and what was said.
type Attempt struct {
	LetterID int64
	N        int // 1, 2, 3 … of this letter
	At       Micros
	State    LetterState // what became of the letter by it
	Code     int
	Enhanced string
	Reply    string
	Host     string
	TLS      string
	Talk     []string // the conversation, sealed: a server may say anything

	sealed []byte // that, for AddAttempts
}

func (k *Keys) openTalk(id int64, sealed []byte) ([]string, error) {
	plain, err := k.openBytes(sealTalk, id, sealed)
	if err != nil {
		return nil, err
	}
	return unpackTalk(plain)
}

// Attempts reads the tries of a letter, oldest first, with their conversations.
func (q queries) Attempts(ctx context.Context, id int64) ([]Attempt, error) {
	var out []Attempt
	err := q.each(ctx, func(rows *sql.Rows) error {
		a := Attempt{LetterID: id}
		var sealed []byte
		if err := rows.Scan(&a.N, &a.At, &a.State, &a.Code, &a.Enhanced, &a.Reply, &a.Host, &a.TLS, &sealed); err != nil {
			return err
		}
		if len(sealed) > 0 {
			var err error
			if a.Talk, err = q.keys.openTalk(id, sealed); err != nil {
				return err
			}
		}
		out = append(out, a)
		return nil
	}, `SELECT n, at, state, code, enhanced, reply, host, tls, sealed FROM attempts WHERE letter_id = ? ORDER BY n`, id)
	return out, err
}
