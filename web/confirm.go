package web

import (
	"html/template"
	"net/http"

	"kartotek/flows"
	"kartotek/flows/lang"
)

// maxToken bounds what is looked up as a token, in bytes. Real ones are
// shorter by far.
const maxToken = 256

// button is the value that the page's own button sends.
const button = "confirm"

// token is the token in r's path; one too long to be real is answered as
// unknown, and false returned.
func (s *site) token(w http.ResponseWriter, r *http.Request, unknown wordsMessage) (string, bool) {
	token := r.PathValue("token")
	if len(token) > maxToken {
		s.problem(w, r, http.StatusNotFound, unknown)
		return "", false
	}
	return token, true
}

// lookConfirm shows what a confirmation is about, and changes nothing.
func (s *site) lookConfirm(w http.ResponseWriter, r *http.Request) {
	token, ok := s.token(w, r, s.words(r).ConfirmUnknown)
	if !ok {
		return
	}
	found, err := s.desk.LookConfirm(r.Context(), token)
	if err != nil {
		s.fault(w, r, err)
		return
	}
	s.show(w, r, s.confirmPage(r, found))
}

// confirm is the click that consents. A form that is another's, such as the
// one-click POST that mail providers send to unsubscribe links, is not one.
func (s *site) confirm(w http.ResponseWriter, r *http.Request) {
	token, ok := s.token(w, r, s.words(r).ConfirmUnknown)
	if !ok || !s.readForm(w, r) {
		return
	}
	if r.ContentLength != 0 && r.PostForm.Get("act") != button {
		s.problem(w, r, http.StatusBadRequest, s.words(r).BadRequest)
		return
	}
	found, err := s.desk.Confirm(r.Context(), token, s.client(r))
	if err != nil {
		s.fault(w, r, err)
		return
	}
	s.show(w, r, s.confirmPage(r, found))
}

// consent is what the confirmation page shows.
type consent struct {
	Ask       template.HTML
	Stays     string // what a person who comes back should know
	Notice    string
	NoticeTag lang.Tag
	Until     template.HTML
	Button    string
}

// confirmPage tells where a confirmation stands.
func (s *site) confirmPage(r *http.Request, found flows.TokenPage) page {
	t := s.words(r)
	pairs := []string{"list", found.List, "address", found.MaskedAddress, "company", s.company}
	switch found.State {
	case "open":
		return s.askConfirm(r, found, pairs)
	case "done":
		return done(t.ConfirmDone, pairs...)
	case "used":
		return done(t.ConfirmUsed, pairs...)
	case "expired":
		return message(http.StatusGone, t.ConfirmExpired, pairs...)
	default:
		return message(http.StatusNotFound, t.ConfirmUnknown, pairs...)
	}
}

func (s *site) askConfirm(r *http.Request, found flows.TokenPage, pairs []string) page {
	t := s.words(r)
	title, ask, stays := t.ConfirmTitle, t.ConfirmAsk, ""
	if found.Purpose == "resubscribe" {
		title, ask, stays = t.ReturnTitle, t.ReturnAsk, t.ReturnStays
	}
	return page{
		Name:    "confirm",
		Status:  http.StatusOK,
		Title:   plain(title, pairs...),
		Heading: say(title, pairs...),
		Body: consent{
			Ask:       say(ask, pairs...),
			Stays:     stays,
			Notice:    found.Notice,
			NoticeTag: found.Lang,
			Until:     say(t.ConfirmUntil, "until", s.tag(r).FormatTime(found.Until.UTC())),
			Button:    button,
		},
	}
}
