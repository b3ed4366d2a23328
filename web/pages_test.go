package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"kartotek/flows"
	"kartotek/flows/lang"
)

// routes are one address per route and state, with what each method answers.
var routes = []struct {
	path             string
	get, post, other int
}{
	{"/", 200, 405, 405},
	{"/healthz", 200, 405, 405},
	{"/robots.txt", 200, 405, 405},
	{"/confirm/open", 200, 200, 405},
	{"/confirm/return", 200, 200, 405},
	{"/confirm/used", 200, 200, 405},
	{"/confirm/expired", 410, 410, 405},
	{"/confirm/unknown", 404, 404, 405},
	{"/confirm/" + strings.Repeat("x", 3000), 404, 404, 405},
	{"/unsubscribe/open", 200, 400, 405},
	{"/unsubscribe/unknown", 404, 400, 405},
	{"/signup/garden", 200, 409, 405},
	{"/signup/nowhere", 404, 404, 405},
	{"/signup/" + strings.Repeat("x", 3000), 404, 404, 405},
	{"/nothing", 404, 404, 404},
	{"/confirm/open/more", 404, 404, 404},
	{"//confirm//open", 404, 404, 404},
	{"/confirm/a%2F..%2F..%2Fb", 404, 404, 404},
}

func TestEveryRouteMethodAndLanguage(t *testing.T) {
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "MADE-UP"}
	for _, route := range routes {
		for _, method := range methods {
			want := map[string]int{"GET": route.get, "HEAD": route.get, "POST": route.post}[method]
			if want == 0 {
				want = route.other
			}
			for _, tag := range lang.All() {
				d := newDoor(t)
				r := httptest.NewRequest(method, route.path, nil)
				r.Header.Set("Accept-Language", string(tag)+", en;q=0.5")
				w := d.do(t, r)
				if w.Code != want {
					t.Errorf("%s %.40s (%s): status %d, want %d", method, route.path, tag, w.Code, want)
				}
				checkAnswer(t, method+" "+route.path, w, tag)
				click := method == "POST" && strings.HasPrefix(route.path, "/confirm/")
				if n := d.desk.changes(); n != 0 && !click {
					t.Errorf("%s %.40s changed something", method, route.path)
				}
			}
		}
	}
}

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// checkAnswer holds for every answer, errors included.
func checkAnswer(t *testing.T, what string, w *httptest.ResponseRecorder, tag lang.Tag) {
	t.Helper()
	h := w.Header()
	for name, want := range map[string]string{
		"Referrer-Policy":           "no-referrer",
		"X-Content-Type-Options":    "nosniff",
		"X-Robots-Tag":              "noindex, nofollow",
		"Cache-Control":             "no-store",
		"Strict-Transport-Security": "max-age=31536000",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%.60s: %s: %q, want %q", what, name, got, want)
		}
	}
	if h.Get("Permissions-Policy") == "" || h.Get("Set-Cookie") != "" || h.Get("Location") != "" {
		t.Errorf("%.60s: headers %v", what, h)
	}
	for _, part := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), part) {
			t.Errorf("%.60s: policy lacks %s", what, part)
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
		t.Errorf("%.60s: lax policy", what)
	}
	if !strings.HasPrefix(h.Get("Content-Type"), "text/html") || w.Body.Len() == 0 {
		return
	}
	if h.Get("Content-Language") != string(tag) || h.Get("Vary") != "Accept-Language" {
		t.Errorf("%.60s: language %q, want %q; vary %q", what, h.Get("Content-Language"), tag, h.Get("Vary"))
	}
	body := w.Body.String()
	if !strings.Contains(body, `<html lang="`+string(tag)+`">`) {
		t.Errorf("%.60s: not marked as %s", what, tag)
	}
	sum := sha256.Sum256([]byte(styleElement.FindStringSubmatch(body)[1]))
	if !strings.Contains(h.Get("Content-Security-Policy"), base64.StdEncoding.EncodeToString(sum[:])) {
		t.Errorf("%.60s: the style sheet isn't the one the policy allows", what)
	}
	for _, banned := range []string{"<script", " style=", "http://", "https://", "<img", "<link", "<iframe", " checked"} {
		if strings.Contains(body, banned) {
			t.Errorf("%.60s: holds %s", what, banned)
		}
	}
}

