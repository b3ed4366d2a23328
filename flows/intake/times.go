package intake

import (
	"strings"
	"time"
)

// What follows the name of a time in a problem.
const (
	notDate   = " is not a date that can be read"
	ambiguous = " can be read in two ways: write dates as 2026-01-31"
)

// digits reads up to most digits at the beginning of s.
func digits(s string, most int) (n, length int) {
	for length < len(s) && length < most && s[length]-'0' <= 9 {
		n = 10*n + int(s[length]-'0')
		length++
	}
	return n, length
}

// parseTime reads RFC 3339, its looser forms (a space for the T, no seconds,
// no zone, which means UTC), dates alone, and the dates with points, dashes and
// slashes that people in Europe write. fault is "" when it succeeds. It is made
// by hand because time.Parse would be tried in many layouts a row.
func parseTime(s string) (t time.Time, fault string) {
	year, month, day, rest, fault := parseDate(s)
	if fault != "" {
		return t, fault
	}
	var c clock
	if rest != "" {
		if rest[0] != ' ' && rest[0] != 'T' && rest[0] != 't' {
			return t, notDate
		}
		var ok bool
		if c, ok = parseClock(strings.TrimLeft(rest[1:], " ")); !ok {
			return t, notDate
		}
	}
	if year < 1 || month < 1 || month > 12 || day < 1 {
		return t, notDate
	}
	t = time.Date(year, time.Month(month), day, c.hour, c.minute, c.second, c.nano, time.UTC)
	if t.Day() != day {
		return t, notDate // 31 April
	}
	return t.Add(-c.offset), ""
}

// parseDate reads the day and leaves what follows it.
func parseDate(s string) (year, month, day int, rest, fault string) {
	a, la := digits(s, 4)
	if la == 0 || la == 3 || la == len(s) {
		return 0, 0, 0, "", notDate
	}
	sep := s[la]
	b, lb := digits(s[la+1:], 2)
	second := la + 1 + lb
	if (sep != '-' && sep != '.' && sep != '/') || lb == 0 || second == len(s) || s[second] != sep {
		return 0, 0, 0, "", notDate
	}
	c, lc := digits(s[second+1:], 4)
	rest = s[second+1+lc:]
	switch {
	case la == 4 && (lc == 1 || lc == 2) && sep != '.':
		return a, b, c, rest, ""
	case la > 2 || lc != 4:
		return 0, 0, 0, "", notDate
	case sep != '/', a > 12, a == b:
		return c, b, a, rest, ""
	case b > 12:
		return c, a, b, rest, ""
	}
	return 0, 0, 0, "", ambiguous
}

// clock is a time of day and its zone's distance from UTC.
type clock struct {
	hour, minute, second, nano int
	offset                     time.Duration
}

// parseClock reads 15:04, 15:04:05 and 15:04:05.999 with or without a zone.
func parseClock(s string) (c clock, ok bool) {
	var l int
	if c.hour, l = digits(s, 2); l == 0 || l == len(s) || s[l] != ':' {
		return c, false
	}
	s = s[l+1:]
	if c.minute, l = digits(s, 2); l != 2 {
		return c, false
	}
	s = s[2:]
	if s != "" && s[0] == ':' {
		if c.second, l = digits(s[1:], 2); l != 2 {
			return c, false
		}
		s = s[3:]
		if s != "" && (s[0] == '.' || s[0] == ',') {
			if c.nano, l = digits(s[1:], 9); l == 0 {
				return c, false
			}
			for range 9 - l {
				c.nano *= 10
			}
			s = s[1+l:]
		}
	}
	if c.hour > 23 || c.minute > 59 || c.second > 59 {
		return c, false
	}
	c.offset, ok = parseZone(s)
	return c, ok
}

// parseZone reads Z, UTC, GMT, +01, +0100 and +01:00, a space allowed before.
func parseZone(s string) (time.Duration, bool) {
	s = strings.TrimLeft(s, " ")
	switch s {
	case "", "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours, l := digits(s[1:], 2)
	rest := strings.TrimPrefix(s[1+l:], ":")
	minutes, m := digits(rest, 2)
	if l != 2 || (m != 0 && m != 2) || m != len(rest) || hours > 14 || minutes > 59 {
		return 0, false
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, true
}
