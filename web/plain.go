package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"kartotek/flows"
)

// maxBody bounds the body of a POST, in bytes.
const maxBody = 64 << 10

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, message(http.StatusOK, s.words(r).Home, "company", s.company))
}

// health says that the process answers, nothing more.
func (s *site) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// robots asks crawlers to stay away altogether (RFC 9309).
func (s *site) robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "User-agent: *\nDisallow: /\n")
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, http.StatusNotFound, s.words(r).NotFound)
}

func (s *site) problem(w http.ResponseWriter, r *http.Request, status int, m wordsMessage) {
	s.show(w, r, message(status, m, "company", s.company))
}

// fault answers for a call of Desk that failed. Errors of flows hold nothing
// personal by the rule of that room, so they may be logged.
func (s *site) fault(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *flows.Refusal
	switch {
	case errors.Is(err, flows.ErrNotFound):
		s.notFound(w, r)
	case errors.As(err, &refusal):
		s.problem(w, r, http.StatusConflict, s.words(r).Refused)
	default:
		if !errors.Is(err, context.Canceled) { // else the reader left
			s.log.ErrorContext(r.Context(), "web request failed", "route", route(r), "error", err)
		}
		status := http.StatusInternalServerError
		if errors.Is(err, flows.ErrAway) || errors.Is(err, flows.ErrBusy) || errors.Is(err, flows.ErrNewer) {
			status = http.StatusServiceUnavailable // who posts by program comes again (RFC 9110 section 15.6.4)
			w.Header().Set("Retry-After", comeAgain)
		}
		s.problem(w, r, status, s.words(r).Fault)
	}
}

// comeAgain is when a request may be tried again that the database didn't
// answer, in seconds.
const comeAgain = "30"

// readForm reads r's body into r.PostForm, urlencoded or multipart/form-data.
// If that fails it answers, and returns false.
func (s *site) readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		err = r.ParseMultipartForm(maxBody) // all in memory: it can't be more
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.Header().Set("Connection", "close") // rather than read the rest
		s.problem(w, r, http.StatusRequestEntityTooLarge, s.words(r).TooLarge)
		return false
	case err != nil:
		s.problem(w, r, http.StatusBadRequest, s.words(r).BadRequest)
		return false
	}
	return true
}
