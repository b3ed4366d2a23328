package store

import (
	"errors"
	"fmt"
	"time"
)

// Errors that every method of the room maps the driver's errors to.
var (
	ErrNotFound = errors.New("not found")
	// ErrTaken: a unique value (a list's name) is there already.
	ErrTaken = errors.New("already taken")
	// ErrBusy: another process has held the store for longer than the deadline.
	ErrBusy = errors.New("the store is busy: another process has been writing to it all the time; try again")
	// ErrFull: the disk that holds the store is full.
	ErrFull = errors.New("the disk that holds the store is full: nothing was changed; make room and try again")
	// ErrUnreadable: an embedded store's first page is damaged, or sealed with another key file.
	ErrUnreadable = errors.New("the database is damaged (restore a backup); nothing was changed")
	// ErrDamaged: the database does not read as one.
	ErrDamaged = errors.New("the database is damaged: nothing was changed; restore a backup")
	// ErrReadOnly: the store's files can't be written.
	ErrReadOnly = errors.New("the store can't be written: check the rights of its directory and files, and the disk")
	// ErrDisk: reading or writing the store's files failed.
	ErrDisk = errors.New("the store's files can't be read or written: is the disk full, or failing? Nothing was changed")
	// ErrMoved: the database file is not the one that was opened any more.
	ErrMoved = errors.New("the store's file was moved, removed or replaced while it was open: close Kartotek and start it again; nothing was changed")
	// ErrAway: the database server can't be reached, or is going down.
	ErrAway = errors.New("the database does not answer: see whether it runs and can be reached; nothing was lost, try again")
	// ErrUnsure: a commit's answer was lost, and the database stayed away.
	ErrUnsure = errors.New("the database went away while the act was being kept: it is there whole or not at all; look which before you repeat it")
	// ErrTooLong: a text is longer than the store keeps.
	ErrTooLong = errors.New("a text is longer than the store keeps")
	errClosed  = errors.New("the store is closed")
	// errConflict: the row changed since it was read; the transaction starts again.
	errConflict = errors.New("the row changed since it was read")
)

// Permission is a contact's state (see flows/permission.go for what moves it).
type Permission int8

// The permissions. Unknown is an address that nobody is known by.
const (
	Unknown Permission = iota
	Pending
	Confirmed
	Unsubscribed
	Deleted
)

var permissionNames = [...]string{"unknown", "pending", "confirmed", "unsubscribed", "deleted"}

// String is the word that screens, docs and JSON use.
func (p Permission) String() string {
	if p < 0 || int(p) >= len(permissionNames) {
		return "unknown"
	}
	return permissionNames[p]
}

// MarshalText makes JSON hold the word.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the word back.
func (p *Permission) UnmarshalText(b []byte) error {
	v, err := ParsePermission(string(b))
	if err == nil {
		*p = v
	}
	return err
}

// ParsePermission reads a permission's word.
func ParsePermission(s string) (Permission, error) {
	for i, name := range permissionNames[1:] {
		if s == name {
			return Permission(i + 1), nil
		}
	}
	return Unknown, fmt.Errorf("no permission is called that: use pending, confirmed, unsubscribed or deleted")
}

// The states of a membership, as cards show them.
const (
	OnHold     = "pending"
	Subscribed = "subscribed"
	Left       = "unsubscribed"
)

var (
	// A status is numbered as the permission that goes with it: whoever is
	// confirmed is subscribed to a list, and so on.
	statusCodes = map[string]Permission{OnHold: Pending, Subscribed: Confirmed, Left: Unsubscribed}
	statusNames = [...]string{"", OnHold, Subscribed, Left}
)

// Ratings, from none to best; 0 stands for "not kept".
var ratingNames = [...]string{"", "dormant", "low", "average", "high", "VIP"}

// The ratings, worst first. Average is the one that new contacts start with.
const (
	Dormant Rating = iota + 1
	Low
	Average
	High
	VIP
)

// Rating is a contact's MailRating.
type Rating int8

// String is the word that screens show; "" when none is kept.
func (r Rating) String() string {
	if r < 0 || int(r) >= len(ratingNames) {
		return ""
	}
	return ratingNames[r]
}

// ParseRating reads a rating's word; anything else is Average.
func ParseRating(s string) Rating {
	for i, name := range ratingNames[1:] {
		if s == name {
			return Rating(i + 1)
		}
	}
	return Average
}

// Micros is a time as the store keeps it: microseconds since 1970 in UTC; 0 is none.
type Micros int64

// At turns a time into Micros; the zero time into 0.
func At(t time.Time) Micros {
	if t.IsZero() {
		return 0
	}
	return Micros(t.UnixMicro())
}

// Time turns Micros back; 0 into the zero time.
func (m Micros) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}