func TestHeadAndOptions(t *testing.T) {
	d := newDoor(t)
	for _, path := range []string{"/", "/confirm/open", "/unsubscribe/open", "/signup/garden", "/nothing"} {
		if w := d.do(t, httptest.NewRequest(http.MethodHead, path, nil)); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d bytes, length %q", path, w.Body.Len(), w.Header().Get("Content-Length"))
		}
	}
	w := d.do(t, httptest.NewRequest(http.MethodOptions, "/confirm/open", nil))
	wantStatus(t, w, http.StatusNoContent)
	if got := w.Header().Get("Allow"); got != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("Allow: %q", got)
	}
	if got := d.do(t, httptest.NewRequest(http.MethodPost, "/", nil)).Header().Get("Allow"); got != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow: %q", got)
	}
}

// TestLookingChangesNothing: whatever a robot fetches, with whatever method but
// POST, and whatever form it posts that is not the page's own.
func TestLookingChangesNothing(t *testing.T) {
	d := newDoor(t)
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST"}).Draw(t, "method")
		path := rapid.SampledFrom([]string{"/confirm/open", "/unsubscribe/open", "/signup/garden", "/confirm/return"}).Draw(t, "path")
		query := rapid.SampledFrom([]string{"", "?act=confirm", "?act=all&List-Unsubscribe=One-Click", "?agreed=yes&address=a@b.dk", "?%zz"}).Draw(t, "query")
		body := rapid.SampledFrom([]string{"act=", "act=open", "List-Unsubscribe=", "a=b"}).Draw(t, "body")
		r := httptest.NewRequest(method, path+query, strings.NewReader(body))
		r.Header.Set("Content-Type", rapid.SampledFrom([]string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"}).Draw(t, "type"))
		r.Header.Set("Sec-Purpose", "prefetch")
		d.ServeHTTP(httptest.NewRecorder(), r)
		if d.desk.changes() != 0 {
			t.Fatalf("%s %s%s changed something", method, path, query)
		}
	})
}

func TestConfirmPage(t *testing.T) {
	d := newDoor(t)
	w := d.get(t, "/confirm/open?lang=en")
	wantText(t, w, "Please confirm your sign-up", "<bdi>mar**.******@example.dk</bdi>", "<bdi>Garden letter</bdi>",
		theNotice, `lang="da" dir="auto"`, "4 March 2030, 05:06 UTC", `name="act" value="confirm"`)
	if n := strings.Count(w.Body.String(), "<button"); n != 1 {
		t.Errorf("%d buttons", n)
	}
	wantText(t, d.get(t, "/confirm/return"), "Do you want our mail again?", "Whatever was deleted stays deleted.")

	wantText(t, newDoor(t).do(t, httptest.NewRequest(http.MethodPost, "/confirm/open", nil)), "confirmed")
	click := url.Values{"act": {"confirm"}}
	w = d.post(t, "/confirm/open", click)
	wantStatus(t, w, http.StatusOK)
	wantText(t, w, "Thank you, that is confirmed")
	w = d.post(t, "/confirm/open", click)
	wantStatus(t, w, http.StatusOK)
	wantText(t, w, "You have already confirmed")
	wantText(t, d.get(t, "/confirm/open"), "You have already confirmed")
	if len(d.desk.confirms) != 1 {
		t.Errorf("confirmed %d times", len(d.desk.confirms))
	}
	w = d.post(t, "/confirm/expired", click)
	wantStatus(t, w, http.StatusGone)
	wantText(t, w, "sign up again")
	w = d.post(t, "/confirm/unknown", click)
	wantStatus(t, w, http.StatusNotFound)
	wantText(t, w, "sign up again")
}

func TestUnsubscribePage(t *testing.T) {
	d := newDoor(t)
	wantText(t, d.get(t, "/unsubscribe/open"), `value="list"`, `value="all"`, "<bdi>Offers</bdi>", "<bdi>mar**.******@example.dk</bdi>")
	wantText(t, d.post(t, "/unsubscribe/open", url.Values{"act": {"list"}}), "no more mail from the list")
	wantText(t, d.post(t, "/unsubscribe/open", url.Values{"act": {"all"}}), "any of our lists")
	if got := strings.Join(d.desk.leaves, ", "); got != "open list, open all" {
		t.Errorf("left %s", got)
	}
	d.desk.address = ""
	wantText(t, d.get(t, "/unsubscribe/open"), "Do you no longer want mail from the list")
	wantStatus(t, d.post(t, "/unsubscribe/unknown", url.Values{"act": {"list"}}), http.StatusNotFound)
}

