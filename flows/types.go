package flows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kartotek/store"
)

// Permission is a contact's state: pending, confirmed, unsubscribed or deleted.
type Permission = store.Permission

// The permissions, as every door shows them.
const (
	Unknown      = store.Unknown
	Pending      = store.Pending
	Confirmed    = store.Confirmed
	Unsubscribed = store.Unsubscribed
	Deleted      = store.Deleted
)

// Role is what an actor may do (see roles.go).
type Role string

// The roles of staff, and the two that are not staff: the contact, by a click
// of their own, and the program itself, by its clock.
const (
	Support    Role = "support"
	Marketer   Role = "marketer"
	Operator   Role = "operator"
	Owner      Role = "owner"
	Auditor    Role = "auditor"
	RolePerson Role = "contact"
	RoleSystem Role = "system"
)

// Actor is who asks for an act: it goes into the audit.
type Actor struct {
	Name string // staff name, or "contact", or "clock"
	Role Role
	From string // the door: "console", "command line", "web"
	IP   string // where an act of staff came from, when it came over the network
	User string // the operating system's user who acts under a name of staff
	// Staff is the number of one of staff, whose role is looked up again at
	// every act; 0 for the others.
	Staff int64
	Key   string // fingerprint of the SSH key that signed in
	Local bool   // the local user, who is the owner as long as there are no staff
}

// Client is the far end of a web request: it goes into the evidence.
type Client struct {
	IP        string // as text, "" when unknown
	UserAgent string
}

// Errors at the room's door. A *Refusal is told apart by errors.As.
var (
	ErrNotFound = store.ErrNotFound
	// ErrAway: the database does not answer now; nothing was done.
	ErrAway = store.ErrAway
	// ErrBusy: the database is too busy to answer now; nothing was done.
	ErrBusy = store.ErrBusy
	// ErrNewer: a newer version of the program has changed the store.
	ErrNewer = store.ErrNewer
	// ErrPiece: something was searched that is no full address, number or id.
	ErrPiece = errors.New("only a full address (name@example.com), a number in international form (+45…) or a SubscriberID finds a contact; a piece of one finds nothing, so that nobody can leaf through people")
)

// Refusal is an act that a rule forbids: frozen, erased, role, limit.
type Refusal struct {
	Why   string
	words string // without what somebody typed, see rule
	role  bool   // it is the actor's role that forbids it
}

func (r *Refusal) Error() string { return r.Why }

func refuse(format string, a ...any) error {
	return &Refusal{Why: fmt.Sprintf(format, a...), words: format}
}

// Given is a full address or number that somebody typed. It opens evidence;
// it is kept in memory only, and prints as nothing.
type Given struct{ address store.Address }

// String keeps a Given out of logs.
func (Given) String() string { return "(an address given in full)" }

// GoString keeps a Given out of %#v as well.
func (Given) GoString() string { return "(an address given in full)" }

// Stamp is one of the three acts that a card always shows: when, from where, by whom.
type Stamp struct {
	At time.Time `json:"at"`
	IP *string   `json:"ip"` // null unless the address was given in full
	By string    `json:"by,omitempty"`
}

// OnList is a membership as a card shows it.
type OnList struct {
	List   string    `json:"list"`
	Status string    `json:"status"` // pending, subscribed, unsubscribed
	Since  time.Time `json:"since"`
}

// Card is what every door shows of one contact; null stands for what is not kept.
type Card struct {
	SubscriberID int64      `json:"subscriber_id"`
	Permission   Permission `json:"permission"`
	EmailMasked  *string    `json:"email_masked"`
	MobileMasked *string    `json:"mobile_masked"`
	Source       *string    `json:"source"`
	Rating       *string    `json:"rating"`
	Predecessor  *int64     `json:"predecessor"`
	Successor    *int64     `json:"successor"`
	Frozen       bool       `json:"frozen"`
	SignedUp     *Stamp     `json:"signed_up"`
	Confirmed    *Stamp     `json:"confirmed"`
	Deleted      *Stamp     `json:"deleted"`
	LastActivity *time.Time `json:"last_activity"`
	WaitingUntil *time.Time `json:"waiting_until"` // a confirmation is waited for; forgotten after this
	// Undelivered is why nobody can confirm: what became of the newest
	// confirmation mail, where one is waited for and it did not arrive.
	Undelivered *Undelivered `json:"undelivered"`
	// NoMailUntil is until when the address gets no mail, since it was said to
	// take none. Known of cards that are waited for, and of an opened one.
	NoMailUntil *time.Time `json:"no_mail_until"`
	Lists       []OnList   `json:"lists"`
}

