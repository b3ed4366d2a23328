package flows

import (
	"regexp"
	"strings"

	"kartotek/store"
)

// Addresses and numbers stand in other places too: a second one in a column of
// the company's own, or one that was typed where the name belongs.
var (
	addressIn = regexp.MustCompile(`[^\s<>"'(),;:\[\]@]+@[^\s<>"'(),;:\[\]@]+`)
	numberIn  = regexp.MustCompile(`(\+|\b00)\d[\d ()./-]{5,}\d`)
)

// maskedIn is a text about a person as staff see it: every address and every
// number in international form in it is masked.
func maskedIn(text string) string {
	if strings.Contains(text, "@") {
		text = addressIn.ReplaceAllStringFunc(text, store.Mask)
	}
	if !strings.ContainsAny(text, "0123456789") {
		return text
	}
	return numberIn.ReplaceAllStringFunc(text, func(n string) string {
		if n[0] != '+' && len(strings.FieldsFunc(n, notDigit)) == 1 && len(n) < leastAbroad {
			return n // a customer's number, perhaps
		}
		return store.Mask(n)
	})
}

// leastAbroad is how many digits in a row a number has that begins with 00.
const leastAbroad = 11

func notDigit(r rune) bool { return r < '0' || r > '9' }