// TestOneClick follows RFC 8058 section 3.1 and its examples.
func TestOneClick(t *testing.T) {
	multipart := "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"
	for _, test := range []struct{ name, contentType, body string }{
		{"urlencoded", "application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"},
		{"with charset", "application/x-www-form-urlencoded; charset=UTF-8", "List-Unsubscribe=One-Click"},
		{"multipart", "multipart/form-data; boundary=x", multipart},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDoor(t)
			for range 2 {
				r := httptest.NewRequest(http.MethodPost, "/unsubscribe/open", strings.NewReader(test.body))
				r.Header.Set("Content-Type", test.contentType)
				w := d.do(t, r)
				wantStatus(t, w, http.StatusOK)
				checkAnswer(t, test.name, w, lang.English)
			}
			if got := strings.Join(d.desk.leaves, ", "); got != "open list, open list" {
				t.Errorf("left %s", got)
			}
		})
	}
	t.Run("one provider posts for many", func(t *testing.T) {
		d := newDoor(t)
		for range 50 {
			wantStatus(t, d.post(t, "/unsubscribe/open", url.Values{"List-Unsubscribe": {"One-Click"}}), http.StatusOK)
		}
	})
}

func TestTooLargeAndMalformedBodies(t *testing.T) {
	part := "--x\r\nContent-Disposition: form-data; name=\"address\"\r\n\r\n"
	for _, test := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"large form", "application/x-www-form-urlencoded", "address=" + strings.Repeat("a", 65<<10), 413},
		{"large part", "multipart/form-data; boundary=x", part + strings.Repeat("a", 65<<10) + "\r\n--x--\r\n", 413},
		{"torn part", "multipart/form-data; boundary=x", part + "a", 400},
		{"no boundary", "multipart/form-data", part, 400},
		{"bad escape", "application/x-www-form-urlencoded", "address=%zz", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/signup/garden", "/confirm/open", "/unsubscribe/open"} {
				d := newDoor(t)
				r := httptest.NewRequest(http.MethodPost, path+"?lang=sv", strings.NewReader(test.body))
				r.Header.Set("Content-Type", test.contentType)
				w := d.do(t, r)
				wantStatus(t, w, test.want)
				checkAnswer(t, test.name, w, lang.Swedish)
			}
		})
	}
}

func TestFaultsAndRefusals(t *testing.T) {
	const secret = "marie.jensen@example.dk"
	for _, test := range []struct {
		name   string
		fail   error
		panics any
		want   int
		text   string
	}{
		{"fault", errors.New("the disk is full"), nil, 500, "Something went wrong here"},
		{"the database is away", fmt.Errorf("confirming: %w", flows.ErrAway), nil, 503, "try again in a few minutes"},
		{"the database is busy", flows.ErrBusy, nil, 503, "try again in a few minutes"},
		{"refusal", &flows.Refusal{Why: "frozen"}, nil, 409, "This cannot be done at the moment"},
		{"gone", flows.ErrNotFound, nil, 404, "This page does not exist"},
		{"panic", nil, errors.New(secret), 500, "Something went wrong here"},
		{"panic with text", nil, secret, 500, "Something went wrong here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/confirm/t0k3n-open", "/unsubscribe/t0k3n-open", "/signup/garden"} {
				d := newDoor(t)
				d.desk.fail, d.desk.panics = test.fail, test.panics
				w := d.get(t, path)
				wantStatus(t, w, test.want)
				wantText(t, w, test.text)
				checkAnswer(t, test.name, w, lang.English)
				if strings.Contains(d.log.String()+w.Body.String(), secret) || strings.Contains(d.log.String(), "t0k3n") {
					t.Errorf("%s: something personal got out: %s", path, d.log)
				}
				if (w.Header().Get("Retry-After") != "") != (test.want == 503) {
					t.Errorf("%s: Retry-After: %q", path, w.Header().Get("Retry-After"))
				}
				if test.want >= 500 && !strings.Contains(d.log.String(), `"level":"ERROR"`) {
					t.Errorf("%s: no word in the log", path)
				}
			}
		})
	}
}

