package sample

import "strings"

// name is a name as it is written, and in forms that an address can hold.
type name struct{ written, lower, ascii string }

// country is a country with its common names and larger towns.
type country struct {
	name, language string
	first, last    []name
	cities         []string
	mobiles        []numbers
}

// numbers are a range of mobile numbers, E.164 without its +, that nobody has.
type numbers struct {
	first int64
	count int
}

// folded are the letters that addresses are mostly written without.
var folded = strings.NewReplacer(
	"æ", "ae", "ø", "oe", "å", "aa", "ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "á", "a",
	" ", "-", "'", "",
)

// names splits a list of names at its commas. Names in other scripts are given
// as written=latin.
func names(list string) []name {
	var out []name
	for _, n := range strings.Split(list, ",") {
		written, latin, found := strings.Cut(strings.TrimSpace(n), "=")
		if !found {
			latin = written
		}
		lower := strings.ToLower(written)
		out = append(out, name{
			written: written,
			lower:   strings.NewReplacer(" ", "-", "'", "").Replace(lower),
			ascii:   folded.Replace(strings.ToLower(latin)),
		})
	}
	return out
}

func words(list string) []string { return strings.Split(list, ",") }

var countries = []country{
	{
		"Denmark", "da",
		names("Marie,Anne,Mette,Hanne,Kirsten,Søren,Jens,Lars,Niels,Bjørn,Åse,Freja,Emma,Ida,Clara,Oscar,Noah,Malthe,Jørgen,Bodil,Signe,Rasmus,Birgit,Kåre"),
		names("Jensen,Nielsen,Hansen,Pedersen,Andersen,Christensen,Larsen,Sørensen,Rasmussen,Jørgensen,Østergaard,Kjær,Møller,Ågård,Bæk,Holm,Lund,Dahl,Skov,Nørgaard"),
		words("København,Aarhus,Odense,Aalborg,Esbjerg,Randers,Kolding,Horsens,Vejle,Roskilde,Næstved,Køge"),
		nil,
	},
	{
		"Sweden", "sv",
		names("Anna,Eva,Maria,Karin,Åsa,Björn,Lars,Erik,Karl,Örjan,Göran,Linnéa,Elsa,Astrid,Vera,Nils,Axel,Malin,Håkan,Märta,Gösta,Ebba,Sixten,Ylva"),
		names("Andersson,Johansson,Karlsson,Nilsson,Eriksson,Larsson,Olsson,Persson,Svensson,Gustafsson,Åkesson,Öberg,Sjöberg,Lindström,Bergström,Hägg,Nyström,Ström,Ek,Björk"),
		words("Stockholm,Göteborg,Malmö,Uppsala,Västerås,Örebro,Linköping,Helsingborg,Jönköping,Norrköping,Umeå,Gävle"),
		[]numbers{{46_701740605, 95}}, // kept by PTS, the Swedish regulator
	},
	{
		"Germany", "de",
		names("Anna,Sabine,Ursula,Jürgen,Jörg,Günther,Hans,Peter,Michael,Claudia,Käthe,Emma,Mia,Lena,Leon,Paul,Finn,Bärbel,Heike,Uwe,Björn,Sophie,Lukas,Änne"),
		names("Müller,Schmidt,Schneider,Fischer,Weber,Meyer,Wagner,Becker,Schulz,Hoffmann,Schäfer,Koch,Krüger,Groß,Weiß,Schröder,Böhm,Jäger,Vogel,Lang"),
		words("Berlin,Hamburg,München,Köln,Frankfurt am Main,Stuttgart,Düsseldorf,Leipzig,Nürnberg,Lübeck,Göttingen,Gießen"),
		[]numbers{{49_1713920000, 100}, {49_17604069000, 100}}, // Bundesnetzagentur, Mitteilung 148/2021
	},
	{
		"United Kingdom", "en",
		names("Mary,Susan,Emma,Olivia,Amelia,Grace,John,David,James,Thomas,William,Oliver,Harry,Jack,George,Alice,Ruth,Joan,Peter,Brian,Siân,Zoë,Hugh,Colin"),
		names("Smith,Jones,Taylor,Brown,Williams,Wilson,Johnson,Davies,Robinson,Wright,Thompson,Evans,Walker,White,Roberts,Green,Hall,Wood,O'Neill,Clarke"),
		words("London,Birmingham,Leeds,Glasgow,Sheffield,Manchester,Edinburgh,Liverpool,Bristol,Cardiff,Belfast,York"),
		nil, // Ofcom's 07700 900000–900999 do not pass for mobile numbers in phonenumbers
	},
}

// unusual are pairs of names that screens and letters must bear as well: long
// ones, ones of one letter and ones in wide characters.
var unusual = [][]name{
	names("明=ming,李=li"),
	names("芳=fang,王=wang"),
	names("さくら=sakura,佐藤=sato"),
	names("지우=jiwoo,김=kim"),
	names("Αννα=anna,Παπαδοπούλου=papadopoulou"),
	names("Анна=anna,Иванова=ivanova"),
	names("ليلى=layla,حداد=haddad"),
	names("Anne-Sophie Charlotte Wilhelmine Friederike,von der Hohenwarth-Schwarzenfels zu Niederkirchen"),
	names("Karl Gustav Fredrik Alexander Emanuel,Silfverstråhle-Gyllenspets af Västra Ängsholmen"),
	names("O,Å"),
}

var (
	// RFC 2606 section 3 and RFC 6761 section 6.5; nothing under them is anyone's.
	domains = words("example.com,example.com,example.com,example.com,example.com,example.com,example.com,example.com,example.com," +
		"example.org,example.org,example.org,example.org,example.net,example.net,example.net," +
		"post.example,brev.example,mail.example,news.shop.example,blåbær.example,grün.example")
	networks = words("192.0.2.,198.51.100.,203.0.113.")
	sources  = words("Webform,Webform,Webform,Webform,Shop,Shop,Import,Event")
	ratings  = words("dormant,low,average,high,VIP")
	shops    = words("Butik Nord,Butik Syd,Webshop,Outlet")
	segments = words("A,B,C,new,returning")
)
