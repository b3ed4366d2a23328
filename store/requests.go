package store

import (
	"context"
	"errors"
)

// RequestState is how far a request has come.
type RequestState int8

// The states of requests. An approved one is a bulk export that runs, or that
// was broken off.
const (
	RequestOpen RequestState = iota + 1
	RequestApproved
	RequestDone
	RequestRefused
)

var requestStates = [...]string{"", "open", "approved", "done", "refused"}

// String is the word that screens, docs and JSON use.
func (s RequestState) String() string {
	if s < 0 || int(s) >= len(requestStates) {
		return ""
	}
	return requestStates[s]
}

// ParseRequestState reads a state's word; 0 for any other.
func ParseRequestState(word string) RequestState {
	for i, w := range requestStates[1:] {
		if w == word {
			return RequestState(i + 1)
		}
	}
	return 0
}

// Request is what a person, or one of staff, has asked for.
type Request struct {
	ID           int64        `db:"request_id"`
	Kind         string       `db:"kind"`
	State        RequestState `db:"state"`
	SubscriberID int64        `db:"subscriber_id"` // 0: about several
	ReceivedAt   Micros       `db:"received_at"`
	DueAt        Micros       `db:"due_at"`
	ClosedAt     Micros       `db:"closed_at"`
	MadeBy       string       `db:"made_by"`
	ClosedBy     string       `db:"closed_by"`
	Note         string       `db:"note"`
	Answer       string       `db:"answer"`
	Version      int64        `db:"version"`

	before RequestState
}

const requestColumns = `SELECT request_id, kind, state, subscriber_id, received_at, due_at, closed_at, made_by, closed_by, note, answer, version FROM requests`

func (r *Request) fields() []any {
	return []any{&r.ID, &r.Kind, &r.State, &r.SubscriberID, &r.ReceivedAt, &r.DueAt, &r.ClosedAt, &r.MadeBy, &r.ClosedBy, &r.Note, &r.Answer, &r.Version}
}

// Request reads one.
func (q queries) Request(ctx context.Context, id int64) (Request, error) {
	var r Request
	err := q.get(ctx, r.fields(), requestColumns+` WHERE request_id = ?`, id)
	r.before = r.State
	return r, err
}

// Requests reads those of a state that are due after a place, what is due first
// ahead; of those that are closed the newest, with numbers below before (0: all).
func (q queries) Requests(ctx context.Context, state RequestState, before int64, limit int) ([]Request, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	var out []Request
	var err error
	if state == 0 {
		err = q.all(ctx, &out, requestColumns+` WHERE request_id < ? ORDER BY request_id DESC LIMIT ?`, before, limit)
	} else {
		err = q.all(ctx, &out, requestColumns+` WHERE state = ? AND request_id < ? ORDER BY due_at, request_id LIMIT ?`, state, before, limit)
	}
	return out, err
}

// NextRequest is when the first open request is due; 0 when none is.
func (q queries) NextRequest(ctx context.Context) (Micros, error) {
	var due Micros
	err := q.get(ctx, []any{&due}, `SELECT due_at FROM requests WHERE state = ? ORDER BY due_at, request_id LIMIT 1`, RequestOpen)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return due, err
}

func (r *Request) waits() int64 {
	if r.State == RequestOpen {
		return 1
	}
	return 0
}

