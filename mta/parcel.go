package mta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf8"
)

// maxLine is the longest line of a message, without its CRLF (RFC 5321 section 4.5.3.1.6).
const maxLine = 998

var (
	errLongLine = errors.New("a line of the message is longer than 998 bytes")
	errNUL      = errors.New("the message holds a NUL byte")
)

// parcel is a letter made ready for the wire: checked, and with CRLF line ends. With its dots stuffed and closed by its
// final one, as it is written, nothing in it can be read as a command, by any server.
type parcel struct {
	id       int64 // of the letter
	urgent   bool
	perConn  int // letters over one connection, if its domain has a bound of its own
	from, to string
	msg      []byte // the message, its dots not stuffed
	eightBit bool   // the body needs 8BITMIME (RFC 6152)
	utf8Head bool   // the header needs SMTPUTF8 (RFC 6531)
	utf8Path bool   // the envelope needs SMTPUTF8
}

// pack checks a letter and makes a parcel of it. Otherwise the verdict says why it can never leave.
func pack(l Letter) (*parcel, *Verdict) {
	to, err := envelopeAddress(l.To)
	if err != nil {
		return nil, refuse("5.1.3", err.Error())
	}
	from := ""
	if l.From != "" {
		if from, err = envelopeAddress(l.From); err != nil {
			return nil, refuse("5.1.7", "the sender's address is not one that mail can be sent from")
		}
	}
	msg := normalise(l.Data)
	if err := checkLines(msg); err != nil {
		return nil, refuse("5.6.0", err.Error())
	}
	p := &parcel{id: l.ID, urgent: l.Urgent, from: from, to: to, msg: msg}
	p.utf8Path = !isASCII(from) || !isASCII(to)
	if p.eightBit = hasHighBit(msg); p.eightBit {
		head, _ := splitHeader(msg)
		p.utf8Head = hasHighBit(head)
	}
	return p, nil
}

// normalise returns msg with CRLF line ends and nothing else: a server that takes a bare CR or LF for a line
// end must see the same message as one that doesn't (SMTP smuggling). In the header of a message that uses
// CRLF, a stray CR or LF is no line end but a remnant inside a field, and becomes a space: as a line end it
// would make a header of what follows it.
func normalise(msg []byte) []byte {
	if isNormal(msg) {
		return msg
	}
	out := make([]byte, 0, len(msg)+len(msg)/32+2)
	inHeader := bytes.Contains(msg, []byte("\r\n"))
	lineStart := 0
	for i := 0; i < len(msg); i++ {
		c := msg[i]
		switch {
		case c == '\r' && i+1 < len(msg) && msg[i+1] == '\n':
			i++
			if len(out) == lineStart {
				inHeader = false
			}
			out = append(out, '\r', '\n')
			lineStart = len(out)
		case (c == '\r' || c == '\n') && inHeader:
			out = append(out, ' ')
		case c == '\r' || c == '\n':
			out = append(out, '\r', '\n')
			lineStart = len(out)
		default:
			out = append(out, c)
		}
	}
	if len(out) > lineStart {
		out = append(out, '\r', '\n')
	}
	return out
}

// isNormal tells whether a message has CRLF line ends and nothing else.
func isNormal(msg []byte) bool {
	ends, rest := 0, msg
	for {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 {
			return len(rest) == 0 && bytes.Count(msg, []byte("\n")) == ends
		}
		if i+1 == len(rest) || rest[i+1] != '\n' {
			return false
		}
		ends, rest = ends+1, rest[i+2:]
	}
}

// checkLines refuses what SMTP can't carry and servers treat in different ways. It looks at one line end within each
// longest line: what lies before it is short enough.
func checkLines(msg []byte) error {
	if bytes.IndexByte(msg, 0) >= 0 {
		return errNUL
	}
	for len(msg) > maxLine+2 {
		end := bytes.LastIndexByte(msg[:maxLine+2], '\n')
		if end < 0 {
			return errLongLine
		}
		msg = msg[end+1:]
	}
	return nil
}

// envelopeRoom is left behind a message for the envelope of the next one.
const envelopeRoom = 512

// stuff appends a message to out, with each dot doubled that begins a line, and the final one (RFC 5321 section 4.5.2).
func stuff(out, msg []byte) []byte {
	out = slices.Grow(out, len(msg)+len(msg)/64+envelopeRoom)
	if !bytes.HasPrefix(msg, []byte(".")) && !bytes.Contains(msg, []byte("\n.")) {
		return append(append(out, msg...), ".\r\n"...)
	}
	for line := range bytes.Lines(msg) {
		if line[0] == '.' {
			out = append(out, '.')
		}
		out = append(out, line...)
	}
	return append(out, ".\r\n"...)
}

// splitHeader cuts a normalised message at its first empty line.
func splitHeader(msg []byte) (head, body []byte) {
	if bytes.HasPrefix(msg, []byte("\r\n")) {
		return nil, msg
	}
	if i := bytes.Index(msg, []byte("\r\n\r\n")); i >= 0 {
		return msg[:i+2], msg[i+2:]
	}
	return msg, nil
}

func hasHighBit(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.NativeEndian.Uint64(b)&0x8080808080808080 != 0 {
			return true
		}
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
