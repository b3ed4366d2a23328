package letters

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"sync"
	texttemplate "text/template"

	"kartotek/flows/lang"
)

// files holds one file of wording a language, and the two forms of the letter
// that the wording is put into.
//
//go:embed templates
var files embed.FS

// templates is parsed on first use, since most runs of the program write no
// letter.
var templates = sync.OnceValues(func() (*library, error) {
	lib := &library{wording: make(map[lang.Tag]*texttemplate.Template)}
	var err error
	for _, tag := range lang.All() {
		t, parseErr := texttemplate.ParseFS(files, "templates/"+string(tag)+".tmpl")
		lib.wording[tag], err = t, errors.Join(err, parseErr)
	}
	var textErr, htmlErr error
	lib.text, textErr = texttemplate.ParseFS(files, "templates/letter.txt.tmpl")
	lib.html, htmlErr = template.ParseFS(files, "templates/letter.html.tmpl")
	return lib, errors.Join(err, textErr, htmlErr)
})

type library struct {
	wording map[lang.Tag]*texttemplate.Template
	text    *texttemplate.Template
	html    *template.Template
}

// view is what the templates see. Its strings are clean; the HTML form escapes
// them besides.
type view struct {
	lang                    lang.Tag
	Lang, Purpose           string
	List, ShortList, Sender string
	ConfirmURL, Until       string
	Notice                  [][]string
}

// Say gives a block of wording in the letter's language. The templates of both
// forms call it, so that text and HTML say the same.
func (v view) Say(block string) (string, error) {
	return say(v.lang, block, v)
}

func (v view) text() (string, error) {
	lib, err := templates()
	if err != nil {
		return "", fmt.Errorf("parse templates: %w", err)
	}
	var b strings.Builder
	if err := lib.text.Execute(&b, v); err != nil {
		return "", fmt.Errorf("fill in: %w", err)
	}
	return wrap(b.String()), nil
}

func (v view) html() (string, error) {
	lib, err := templates()
	if err != nil {
		return "", fmt.Errorf("parse templates: %w", err)
	}
	var b strings.Builder
	if err := lib.html.Execute(&b, v); err != nil {
		return "", fmt.Errorf("fill in: %w", err)
	}
	return b.String(), nil
}

func say(tag lang.Tag, block string, data any) (string, error) {
	lib, err := templates()
	if err != nil {
		return "", fmt.Errorf("parse templates: %w", err)
	}
	var b strings.Builder
	if err := lib.wording[tag].ExecuteTemplate(&b, block, data); err != nil {
		return "", fmt.Errorf("fill in %s: %w", block, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// DefaultNotice is the consent text for a list whose owner wrote none: what
// the person agrees to and for whom (GDPR articles 4(11) and 13(1)), that the
// consent can be withdrawn at any time (article 7(3)), what is kept as proof of
// it (article 7(1)), and the person's rights (article 13(2)). Paragraphs are
// parted by a blank line. An unknown language reads as English; without a
// company's name the text speaks of the sender.
func DefaultNotice(t lang.Tag, list, company string) string {
	tag, _ := lang.Parse(string(t))
	notice, err := say(tag, "default-notice", struct{ List, Company string }{label(list), label(company)})
	if err != nil {
		// The templates are part of the program and don't depend on the values.
		panic(fmt.Sprintf("letters: %v", err))
	}
	return notice
}