// AddRequest makes a row.
func (tx *Tx) AddRequest(ctx context.Context, r *Request) error {
	id, err := tx.NextIDs(ctx, "requests", 1)
	if err != nil {
		return err
	}
	r.ID, r.Version, r.before = id, 1, r.State
	tx.add("requests/open", r.waits())
	_, err = tx.exec(ctx, `INSERT INTO requests (request_id, kind, state, subscriber_id, received_at, due_at, made_by, note, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Kind, r.State, r.SubscriberID, r.ReceivedAt, r.DueAt, r.MadeBy, r.Note, r.Version)
	return err
}

// SaveRequest writes how far a request has come, guarded by what was read.
func (tx *Tx) SaveRequest(ctx context.Context, r *Request) error {
	was := Request{State: r.before}
	tx.add("requests/open", r.waits()-was.waits())
	err := tx.one(ctx, `UPDATE requests SET state = ?, closed_at = ?, closed_by = ?, answer = ?, version = version + 1 WHERE request_id = ? AND version = ?`,
		r.State, r.ClosedAt, r.ClosedBy, r.Answer, r.ID, r.Version)
	r.Version, r.before = r.Version+1, r.State
	return err
}

// ClearRequests takes out of the requests of a card what was written in words.
func (tx *Tx) ClearRequests(ctx context.Context, subscriberID int64) error {
	_, err := tx.exec(ctx, `UPDATE requests SET note = '', answer = '', version = version + 1 WHERE subscriber_id = ? AND (note <> '' OR answer <> '')`, subscriberID)
	return err
}

// BulkExport is what a request for a bulk export asks for, and its file.
type BulkExport struct {
	RequestID  int64
	StaffID    int64  // who asked
	User       string // the operating system's, of who asked on this machine
	ListID     int64  // 0: everybody; ExportMarked: those that were marked
	Recipients string // public SSH keys, one a line
	File       string
	Machine    string // that has the file
	Run        int64  // the number of tries to make the file
	Contacts   int64
	ExpiresAt  Micros
	GoneAt     Micros // when the file was dropped: somebody in it was erased, or its time was over
}

// ExportMarked is the ListID of an export of cards that were marked.
const ExportMarked = -1

// BulkExport reads what belongs to a request.
func (q queries) BulkExport(ctx context.Context, requestID int64) (BulkExport, error) {
	var e BulkExport
	err := q.get(ctx, []any{&e.RequestID, &e.StaffID, &e.User, &e.ListID, &e.Recipients, &e.File, &e.Machine, &e.Run, &e.Contacts, &e.ExpiresAt, &e.GoneAt},
		`SELECT request_id, staff_id, os_user, list_id, recipients, file, machine, run, contacts, expires_at, gone_at FROM exports WHERE request_id = ?`, requestID)
	return e, err
}

// AddBulkExport keeps what a request asks for, and whom it names.
func (tx *Tx) AddBulkExport(ctx context.Context, e BulkExport, ids []int64) error {
	if _, err := tx.exec(ctx, `INSERT INTO exports (request_id, staff_id, os_user, list_id, recipients) VALUES (?, ?, ?, ?, ?)`, e.RequestID, e.StaffID, e.User, e.ListID, e.Recipients); err != nil {
		return err
	}
	return tx.AddExportMembers(ctx, e.RequestID, ids)
}

// AddExportMembers notes who is in an export, so that an erasure finds it.
func (tx *Tx) AddExportMembers(ctx context.Context, requestID int64, ids []int64) error {
	for _, id := range ids {
		if err := tx.fresh(ctx, `INSERT INTO export_members (subscriber_id, request_id) VALUES (?, ?)`, id, requestID); err != nil {
			return err
		}
	}
	return nil
}

// ForgetExportMembers takes some out again.
func (tx *Tx) ForgetExportMembers(ctx context.Context, requestID int64, ids []int64) error {
	for _, id := range ids {
		if _, err := tx.exec(ctx, `DELETE FROM export_members WHERE subscriber_id = ? AND request_id = ?`, id, requestID); err != nil {
			return err
		}
	}
	return nil
}

// BeginExport starts a try to make the file; those that were started before
// can't go on.
func (tx *Tx) BeginExport(ctx context.Context, e *BulkExport) error {
	err := tx.one(ctx, `UPDATE exports SET run = run + 1, file = ?, machine = ? WHERE request_id = ? AND run = ?`, e.File, e.Machine, e.RequestID, e.Run)
	e.Run++
	return err
}

// HoldExport locks an export for a transaction of its run, or tells by
// ErrNotFound that it is not to go on: another run has begun, or somebody who
// is in it was erased.
func (tx *Tx) HoldExport(ctx context.Context, e BulkExport, more int64) error {
	n, err := tx.exec(ctx, `UPDATE exports SET contacts = ? WHERE request_id = ? AND run = ? AND gone_at = 0`, e.Contacts+more, e.RequestID, e.Run)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// EndExport tells that the file is there, and until when.
func (tx *Tx) EndExport(ctx context.Context, e BulkExport) error {
	if err := tx.HoldExport(ctx, e, 0); err != nil {
		return err
	}
	return tx.one(ctx, `UPDATE exports SET expires_at = ? WHERE request_id = ?`, e.ExpiresAt, e.RequestID)
}

// DropExportsWith drops every export that was begun and has somebody in it;
// from those that wait the person is taken out.
func (tx *Tx) DropExportsWith(ctx context.Context, subscriberID int64, at Micros) error {
	in, err := tx.numbers(ctx, `SELECT request_id AS id FROM export_members WHERE subscriber_id = ?`, subscriberID)
	if err != nil || len(in) == 0 {
		return err
	}
	for _, id := range in {
		if err := tx.ForgetExportMembers(ctx, id, []int64{subscriberID}); err != nil { // whoever writes the person waits from here on
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE exports SET gone_at = ? WHERE request_id = ? AND gone_at = 0 AND run > 0`, at, id); err != nil {
			return err
		}
	}
	return nil
}

