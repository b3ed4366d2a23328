package flows

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/store"
)

func TestReveal(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	support := Actor{Name: "bo", Role: Support, From: "test"}
	const cause = "the person is on the telephone"
	r, err := d.Reveal(ctx, support, id, RevealEmail, cause)
	d.must(err)
	if r.Value != marie {
		t.Errorf("it reveals %q", r.Value)
	}
	rows, err := d.store.Audit(ctx, store.AuditQuery{Limit: 1})
	d.must(err)
	if rows[0].Act != "reveal" || rows[0].Actor != "bo" || rows[0].SubscriberID != id || rows[0].Why != "email: "+cause {
		t.Errorf("the audit says %+v", rows[0])
	}
	for reason, word := range map[string]string{
		"":                            "ten characters",
		"because":                     "ten characters",
		"aaaaaaaaaaaaaaaa":            "in words",
		"          why             ":  "ten characters",
		". . . . . . . . . . . . . .": "in words",
		"she asked, " + marie:         "names the person",
		"call +45 20 12 34 56 please": "telephone number",
	} {
		_, err := d.Reveal(ctx, support, id, RevealEmail, reason)
		turnedDown(t, err, word)
	}
	_, err = d.Reveal(ctx, support, id, RevealEmail, "is it "+marie+" perhaps")
	turnedDown(t, err, "names the person")
	rows, err = d.store.Audit(ctx, store.AuditQuery{Limit: 1})
	d.must(err)
	if rows[0].Act != "refused" || rows[0].SubscriberID != id || !strings.HasPrefix(rows[0].Why, "reveal: … names the person") {
		t.Errorf("a guess leaves %+v", rows[0])
	}
	_, err = d.Reveal(ctx, support, id, RevealMobile, cause)
	turnedDown(t, err, "no such value")
	_, err = d.Reveal(ctx, support, id, "evidence", cause)
	turnedDown(t, err, "what can be revealed")
	if _, err := d.Reveal(ctx, support, nobody, RevealEmail, cause); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	_, err = d.Reveal(ctx, support, id, RevealEmail, cause)
	turnedDown(t, err, "tombstone")
}

// TestSensitiveFields: a sensitive own field is hidden on the card and in the
// audit, and goes out whole in what the person is given.
func TestSensitiveFields(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.importFile("email,signed_up_at,Shoe size,Illness\n"+marie+",2026-01-02T03:04:05Z,38,migraine\n", true)
	id := d.newest(marie).SubscriberID
	own := func() string {
		c, err := d.Open(ctx, anna, id, nil)
		d.must(err)
		var out []string
		for _, f := range c.Own {
			out = append(out, f.Name+"="+f.Value)
		}
		return strings.Join(out, ", ")
	}
	if got := own(); got != "Shoe size=38, Illness=migraine" {
		t.Fatalf("the card shows %s", got)
	}
	k, err := d.MarkOwnKind(ctx, anna, "Illness", true)
	d.must(err)
	if !k.Sensitive || k.Kind != "text" {
		t.Errorf("the field is %+v", k)
	}
	if got := own(); got != "Shoe size=38, Illness="+hidden {
		t.Errorf("the card shows %s", got)
	}
	r, err := d.Reveal(ctx, anna, id, OwnPrefix+"Illness", "the person is on the telephone")
	d.must(err)
	if r.Value != "migraine" {
		t.Errorf("it reveals %q", r.Value)
	}
	var b strings.Builder
	d.must(d.ExportTo(ctx, anna, marie, "json", &b))
	if !strings.Contains(b.String(), "migraine") {
		t.Error("the person's own export lacks it")
	}
	_, err = d.MarkOwnKind(ctx, anna, "Illness", false)
	d.must(err)
	if got := own(); !strings.Contains(got, "migraine") {
		t.Errorf("the card shows %s", got)
	}

	_, err = d.AddOwnKind(ctx, anna, OwnKind{Name: "Shoe size", Kind: "number"})
	d.must(err)
	_, err = d.Correct(ctx, anna, id, OwnPrefix+"Shoe size", "large")
	turnedDown(t, err, "holds a number")
	_, err = d.Correct(ctx, anna, id, OwnPrefix+"Shoe size", "39.5")
	d.must(err)
	_, err = d.AddOwnKind(ctx, anna, OwnKind{Name: "Shoe size", Kind: "text"})
	turnedDown(t, err, "already")
	_, err = d.AddOwnKind(ctx, anna, OwnKind{Name: "Colour", Kind: "rainbow"})
	turnedDown(t, err, "a field holds")
	if all, err := d.OwnKinds(ctx, anna); err != nil || len(all) != 2 {
		t.Errorf("the fields are %+v, %v", all, err)
	}
}

