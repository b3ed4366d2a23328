package flows

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kartotek/flows/proof"
	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/ledger"
)

// handOver lets the next server take every letter that waits.
func (d *desk) handOver() {
	d.t.Helper()
	sp := d.Spool()
	letters, err := sp.Claim(d.t.Context(), "sender", 10, 0, time.Minute)
	d.must(err)
	for _, l := range letters {
		d.must(sp.Mark(d.t.Context(), l, mta.Verdict{
			State: mta.Delivered, At: d.time, Code: 250, Reply: "2.0.0 OK: queued as 4711", Host: "mx.example.dk", Digest: sha256.Sum256(l.Data),
		}))
	}
}

// confirmHandedOver hands the newest letter over, and then clicks its link.
func (d *desk) confirmHandedOver() {
	d.t.Helper()
	link := d.link("confirm") // the text goes with the handing over
	d.handOver()
	page, err := d.Confirm(d.t.Context(), link, click)
	if d.must(err); page.State != PageDone {
		d.t.Fatalf("confirming: %s", page.State)
	}
}

// proved is a desk with two people, the first of whom came back after an
// erasure, and the first's proof.
func proved(t *testing.T) (*desk, []byte) {
	t.Helper()
	d := newDesk(t)
	d.signUp(marie, "news")
	d.confirmHandedOver()
	d.signUp(marie, "shop")
	d.handOver()
	_, err := d.Erase(t.Context(), anna, marie, "asked for it")
	d.must(err)
	d.signUp(marie, "news")
	d.confirmHandedOver()
	d.bring("ole@example.com", Confirmed)
	return d, d.proof(marie)
}

func (d *desk) proof(address string) []byte {
	d.t.Helper()
	b, err := d.Prove(d.t.Context(), anna, address, nil)
	d.must(err)
	var out bytes.Buffer
	d.must(d.WriteProof(b, &out))
	return out.Bytes()
}