// ExportsWith tells whether one of some contacts is in an export.
func (q queries) ExportsWith(ctx context.Context, ids []int64) (bool, error) {
	for _, id := range ids {
		in, err := q.numbers(ctx, `SELECT request_id AS id FROM export_members WHERE subscriber_id = ? LIMIT 1`, id)
		if err != nil || len(in) > 0 {
			return len(in) > 0, err
		}
	}
	return false, nil
}

// ExpireExport drops an export whose time is over.
func (tx *Tx) ExpireExport(ctx context.Context, requestID int64, at Micros) error {
	_, err := tx.exec(ctx, `UPDATE exports SET gone_at = ? WHERE request_id = ? AND gone_at = 0`, at, requestID)
	return err
}

// DropExportMembers forgets who is in an export, at most so many at once.
func (tx *Tx) DropExportMembers(ctx context.Context, requestID int64, limit int) (int, error) {
	ids, err := tx.ExportMembers(ctx, requestID, 0, limit)
	if err != nil {
		return 0, err
	}
	return len(ids), tx.ForgetExportMembers(ctx, requestID, ids)
}

// numbers reads a column of numbers.
func (q queries) numbers(ctx context.Context, query string, args ...any) ([]int64, error) {
	var rows []struct {
		ID int64 `db:"id"`
	}
	err := q.all(ctx, &rows, query, args...)
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out, err
}

// ExportMembers reads who is in an export, with SubscriberIDs above after.
func (q queries) ExportMembers(ctx context.Context, requestID, after int64, limit int) ([]int64, error) {
	return q.numbers(ctx, `SELECT subscriber_id AS id FROM export_members WHERE request_id = ? AND subscriber_id > ? ORDER BY subscriber_id LIMIT ?`, requestID, after, limit)
}

// ContactIDs reads who there is, with SubscriberIDs above after; tombstones as well.
func (q queries) ContactIDs(ctx context.Context, after int64, limit int) ([]int64, error) {
	return q.numbers(ctx, `SELECT subscriber_id AS id FROM contacts WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?`, after, limit)
}

// MemberIDs reads who is on a list in whatever state, with SubscriberIDs above
// after. It walks all memberships once, however many pages are read: the sum
// keeps it off the index by status, which would sort the list for each page.
func (q queries) MemberIDs(ctx context.Context, listID, after int64, limit int) ([]int64, error) {
	return q.numbers(ctx, `SELECT subscriber_id AS id FROM memberships WHERE list_id + 0 = ? AND subscriber_id > ? ORDER BY subscriber_id LIMIT ?`, listID, after, limit)
}

// GoneExports are those whose file was dropped and of whom it is still noted
// who was in them.
func (q queries) GoneExports(ctx context.Context, limit int) ([]int64, error) {
	return q.numbers(ctx, `SELECT e.request_id AS id FROM exports e WHERE e.gone_at > 0 AND EXISTS (SELECT 1 FROM export_members m WHERE m.request_id = e.request_id) LIMIT ?`, limit)
}
