package flows

import (
	"context"
	"slices"

	"kartotek/store"
)

// The acts of staff that a role may or may not do.
const (
	doBrowse      = "browse"
	doFind        = "find"
	doExport      = "export"
	doErase       = "erase"
	doUnsubscribe = "unsubscribe"
	doResubscribe = "resubscribe"
	doImport      = "import"
	doLists       = "lists"
	doOutbox      = "outbox"
	doLetters     = "letters" // act on the outbox
	doAudit       = "audit"
	doProve       = "prove"
	doRetention   = "retention"
	doFreeze      = "freeze"
	doCorrect     = "correct"
	doMail        = "mail"    // set up how letters leave
	doMailbox     = "mailbox" // read captured mail, links and all
	doStaff       = "staff"
	doRequests    = "requests"
	doReveal      = "reveal"
	doFields      = "fields"  // name own fields and mark them
	doApprove     = "approve" // let a bulk export be made
	doKeys        = "keys"    // and look after the store
)

var (
	supportMay  = []string{doBrowse, doFind, doOutbox, doProve, doReveal}
	marketerMay = append([]string{doUnsubscribe, doResubscribe, doImport, doLists, doLetters}, supportMay...)
	operatorMay = append([]string{doExport, doErase, doFreeze, doCorrect, doMailbox, doRequests}, marketerMay...)
)

// rights say what each role may do.
var rights = map[Role][]string{
	Support:  supportMay,
	Marketer: marketerMay,
	Operator: operatorMay,
	Owner:    append([]string{doAudit, doMail, doStaff, doFields, doApprove, doRetention, doKeys}, operatorMay...),
	Auditor:  {doAudit, doProve},
}

// Roles are those that staff can have, the least first.
var Roles = []Role{Support, Marketer, Operator, Owner, Auditor}

// may refuses what the actor's role does not allow.
func may(a Actor, act string) error {
	if slices.Contains(rights[a.Role], act) {
		return nil
	}
	return &Refusal{Why: "the role " + string(a.Role) + " may not do this (" + act + ")", role: true}
}

// allow is may for a flow: of staff it looks up whether they still are, and it
// writes a refusal into the audit.
func (s *Service) allow(ctx context.Context, a Actor, act string) error {
	err := s.StillIn(ctx, a)
	if err == nil {
		err = may(a, act)
	}
	return s.trace(ctx, a, act, 0, err)
}

// note writes an audit row about nobody in a transaction of its own.
func (s *Service) note(ctx context.Context, a Actor, act, why string) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error { return audit(ctx, tx, a, store.At(s.now()), act, 0, why) })
}

// Why tells in a few words why an act is not possible on a card now; "" when it is.
func (s *Service) Why(a Actor, act string, c Card) string {
	if err := may(a, act); err != nil {
		return err.Error()
	}
	switch act {
	case doUnsubscribe:
		switch {
		case c.Permission == Deleted:
			return "a tombstone is on no list"
		case c.Frozen:
			return "the card is frozen"
		case c.Permission == Unsubscribed:
			return "unsubscribed from every list already"
		}
	case doErase:
		if c.Permission == Deleted && c.WaitingUntil == nil {
			return "erased already"
		}
	case doReveal:
		if c.Permission == Deleted {
			return "a tombstone holds nothing of the person"
		}
	case doCorrect, doFreeze:
		switch {
		case c.Permission == Deleted:
			return "a tombstone holds nothing of the person"
		case c.Frozen && act == doCorrect:
			return "the card is frozen"
		}
	case doResubscribe:
		switch {
		case c.Frozen:
			return "the card is frozen"
		case c.Successor != nil:
			return "came back already: see the newer card"
		case c.Permission == Confirmed, c.Permission == Pending:
			return "only an erased or unsubscribed person can come back"
		}
	}
	return ""
}
