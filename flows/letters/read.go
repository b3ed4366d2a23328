package letters

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // decodes what isn't UTF-8
	"github.com/emersion/go-message/mail"
)

// Errors of Read. With ErrDamaged the Message holds what could be read.
var (
	ErrUnreadable = errors.New("not a mail")
	ErrDamaged    = errors.New("damaged mail")
)

// Bounds on what Read takes out of one mail, which may be hostile.
const (
	maxHeaderBytes = 256 << 10
	maxBodyBytes   = 1 << 20 // of each of text and HTML; the rest is left out
	maxParts       = 200     // later ones are left out
	maxDepth       = 10      // of multiparts within multiparts
	maxLinks       = 200
)

// Message is a mail as read. All but HTML is valid UTF-8 free of control and
// bidirectional characters, save for the line feeds in Text.
type Message struct {
	// From shows name and address. To has the bare addresses, parted by ", ",
	// as the names beside them are not ours to show. A field that can't be
	// parsed stands as it was sent.
	From, To, Subject string
	// Date is zero if the mail has no usable one.
	Date time.Time
	// Text is the plain text with LF line ends. HTML is as it was sent, but for
	// its charset: never to be rendered unsanitised.
	Text, HTML string
	// Links are the http and https URLs of Text in order, each once.
	Links []string
}

// Links returns the http and https URLs in the text of a mail, in order and
// each once. Its errors are those of Read.
func Links(raw []byte) ([]string, error) {
	m, err := Read(raw)
	return m.Links, err
}

// Read reads any mail. It bounds what it takes: attachments are left out, and
// so is text past the first mebibyte. Other errors than ErrUnreadable and
// ErrDamaged don't occur.
func Read(raw []byte) (Message, error) {
	entity, err := message.ReadWithOptions(bytes.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: maxHeaderBytes})
	if entity == nil || entity.Header.Len() == 0 {
		// The error may quote the mail, so it isn't passed on.
		return Message{}, ErrUnreadable
	}
	header := mail.Header{Header: entity.Header}
	m := Message{
		From:    addresses(header, "From", showAddress),
		To:      addresses(header, "To", func(a *mail.Address) string { return a.Address }),
		Subject: headerText(header, "Subject"),
	}
	if date, dateErr := header.Date(); dateErr == nil {
		m.Date = date
	}
	var r bodyReader
	err = r.read(entity, err)
	m.Text, m.HTML = cleanText(r.text.String()), strings.ToValidUTF8(r.html.String(), "\uFFFD")
	m.Links = findLinks(m.Text)
	return m, err
}

// errEnough stops the walk over the parts once the bounds are reached.
var errEnough = errors.New("enough read")

// bodyReader gathers the inline text of a mail's parts.
type bodyReader struct {
	text, html bytes.Buffer
	parts      int
	damaged    bool
}

func (r *bodyReader) read(entity *message.Entity, err error) error {
	walkErr := r.walk(entity, err, 0)
	if r.damaged || walkErr != nil && !errors.Is(walkErr, errEnough) {
		return ErrDamaged
	}
	return nil
}

// walk reads a part and those in it. Its err is what go-message said of the
// part. The parts are told apart by mime/multipart, which bounds the header of
// each; go-message keeps however many fields a part has.
func (r *bodyReader) walk(entity *message.Entity, err error, depth int) error {
	r.parts++
	if depth > maxDepth || r.parts > maxParts {
		return errEnough
	}
	mediaType, params, typeErr := entity.Header.ContentType()
	if typeErr != nil {
		mediaType = "text/plain"
	}
	r.damaged = r.damaged || err != nil || typeErr != nil
	if !strings.HasPrefix(mediaType, "multipart/") {
		return r.leaf(entity, mediaType)
	}
	parts := multipart.NewReader(entity.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("next part: %w", err)
		}
		child, err := message.New(message.HeaderFromMap(part.Header), part)
		if err := r.walk(child, err, depth+1); err != nil {
			return err
		}
	}
}

// leaf takes one part's text, unless it is an attachment. Text in an unknown
// charset or transfer encoding is taken as it stands.
func (r *bodyReader) leaf(part *message.Entity, mediaType string) error {
	if disposition, _, _ := part.Header.ContentDisposition(); disposition == "attachment" {
		return nil
	}
	var to *bytes.Buffer
	switch mediaType {
	case "text/plain":
		to = &r.text
	case "text/html":
		to = &r.html
	default:
		return nil
	}
	if to.Len() > 0 {
		to.WriteByte('\n')
	}
	room := max(0, maxBodyBytes-int64(to.Len()))
	if _, err := io.Copy(to, io.LimitReader(part.Body, room)); err != nil {
		return fmt.Errorf("read part: %w", err)
	}
	return nil
}

// addresses shows the addresses of a field, or its text if it has none that
// can be parsed.
func addresses(h mail.Header, key string, show func(*mail.Address) string) string {
	list, err := h.AddressList(key)
	if err != nil {
		return headerText(h, key)
	}
	var shown []string
	for _, a := range list {
		shown = append(shown, oneLine(show(a)))
	}
	return strings.Join(shown, ", ")
}

func showAddress(a *mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}

func headerText(h mail.Header, key string) string {
	// On an error, such as an unknown charset, Text gives the field as sent.
	text, _ := h.Text(key)
	return oneLine(text)
}

// cleanText cleans s line by line.
func cleanText(s string) string {
	lines := strings.Split(unixLines(s), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(clean(line), " ")
	}
	return strings.Join(lines, "\n")
}

var linkPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\bhttps?://[^\s<>"]+`)
})

// findLinks gives the first links of a text, each once. What ends a sentence
// or closes a bracket doesn't belong to a link, unless the link has the line
// to itself.
func findLinks(text string) []string {
	var links []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for _, link := range linkPattern().FindAllString(line, maxLinks) {
			if link != line {
				link = strings.TrimRight(link, ".,;:!?')]}»”’")
			}
			if u, err := url.Parse(link); err != nil || u.Host == "" || slices.Contains(links, link) {
				continue
			}
			links = append(links, link)
			if len(links) == maxLinks {
				return links
			}
		}
	}
	return links
}
