package web_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kartotek/flows"
	"kartotek/flows/lang"
	"kartotek/web"
)

const theNotice = "I agree that Nordlys may send me mail.\n\nI can withdraw this at any time."

var _ web.Desk = (*flows.Service)(nil)

// fakeDesk answers by the token's text, which is the state it has, and keeps
// what it was asked to change. A confirmation is taken once.
type fakeDesk struct {
	mu       sync.Mutex
	list     string
	notice   string
	address  string
	confirms []string
	leaves   []string
	signUps  []flows.SignUp
	clients  []flows.Client
	fail     error
	panics   any
	work     time.Duration // that a sign-up takes
}

func newDesk() *fakeDesk {
	return &fakeDesk{list: "Garden letter", notice: theNotice, address: "mar**.******@example.dk"}
}

func (d *fakeDesk) changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.confirms) + len(d.leaves) + len(d.signUps)
}

func (d *fakeDesk) look(token string, once bool) (flows.TokenPage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panics != nil {
		panic(d.panics)
	}
	page := flows.TokenPage{
		State: token, Purpose: "sign-up", List: d.list, MaskedAddress: d.address, Lang: lang.Danish,
		Until: time.Date(2030, 3, 4, 5, 6, 0, 0, time.UTC), Notice: d.notice, Lists: []string{d.list, "Offers"},
	}
	switch {
	case token == "return":
		page.State, page.Purpose = flows.PageOpen, "resubscribe"
	case once && token == flows.PageOpen && len(d.confirms) > 0:
		page.State = flows.PageUsed
	}
	return page, d.fail
}

func (d *fakeDesk) FormOf(_ context.Context, slug string, _ lang.Tag) (flows.ListPage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panics != nil {
		panic(d.panics)
	}
	if slug != "garden" {
		return flows.ListPage{}, flows.ErrNotFound
	}
	return flows.ListPage{List: d.list, Slug: slug, Notice: d.notice}, d.fail
}

func (d *fakeDesk) SignUp(_ context.Context, s flows.SignUp) error {
	time.Sleep(d.work)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.Contains(s.Address, "@") {
		return &flows.InputError{Field: "address"}
	}
	if !s.Agreed {
		return &flows.InputError{Field: "agreed"}
	}
	d.signUps = append(d.signUps, s)
	return d.fail
}

func (d *fakeDesk) LookConfirm(_ context.Context, token string) (flows.TokenPage, error) {
	return d.look(token, true)
}

func (d *fakeDesk) Confirm(_ context.Context, token string, from flows.Client) (flows.TokenPage, error) {
	page, err := d.look(token, true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if page.State == flows.PageOpen {
		page.State = flows.PageDone
		d.confirms = append(d.confirms, token)
		d.clients = append(d.clients, from)
	}
	return page, err
}

func (d *fakeDesk) LookUnsubscribe(_ context.Context, token string) (flows.TokenPage, error) {
	return d.look(token, false)
}

func (d *fakeDesk) UnsubscribeByToken(_ context.Context, token string, all bool, from flows.Client) (flows.TokenPage, error) {
	page, err := d.look(token, false)
	d.mu.Lock()
	defer d.mu.Unlock()
	if page.State == flows.PageOpen {
		page.State = flows.PageDone
		what := " list"
		if all {
			what = " all"
		}
		d.leaves = append(d.leaves, token+what)
		d.clients = append(d.clients, from)
	}
	return page, err
}

// door is the site on a fake desk, with what it logged.
type door struct {
	http.Handler
	desk *fakeDesk
	log  *bytes.Buffer
}

func newDoor(t *testing.T, trusted ...netip.Prefix) door {
	t.Helper()
	d := door{desk: newDesk(), log: new(bytes.Buffer)}
	d.Handler = web.Handler(web.Options{
		Desk: d.desk, PublicURL: "https://mail.example.com", Company: "Nordlys A/S", TrustedProxies: trusted,
		Log: slog.New(slog.NewJSONHandler(d.log, nil)),
	})
	return d
}

func (d door) do(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func (d door) get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	return d.do(t, httptest.NewRequest(http.MethodGet, target, nil))
}

func (d door) post(t *testing.T, target string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	return d.do(t, formRequest(target, form))
}

func formRequest(target string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

var noticeField = regexp.MustCompile(`name="notice" value="([0-9a-f]{64})"`)

// filled is the sign-up form as a browser sends it after the visitor's typing.
func (d door) filled(t *testing.T, address string) url.Values {
	t.Helper()
	sum := noticeField.FindStringSubmatch(d.get(t, "/signup/garden").Body.String())
	if sum == nil {
		t.Fatal("the form binds no notice")
	}
	return url.Values{"address": {address}, "notice": {sum[1]}, "agreed": {"yes"}}
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Errorf("status %d, want %d", w.Code, want)
	}
}

func wantText(t *testing.T, w *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("page lacks %q", text)
		}
	}
}
