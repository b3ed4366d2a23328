package intake

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// setter puts a trimmed value that isn't empty into a row, or says why it
// can't, in words that don't hold the value.
type setter func(row *Row, value string) (problem string)

// emailInto takes addresses as they are; whether one is well formed is for
// whoever keeps it. What would break a line of a mail or log never passes.
func emailInto(settings) setter {
	return func(row *Row, v string) string {
		if hasControl(v) {
			return "a line break or control character inside the email address"
		}
		row.Email = v
		return ""
	}
}

// mobileInto takes numbers as they are, but for the marks that spreadsheet
// programs put on them or leave after spoiling them.
func mobileInto(settings) setter {
	return func(row *Row, v string) string {
		if hasControl(v) {
			return "a line break or control character inside the mobile number"
		}
		v = strings.TrimPrefix(v, "'") // keeps a "+" from being a formula
		if isScientific(v) {
			return "a spreadsheet program shortened the mobile number to a power of ten: format that column as text and export again"
		}
		row.Mobile = v
		return ""
	}
}

// text takes any text, on one line.
func text(at func(*Row) *string) func(settings) setter {
	return func(settings) setter {
		return func(row *Row, v string) string {
			*at(row) = oneLine(v)
			return ""
		}
	}
}

func countInto(what string, at func(*Row) *int64) func(settings) setter {
	return func(settings) setter {
		return func(row *Row, v string) string {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				return what + " is not a whole number"
			}
			*at(row) = n
			return ""
		}
	}
}

func addrInto(what string, at func(*Row) *netip.Addr) func(settings) setter {
	return func(settings) setter {
		return func(row *Row, v string) string {
			a, err := netip.ParseAddr(v)
			if err != nil || a.Zone() != "" {
				return what + " is not an IP address"
			}
			*at(row) = a.Unmap()
			return ""
		}
	}
}

// oldest is before any email was sent for marketing by anyone who kept proof.
var oldest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

func timeInto(what string, at func(*Row) *time.Time) func(settings) setter {
	return func(set settings) setter {
		return func(row *Row, v string) string {
			t, fault := parseTime(v)
			if fault != "" && set.workbook {
				if days, err := strconv.ParseFloat(v, 64); err == nil {
					t, fault = fromDays(days, set.from1904)
				}
			}
			switch {
			case fault != "":
				return what + fault
			case t.After(set.now):
				return what + " lies in the future"
			case t.Before(oldest):
				return what + " lies before 1990"
			}
			*at(row) = t
			return ""
		}
	}
}

// fromDays turns a workbook's day count into a time, to the second.
func fromDays(days float64, from1904 bool) (time.Time, string) {
	if !(days >= 0 && days < 2_958_466) { // the year 10000, and no NaN
		return time.Time{}, notDate
	}
	t, err := excelize.ExcelDateToTime(days, from1904)
	if err != nil {
		return time.Time{}, notDate
	}
	return t.Round(time.Second), ""
}

// trim takes white space off both ends, the no-break space included.
func trim(v string) string {
	if v == "" {
		return v
	}
	if a, z := v[0], v[len(v)-1]; a > ' ' && a < 0x80 && z > ' ' && z < 0x80 {
		return v
	}
	return strings.TrimSpace(v)
}

// hasControl tells whether a value holds a C0 control character or DEL.
func hasControl(v string) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < ' ' || v[i] == 0x7F {
			return true
		}
	}
	return false
}

// oneLine makes each run of line breaks and tabs one space.
func oneLine(v string) string {
	if strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, '\r') < 0 && strings.IndexByte(v, '\t') < 0 {
		return v
	}
	return strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
}

// isScientific finds numbers such as 4.52E+09, which have lost digits.
func isScientific(v string) bool {
	i := strings.IndexAny(v, "eE")
	return i > 0 && i+1 < len(v) && strings.Trim(v[:i], "0123456789.,") == "" && strings.Trim(v[i+1:], "+-0123456789") == ""
}
