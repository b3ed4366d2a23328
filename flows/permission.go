package flows

import "kartotek/store"

// Act is what somebody wants to do with a contact's permission.
type Act string

// The columns of the permission table.
const (
	ActSignUp      Act = "sign up"
	ActConfirm     Act = "confirm"
	ActUnsubscribe Act = "unsubscribe last list"
	ActErase       Act = "erase"
	ActResubscribe Act = "resubscribe"
	ActImport      Act = "import as confirmed"
	ActUndo        Act = "undo unsubscribe" // within seconds, by whoever did it
)

// Verdict is what a cell of the table says.
type Verdict string

// The verdicts.
const (
	Impossible Verdict = "impossible" // there is nothing to do it to
	NoChange   Verdict = "no change"
	Refused    Verdict = "refused"
	Move       Verdict = "move"     // to Outcome.To
	AddList    Verdict = "add list" // the permission stays, a list is added
	Beside     Verdict = "beside"   // waits beside the tombstone
)

// Outcome is a cell of the table.
type Outcome struct {
	Verdict Verdict
	To      Permission
	Mail    bool // a confirmation mail goes out, within the limits
}

// withdrawnAgain is a pending contact who once withdrew everything: whoever
// typed the address into a form since then need not have been the person, so
// an import may not raise it.
const withdrawnAgain Permission = -1

// table says what every act does to every permission; nothing else decides.
var table = map[Permission]map[Act]Outcome{
	Unknown: {
		ActSignUp:      {Verdict: Move, To: Pending, Mail: true},
		ActConfirm:     {Verdict: Impossible},
		ActUnsubscribe: {Verdict: Impossible},
		ActErase:       {Verdict: Move, To: Deleted},
		ActResubscribe: {Verdict: Impossible},
		ActImport:      {Verdict: Move, To: Confirmed},
		ActUndo:        {Verdict: Impossible},
	},
	Pending: {
		ActSignUp:      {Verdict: NoChange, Mail: true},
		ActConfirm:     {Verdict: Move, To: Confirmed},
		ActUnsubscribe: {Verdict: Move, To: Unsubscribed},
		ActErase:       {Verdict: Move, To: Deleted},
		ActResubscribe: {Verdict: Impossible},
		ActImport:      {Verdict: Move, To: Confirmed},
		ActUndo:        {Verdict: Refused},
	},
	withdrawnAgain: {
		ActSignUp:      {Verdict: NoChange, Mail: true},
		ActConfirm:     {Verdict: Move, To: Confirmed},
		ActUnsubscribe: {Verdict: Move, To: Unsubscribed},
		ActErase:       {Verdict: Move, To: Deleted},
		ActResubscribe: {Verdict: Impossible},
		ActImport:      {Verdict: Refused},
		ActUndo:        {Verdict: Refused},
	},
	Confirmed: {
		ActSignUp:      {Verdict: AddList, Mail: true},
		ActConfirm:     {Verdict: NoChange},
		ActUnsubscribe: {Verdict: Move, To: Unsubscribed},
		ActErase:       {Verdict: Move, To: Deleted},
		ActResubscribe: {Verdict: Impossible},
		ActImport:      {Verdict: NoChange},
		ActUndo:        {Verdict: NoChange},
	},
	Unsubscribed: {
		ActSignUp:      {Verdict: Move, To: Pending, Mail: true},
		ActConfirm:     {Verdict: Move, To: Confirmed},
		ActUnsubscribe: {Verdict: NoChange},
		ActErase:       {Verdict: Move, To: Deleted},
		ActResubscribe: {Verdict: Move, To: Pending, Mail: true},
		ActImport:      {Verdict: Refused},
		ActUndo:        {Verdict: Move, To: Confirmed},
	},
	Deleted: {
		ActSignUp:      {Verdict: Beside, Mail: true},
		ActConfirm:     {Verdict: Impossible},
		ActUnsubscribe: {Verdict: NoChange},
		ActErase:       {Verdict: NoChange},
		ActResubscribe: {Verdict: Beside, Mail: true},
		ActImport:      {Verdict: Refused},
		ActUndo:        {Verdict: Refused},
	},
}

// stateOf is the row of the table that a contact stands in; nil is nobody.
func stateOf(c *store.Contact) Permission {
	switch {
	case c == nil:
		return Unknown
	case c.Permission == Pending && c.WithdrawnAt != 0:
		return withdrawnAgain
	}
	return c.Permission
}

const whyFrozen = "the card is frozen: until it is unfrozen it can only be exported or erased (GDPR art. 18)"

// decide asks the table. A frozen card refuses every act but erasing.
func decide(c *store.Contact, act Act) (Outcome, error) {
	if c != nil && c.Frozen && act != ActErase {
		return Outcome{}, refuse(whyFrozen)
	}
	return table[stateOf(c)][act], nil
}
