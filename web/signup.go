package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kartotek/flows"
)

// Bounds of what the form takes, in characters.
const (
	maxFirstName = 100
	maxSlug      = 200
)

// entry is the sign-up form: what it shows, what was typed, and what is wrong
// with it. The errors are texts in the reader's language, "" where all is well.
type entry struct {
	Intro     template.HTML
	Notice    string
	NoticeSum string // SHA-256 in hex: binds what is sent to what was read

	Address, FirstName string

	AddressError, FirstNameError, AgreedError, FormError string
}

// form shows a list's empty sign-up form.
func (s *site) form(w http.ResponseWriter, r *http.Request) {
	list, ok := s.list(w, r)
	if !ok {
		return
	}
	s.showForm(w, r, http.StatusOK, list, entry{})
}

// list finds the list that r's form is for, or answers and returns false.
func (s *site) list(w http.ResponseWriter, r *http.Request) (flows.ListPage, bool) {
	slug := r.PathValue("slug")
	if len(slug) > maxSlug {
		s.notFound(w, r)
		return flows.ListPage{}, false
	}
	list, err := s.desk.FormOf(r.Context(), slug, s.tag(r))
	if err != nil {
		s.fault(w, r, err)
		return flows.ListPage{}, false
	}
	return list, true
}

// signUp takes the form. Whoever asks learns nothing about the address: known,
// unknown or erased, the answer is the same page.
func (s *site) signUp(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r) {
		return
	}
	list, ok := s.list(w, r)
	if !ok {
		return
	}
	typed := entry{Address: r.PostForm.Get("address"), FirstName: r.PostForm.Get("first_name")}
	t := s.words(r)
	sent := message(http.StatusOK, t.Sent, "list", list.List, "address", typed.Address)
	sent.Mark = "mail"
	began := time.Now()
	if r.PostForm.Get("remarks") != "" {
		s.even(r.Context(), began)
		s.show(w, r, sent) // only a robot fills what nobody sees: it learns nothing
		return
	}
	if delay := s.limits.wait(clientAddr(r, s.trusted)); delay > 0 {
		w.Header().Set("Retry-After", retryAfter(delay))
		typed.FormError = t.TooManyError
		s.showForm(w, r, http.StatusTooManyRequests, list, typed)
		return
	}
	if r.PostForm.Get("notice") != noticeSum(list.Notice) {
		typed.FormError = t.NoticeChanged
		s.showForm(w, r, http.StatusConflict, list, typed)
		return
	}
	if utf8.RuneCountInString(typed.FirstName) > maxFirstName {
		typed.FirstNameError = t.FirstNameError
		s.showForm(w, r, http.StatusUnprocessableEntity, list, typed)
		return
	}
	err := s.desk.SignUp(r.Context(), flows.SignUp{
		Slug:      list.Slug,
		Address:   typed.Address,
		FirstName: strings.TrimSpace(cleanLine(typed.FirstName)),
		Lang:      string(s.tag(r)),
		Notice:    list.Notice,
		Agreed:    agreed(r),
		Client:    s.client(r),
	})
	if err != nil {
		s.signUpFailed(w, r, list, typed, err)
		return
	}
	s.even(r.Context(), began)
	s.show(w, r, sent)
}

// even waits until an answer takes a whole number of beats since it began: a
// sign-up that changes nothing is done sooner, which would tell that the
// address is on the list.
func (s *site) even(ctx context.Context, began time.Time) {
	if s.beat <= 0 {
		return
	}
	rest := time.NewTimer(s.beat - time.Since(began)%s.beat)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

func agreed(r *http.Request) bool { return r.PostForm.Get("agreed") == "yes" }

// signUpFailed shows the form again if what was typed was at fault.
func (s *site) signUpFailed(w http.ResponseWriter, r *http.Request, list flows.ListPage, typed entry, err error) {
	var input *flows.InputError
	if !errors.As(err, &input) {
		s.fault(w, r, err)
		return
	}
	t := s.words(r)
	switch input.Field {
	case "address":
		typed.AddressError = t.AddressError
	case "agreed":
		typed.AgreedError = t.AgreedError
	default: // a field that this form doesn't have
		s.problem(w, r, http.StatusBadRequest, t.BadRequest)
		return
	}
	if !agreed(r) {
		typed.AgreedError = t.AgreedError // both at once, whichever was met first
	}
	s.showForm(w, r, http.StatusUnprocessableEntity, list, typed)
}

func (s *site) showForm(w http.ResponseWriter, r *http.Request, status int, list flows.ListPage, e entry) {
	t := s.words(r)
	e.Intro = say(t.SignUpIntro, "list", list.List, "company", s.company)
	e.Notice, e.NoticeSum = list.Notice, noticeSum(list.Notice)
	title := plain(t.SignUpTitle, "list", list.List)
	if status != http.StatusOK {
		title = t.ErrorPrefix + title
	}
	s.show(w, r, page{
		Name:    "signup",
		Status:  status,
		Title:   title,
		Heading: say(t.SignUpTitle, "list", list.List),
		Body:    e,
	})
}

// noticeSum is the SHA-256 of a notice in hex.
func noticeSum(notice string) string {
	sum := sha256.Sum256([]byte(notice))
	return hex.EncodeToString(sum[:])
}

// retryAfter is delay in whole seconds, rounded up (RFC 9110 section 10.2.3).
func retryAfter(delay time.Duration) string {
	return strconv.Itoa(int(math.Ceil(delay.Seconds())))
}
