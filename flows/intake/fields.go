package intake

import (
	"net/netip"
	"strings"
	"time"
)

// fieldInfo is a field, how its values are read, and the names that columns of
// English, Danish, Swedish and German files give it. Names are written as
// function plain leaves them.
type fieldInfo struct {
	name   string
	setter func(settings) setter
	names  string // sure
	weak   string // guesses, which give way to a sure column
}

// allFields is the table of fields; Fields lists their names.
var allFields = []fieldInfo{
	{"email", emailInto, "email emailaddress emailadresse emailadress mail mailadresse mailadress mailaddress epost epostadress epostadresse eposta emailid subscriberemail contactemail", ""},
	{
		"mobile", mobileInto, "mobile mobilenumber mobileno mobilephone mobilephonenumber cell cellphone cellphonenumber msisdn sms smsnumber mobil mobilnummer mobilnr mobiltelefon mobiltelefonnummer mobiltlf mobilephone handy handynummer handynr",
		"telefon telefonnummer telefonnr tlf tlfnr tlfnummer phone phonenumber telephone telephonenumber tel telnr",
	},
	{"first_name", text(func(r *Row) *string { return &r.FirstName }), "firstname fname givenname forename fornavn förnamn fornamn vorname rufname tilltalsnamn", ""},
	{"last_name", text(func(r *Row) *string { return &r.LastName }), "lastname lname surname familyname efternavn efternamn nachname familienname zuname", ""},
	{"language", text(func(r *Row) *string { return &r.Language }), "language lang languagecode preferredlanguage sprog sprogkode språk sprak språkkod sprache sprachcode", "locale"},
	{"country", text(func(r *Row) *string { return &r.Country }), "country countrycode countryname land landekode landkode landskod ländercode laendercode länderkennung", ""},
	{"city", text(func(r *Row) *string { return &r.City }), "city town by bynavn stad ort postort stadt wohnort", ""},
	{"source", text(func(r *Row) *string { return &r.Source }), "source signupsource optinsource leadsource kilde tilmeldingskilde källa kalla quelle herkunft anmeldequelle", ""},
	{"rating", text(func(r *Row) *string { return &r.Rating }), "rating mailrating memberrating contactrating vurdering betyg bewertung", ""},
	{
		"signed_up_at", timeInto("the sign-up time", func(r *Row) *time.Time { return &r.SignedUpAt }), "signedupat signedup signupat signuptime signupdate signup optintime optindate optinat subscribedat subscribed subscribedate subscriptiondate tilmeldt tilmeldtden tilmeldingsdato tilmeldingstidspunkt anmäld anmäldden anmälningsdatum anmald anmeldt anmeldtden registrerad prenumererarsedan angemeldet angemeldetam angemeldetseit anmeldedatum anmeldezeitpunkt anmeldezeit",
		"created createdat createdon creationdate dateadded oprettet oprettetden skapad skapades erstellt erstelltam registered registeredat registreret registriert registriertam",
	},
	{"signed_up_ip", addrInto("the sign-up IP address", func(r *Row) *netip.Addr { return &r.SignedUpIP }), "signedupip signupip signupipaddress optinip subscribedip tilmeldtip tilmeldtfraip tilmeldingsip anmäldip anmäldfrånip anmälningsip anmeldtip angemeldetip anmeldeip anmeldungsip", "ip ipaddress ipadresse ipadress"},
	{"confirmed_at", timeInto("the confirmation time", func(r *Row) *time.Time { return &r.ConfirmedAt }), "confirmedat confirmed confirmtime confirmationtime confirmationdate confirmdate doubleoptinat doubleoptintime doubleoptindate bekræftet bekræftetden bekræftelsesdato bekraeftet bekräftad bekräftadden bekräftades bekräftelsedatum bekraftad bestätigt bestätigtam bestaetigt bestaetigtam bestätigungsdatum bestätigungszeitpunkt", ""},
	{"confirmed_ip", addrInto("the confirmation IP address", func(r *Row) *netip.Addr { return &r.ConfirmedIP }), "confirmedip confirmip confirmationip confirmationipaddress doubleoptinip bekræftetip bekræftetfraip bekræftelsesip bekräftadip bekräftadfrånip bestätigtip bestätigungsip bestaetigtip bestaetigungsip", ""},
	{"last_activity_at", timeInto("the time of the last activity", func(r *Row) *time.Time { return &r.LastActivityAt }), "lastactivityat lastactivity lastactive lastactiveat lastseen lastseenat lastengagement lastopened senesteaktivitet sidsteaktivitet senestaktiv sidstaktiv senasteaktivitet senastaktiv letzteaktivität letzteaktivitaet zuletztaktiv", ""},
	{"opens", countInto("the number of opens", func(r *Row) *int64 { return &r.Opens }), "opens openscount åbninger aabninger öppningar öffnungen oeffnungen", ""},
	{"clicks", countInto("the number of clicks", func(r *Row) *int64 { return &r.Clicks }), "clicks clickscount klik klick klickar klicks", ""},
	{"updates", countInto("the number of updates", func(r *Row) *int64 { return &r.Updates }), "updates updatescount opdateringer uppdateringar aktualisierungen", ""},
}

// alias is what a column name stands for.
type alias struct {
	field string
	weak  bool
}

// vocabulary is what the columns of one sort of file may hold.
type vocabulary struct {
	fields  []fieldInfo
	byName  map[string]*fieldInfo
	aliases map[string]alias
	missing func(taken map[string]int, names []string) error // says which column has to be there
}

// people is the vocabulary of files of contacts.
var people = newVocabulary(allFields, func(taken map[string]int, names []string) error {
	if _, ok := taken["email"]; !ok {
		return noEmail(names)
	}
	return nil
})

func newVocabulary(fields []fieldInfo, missing func(map[string]int, []string) error) *vocabulary {
	v := &vocabulary{fields: fields, byName: map[string]*fieldInfo{}, aliases: map[string]alias{}, missing: missing}
	for i := range fields {
		f := &fields[i]
		v.byName[f.name] = f
		v.aliases[plain(f.name)] = alias{f.name, false}
		for _, n := range strings.Fields(f.names) {
			v.aliases[n] = alias{f.name, false}
		}
		for _, n := range strings.Fields(f.weak) {
			v.aliases[n] = alias{f.name, true}
		}
	}
	return v
}

// Fields are the names of the fields that a column can feed.
func Fields() []string {
	names := make([]string, len(allFields))
	for i, f := range allFields {
		names[i] = f.name
	}
	return names
}

// named finds a field, or Ignore, by its name as anybody may write it.
func (v *vocabulary) named(name string) (string, bool) {
	p := plain(name)
	if p == Ignore {
		return Ignore, true
	}
	for i := range v.fields {
		if plain(v.fields[i].name) == p {
			return v.fields[i].name, true
		}
	}
	return "", false
}
