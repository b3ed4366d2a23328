package store

import "strings"

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
	runes := []rune(canonical)
	local := len([]rune(canonical[:at]))
	n := 0
	for _, r := range runes {
		if r != '@' && r != '.' {
			n++
		}
	}
	left := (2*n + 4) / 5
	hide := func(from, to int) { // backwards from before 'from' down to 'to'
		for i := from - 1; i >= to && left > 0; i-- {
			if runes[i] != '.' && runes[i] != '@' && runes[i] != '*' {
				runes[i] = '*'
				left--
			}
		}
	}
	dot := len(runes)
	if i := strings.LastIndexByte(canonical[at:], '.'); i >= 0 {
		dot = len([]rune(canonical[:at+i]))
	}
	spare := 1
	if strings.Count(string(runes[:local]), ".")+1 == local {
		spare = 0 // one character alone: a local part never shows whole
	}
	hide(local, spare)
	hide(dot, local+1)
	hide(1, 0)
	hide(len(runes), dot)
	return string(runes)
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
