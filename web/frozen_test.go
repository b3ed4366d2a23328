package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kartotek/flows"
	"kartotek/flows/letters"
	"kartotek/store"
	"kartotek/web"
)

// leaver is the web pages on a real store, and the link that a person who
// confirmed for the list News unsubscribes by.
func leaver(t *testing.T) (desk *flows.Service, pages door, link string) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + dir + "/kartotek.db", Keys: dir + "/keys.json", Files: dir, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	desk = flows.New(s, flows.Config{PublicURL: "https://mail.example.com", Company: "Nordlys A/S", From: letters.Sender{Address: "news@example.com"}})
	if _, err := desk.AddList(t.Context(), keeper, "News"); err != nil {
		t.Fatal(err)
	}
	client := flows.Client{IP: "192.0.2.7"}
	if err := desk.SignUp(t.Context(), flows.SignUp{Slug: "news", Address: "marie.jensen@example.dk", Lang: "en", Agreed: true, Client: client}); err != nil {
		t.Fatal(err)
	}
	letters, err := desk.Spool().Claim(t.Context(), "me", 1, 0, time.Minute)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	text := strings.NewReplacer("\r\n ", "", "=\r\n", "").Replace(string(letters[0].Data))
	secret := func(of string) string {
		_, rest, ok := strings.Cut(text, "/"+of+"/")
		if !ok {
			t.Fatalf("the letter has no link to %s", of)
		}
		return rest[:43]
	}
	if page, err := desk.Confirm(t.Context(), secret("confirm"), client); err != nil || page.State != flows.PageDone {
		t.Fatalf("confirming: %v, %v", page.State, err)
	}
	return desk, door{Handler: web.Handler(web.Options{Desk: desk, PublicURL: "https://mail.example.com", Company: "Nordlys A/S"})}, "/unsubscribe/" + secret("unsubscribe")
}

var keeper = flows.Actor{Name: "anna", Role: flows.Owner}

// TestUnsubscribingFromAFrozenCard: the page's button and the one click are
// answered as ever, and done as soon as the card may change again.
func TestUnsubscribingFromAFrozenCard(t *testing.T) {
	for name, form := range map[string]url.Values{"button": {"act": {"list"}}, "all": {"act": {"all"}}, "one click": {"List-Unsubscribe": {"One-Click"}}} {
		t.Run(name, func(t *testing.T) {
			desk, pages, link := leaver(t)
			permission := func() flows.Permission {
				found, err := desk.Find(t.Context(), keeper, "marie.jensen@example.dk")
				if err != nil || len(found.Cards) != 1 {
					t.Fatalf("%d cards, %v", len(found.Cards), err)
				}
				return found.Cards[0].Permission
			}
			found, err := desk.Find(t.Context(), keeper, "marie.jensen@example.dk")
			if err != nil {
				t.Fatal(err)
			}
			id := found.Cards[0].SubscriberID
			if _, err := desk.Freeze(t.Context(), keeper, id, "disputed"); err != nil {
				t.Fatal(err)
			}
			wantStatus(t, pages.get(t, link), http.StatusOK) // looking withdraws nothing
			w := pages.post(t, link, form)
			wantStatus(t, w, http.StatusOK)
			wantText(t, w, "You are unsubscribed")
			if got := permission(); got != flows.Confirmed {
				t.Errorf("frozen, the card became %v", got)
			}
			if _, err := desk.Unfreeze(t.Context(), keeper, id, "settled"); err != nil {
				t.Fatal(err)
			}
			if got := permission(); got != flows.Unsubscribed {
				t.Errorf("unfrozen, the card is %v", got)
			}
		})
	}
}