// Undelivered is what became of a letter that did not arrive.
type Undelivered struct {
	Status string `json:"status"` // of RFC 3463; empty where nobody said one
	Reply  string `json:"reply"`  // the server's words, about nobody
}

// Words are status and reply in one line.
func (u Undelivered) Words() string { return Answer(u.Status, u.Reply) }

// Answer is what a server said, behind the status of it, which most of their
// words hold already.
func Answer(status, words string) string {
	if status != "" && slices.Contains(strings.Fields(words), status) {
		return words
	}
	return strings.TrimSpace(status + " " + words)
}

// ListNames is the card's lists in one line, those left in brackets.
func (c Card) ListNames() string {
	names := make([]string, 0, len(c.Lists))
	for _, l := range c.Lists {
		if l.Status == store.Subscribed {
			names = append(names, l.List)
		} else {
			names = append(names, "("+l.List+")")
		}
	}
	return strings.Join(names, ", ")
}

// Field is one of the company's own fields.
type Field struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Sensitive bool   `json:"-"` // the value is hidden; Reveal uncovers it
}

// Event is one line of a card's time line.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`   // signed up, confirmation mail, confirmed, unsubscribed, resubscription asked, imported, erased …
	Closed bool      `json:"closed"` // the rest is sealed under the address: only a search by it opens it
	IP     string    `json:"ip,omitempty"`
	Agent  string    `json:"user_agent,omitempty"`
	List   string    `json:"list,omitempty"`
	Notice string    `json:"notice,omitempty"` // the consent text in full
	By     string    `json:"by,omitempty"`
	Note   string    `json:"note,omitempty"` // how the person asked, why it was done
}

// Details is an opened card: the parts of MISSION's contact card.
type Details struct {
	Card
	FirstName string
	LastName  string
	Language  string
	Own       []Field
	Opens     int64
	Clicks    int64
	Updates   int64
	Position  string // "Aarhus, Denmark", or ""
	Weeks     []Week // the last 26, oldest first; none on a tombstone
	// RatingUntil is when the rating falls without anything new; nil for never.
	RatingUntil *time.Time
	Timeline    []Event
}

// Found is the answer to a search.
type Found struct {
	Cards []Card
	Given *Given // nil when a SubscriberID was searched; hand it to Open
}

// Filter narrows a browse; empty fields do not.
type Filter struct {
	List       string
	Permission Permission
	Source     string
	Rating     string    // one of Ratings
	From       time.Time // last activity at this time or later; not in the order by id
	Before     time.Time // last activity before this time; likewise
}

// Cursor is a place between two cards in the order of a page.
type Cursor struct{ LastSeen, ID int64 }

// Page asks for cards, the latest first.
type Page struct {
	Filter Filter
	Order  Order
	After  *Cursor // the cards that follow this place; nil: the first page
	Before *Cursor // the cards just ahead of this place
	Last   bool    // the very last page, wherever After and Before point
	Limit  int     // at most 500; 0 means 50
}

// Cards is a page of cards.
type Cards struct {
	Cards       []Card
	First, Last Cursor // places of the first and last card
	Older       bool   // whether cards follow
	Newer       bool   // whether cards come before
}

// List is a list of contacts.
type List struct {
	ID         int64  `json:"-"`
	Name       string `json:"list"`
	Slug       string `json:"slug"` // in the sign-up form's address
	Subscribed int64  `json:"subscribed"`
	Pending    int64  `json:"pending"`
	Left       int64  `json:"unsubscribed"`
	From       string `json:"from"` // the sender of its letters; "" for the company's
}

