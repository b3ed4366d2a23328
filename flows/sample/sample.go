// Package sample writes synthetic contacts, to try Kartotek on without
// anybody's data. It may not produce anything that could reach a person:
// addresses lie under domains reserved by RFC 2606 and RFC 6761, IP addresses
// in the documentation blocks of RFC 5737 and RFC 3849, mobile numbers in
// ranges that are kept for fiction. Names are common ones combined
// at random.
//
// Start reading at Write.
package sample

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// Most is how many contacts Write makes at most.
const Most = 10_000_000

// Columns are the columns that Write writes, in its order. Those that
// Kartotek has no field for are the company's own.
const Columns = "email,mobile,first_name,last_name,language,country,city,customer_no,shop,segment,birthday," +
	"source,rating,signed_up_at,signed_up_ip,confirmed_at,confirmed_ip,last_activity_at,opens,clicks,updates"

// Write writes n contacts with their history before now as CSV in UTF-8, the
// header first. The same seed and now give the same file. No address and no
// mobile number comes twice; since few numbers are free for fiction, most
// contacts of a large file have none. All contacts have confirmed.
func Write(w io.Writer, n int, seed uint64, now time.Time) error {
	if n < 0 || n > Most {
		return fmt.Errorf("a sample has 0 to %d contacts, not %d", Most, n)
	}
	out := bufio.NewWriterSize(w, 256<<10)
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 0x6b6172746f74656b)), now: now.UTC().Truncate(time.Second), used: map[string]int{}}
	line := append(make([]byte, 0, 1024), Columns+"\n"...)
	for i := range n {
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write the sample: %w", err)
		}
		line = g.contact(line[:0], i)
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	return nil
}

// generator makes one contact after the other.
type generator struct {
	rnd  *rand.Rand
	now  time.Time
	used map[string]int // numbers given out so far, by country
}

// contact appends the i-th contact as a line.
func (g *generator) contact(b []byte, i int) []byte {
	c := &countries[g.rnd.IntN(len(countries))]
	first, last := g.name(c)
	b = g.email(b, first, last, i)
	b = g.number(append(b, ','), c)
	for _, v := range [...]string{first.written, last.written, c.language, c.name, pick(g, c.cities)} {
		b = append(append(b, ','), v...)
	}
	b = append(b, ",K-"...)
	b = strconv.AppendInt(b, int64(100_000+i), 10)
	b = append(append(b, ','), pick(g, shops)...)
	b = append(append(b, ','), pick(g, segments)...)
	b = append(b, ',')
	if g.rnd.IntN(3) > 0 {
		b = time.Date(1940+g.rnd.IntN(66), time.Month(1+g.rnd.IntN(12)), 1+g.rnd.IntN(28), 0, 0, 0, 0, time.UTC).AppendFormat(b, time.DateOnly)
	}
	return append(g.history(b), '\n')
}

// history appends source, rating, the acts of consent and the behaviour since.
func (g *generator) history(b []byte) []byte {
	const fourYears = 4 * 365 * 24 * 60 * 60
	signedUp := g.now.Add(-time.Duration(86_400+g.rnd.IntN(fourYears)) * time.Second)
	confirmed := signedUp.Add(time.Duration(20+g.rnd.IntN(6*60*60)) * time.Second)
	active := confirmed.Add(time.Duration(g.rnd.Int64N(int64(g.now.Sub(confirmed))))).Truncate(time.Second)
	months := int(active.Sub(confirmed).Hours()/24/30) + 1
	keen := g.rnd.IntN(5) // also the place of the rating
	opens := g.rnd.IntN(1 + months*keen)
	clicks := g.rnd.IntN(1 + opens/2)

	b = append(append(b, ','), pick(g, sources)...)
	b = append(append(b, ','), ratings[keen]...)
	b = signedUp.AppendFormat(append(b, ','), time.RFC3339)
	at := len(b)
	b = g.ip(append(b, ','))
	ip := string(b[at:])
	b = confirmed.AppendFormat(append(b, ','), time.RFC3339)
	if g.rnd.IntN(5) > 0 {
		b = append(b, ip...)
	} else {
		b = g.ip(append(b, ',')) // signed up in the shop, confirmed at home
	}
	b = append(b, ',')
	if opens > 0 {
		b = active.AppendFormat(b, time.RFC3339)
	}
	for _, n := range [...]int{opens, clicks, g.rnd.IntN(4)} {
		b = strconv.AppendInt(append(b, ','), int64(n), 10)
	}
	return b
}

// email appends an address that carries the contact's number, so that none
// comes twice.
func (g *generator) email(b []byte, first, last name, i int) []byte {
	switch beyond := g.rnd.IntN(500) == 0; {
	case len(first.ascii)+len(last.ascii) > 54:
		b = append(b, first.ascii[0]) // a local part has 64 octets at most, RFC 5321 section 4.5.3.1.1
	case beyond:
		b = append(b, first.lower...) // an address beyond ASCII, RFC 6531
	default:
		b = append(b, first.ascii...)
	}
	b = append(append(b, '.'), last.ascii...)
	b = strconv.AppendInt(append(b, '.'), int64(i), 36)
	return append(append(b, '@'), pick(g, domains)...)
}

// number appends a mobile number out of those of the country that are kept for
// fiction, as long as there are any.
func (g *generator) number(b []byte, c *country) []byte {
	n := g.used[c.name]
	for _, r := range c.mobiles {
		if n < r.count {
			g.used[c.name]++
			return strconv.AppendInt(append(b, '+'), r.first+int64(n), 10)
		}
		n -= r.count
	}
	return b
}

// ip appends an address of the blocks kept for documentation.
func (g *generator) ip(b []byte) []byte {
	if g.rnd.IntN(4) == 0 {
		b = append(b, "2001:db8:"...)
		b = strconv.AppendInt(b, int64(1+g.rnd.IntN(0xFFFF)), 16)
		return strconv.AppendInt(append(b, "::"...), int64(1+g.rnd.IntN(0xFFFF)), 16)
	}
	b = append(b, pick(g, networks)...)
	return strconv.AppendInt(b, int64(1+g.rnd.IntN(254)), 10)
}

// name picks a first and a last name. Now and then it is long, or not Latin.
func (g *generator) name(c *country) (first, last name) {
	if g.rnd.IntN(250) == 0 {
		p := pick(g, unusual)
		return p[0], p[1]
	}
	return pick(g, c.first), pick(g, c.last)
}

func pick[T any](g *generator, from []T) T { return from[g.rnd.IntN(len(from))] }
