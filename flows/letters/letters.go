// Package letters writes the mails that Kartotek sends to a contact, and reads
// captured mails back for the console.
//
// A letter is composed apart from the flow that sends it, so that its wording
// can be read and tested as one piece. The room knows no store, no contact and
// no network: a flow hands it every value, address and link, and puts the
// result in the outbox. Every text that goes into a letter counts as hostile.
// Nothing in a letter advertises, and nothing in it is fetched or tracked: no
// image, no remote style, no link but the one that it is about.
//
// Start reading at Confirmation.Compose; the wording is in templates, one file
// a language. Read goes the other way.
package letters

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kartotek/flows/lang"
)

// ErrInvalid says that a field of a letter can't be used. It names the field,
// never its value.
var ErrInvalid = errors.New("unusable field of a letter")

// Limits on what goes into one letter.
const (
	maxNotice = 64 << 10 // bytes; a consent text is quoted in full or not at all
	maxShort  = 60       // characters of a list's or sender's name in a header field
	maxName   = 120      // characters of a list's or sender's name in the text
)

// Purpose is why a confirmation is asked for.
type Purpose string

const (
	// SignUp is a new sign-up, or one more list for somebody known.
	SignUp Purpose = "sign-up"
	// Resubscribe is an erased or unsubscribed person's wish to come back.
	Resubscribe Purpose = "resubscribe"
)

// Sender is who a letter comes from: a name as shown, which may be empty, and
// an address.
type Sender struct{ Name, Address string }

// Confirmation asks the owner of an address to confirm a sign-up (double
// opt-in, GDPR article 7(1)).
type Confirmation struct {
	Purpose Purpose
	// Lang is the language of the letter; English if it is none of ours.
	Lang lang.Tag
	From Sender
	// To is a canonical address. If its local part isn't ASCII the letter needs
	// SMTPUTF8 (RFC 6531); apart from that field every letter is 7-bit.
	To string
	// List is the list's name as shown, and ListID its RFC 2919 identifier,
	// such as "news.lists.example.com".
	List, ListID string
	// ConfirmURL is the page with the button. CancelURL takes the one-click
	// POST of RFC 8058, which cancels the pending sign-up.
	ConfirmURL, CancelURL string
	// UnsubscribeMailto is a mailto: URI that does the same; optional.
	UnsubscribeMailto string
	// Notice is the consent text that the person is asked to agree to.
	Notice string
	// Expires is until when the link works.
	Expires time.Time
	// MessageID is the RFC 5322 msg-id, without angle brackets.
	MessageID string
	Date      time.Time
}

// Letter is a composed mail: its subject as read, and the whole message in
// RFC 5322 form with CRLF line ends.
type Letter struct {
	Subject string
	Raw     []byte
}

// Compose writes the letter. It fails with ErrInvalid if an address, a link,
// an identifier or a time can't stand in a mail. Names and the notice never
// fail it, unless the notice is longer than 64 KiB: they are stripped of
// control and bidirectional characters, and names are shortened.
func (c Confirmation) Compose() (Letter, error) {
	if err := c.check(); err != nil {
		return Letter{}, err
	}
	v := c.view()
	subject, err := v.Say(string(c.Purpose) + ".subject")
	if err != nil {
		return Letter{}, fmt.Errorf("write subject: %w", err)
	}
	plain, err := v.text()
	if err != nil {
		return Letter{}, fmt.Errorf("write text: %w", err)
	}
	page, err := v.html()
	if err != nil {
		return Letter{}, fmt.Errorf("write html: %w", err)
	}
	raw, err := assemble(c.header(v.lang, subject), plain, page)
	if err != nil {
		return Letter{}, fmt.Errorf("assemble letter: %w", err)
	}
	return Letter{Subject: subject, Raw: raw}, nil
}

// view turns the fields into what the templates may show: clean text only.
func (c Confirmation) view() view {
	tag, _ := lang.Parse(string(c.Lang))
	return view{
		lang:       tag,
		Lang:       string(tag),
		Purpose:    string(c.Purpose),
		List:       shorten(c.listName(), maxName),
		ShortList:  shorten(c.listName(), maxShort),
		Sender:     shorten(label(c.From.Name), maxName),
		ConfirmURL: c.ConfirmURL,
		Until:      oneLine(tag.FormatTime(c.Expires)),
		Notice:     paragraphs(c.Notice),
	}
}

// listName is the list's name, or its identifier if the name shows nothing.
func (c Confirmation) listName() string {
	if name := label(c.List); name != "" {
		return name
	}
	return c.ListID
}

// header lists the fields in the order in which they are sent. The addresses
// have passed check.
func (c Confirmation) header(tag lang.Tag, subject string) []field {
	unsubscribe := []string{"<" + c.CancelURL + ">"}
	if c.UnsubscribeMailto != "" {
		unsubscribe = []string{"<" + c.CancelURL + ">,", "<" + c.UnsubscribeMailto + ">"}
	}
	from, _ := mailbox(c.From.Address)
	to, _ := mailbox(c.To)
	return []field{
		{"From", append(phrase(shorten(label(c.From.Name), maxShort)), from)},
		{"To", []string{to}},
		{"Subject", encodedWords(subject)},
		// In UTC: the machine's zone is nobody's business.
		{"Date", strings.Fields(c.Date.UTC().Format(time.RFC1123Z))},
		{"Message-ID", []string{"<" + c.MessageID + ">"}},
		{"MIME-Version", []string{"1.0"}},
		{"Content-Language", []string{string(tag)}},
		{"List-Id", append(phrase(shorten(label(c.List), maxShort)), "<"+c.ListID+">")},
		{"List-Unsubscribe", unsubscribe},
		{"List-Unsubscribe-Post", []string{"List-Unsubscribe=One-Click"}},
		{"Auto-Submitted", []string{"auto-generated"}},
		{"X-Auto-Response-Suppress", []string{"All"}},
	}
}
