package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// deskTimeout bounds what one request may take behind Desk.
const deskTimeout = 20 * time.Second

// securityPolicy allows the page's own style sheet, by its hash, and forms that
// post back here. Nothing else loads, runs, or frames a page.
var securityPolicy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// guard stands before every route: it sets the headers that every answer has,
// turns a panic into a page, and writes the one log line.
func (s *site) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), deskTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		s.setHeaders(w.Header())
		recorded, began := &recorder{ResponseWriter: w}, time.Now()
		defer func() {
			if p := recover(); p != nil {
				s.panicked(recorded, r, p)
			}
			s.observe(knownMethod(r.Method), route(r), recorded.status, time.Since(began))
			s.log.InfoContext(ctx, "web request", "method", knownMethod(r.Method), "route", route(r), "status", recorded.status)
		}()
		// The mux would redirect a path such as "//confirm/x" in English and
		// with the token in a header; it is simply no page.
		if r.URL.Path != path.Clean(r.URL.Path) {
			s.notFound(recorded, r)
			return
		}
		next.ServeHTTP(recorded, r)
	})
}

func (s *site) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", securityPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// panicked answers for a handler that panicked. The value of a panic may hold
// anything, so only its type is logged, and where it happened.
func (s *site) panicked(w *recorder, r *http.Request, value any) {
	s.log.ErrorContext(r.Context(), "web handler panicked",
		"route", route(r), "type", fmt.Sprintf("%T", value), "at", callers())
	if w.status != 0 {
		// Half an answer is out; let the connection break rather than pretend.
		panic(http.ErrAbortHandler)
	}
	s.problem(w, r, http.StatusInternalServerError, s.words(r).Fault)
}

// callers names the functions of ours and others' that the panic came through.
func callers() []string {
	frames := runtime.CallersFrames(callerPCs())
	var names []string
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more {
			return names
		}
	}
}

func callerPCs() []uintptr {
	pcs := make([]uintptr, 16)
	const ownFrames = 4 // Callers, callerPCs, callers, panicked
	return pcs[:runtime.Callers(ownFrames, pcs)]
}

// route is the pattern that r matched: unlike its path it holds no token.
func route(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "none"
	}
	return r.Pattern
}

// knownMethod keeps made-up methods, which can be any text, out of the log.
func knownMethod(m string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if slices.Contains(known, m) {
		return m
	}
	return "other"
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// methods are the handlers of one route.
type methods map[string]http.HandlerFunc

// only answers HEAD as GET without a body, OPTIONS with what is allowed, and
// any other method that m lacks with 405 (RFC 9110 sections 9.3.7, 15.5.6).
func (s *site) only(m methods) http.Handler {
	allowed := []string{http.MethodGet, http.MethodHead, http.MethodOptions}
	if m[http.MethodPost] != nil {
		allowed = append(allowed, http.MethodPost)
	}
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if handle := m[method]; handle != nil {
			handle(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		if method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		s.problem(w, r, http.StatusMethodNotAllowed, s.words(r).WrongMethod)
	})
}
