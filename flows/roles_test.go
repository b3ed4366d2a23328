package flows

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kartotek/flows/letters"
	"kartotek/store"
)

// reach is a method of the service that staff call: the roles of DESIGN
// section 7 that may, and a call that gets as far as the role is looked at.
type reach struct {
	roles string
	call  func(context.Context, *Service, Actor) error
}

// The roles that each part of section 7 names; an owner may do what operators may.
const (
	lookers   = "support marketer operator owner"
	marketers = "marketer operator owner"
	operators = "operator owner"
	owners    = "owner"
	readers   = "owner auditor"
)

// err2 is the error of a call that answers something as well.
func err2[T any](_ T, err error) error { return err }

// nobody is a SubscriberID that there isn't.
const nobody = 987654321

// reached are all methods that take an actor.
var reached = map[string]reach{
	"Find": {lookers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Find(ctx, a, "nobody@example.com"))
	}},
	"FindOpened": {lookers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.FindOpened(ctx, a, "nobody@example.com"))
	}},
	"Open":     {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Open(ctx, a, nobody, nil)) }},
	"Browse":   {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Browse(ctx, a, Page{})) }},
	"Lists":    {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Lists(ctx, a)) }},
	"Overview": {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Overview(ctx, a)) }},
	"Outbox":   {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Outbox(ctx, a, "", 0, 1)) }},
	"Story":    {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Story(ctx, a, nobody)) }},
	"Letter":   {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Letter(ctx, a, nobody)) }},

	"Unsubscribe": {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Unsubscribe(ctx, a, nobody, "")) }},
	"UndoUnsubscribe": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.UndoUnsubscribe(ctx, a, nobody))
	}},
	"Resubscribe": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Resubscribe(ctx, a, Resubscription{Address: "nobody@example.com", List: "News", Asked: "by telephone"}))
	}},
	"Import": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Import(ctx, a, "/dev/null/people.csv", ImportOptions{List: "News"}, nil))
	}},
	"ImportActivity": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.ImportActivity(ctx, a, "/dev/null/people.csv", ActivityOptions{}, nil))
	}},
	"Follow": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return s.Follow(ctx, a, "/dev/null/at/all", FollowOptions{}, nil)
	}},
	"Sample":  {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Sample(ctx, a, 0, nil)) }},
	"AddList": {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.AddList(ctx, a, "")) }},
	"SetListSender": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.SetListSender(ctx, a, "Nowhere", letters.Sender{}))
	}},
	"OutboxStats": {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.OutboxStats(ctx, a)) }},
	"Destinations": {lookers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Destinations(ctx, a))
	}},
	"ClearAlarms": {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.ClearAlarms(ctx, a, time.Time{})) }},
	"AllowMail": {marketers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AllowMail(ctx, a, "nobody@example.com", "the mailbox was mended"))
	}},
	"Retry":   {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Retry(ctx, a, nobody)) }},
	"Hold":    {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Hold(ctx, a, nobody)) }},
	"Release": {marketers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Release(ctx, a, nobody)) }},
	"Drop":    {marketers, func(ctx context.Context, s *Service, a Actor) error { return s.Drop(ctx, a, nobody, "by mistake") }},

	"Erase": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Erase(ctx, a, "987654321", "asked for it"))
	}},
	"Export": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Export(ctx, a, "987654321", nil, "json", ""))
	}},
	"ExportTo": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return s.ExportTo(ctx, a, "987654321", "json", io.Discard)
	}},
	"Correct": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Correct(ctx, a, nobody, "city", ""))
	}},
	"Freeze": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Freeze(ctx, a, nobody, "disputed"))
	}},
	"Unfreeze": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Unfreeze(ctx, a, nobody, "settled"))
	}},
	"Mailbox": {operators, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Mailbox(ctx, a, 1)) }},
	"Mail":    {operators, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Mail(ctx, a, nobody)) }},

	"Requests": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Requests(ctx, a, "", 0, 1))
	}},
	"Request": {operators, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Request(ctx, a, nobody)) }},
	"AddRequest": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AddRequest(ctx, a, NewRequest{Kind: KindErase, SubscriberID: nobody}))
	}},
	"CloseRequest": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.CloseRequest(ctx, a, nobody, false, ""))
	}},
	"AskExport": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AskExport(ctx, a, BulkWish{All: true, Reason: "yearly copy"}))
	}},
	"FetchExport": {operators, func(ctx context.Context, s *Service, a Actor) error {
		return s.FetchExport(ctx, a, nobody, io.Discard)
	}},
	"Approve": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Approve(ctx, a, nobody, nil)) }},
	"Reject":  {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Reject(ctx, a, nobody, "")) }},
	"Reveal": {lookers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Reveal(ctx, a, nobody, RevealEmail, "the person is on the telephone"))
	}},
	"OwnKinds": {lookers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.OwnKinds(ctx, a)) }},
	"AddOwnKind": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AddOwnKind(ctx, a, OwnKind{Name: "size", Kind: "text"}))
	}},
	"MarkOwnKind": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.MarkOwnKind(ctx, a, "size", true))
	}},
	"SenderKeys": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.SenderKeys(ctx, a, "example.com"))
	}},
	"MakeSigningKeys": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.MakeSigningKeys(ctx, a, "", false, func(string) ([]SigningKey, error) { return nil, io.EOF }))
	}},
	"Staff": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Staff(ctx, a)) }},
	"AddStaff": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AddStaff(ctx, a, "bob", Support, ""))
	}},
	"SetRole": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.SetRole(ctx, a, "none", Support)) }},
	"EnableStaff": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.EnableStaff(ctx, a, "none", false))
	}},
	"AddStaffKey": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AddStaffKey(ctx, a, "none", "ssh-ed25519"))
	}},
	"RemoveStaffKey": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.RemoveStaffKey(ctx, a, "none", "SHA256:"))
	}},
	"Examine": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Examine(ctx, a)) }},
	"ExamineDeeply": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.ExamineDeeply(ctx, a, nil))
	}},
	"MendDeeply": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.MendDeeply(ctx, a, nil))
	}},
	"Keys":       {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Keys(ctx, a)) }},
	"RotateKeys": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.RotateKeys(ctx, a, nil)) }},
	"DestroyKey": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.DestroyKey(ctx, a, "none")) }},
	"AddPepper":  {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.AddPepper(ctx, a, nil)) }},

	"Backup": {owners, func(ctx context.Context, s *Service, a Actor) error { return s.Backup(ctx, a, "/dev/null/all.db") }},
	"Copy": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Copy(ctx, a, s.store, nil))
	}},
	"Journal":         {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Journal(ctx, a)) }},
	"RenewingJournal": {owners, func(ctx context.Context, s *Service, a Actor) error { return s.RenewingJournal(ctx, a) }},
	"Restoring":       {owners, func(ctx context.Context, s *Service, a Actor) error { return s.Restoring(ctx, a, "the disk was lost") }},
	"Restored": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Restored(ctx, a, "the disk was lost", true))
	}},
	"AcceptRestore": {owners, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.AcceptRestore(ctx, a, "the disk was lost"))
	}},

	"Prove": {lookers + " auditor", func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Prove(ctx, a, "nobody@example.com", nil))
	}},
	"Retention":    {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.Retention(ctx, a)) }},
	"SetRetention": {owners, func(ctx context.Context, s *Service, a Actor) error { return s.SetRetention(ctx, a, Retention{}) }},
	"RunRetention": {owners, func(ctx context.Context, s *Service, a Actor) error { return err2(s.RunRetention(ctx, a, nil)) }},

	"VerifyAudit":      {readers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.VerifyAudit(ctx, a, nil)) }},
	"LastVerification": {readers, func(ctx context.Context, s *Service, a Actor) error { return err2(s.LastVerification(ctx, a)) }},
	"Audit": {readers, func(ctx context.Context, s *Service, a Actor) error {
		return err2(s.Audit(ctx, a, AuditFilter{}, 0, 1))
	}},
}