func TestProve(t *testing.T) {
	d, file := proved(t)
	r := proof.Check(file, proof.Trust{PublicKey: d.LogKey(), Address: marie})
	if r.Wrong != "" || !r.Trusted || r.Address != marie {
		t.Fatalf("%+v", r)
	}
	proven, not := strings.Join(r.Proven, "\n"), strings.Join(r.NotProven, "\n")
	for _, want := range []string{"signed up, list News, card 1", "confirmed by a click, list News, card 1", "erased, card 1", "handed over, list News, card 2", "confirmed by a click, list News, card 2", "not changed since"} {
		if !strings.Contains(proven, want) {
			t.Errorf("%q is not proven:\n%s", want, proven)
		}
	}
	if !strings.Contains(not, "act 2 of card 1 was: its evidence went with the erasure") || strings.Contains(not, "whose log") {
		t.Errorf("not proven:\n%s", not)
	}
	b, _, err := proof.Parse(file)
	d.must(err)
	text := strings.Join(b.Story().Text(100, func(s string) string { return s }), "\n")
	for _, want := range []string{"Proof of consent for " + marie, "from            192.0.2.7", "by              the person", "Message-ID <", "taken by        mx.example.dk", "2.0.0 OK: queued as 4711", "Jeg giver samtykke til, at Example", "Now: erased 2026-", "Now: confirmed.", " UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	rows, err := d.Audit(t.Context(), anna, AuditFilter{What: "prove"}, 0, 9)
	if d.must(err); len(rows) != 1 || *rows[0].SubscriberID != 2 {
		t.Errorf("the audit: %+v", rows)
	}
}

// TestProveTombstone: what an erasure leaves proves to the full address, and
// to nothing less.
func TestProveTombstone(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.signUp(marie, "news")
	d.confirmHandedOver()
	var refusal *Refusal
	if _, err := d.Prove(ctx, anna, "1", nil); !errors.As(err, &refusal) {
		t.Errorf("of a live card by its SubscriberID, which would tell the address: %v", err)
	}
	_, err := d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	if _, err := d.Prove(ctx, anna, "1", nil); !errors.As(err, &refusal) {
		t.Errorf("by its SubscriberID: %v", err)
	}
	f, err := d.Find(ctx, anna, "ole@example.com")
	d.must(err)
	if _, err := d.Prove(ctx, anna, "1", f.Given); !errors.As(err, &refusal) {
		t.Errorf("by another's address: %v", err)
	}
	if _, err := d.Prove(ctx, anna, "ole@example.com", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	f, err = d.Find(ctx, anna, marie)
	d.must(err)
	b, err := d.Prove(ctx, anna, "1", f.Given)
	d.must(err)
	var confirm proof.Record
	for _, a := range b.Acts {
		if a.Record.Act == "confirm" {
			confirm = a.Record
		}
	}
	if len(b.Acts) != 3 || confirm.Server != "mx.example.dk" || confirm.ServerReply == "" || len(confirm.MailSHA256) != 64 || confirm.MessageID == "" {
		t.Errorf("%d acts; the confirmation: %+v", len(b.Acts), confirm)
	}
}

// forged is a proof with something changed in it.
func forged(t *testing.T, file []byte, change func(m map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(file, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForgeries: whatever is changed in a proof, the check names it.
func TestForgeries(t *testing.T) {
	d, file := proved(t)
	other, another := d.proof("ole@example.com"), newDesk(t)
	another.bring(marie, Confirmed)
	ofAnother := another.proof(marie)
	key := d.store.Keys().Log()
	var last string // with the second proof
	_, err := d.keptCheckpoints(func(notes []string) { last = notes[len(notes)-1] })
	d.must(err)
	fork, err := key.Sign(20, [32]byte{1}, d.time)
	d.must(err)
	trust := proof.Trust{PublicKey: d.LogKey()}
	good := proof.Check(file, trust)
	forkSame, err := key.Sign(good.Size, [32]byte{1}, d.time)
	d.must(err)
	small, err := key.Sign(2, [32]byte{1}, d.time)
	d.must(err)
	acts := func(m map[string]any) []any { return m["acts"].([]any) }
	act := func(m map[string]any, i int) map[string]any { return acts(m)[i].(map[string]any) }
	record := func(m map[string]any, i int) map[string]any { return act(m, i)["record"].(map[string]any) }
	otherActs := func() []any {
		var m map[string]any
		d.must(json.Unmarshal(other, &m))
		return acts(m)
	}
	for _, c := range []struct {
		name, want string
		change     func(m map[string]any)
	}{
		{"an IP address changed", "act 1 of card 1 (signed up, list News", func(m map[string]any) { record(m, 0)["ip"] = "203.0.113.9" }},
		{"a time shifted", "act 3 of card 1", func(m map[string]any) { record(m, 1)["at"] = "2026-01-01T00:00:00.000000Z" }},
		{"all times shifted", "act 1 of card 1", func(m map[string]any) {
			for i := range acts(m) {
				record(m, i)["at"] = "2026-01-01T00:00:00.000000Z"
			}
		}},
		{"a field taken out", "act 1 of card 1", func(m map[string]any) { delete(record(m, 0), "ip") }},
		{"a field added", "act 1 of card 1", func(m map[string]any) { record(m, 0)["note"] = "asked by telephone" }},
		{"the salt changed", "act 1 of card 1", func(m map[string]any) { act(m, 0)["salt"] = strings.Repeat("00", 32) }},
		{"the place changed", "act 1 of card 1", func(m map[string]any) { act(m, 0)["leaf"] = 1 }},
		{"the path changed", "act 1 of card 1", func(m map[string]any) { act(m, 0)["path"] = []any{} }},
		{"an act in the middle left out", "act 1 of card 1 is missing", func(m map[string]any) { m["acts"] = acts(m)[1:] }},
		{"the last act left out", "changed after it was signed", func(m map[string]any) { m["acts"] = acts(m)[:len(acts(m))-1] }},
		{"the acts of a card left out", "changed after it was signed", func(m map[string]any) { m["acts"] = acts(m)[3:] }},
		{"an act made up", "is not in the log", func(m map[string]any) {
			made := map[string]any{"record": map[string]any{"act": "confirm", "address": marie, "at": "2026-02-03T10:00:00.000000Z", "number": 9, "subscriber_id": 2, "type": "evidence"}, "salt": strings.Repeat("00", 32), "sealed_sha256": strings.Repeat("00", 32), "leaf": 1, "path": act(m, 0)["path"]}
			m["acts"] = append(acts(m), made)
		}},
		{"an act twice", "the same place of the log as another", func(m map[string]any) { m["acts"] = append(acts(m), act(m, 0)) }},
		{"somebody else's act added", "of another address", func(m map[string]any) { m["acts"] = append(acts(m), otherActs()[0]) }},
		{"for the wrong person", "of another address", func(m map[string]any) { m["address"] = "ole@example.com" }},
		{"for the wrong person everywhere", "act 1 of card 1", func(m map[string]any) {
			m["address"] = "ole@example.com"
			for i := range acts(m) {
				record(m, i)["address"] = "ole@example.com"
			}
		}},
		{"a notice replaced", "notice 1 is not the one", func(m map[string]any) { m["notices"].([]any)[0].(map[string]any)["text"] = "I agree to everything" }},
		{"a notice replaced with its hash", "the notice of act 1 of card 1", func(m map[string]any) {
			sum := sha256.Sum256([]byte("I agree to everything"))
			m["notices"].([]any)[0] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "text": "I agree to everything"}
		}},
		{"a notice left out", "the notice of act", func(m map[string]any) { m["notices"] = []any{} }},
		{"the checkpoint of a smaller tree", "smaller tree", func(m map[string]any) { m["checkpoint"] = small.Note }},
		{"the checkpoint of a larger tree", "another tree", func(m map[string]any) { m["checkpoint"] = last }},
		{"the checkpoint of a forked tree", "another tree", func(m map[string]any) { m["checkpoint"] = forkSame.Note }},
		{"the checkpoint of a smaller forked tree", "tree", func(m map[string]any) { m["checkpoint"] = fork.Note }},
		{"the checkpoint's time shifted", "signature", func(m map[string]any) {
			m["checkpoint"] = strings.Replace(m["checkpoint"].(string), "2026-", "2025-", 1)
		}},
		{"a checkpoint of another log", "signature", func(m map[string]any) {
			var o map[string]any
			another.must(json.Unmarshal(ofAnother, &o))
			m["checkpoint"] = o["checkpoint"]
		}},
		{"another key put in", "another key", func(m map[string]any) { m["public_key"] = another.LogKey() }},
		{"when it was made shifted", "changed after it was signed", func(m map[string]any) { m["made_at"] = "2026-01-01T00:00:00.000000Z" }},
		{"how things stand changed", "changed after it was signed", func(m map[string]any) { m["cards"].([]any)[0].(map[string]any)["permission"] = "confirmed" }},
		{"a card left out", "of a card that the file doesn't name", func(m map[string]any) { m["cards"] = m["cards"].([]any)[:1] }},
		{"the statement left out", "the statement", func(m map[string]any) { m["statement"] = "" }},
		{"a field that there isn't", "unknown field", func(m map[string]any) { m["remark"] = "true" }},
		{"a number that is none", "docs/proof.md", func(m map[string]any) { act(m, 0)["leaf"] = 1.5 }},
		{"another form", "no proof of the form", func(m map[string]any) { m["format"] = "kartotek proof 2" }},
	} {
		if r := proof.Check(forged(t, file, c.change), trust); !strings.Contains(r.Wrong, c.want) || len(r.Proven) > 0 {
			t.Errorf("%s: %q, want %q", c.name, r.Wrong, c.want)
		}
	}
	if r := proof.Check(ofAnother, trust); !strings.Contains(r.Wrong, "another key") {
		t.Errorf("a whole proof of another log: %q", r.Wrong)
	}
	if r := proof.Check(file, proof.Trust{PublicKey: d.LogKey(), Address: "ole@example.com"}); !strings.Contains(r.Wrong, "another address") {
		t.Errorf("asked for somebody else: %q", r.Wrong)
	}
	if r := proof.Check(file, proof.Trust{}); r.Wrong != "" || r.Trusted || !strings.Contains(strings.Join(r.NotProven, " "), "whose log") {
		t.Errorf("without a key: %+v", r)
	}
	for cut := 0; cut < len(file)-2; cut += 97 {
		if r := proof.Check(file[:cut], trust); !strings.Contains(r.Wrong, "cut off") {
			t.Fatalf("cut off after %d bytes: %q", cut, r.Wrong)
		}
	}
	for name, bad := range map[string]string{
		"something after its end": string(file) + "{}", "a name twice": strings.Replace(string(file), `"address"`, `"made_at": "x", "address"`, 1),
		"a name in capitals": strings.Replace(string(file), `"address"`, `"Acts": [], "address"`, 1),
	} {
		if r := proof.Check([]byte(bad), trust); r.Wrong == "" {
			t.Errorf("%s passes", name)
		}
	}
}

// TestProofByAnother checks a proof, and a forged one, with a program that
// somebody wrote after docs/proof.md: python3 with hashlib and PyNaCl.
func TestProofByAnother(t *testing.T) {
	if out, err := exec.Command("/usr/bin/python3", "-c", "import nacl.signing").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("python3-nacl is missing (scripts/setup installs it): %s", out)
		}
		t.Skip("python3-nacl is missing: scripts/setup installs it")
	}
	d, file := proved(t)
	check := func(data []byte, key string) (string, error) {
		path := filepath.Join(t.TempDir(), "proof.json")
		d.must(os.WriteFile(path, data, 0o600))
		out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join("testdata", "verify.py"), path, key).CombinedOutput()
		return string(out), err
	}
	if out, err := check(file, d.LogKey()); err != nil || !strings.Contains(out, "6 acts") {
		t.Errorf("a proof: %v\n%s", err, out)
	}
	for name, change := range map[string]func(m map[string]any){
		"an act": func(m map[string]any) {
			m["acts"].([]any)[0].(map[string]any)["record"].(map[string]any)["ip"] = "203.0.113.9"
		},
		"a card": func(m map[string]any) { m["cards"].([]any)[0].(map[string]any)["permission"] = "confirmed" },
		"checkpoint": func(m map[string]any) {
			m["checkpoint"] = strings.Replace(m["checkpoint"].(string), "2026-", "2025-", 1)
		},
	} {
		if out, err := check(forged(t, file, change), d.LogKey()); err == nil {
			t.Errorf("%s changed: %s", name, out)
		}
	}
}

// TestProofPage: the page needs nothing else, runs nothing, and a hostile name
// stays a text in it.
func TestProofPage(t *testing.T) {
	d, _ := proved(t)
	hostile := "<script>alert(1)</script>"
	d.must(d.SignUp(t.Context(), SignUp{Slug: "news", Address: "eve@example.com", Agreed: true, Client: Client{IP: "192.0.2.1", UserAgent: hostile}}))
	b, err := d.Prove(t.Context(), anna, "eve@example.com", nil)
	d.must(err)
	path := filepath.Join(t.TempDir(), "proof.html")
	d.must(d.SaveProof(b, path))
	text, err := os.ReadFile(path)
	d.must(err)
	page := string(text)
	// Keys and signatures in it are base64, which may well end in "src=".
	if reaches := regexp.MustCompile(`<script|\s(src|href)\s*=|@import|url\(`).FindString(page); reaches != "" {
		t.Errorf("the page holds %q", reaches)
	}
	for _, want := range []string{"default-src &#39;none&#39;", "&lt;script&gt;alert(1)", "eve@example.com", "I agree that Example", "kartotek proof 1", "How to check this"} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var refusal *Refusal
	if err := d.SaveProof(b, path); !errors.As(err, &refusal) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := d.SaveProof(b, path+".pdf"); !errors.As(err, &refusal) {
		t.Errorf("as a form that there isn't: %v", err)
	}
}

// TestErasedLeavesSayNothing: once an act's evidence is gone, its salt is
// nowhere in the database, and without it no record fits the leaf that stays.
func TestErasedLeavesSayNothing(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	address, err := store.ParseAddress(marie)
	d.must(err)
	key, err := d.store.Keys().EvidenceKey(address)
	d.must(err)
	acts, err := d.store.EvidenceOf(ctx, d.newest(marie).SubscriberID)
	d.must(err)
	gone := acts[2] // the unsubscribing
	d.must(key.Open(gone))
	b, err := d.store.Batch(ctx, gone.Leaf.Batch)
	d.must(err)
	commitment := ledger.Commit(gone.Salt, gone.Record(address))
	if !bytes.Contains(b.Leaves, commitment[:]) {
		t.Fatal("the leaf is not the act's")
	}
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	b, err = d.store.Batch(ctx, gone.Leaf.Batch)
	if d.must(err); !bytes.Contains(b.Leaves, commitment[:]) {
		t.Error("the leaf went with the evidence")
	}
	acts, err = d.store.EvidenceOf(ctx, gone.SubscriberID)
	d.must(err)
	for _, e := range acts {
		if d.must(key.Open(e)); e.N == gone.N || e.Salt == gone.Salt {
			t.Error("the salt is still there")
		}
	}
	d.sealed()
	d.whole()
}

// TestRetention: evidence goes when it is over its time, whoever looks; the
// suppression stays, and the log stays whole.
func TestRetention(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	if r, err := d.Retention(ctx, anna); err != nil || r.EvidenceKept != "2y" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "2", "y", "0d", "-1d", "101y", "2 hours", "9999999999d"} {
		var refusal *Refusal
		if err := d.SetRetention(ctx, anna, Retention{EvidenceKept: bad}); !errors.As(err, &refusal) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	_, err := d.Erase(ctx, anna, "stranger@example.com", "asked for it")
	d.must(err)
	d.pass(20 * 24 * time.Hour)
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	d.must(d.SetRetention(ctx, anna, Retention{EvidenceKept: "3 w"}))
	d.pass(24 * time.Hour)
	if n, err := d.RunRetention(ctx, anna, nil); err != nil || n != 2 {
		t.Fatalf("%d removed, %v", n, err)
	}
	if n, err := d.RunRetention(ctx, anna, nil); err != nil || n != 0 {
		t.Fatalf("again: %d removed, %v", n, err)
	}
	ole := d.newest("ole@example.com")
	if ole.Permission != Deleted || ole.SignedUp != nil || ole.Confirmed != nil || ole.Deleted == nil || ole.Deleted.IP != nil {
		t.Errorf("the suppression: %+v", ole)
	}
	if c := d.newest(marie); c.SignedUp == nil || *c.SignedUp.IP != click.IP {
		t.Errorf("one that has time left: %+v", c)
	}
	if res := d.importOne("ole@example.com"); res.Refused != 1 {
		t.Errorf("importing a suppressed address: %+v", res)
	}
	b, err := d.Prove(ctx, anna, "ole@example.com", nil)
	if d.must(err); len(b.Acts) != 0 || !b.Cards[0].EvidenceRemoved {
		t.Errorf("its proof: %+v", b)
	}
	var out bytes.Buffer
	d.must(d.WriteProof(b, &out))
	if r := proof.Check(out.Bytes(), proof.Trust{PublicKey: d.LogKey()}); r.Wrong != "" || len(r.Proven) != 0 {
		t.Errorf("its proof: %+v", r)
	}
	rows, err := d.Audit(ctx, anna, AuditFilter{What: "remove evidence"}, 0, 9)
	if d.must(err); len(rows) != 2 || rows[0].SubscriberID == nil {
		t.Errorf("the audit: %+v", rows)
	}
	d.pass(30 * 24 * time.Hour)
	d.must(d.Tick(ctx)) // the clock does the same
	if n := d.number("SELECT COUNT(*) FROM evidence e JOIN contacts c ON c.subscriber_id = e.subscriber_id WHERE c.permission = 4"); n != 0 {
		t.Errorf("%d acts of the erased are left", n)
	}
	d.sealed()
	d.whole()
}

// TestRetentionOfWhoCameBack: the evidence of a tombstone goes, and neither the
// place of the card that its person came back under nor what is kept of that.
func TestRetentionOfWhoCameBack(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	d.signUp(marie, "news")
	d.confirmHandedOver()
	d.must(d.SetRetention(ctx, anna, Retention{EvidenceKept: "3w"}))
	d.pass(30 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	back := d.newest(marie)
	if back.Permission != Confirmed || back.Predecessor == nil {
		t.Fatalf("who came back: %+v", back)
	}
	acts, err := d.store.EvidenceOf(ctx, *back.Predecessor)
	if d.must(err); len(acts) != 0 {
		t.Errorf("%d acts of the tombstone are left", len(acts))
	}
	b, err := d.Prove(ctx, anna, marie, nil)
	if d.must(err); len(b.Acts) == 0 || !b.Cards[len(b.Cards)-1].EvidenceRemoved && !b.Cards[0].EvidenceRemoved {
		t.Errorf("the proof has %d acts, of cards %+v", len(b.Acts), b.Cards)
	}
	_, err = d.Erase(ctx, anna, marie, "asked for it again")
	d.must(err)
	d.pass(30 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	if n := d.number("SELECT COUNT(*) FROM evidence e JOIN contacts c ON c.subscriber_id = e.subscriber_id WHERE c.permission = 4"); n != 0 {
		t.Errorf("%d acts of the erased are left", n)
	}
	if res := d.importOne(marie); res.Refused != 1 {
		t.Errorf("importing a suppressed address: %+v", res)
	}
	d.sealed()
	d.check()
	d.whole()
}

// TestPublish: a new checkpoint is handed on, and a failure stops nothing.
func TestPublish(t *testing.T) {
	d := newDesk(t)
	var got []string
	d.cfg.Publish = func(_ context.Context, note string) error {
		got = append(got, note)
		return errors.New("the witness is away")
	}
	d.must(d.Seal(t.Context()))
	d.must(d.Seal(t.Context()))
	v, err := ledger.Verifier(d.LogKey())
	d.must(err)
	if len(got) != 1 {
		t.Fatalf("published %d times", len(got))
	}
	if c, err := ledger.OpenCheckpoint(got[0], v); err != nil || c.Size != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestKeptProofsEndWithTheirEvidence: a proof that was made before an erasure
// isn't kept after it, and what was kept of a person goes when their evidence does.
func TestKeptProofsEndWithTheirEvidence(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	before, err := d.Prove(ctx, anna, marie, nil)
	d.must(err)
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	var refusal *Refusal
	if path, err := d.KeepProof(ctx, before, "json"); !errors.As(err, &refusal) {
		t.Errorf("kept as %q, %v", path, err)
	}
	after, err := d.Prove(ctx, anna, marie, nil)
	d.must(err)
	path, err := d.KeepProof(ctx, after, "html")
	d.must(err)
	kept, err := filepath.Glob(filepath.Join(d.cfg.Exports, "*"))
	if d.must(err); len(kept) != 1 || kept[0] != path {
		t.Errorf("the exports directory holds %v", kept)
	}
	d.must(d.SetRetention(ctx, anna, Retention{EvidenceKept: "1d"}))
	d.pass(25 * time.Hour)
	n, err := d.RunRetention(ctx, anna, nil)
	d.must(err)
	if kept, err = filepath.Glob(filepath.Join(d.cfg.Exports, "*")); err != nil || n != 1 || len(kept) != 0 {
		t.Errorf("after %d removals there are %v, %v", n, kept, err)
	}
	if _, err := d.KeepProof(ctx, after, "html"); !errors.As(err, &refusal) {
		t.Errorf("the evidence is gone, and its proof is kept: %v", err)
	}
}
