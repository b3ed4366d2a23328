package proof

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store/ledger"
)

// FuzzCheck: whatever a file holds, the check ends with a word on it, and
// nothing is proven by a file that was not signed.
func FuzzCheck(f *testing.F) {
	secret, err := ledger.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	key, err := ledger.ParseKey(secret)
	if err != nil {
		f.Fatal(err)
	}
	b := &Bundle{Format: Format, Address: "a@b.example", PublicKey: key.Public(), Cards: []Card{{SubscriberID: 1, Permission: "confirmed"}}, Notices: []Notice{}}
	act := Act{Salt: "00", Sealed: "00", Path: []string{}}
	if err := act.SetRecord([]byte(`{"act":"confirm","address":"a@b.example","at":"2026-02-03T10:11:12.000000Z","number":1,"subscriber_id":1,"type":"evidence"}`)); err != nil {
		f.Fatal(err)
	}
	b.Acts = []Act{act}
	c, err := key.Sign(1, tlog.Hash{}, time.Unix(0, 0))
	if err != nil {
		f.Fatal(err)
	}
	b.Checkpoint = c.Note
	var file bytes.Buffer
	if err := b.Write(&file, key); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(`{"format":"kartotek proof 1","acts":[{"record":null}]}`))
	f.Add([]byte(`{"format":"kartotek proof 1","acts":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Check(data, Trust{PublicKey: key.Public()})
		if r.Wrong == "" || len(r.Proven) > 0 {
			t.Errorf("it proves something: %+v", r)
		}
		if b, _, err := Parse(data); err == nil {
			b.Story().Text(40, func(s string) string { return s })
		}
	})
}
