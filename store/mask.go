package store

import (
	"strings"
	"unicode/utf8"
)

// Mask replaces 40 % of an address's characters, rounded up, by asterisks.
// Of an email address all characters but @ and . count; asterisks are taken
// from the local part, from its end backwards, sparing its first character
// unless it is the only one; then from the domain's labels left of the last dot, from their end
// backwards; then from the first character. Of a number in E.164 all digits
// count, and the run that ends before the last two is hidden.
//
// Characters are code points: the masked form has as many as the address.
func Mask(canonical string) string {
	at := strings.LastIndexByte(canonical, '@')
	if at < 0 {
		return maskNumber(canonical)
	}
	dot := len(canonical)
	if i := strings.LastIndexByte(canonical[at:], '.'); i >= 0 {
		dot = at + i
	}
	if ascii(canonical) {
		chars := []byte(canonical)
		mask(chars, at, dot)
		return string(chars)
	}
	chars := []rune(canonical)
	mask(chars, utf8.RuneCountInString(canonical[:at]), utf8.RuneCountInString(canonical[:dot]))
	return string(chars)
}

// mask masks an address whose local part is so many characters, and whose last
// dot or else end is at dot.
func mask[T byte | rune](chars []T, local, dot int) {
	dots := 0 // in the local part
	n := 0
	for i, c := range chars {
		if c != '@' && c != '.' {
			n++
		} else if c == '.' && i < local {
			dots++
		}
	}
	left := (2*n + 4) / 5
	hide := func(from, to int) { // backwards from before 'from' down to 'to'
		for i := from - 1; i >= to && left > 0; i-- {
			if chars[i] != '.' && chars[i] != '@' && chars[i] != '*' {
				chars[i] = '*'
				left--
			}
		}
	}
	spare := 1
	if dots+1 == local {
		spare = 0 // one character alone: a local part never shows whole
	}
	hide(local, spare)
	hide(dot, local+1)
	hide(1, 0)
	hide(len(chars), dot)
}

func maskNumber(number string) string {
	b := []byte(number)
	n := 0
	for _, c := range b {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	left := (2*n + 4) / 5
	for i := len(b) - 3; i >= 0 && left > 0; i-- {
		if b[i] >= '0' && b[i] <= '9' {
			b[i] = '*'
			left--
		}
	}
	return string(b)
}
