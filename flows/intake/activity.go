package intake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventKind is what somebody did with a mail.
type EventKind int8

// The kinds. Updated is a change that the person made to their own data.
const (
	Opened EventKind = iota + 1
	Clicked
	Updated
)

// Event is what a line of a file of activity tells besides the address, city
// and country.
type Event struct {
	SubscriberID int64     // 0 when absent
	Kind         EventKind // 0 when absent
	At           time.Time // UTC; zero when absent
	List         string
}

// kinds are the words that files tell the kinds by, as function plain leaves them.
var kinds = map[string]EventKind{}

func init() {
	for kind, words := range map[EventKind]string{
		Opened:  "open opens opened emailopen emailopened mailopened åbning åbnet aabnet öppning öppnad öppnat öffnung geöffnet oeffnung geoeffnet",
		Clicked: "click clicks clicked linkclick linkclicked emailclick emailclicked klik klikket klikkede klick klickat klickad geklickt",
		Updated: "update updates updated profileupdate profileupdated opdatering opdateret uppdatering uppdaterad aktualisierung aktualisiert",
	} {
		for _, w := range strings.Fields(words) {
			kinds[w] = kind
		}
	}
}

// events is the vocabulary of files of activity. Columns beyond it are read
// over.
var events = newVocabulary([]fieldInfo{
	{"email", emailInto, people.byName["email"].names + " address adresse adress", ""},
	{"subscriber_id", idInto, "subscriberid subscriberno subscribernumber", "id contactid"},
	{"kind", kindInto, "kind event eventtype eventkind action activity hændelse händelse ereignis aktivitet aktivität", "type art typ"},
	{"at", timeInto("the time", func(r *Row) *time.Time { return &r.At }), "at eventat eventtime occurredat timestamp datetime tidspunkt tidpunkt zeitpunkt zeitstempel", "time date when tid dato datum zeit created createdat"},
	{"city", text(func(r *Row) *string { return &r.City }), people.byName["city"].names, ""},
	{"country", text(func(r *Row) *string { return &r.Country }), people.byName["country"].names, ""},
	{"list", text(func(r *Row) *string { return &r.List }), "list listname mailinglist liste listenavn lista listnamn listenname", ""},
}, func(taken map[string]int, names []string) error {
	_, byEmail := taken["email"]
	_, byID := taken["subscriber_id"]
	switch {
	case slices.ContainsFunc(names, looksPersonal):
		return noEmail(names)
	case !byEmail && !byID:
		return fmt.Errorf("no column holds addresses or SubscriberIDs; the columns are %s: say which one does, for example --map %q", listed(names), firstNamed(names)+"=email")
	}
	for _, need := range []string{"kind", "at"} {
		if _, ok := taken[need]; !ok {
			return fmt.Errorf("a file of activity has the columns email (or subscriber_id), kind and at; which one is %s? The columns are %s: say it, for example with --map %q",
				need, listed(names), firstNamed(names)+"="+need)
		}
	}
	return nil
})

// OpenActivity is Open on a file of activity: what contacts did with their
// mail. Its columns are email or subscriber_id, kind (open, click, update), at,
// and if there are any city, country and list.
func OpenActivity(path string, o Options) (*Reader, error) {
	o.words = events
	return Open(path, o)
}

func idInto(settings) setter {
	return func(row *Row, v string) string {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil || id < 1 {
			return "the SubscriberID is not a whole number from 1"
		}
		row.SubscriberID = id
		return ""
	}
}

func kindInto(settings) setter {
	return func(row *Row, v string) string {
		kind, ok := kinds[v]
		if !ok {
			if kind, ok = kinds[plain(v)]; !ok {
				return "the kind is none of open, click and update"
			}
		}
		row.Kind = kind
		return ""
	}
}
