package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPackReturnsWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(words1)).Draw(t, "from")
		to := rapid.IntRange(from, len(words1)).Draw(t, "to")
		plain := append(rapid.SliceOf(rapid.Byte()).Draw(t, "random"), words1[from:to]...)
		got, err := unpack(pack(plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes came back as %d: %v", len(plain), len(got), err)
		}
	})
}

func TestUnpackOfRubbish(t *testing.T) {
	for _, b := range [][]byte{{packed1}, {packed1, 0xff, 0xff, 0xff, 0xff, 0x7f}, append([]byte{packed1, 20}, "nothing of the kind"...)} {
		if _, err := unpack(b); err != nil && !errors.Is(err, ErrSealed) {
			t.Errorf("%v: %v", b, err)
		}
	}
}

// TestLettersFromBeforePacking opens what older versions have sealed.
func TestLettersFromBeforePacking(t *testing.T) {
	keys, _, err := loadOrCreate(filepath.Join(t.TempDir(), "keys.json"), false, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Envelope{From: "news@example.com", To: "marie@example.dk", MessageID: "1@example.com", Data: []byte("Subject: Confirm\r\n\r\nPlease.\r\n")}
	head, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	old := append(append([]byte{0, 0, 0, byte(len(head))}, head...), want.Data...)
	sealed, err := keys.sealBytes(sealLetter, 7, old)
	if err != nil {
		t.Fatal(err)
	}
	var got Envelope
	if err := keys.openEnvelope(7, sealed, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("an older letter opens differently (-want +got):\n%s", diff)
	}
	talk := []string{"> DATA", "< 250 Ok"}
	if sealed, err = keys.seal(sealTalk, 7, talk); err != nil {
		t.Fatal(err)
	}
	lines, err := keys.openTalk(7, sealed)
	if diff := cmp.Diff(talk, lines); err != nil || diff != "" {
		t.Errorf("an older conversation opens differently: %v\n%s", err, diff)
	}
}

func TestPackedTalkReadsTheSame(t *testing.T) {
	line := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(beginnings).Draw(t, "beginning") + rapid.String().Draw(t, "rest")
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(line, 1, 20).Draw(t, "lines")
		got, err := unpackTalk(packTalk(want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		if _, err := unpackTalk(append([]byte{packedTalk}, rapid.SliceOf(rapid.Byte()).Draw(t, "rubbish")...)); err != nil && !errors.Is(err, ErrSealed) {
			t.Fatal(err)
		}
	})
}