// Counts are the maintained counters that the frame shows.
type Counts struct {
	ByPermission map[Permission]int64
	BySource     map[string]int64
	ByRating     map[string]int64 // by the words of Ratings
	Due          int64            // letters waiting to be sent
	Undelivered  int64            // letters that were refused or came back, ever
	Requests     int64            // requests that wait for an answer
}

// Contacts counts the cards that browsing shows, tombstones included.
func (c Counts) Contacts() int64 {
	var n int64
	for _, v := range c.ByPermission {
		n += v
	}
	return n
}

// Letter is one row of the outbox.
type Letter struct {
	ID           int64      `json:"number"`
	SubscriberID int64      `json:"subscriber_id"`
	Kind         string     `json:"kind"`
	ToMasked     string     `json:"to_masked"`
	State        string     `json:"state"` // due, sending, deferred, held, refused, delivered
	Created      time.Time  `json:"created"`
	Due          *time.Time `json:"due"`
	Attempts     int        `json:"attempts"`
	Code         int        `json:"code"`     // of the server's last reply; 0 when none answered
	Enhanced     string     `json:"enhanced"` // status of RFC 3463, such as 5.1.1
	Reply        string     `json:"reply"`    // the server's last words, address masked
	Host         string     `json:"host"`
	TLS          string     `json:"tls"` // of the last conversation; "" in clear
	Delivered    *time.Time `json:"delivered"`
}

// Mail is one captured mail.
type Mail struct {
	Number   int64     `json:"number"`
	At       time.Time `json:"at"`
	ToMasked string    `json:"to_masked"`
	Subject  string    `json:"subject"`
	Links    []string  `json:"links"`
	From     string    `json:"-"`
	Text     string    `json:"-"` // filled by Mail, not by Mailbox; the address masked
}

// Waiting is a confirmation that is out.
type Waiting struct {
	SubscriberID int64     `json:"subscriber_id"`
	Until        time.Time `json:"waiting_until"`
}

// Resubscription is what staff enter when a person asks to come back.
type Resubscription struct {
	Address string // in full: a tombstone doesn't know it
	ID      int64  // the card that it was started from; 0 when from the command line
	List    string
	Asked   string // how and when the person asked, in staff's words
	Lang    string // "" means the contact's own, or English
}

// Erased tells what an erasure did.
type Erased struct {
	SubscriberID int64  `json:"subscriber_id"`
	Suppressed   bool   `json:"suppressed"` // nobody was known by the address: only its key is kept
	Before       bool   `json:"erased_before,omitempty"`
	Files        int    `json:"export_files_removed"`
	Remnant      string `json:"remnant,omitempty"` // what could not be wiped at once, and when it will be
}

// Exported tells where an export went.
type Exported struct {
	SubscriberID int64  `json:"subscriber_id"`
	Path         string `json:"path"`
	Format       string `json:"format"`
	Bytes        int64  `json:"bytes"`
}

// ImportOptions say how a file is to be taken.
type ImportOptions struct {
	List      string
	Confirmed bool // else pending: each gets a confirmation mail
	DryRun    bool
	Map       map[string]string // column = field
	Reports   string            // directory for the report file; "" means beside the exports
}

// ImportProgress is told now and then while an import runs.
type ImportProgress struct {
	Done, Total int64  // bytes
	Read        int64  // rows
	Step        string // what is done with the rows when all are read; "" before
}

// ImportResult ends an import; Stopped is set when it ended early.
type ImportResult struct {
	Read      int64  `json:"read"`
	Added     int64  `json:"added"`
	Updated   int64  `json:"updated"`
	Unchanged int64  `json:"unchanged"`
	Refused   int64  `json:"refused"`
	Invalid   int64  `json:"invalid"`
	Report    string `json:"report"`
	DryRun    bool   `json:"dry_run,omitempty"`
	NewList   bool   `json:"new_list,omitempty"`
	Stopped   int64  `json:"stopped_at_line,omitempty"` // every line before this one is done
	Earlier   int64  `json:"earlier_run_stopped_after_line,omitempty"`
}
