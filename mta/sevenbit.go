package mta

import (
	"bytes"
	"errors"
	"io"
	"strings"

	gomessage "github.com/emersion/go-message"
)

// errEightBit tells that a text can't be written in 7 bits without changing what it says.
var errEightBit = errors.New("the message can't be encoded in 7 bits")

// inSevenBits is the same letter for a server that takes 7-bit messages only (RFC 6152 section 3), and whether there is
// one: a header beyond ASCII has no such form, and a signature would no longer hold.
func (p *parcel) inSevenBits() (*parcel, bool) {
	if !p.eightBit {
		return p, true
	}
	if p.utf8Head {
		return p, false
	}
	msg, err := sevenBit(p.msg)
	if err != nil {
		return p, false
	}
	encoded := *p
	encoded.msg, encoded.eightBit = msg, false
	return &encoded, true
}

// sevenBit encodes the parts of a message that hold characters beyond ASCII as quoted-printable (RFC 2045 section 6.7).
func sevenBit(msg []byte) ([]byte, error) {
	entity, err := gomessage.Read(bytes.NewReader(msg))
	if err != nil {
		return nil, errors.Join(errEightBit, err)
	}
	if entity.Header.Has("DKIM-Signature") {
		return nil, errEightBit
	}
	var out bytes.Buffer
	if err := encodePart(entity, func(h gomessage.Header) (*gomessage.Writer, error) { return gomessage.CreateWriter(&out, h) }); err != nil {
		return nil, errors.Join(errEightBit, err)
	}
	return normalise(out.Bytes()), nil
}

// encodePart writes a part, and those in it, by a writer for its header.
func encodePart(e *gomessage.Entity, begin func(gomessage.Header) (*gomessage.Writer, error)) error {
	kind, _, _ := e.Header.ContentType() // one that can't be read is text
	parts := e.MultipartReader()
	switch {
	case strings.HasPrefix(kind, "message/"), kind == "multipart/signed":
		return errEightBit // has no encoding (RFC 2045 section 6.4), or one that is signed
	case parts == nil:
		switch strings.ToLower(e.Header.Get("Content-Transfer-Encoding")) {
		case "", "7bit", "8bit", "binary":
			e.Header.Set("Content-Transfer-Encoding", "quoted-printable")
		}
	}
	w, err := begin(e.Header)
	if err != nil {
		return err
	}
	if parts == nil {
		if _, err := io.Copy(w, e.Body); err != nil {
			return err
		}
		return w.Close()
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if err := encodePart(part, w.CreatePart); err != nil {
			return err
		}
	}
}
