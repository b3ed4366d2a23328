package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"kartotek/flows/lang"
)

//go:embed templates/*.html
var templateFiles embed.FS

// style goes into every page, so that a page needs no second request.
//
//go:embed templates/style.css
var style string

// pages are the templates by name, each inside the layout.
var pages = func() map[string]*template.Template {
	layout := template.Must(template.ParseFS(templateFiles, "templates/layout.html"))
	all := make(map[string]*template.Template)
	for _, name := range []string{"message", "confirm", "unsubscribe", "signup"} {
		t := template.Must(layout.Clone())
		all[name] = template.Must(t.ParseFS(templateFiles, "templates/"+name+".html"))
	}
	return all
}()

// page is what a template sees.
type page struct {
	Name    string // of the template
	Status  int
	Title   string        // of the window
	Heading template.HTML // of the page
	Mark    string        // "done" draws a tick, "mail" an envelope, "" nothing
	Text    []template.HTML
	Body    any // what the template has besides

	// Filled by show.
	Tag       lang.Tag
	Words     *words
	Company   string
	Style     template.CSS
	Languages []language
}

// language is one entry of the switch at the foot.
type language struct {
	Tag     lang.Tag
	Name    string // in itself
	Current bool
}

// tag is the language that r is answered in.
func (s *site) tag(r *http.Request) lang.Tag {
	return lang.Negotiate(r.URL.Query().Get("lang"), strings.Join(r.Header.Values("Accept-Language"), ","))
}

func (s *site) words(r *http.Request) *words { return wording[s.tag(r)] }

// show writes p. It is filled in whole before the first byte goes out, so that
// an answer is never half a page.
func (s *site) show(w http.ResponseWriter, r *http.Request, p page) {
	p.Tag = s.tag(r)
	p.Words = wording[p.Tag]
	p.Company = cleanLine(s.company)
	p.Style = template.CSS(style) //nolint:gosec // our own embedded file
	for _, t := range lang.All() {
		p.Languages = append(p.Languages, language{Tag: t, Name: wording[t].Language, Current: t == p.Tag})
	}
	var out bytes.Buffer
	if err := pages[p.Name].Execute(&out, p); err != nil {
		panic(err) // the templates are part of the program; guard answers
	}
	body := bytes.Map(printable, out.Bytes())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(p.Tag))
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader left: nobody to tell
	}
}

// printable drops control characters from a page, whatever text they came in
// by. bytes.Map turns invalid UTF-8 into U+FFFD besides.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// message is a page of a heading and some text.
func message(status int, m wordsMessage, pairs ...string) page {
	p := page{
		Name:    "message",
		Status:  status,
		Title:   plain(m.Title, pairs...),
		Heading: say(m.Title, pairs...),
	}
	for _, text := range m.Text {
		p.Text = append(p.Text, say(text, pairs...))
	}
	return p
}

// done is a message with a tick: something was carried out.
func done(m wordsMessage, pairs ...string) page {
	p := message(http.StatusOK, m, pairs...)
	p.Mark = "done"
	return p
}