// TestRepeatedColumns: a second column of a sensitive field is as hidden, and
// what a field is declared to hold is asked of an import too.
func TestRepeatedColumns(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	for _, k := range []OwnKind{{Name: "Illness", Kind: "text", Sensitive: true}, {Name: "Size", Kind: "number"}, {Name: "Born", Kind: "date"}} {
		_, err := d.AddOwnKind(ctx, anna, k)
		d.must(err)
	}
	path := filepath.Join(t.TempDir(), "people.csv")
	d.must(os.WriteFile(path, []byte(`email,illness,city,Illness,size,born
marie@example.dk,asthma,Aarhus,gout,12.5,1980-02-03
ole@example.dk,,,,large,
per@example.dk,,,,,yesterday
else@example.dk,,,,7,
`), 0o600))
	res, err := d.Import(ctx, anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
	d.must(err)
	if res.Added != 2 || res.Invalid != 2 {
		t.Errorf("%+v", res)
	}
	report, err := os.ReadFile(res.Report)
	d.must(err)
	for _, want := range []string{"the field Size holds a number", "the field Born holds a date"} {
		if !strings.Contains(string(report), want) {
			t.Errorf("the report lacks %q: %s", want, report)
		}
	}
	if strings.Contains(string(report), "large") || strings.Contains(string(report), "yesterday") {
		t.Errorf("the report tells values: %s", report)
	}
	card, err := d.Open(ctx, anna, d.newest("marie@example.dk").SubscriberID, nil)
	d.must(err)
	hiddenOnes := 0
	for _, f := range card.Own {
		if f.Value == "asthma" || f.Value == "gout" {
			t.Errorf("the card shows %+v", f)
		}
		if f.Sensitive {
			hiddenOnes++
		}
	}
	if hiddenOnes != 2 {
		t.Errorf("%+v", card.Own)
	}
	for i, field := range card.Own {
		if i < 2 && field.Sensitive {
			_, err := d.Reveal(ctx, anna, card.SubscriberID, OwnPrefix+field.Name, "is on the telephone")
			d.must(err)
		}
	}
}

// TestAddressesAreMaskedWhereverTheyStand: also where a file put them into a
// field of the company's own, a name or the source.
func TestAddressesAreMaskedWhereverTheyStand(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "people.csv")
	d.must(os.WriteFile(path, []byte("email,first_name,source,invoice to,work phone,customer,note\n"+
		marie+",marie@example.org,from marie@example.org,\"Marie <Marie.J@Example.org>, +45 20 12 34 56\",0045 20123456,0012345678,likes tea @ five\n"), 0o600))
	_, err := d.Import(ctx, anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
	d.must(err)
	card := d.newest(marie)
	details, err := d.Open(ctx, Actor{Name: "bo", Role: Support, From: "test"}, card.SubscriberID, nil)
	d.must(err)
	got := []string{details.FirstName, *card.Source}
	for _, f := range details.Own {
		got = append(got, f.Value)
		if f.Sensitive != strings.Contains(f.Value, "*") {
			t.Errorf("%s can be uncovered: %v", f.Name, f.Sensitive)
		}
	}
	want := []string{
		"m****@examp**.org", "from m****@examp**.org", "Marie <M****.*@Examp**.org>, +45 20 ** ** 56", "0045 2*****56", "0012345678", "likes tea @ five",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("staff see (-want +got)\n%s", diff)
	}
	r, err := d.Reveal(ctx, anna, card.SubscriberID, OwnPrefix+"invoice to", "the invoice went astray")
	if d.must(err); !strings.Contains(r.Value, "Marie.J@Example.org") {
		t.Errorf("it reveals %q", r.Value)
	}
}

// TestRevealsAreFew: nobody takes a list away by uncovering one card after the
// other; others of staff go on, and so does everybody an hour later.
func TestRevealsAreFew(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	reveal := func(who Actor) error {
		_, err := d.Reveal(ctx, who, id, RevealEmail, "the person is on the phone")
		return err
	}
	for range revealsAnHour {
		d.must(reveal(anna))
		d.pass(time.Second)
	}
	var refusal *Refusal
	if err := reveal(anna); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "bulk export") {
		t.Errorf("one more: %v", err)
	}
	d.must(reveal(Actor{Name: "sue", Role: Support, From: "test"}))
	d.pass(time.Hour)
	d.must(reveal(anna))
	d.check()
}
