package tui

import (
	"context"
	"fmt"
	"time"

	"kartotek/flows"
	"kartotek/flows/proof"
)

// audited are made-up rows, newest first.
func (d *fakeDesk) audited() []flows.AuditEntry {
	acts := []string{"search", "open", "erase", "refused", "export", "import", "resubscribe", "verify audit"}
	var out []flows.AuditEntry
	for i := range min(d.n, 250) {
		r := flows.AuditEntry{ID: 250 - i, At: today.Add(-time.Duration(i) * 7 * time.Minute), Actor: []string{"anna", "berta", "clock"}[i%3], Role: "operator", From: "console", Act: acts[i%8], Why: "asked for it per letter"}
		if i%8 < 5 {
			r.SubscriberID = ptr(1001 + i)
		}
		if d.hostile {
			r.Actor, r.Why, r.From, r.Act = evil, evil, evil, evil
		}
		out = append(out, r)
	}
	return out
}

func (d *fakeDesk) Audit(_ context.Context, _ flows.Actor, f flows.AuditFilter, before int64, limit int) ([]flows.AuditEntry, error) {
	if err := d.begin(""); err != nil {
		return nil, err
	}
	var out []flows.AuditEntry
	for _, r := range d.audited() {
		switch {
		case len(out) == limit || before != 0 && r.ID >= before:
		case f.Who != "" && r.Actor != f.Who || f.What != "" && r.Act != f.What || f.SubscriberID != 0 && (r.SubscriberID == nil || *r.SubscriberID != f.SubscriberID):
		case r.At.Before(f.Since) || !f.Until.IsZero() && !r.At.Before(f.Until):
		default:
			out = append(out, r)
		}
	}
	return out, nil
}

func (d *fakeDesk) LastVerification(context.Context, flows.Actor) (*flows.Verification, error) {
	if err := d.begin(""); err != nil || d.n == 0 {
		return nil, err
	}
	v := flows.Verification{At: today.Add(-2 * time.Hour), Entries: 12345, Audit: 250, Evidence: 4000, InStore: 20, InFile: 20}
	if d.hostile {
		v.Problems, v.First = 2, &flows.Problem{Entry: 7, Row: "audit row 7", What: "it is not what the log holds of it: it was changed" + evil}
	}
	if d.restored {
		v.Setbacks = []flows.Setback{{Row: 9, At: today.Add(-24 * time.Hour), By: "anna", Role: "owner", Why: "the disk was lost", Kept: 120, Lost: 155}}
	}
	return &v, nil
}

func (d *fakeDesk) VerifyAudit(ctx context.Context, _ flows.Actor, progress func(flows.ImportProgress)) (flows.Verification, error) {
	if err := d.begin("verify"); err != nil {
		return flows.Verification{}, err
	}
	progress(flows.ImportProgress{Done: 50, Total: 100, Read: 50})
	v, err := d.LastVerification(ctx, flows.Actor{})
	if v == nil {
		v = &flows.Verification{}
	}
	return *v, err
}

func (d *fakeDesk) Prove(_ context.Context, _ flows.Actor, target string, given *flows.Given) (*proof.Bundle, error) {
	if err := d.begin(fmt.Sprintf("prove %s, address given: %t", target, given != nil)); err != nil {
		return nil, err
	}
	if target == "nobody@example.com" {
		return nil, fmt.Errorf("nobody is known by that address: %w", flows.ErrNotFound)
	}
	words := "I agree that Example may send me e-mail."
	if d.hostile {
		words = evil
	}
	return &proof.Bundle{
		MadeAt: "2026-06-15T12:00:00.000000Z", Controller: "Example", Address: "marie@example.dk",
		Cards: []proof.Card{{SubscriberID: 1006, Permission: "deleted", DeletedAt: "2026-06-01T08:00:00.000000Z"}},
		Acts: []proof.Act{
			{Record: proof.Record{Act: "sign_up", At: "2026-02-03T10:11:12.000000Z", By: "contact", IP: "192.0.2.7", List: "News", Number: 1, SubscriberID: 1006, NoticeSHA256: "aa"}},
			{Record: proof.Record{Act: "confirm", At: "2026-02-03T10:15:40.000000Z", By: "contact", IP: "192.0.2.7", List: "News", Number: 2, SubscriberID: 1006, MessageID: "4711@example.com", HandedOverAt: "2026-02-03T10:11:14.000000Z", Server: "mx.example.dk", ServerReply: "2.0.0 OK: queued"}},
			{Record: proof.Record{Act: "erase", At: "2026-06-01T08:00:00.000000Z", By: "anna", Note: "asked for it", Number: 3, SubscriberID: 1006, Kept: []int64{1, 2}}},
		},
		Notices: []proof.Notice{{SHA256: "aa", Text: words}},
	}, nil
}

func (d *fakeDesk) KeepProof(_ context.Context, _ *proof.Bundle, format string) (string, error) {
	return "/home/anna/exports/contact-1006-20260615T120000-ABCDEF-proof." + format, d.begin("keep proof " + format)
}