// unreached are the methods that no role is needed for, and why not.
var unreached = map[string]string{
	"FormOf": "web, for anybody", "SignUp": "web, for anybody",
	"LookConfirm": "web, by a token", "Confirm": "web, by a token", "LookUnsubscribe": "web, by a token", "UnsubscribeByToken": "web, by a token",
	"MailTotals": "numbers", "Inbox": "the bounce port", "TakeBounce": "the bounce port, by a token",
	"Spool": "the mail sender", "Policies": "the mail sender", "Capture": "the mail sender", "SigningKeys": "the mail sender", "SigningDomains": "the mail sender", "OnLetter": "wiring", "SetClock": "wiring", "SetLog": "wiring", "Clock": "the clock", "Seal": "the log", "Sealing": "the log", "SealRest": "the log", "EndSealing": "the log", "LogKey": "public", "SaveProof": "what Prove gave", "KeepProof": "what Prove gave", "WriteProof": "what Prove gave", "Tick": "the clock", "CatchUp": "the start", "KeepSettings": "who serves", "Migrated": "writes down what opening an embedded store does for anybody",
	"Counts": "none for who may not browse", "CursorOf": "a time",
	"Why": "tells what a role may", "WhyLetter": "tells what a role may", "UndoUntil": "a time",
	"SignIn": "before there is a role", "KnownKey": "before there is a role", "StillIn": "asks about a role", "SignedIn": "writes who came", "SignedOut": "writes who went", "TurnedAway": "writes who didn't come in",
}

// TestRoles walks every method with every role: what a role's row doesn't
// allow is refused and written down, and no method is left out of the walk.
func TestRoles(t *testing.T) {
	service := reflect.TypeFor[*Service]()
	for i := range service.NumMethod() {
		name := service.Method(i).Name
		_, in := reached[name]
		if _, out := unreached[name]; in == out {
			t.Errorf("Service.%s is new: say in this file which roles may call it", name)
		}
	}
	d := newDesk(t)
	for name, r := range reached {
		for _, role := range Roles {
			a := Actor{Name: "bo", Role: role, From: "test"}
			said := r.call(t.Context(), d.Service, a)
			var refusal *Refusal
			refused := errors.As(said, &refusal) && refusal.role
			if allowed := slices.Contains(strings.Fields(r.roles), string(role)); allowed == refused {
				t.Errorf("%s by %s: allowed is %t, and it says %v", name, role, allowed, said)
			}
			if !refused {
				continue
			}
			rows, err := d.store.Audit(t.Context(), store.AuditQuery{Limit: 1})
			if err != nil || len(rows) != 1 || rows[0].Act != "refused" || rows[0].Actor != "bo" {
				t.Errorf("%s by %s leaves no trace: %+v, %v; it said %v", name, role, rows, err, said)
			}
		}
	}
}