func TestLogHoldsNothingPersonal(t *testing.T) {
	d := newDoor(t)
	r := formRequest("/confirm/s3cr3t-token?lang=da&mail=marie@example.dk", url.Values{"act": {"confirm"}})
	r.RemoteAddr = "198.51.100.77:4711"
	r.Header.Set("User-Agent", "Agent/1")
	d.do(t, r)
	d.do(t, httptest.NewRequest("S3CR3T", "/s3cr3t", nil))
	d.get(t, "//confirm/s3cr3t")
	d.post(t, "/signup/garden", d.filled(t, "marie@example.dk"))
	for _, personal := range []string{"s3cr3t", "S3CR3T", "marie", "198.51", "192.0.2", "Agent", "lang=da"} {
		if strings.Contains(d.log.String(), personal) {
			t.Errorf("the log holds %q: %s", personal, d.log)
		}
	}
	for _, want := range []string{`"route":"/confirm/{token}"`, `"route":"none"`, `"method":"other"`, `"status":404`} {
		if !strings.Contains(d.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, d.log)
		}
	}
}

func TestPlainPages(t *testing.T) {
	d := newDoor(t)
	wantText(t, d.get(t, "/?lang=da"), "Mails fra <bdi>Nordlys A/S</bdi>")
	if got := d.get(t, "/healthz").Body.String(); got != "ok\n" {
		t.Errorf("health: %q", got)
	}
	wantText(t, d.get(t, "/robots.txt"), "User-agent: *\nDisallow: /\n")
	w := d.do(t, httptest.NewRequest(http.MethodGet, "/?lang=xx", nil))
	checkAnswer(t, "unknown language", w, lang.English)
}

// TestHostileTexts puts texts that people or companies might enter into every
// page and parses it as a browser does: nothing of them may become markup.
func TestHostileTexts(t *testing.T) {
	for _, text := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onfocus='x`, `</bdi></h1><form>`, `{list}{address}`,
		"\u202e\u2066right to left\u200f", "a\r\nSet-Cookie: x=y\r\n\r\n", "bad\xff\xfe\x00\x1b[31mred", strings.Repeat("å", 10_000), `{{.Company}}`, `</title></style>`,
	} {
		d := newDoor(t)
		d.desk.list, d.desk.notice, d.desk.address = text, text, text
		form := d.filled(t, text+"@example.dk")
		delete(form, "agreed")
		form.Set("first_name", text)
		pages := []*httptest.ResponseRecorder{
			d.get(t, "/confirm/open"), d.get(t, "/confirm/done"), d.get(t, "/unsubscribe/open"), d.get(t, "/signup/garden"),
			d.post(t, "/signup/garden", form), d.post(t, "/signup/garden", d.filled(t, text+"@example.dk")),
		}
		for i, w := range pages {
			checkAnswer(t, "hostile page", w, lang.English)
			checkMarkup(t, i, w.Body.String())
		}
	}
}

// checkMarkup walks a page and fails on an element, attribute or character
// that isn't the page's own.
func checkMarkup(t *testing.T, page int, body string) {
	t.Helper()
	if strings.ToValidUTF8(body, "") != body || strings.ContainsAny(body, "\x00\x1b") {
		t.Errorf("page %d: stray characters", page)
	}
	title := body[strings.Index(body, "<title>"):strings.Index(body, "</title>")]
	if strings.ContainsAny(title, "\u202e\u2066\u200f\r\n") {
		t.Errorf("page %d: title %q", page, title)
	}
	forms := 0
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		if z.Next() == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				t.Error(z.Err())
			}
			break
		}
		token := z.Token()
		if token.Type == html.StartTagToken && token.Data == "form" {
			forms++
		}
		if token.Data == "script" || token.Data == "img" {
			t.Errorf("page %d: <%s>", page, token.Data)
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Errorf("page %d: attribute %s", page, a.Key)
			}
		}
	}
	if forms > 1 {
		t.Errorf("page %d: %d forms", page, forms)
	}
}
