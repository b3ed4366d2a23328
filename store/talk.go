package store

import (
	"encoding/binary"
	"encoding/json"
	"strings"
)

// packedTalk begins a conversation that is packed. Those that were sealed
// before there was packing are JSON.
const packedTalk = 2

// beginnings are what lines of a conversation often begin with. A packed line
// begins with the number of one of them, so that none may move: others are
// added at the end. The longest one that fits is taken.
var beginnings = []string{
	"", "> ", "< ", "> MAIL FROM:<sender>", "> MAIL FROM:<sender> SIZE=", "> RCPT TO:<recipient>", "> RCPT TO:<recipient> NOTIFY=FAILURE",
	"> DATA", "> EHLO ", "> STARTTLS", "> (", "< 220 ", "< 250 ", "< 250-", "< 250 OK", "< 250 Ok", "< 250 2.0.0 ", "< 250 2.0.0 Ok: queued as ",
	"< 250 2.1.0 ", "< 250 2.1.0 Ok", "< 250 2.1.5 ", "< 250 2.1.5 Ok", "< 354 ", "< 354 End data with <CR><LF>.<CR><LF>",
	`< 354 Enter message, ending with "." on a line by itself`, "< 250-PIPELINING", "< 250-SIZE ", "< 250-STARTTLS", "< 250-ENHANCEDSTATUSCODES",
	"< 250-8BITMIME", "< 250-DSN", "< 250-SMTPUTF8", "< 250 CHUNKING", "< 450 4.", "< 451 4.", "< 452 4.", "< 550 5.1.1 ", "< 550 5.", "< 554 5.", "< 421 4.",
}

// packTalk makes a conversation smaller before it is sealed: most of them differ
// in a few numbers.
func packTalk(lines []string) []byte {
	out := []byte{packedTalk}
	for _, line := range lines {
		n := 0
		for i, b := range beginnings {
			if len(b) > len(beginnings[n]) && strings.HasPrefix(line, b) {
				n = i
			}
		}
		rest := line[len(beginnings[n]):]
		out = append(binary.AppendUvarint(append(out, byte(n)), uint64(len(rest))), rest...)
	}
	return out
}

func unpackTalk(b []byte) (lines []string, err error) {
	if len(b) == 0 || b[0] != packedTalk {
		if json.Unmarshal(b, &lines) != nil {
			return nil, ErrSealed
		}
		return lines, nil
	}
	for b = b[1:]; len(b) > 0; {
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) || int(b[0]) >= len(beginnings) {
			return nil, ErrSealed
		}
		end := 1 + n + int(size)
		lines = append(lines, beginnings[b[0]]+string(b[1+n:end]))
		b = b[end:]
	}
	return lines, nil
}
