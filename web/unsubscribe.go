package web

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"kartotek/flows"
)

// lookUnsubscribe shows what can be left, and changes nothing.
func (s *site) lookUnsubscribe(w http.ResponseWriter, r *http.Request) {
	token, ok := s.token(w, r, s.words(r).LeaveUnknown)
	if !ok {
		return
	}
	found, err := s.desk.LookUnsubscribe(r.Context(), token)
	if err != nil {
		s.fault(w, r, err)
		return
	}
	s.show(w, r, s.leavePage(r, found, false))
}

// unsubscribe takes the page's buttons and the mail provider's one-click POST,
// which acts at once, without cookie, referrer or redirect (RFC 8058 section
// 3.2). It isn't limited per client: one provider posts for many people.
func (s *site) unsubscribe(w http.ResponseWriter, r *http.Request) {
	token, ok := s.token(w, r, s.words(r).LeaveUnknown)
	if !ok || !s.readForm(w, r) {
		return
	}
	act := r.PostForm.Get("act")
	oneClick := strings.EqualFold(r.PostForm.Get("List-Unsubscribe"), "One-Click")
	if act != "list" && act != "all" && !oneClick {
		s.problem(w, r, http.StatusBadRequest, s.words(r).BadRequest)
		return
	}
	found, err := s.desk.UnsubscribeByToken(r.Context(), token, act == "all", s.client(r))
	if err != nil {
		s.fault(w, r, err)
		return
	}
	s.show(w, r, s.leavePage(r, found, act == "all"))
}

// leaving is what the unsubscribe page shows.
type leaving struct {
	Ask   template.HTML
	List  template.HTML // the button of this list
	All   string        // the button of all lists; empty when there is no other
	Lists []string      // those that the address is on, if All
}

// leavePage tells where an unsubscription stands; all says that every list was
// just left.
func (s *site) leavePage(r *http.Request, found flows.TokenPage, all bool) page {
	t := s.words(r)
	pairs := []string{"list", found.List, "address", found.MaskedAddress, "company", s.company}
	switch found.State {
	case "open":
		return s.askLeave(r, found, pairs)
	case "done", "used":
		if all || found.List == "" {
			return done(t.LeftAll, pairs...)
		}
		return done(t.Left, pairs...)
	case "expired":
		return message(http.StatusGone, t.LeaveUnknown, pairs...)
	default:
		return message(http.StatusNotFound, t.LeaveUnknown, pairs...)
	}
}

func (s *site) askLeave(r *http.Request, found flows.TokenPage, pairs []string) page {
	t := s.words(r)
	body := leaving{Ask: say(t.LeaveAsk, pairs...), List: say(t.LeaveList, pairs...)}
	if found.MaskedAddress == "" {
		body.Ask = say(t.LeaveAskList, pairs...)
	}
	other := func(list string) bool { return list != found.List }
	if slices.ContainsFunc(found.Lists, other) {
		body.Lists, body.All = found.Lists, t.LeaveAll
	}
	return page{
		Name:    "unsubscribe",
		Status:  http.StatusOK,
		Title:   plain(t.LeaveTitle, pairs...),
		Heading: say(t.LeaveTitle, pairs...),
		Body:    body,
	}
}
