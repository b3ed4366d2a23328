package mta

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/textproto"
	"regexp"
	"strings"

	gomessage "github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // reports come in any
)

// ReportKind says what a mail that came back to us is about.
type ReportKind int

// The kinds of reports.
const (
	// ReportNone is a mail that reports nothing: an automatic answer, somebody's reply.
	ReportNone ReportKind = iota
	// ReportFailed: the letter was not delivered and won't be (RFC 3464 section 2.3.3, "failed").
	ReportFailed
	// ReportDelayed: it was not delivered yet.
	ReportDelayed
	// ReportComplaint: its reader calls it unwanted (RFC 5965).
	ReportComplaint
)

// Report is what a mail that came back says. It names nobody: whom it is about, the address that it came to tells.
type Report struct {
	Kind ReportKind
	// Status is the code of RFC 3463, such as "5.1.1"; empty for complaints.
	Status string
	// Words are the server's, as in [Verdict.Reply].
	Words string
}

const (
	// maxReportPart is how much of one part is read, in bytes.
	maxReportPart = 64 << 10
	// maxReportDepth and maxReportParts bound a report's structure.
	maxReportDepth, maxReportParts = 3, 16
	// maxReportGroups bounds the recipients that one report tells of.
	maxReportGroups = 32
)

// ParseReport reads a mail that came back: a delivery status of RFC 3464 or RFC 6533, a feedback report of RFC 5965,
// or, when null says that it came from the null sender as reports do, a text of a server that knows neither. It never
// fails on what a stranger sends: what isn't understood is [ReportNone]. The error is the reader's.
func ParseReport(r io.Reader, null bool) (Report, error) {
	read := &tripwire{r: r}
	e, _ := gomessage.Read(read) // an unknown charset or encoding is no matter
	found := reader{}
	if e != nil {
		found.walk(e, 0)
	}
	// What follows the last part that was looked at is read as well: it may be too much.
	if _, _ = io.Copy(io.Discard, read); read.err != nil {
		return Report{}, read.err
	}
	switch {
	case e == nil:
	case found.report.Kind != ReportNone:
		return found.report, nil
	case null && !found.told:
		subject, _ := e.Header.Text("Subject") // as it stands, if its charset is unknown
		if automatic(e, subject) {
			return Report{}, nil
		}
		return fromText(subject, found.text.String()), nil
	}
	return Report{}, nil
}

// tripwire remembers the error of a reader, to tell it from an error of what is read.
type tripwire struct {
	r   io.Reader
	err error
}

func (t *tripwire) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// reader collects what the parts of a mail say.
type reader struct {
	report Report
	text   strings.Builder
	parts  int
	told   bool // by a delivery status what became of the letter
}

// automatic tells an automatic answer of a person's mailbox (RFC 3834), which is no report. Some servers call their
// reports that, too.
func automatic(e *gomessage.Entity, subject string) bool {
	word, _, _ := strings.Cut(e.Header.Get("Auto-Submitted"), ";")
	return strings.EqualFold(strings.TrimSpace(word), "auto-replied") && !e.Header.Has("X-Failed-Recipients") && !failedSubject.MatchString(strings.TrimSpace(subject))
}

func (r *reader) walk(e *gomessage.Entity, depth int) {
	kind, _, err := e.Header.ContentType()
	if err != nil {
		kind = "text/plain"
	}
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		r.status(io.LimitReader(e.Body, maxReportPart))
		return
	case "message/feedback-report":
		r.feedback(io.LimitReader(e.Body, maxReportPart))
		return
	case "text/plain", "":
		if r.text.Len() < maxReportPart {
			_, _ = io.Copy(&r.text, io.LimitReader(e.Body, maxReportPart)) // what there is, is looked at
		}
		return
	}
	parts := e.MultipartReader()
	if parts == nil || depth == maxReportDepth {
		return
	}
	for r.parts < maxReportParts {
		r.parts++
		part, err := parts.NextPart()
		if part == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
			return
		}
		r.walk(part, depth+1)
	}
}

// status reads the groups of fields of a delivery status: the first is about the message, each other one about a
// recipient. Ours has one; should others be there, a failure counts most.
func (r *reader) status(body io.Reader) {
	in := textproto.NewReader(bufio.NewReader(body))
	for range maxReportGroups {
		fields, err := in.ReadMIMEHeader()
		action := firstWord(fields.Get("Action"))
		r.told = r.told || action != ""
		if action != "" && r.report.Kind != ReportFailed {
			rep := Report{Status: statusCode(fields.Get("Status")), Words: cleanReply(diagnostic(fields.Get("Diagnostic-Code")), "")}
			if rep.Status == "" || strings.HasSuffix(rep.Status, ".0.0") { // some say that, whatever the server said
				rep.Status = cmp.Or(statusLike(rep.Status, rep.Words), rep.Status)
			}
			switch action {
			case "failed":
				rep.Kind = ReportFailed
				if rep.Status == "" || rep.Status[0] == '2' {
					rep.Status = "5.0.0"
				}
			case "delayed":
				rep.Kind = ReportDelayed
			}
			if rep.Kind != ReportNone {
				r.report = rep
			}
		}
		if err != nil {
			return
		}
	}
}

// statusLike is the status that a server's words tell, of the same class as one that tells no more than that.
func statusLike(vague, words string) string {
	status := cmp.Or(statusCode(words), fromText("", words).Status)
	if status == "" || vague != "" && vague[0] != status[0] {
		return ""
	}
	return status
}

// feedback reads a feedback report. One that says that a letter is wanted is none.
func (r *reader) feedback(body io.Reader) {
	fields, _ := textproto.NewReader(bufio.NewReader(body)).ReadMIMEHeader()
	kind := firstWord(fields.Get("Feedback-Type"))
	if kind != "" && kind != "not-spam" && kind != "auth-failure" {
		r.report = Report{Kind: ReportComplaint, Words: cleanReply("a complaint of the kind "+kind, "")}
	}
}

func firstWord(s string) string {
	words := strings.Fields(strings.ToLower(s))
	if len(words) == 0 {
		return ""
	}
	return strings.Trim(words[0], ";,")
}

// diagnostic takes the type ("smtp;") off a Diagnostic-Code.
func diagnostic(s string) string {
	if kind, rest, ok := strings.Cut(s, ";"); ok && len(kind) < 20 && !strings.Contains(kind, " ") {
		return strings.TrimSpace(rest)
	}
	return s
}

var anyStatus = regexp.MustCompile(`(?:^|[\s(\[#=:-])([245])\.([0-7])\.([0-9]{1,3})(?:$|[\s),;:\]]|\.(?:\s|$))`)

// statusCode is the first code of RFC 3463 in some words.
func statusCode(s string) string {
	m := anyStatus.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return m[1] + "." + m[2] + "." + m[3]
}

// phrases are how servers that send no proper report say it, the surest first.
var phrases = []struct {
	pattern *regexp.Regexp
	status  string
}{
	{regexp.MustCompile(`(?i)sender (address )?(rejected|denied)|(access|relay(ing)?) denied`), "5.7.1"},
	{regexp.MustCompile(`(?i)not listed in|(user|recipient|mailbox|address|account)( name)?( is)? (unknown|not found|does not exist|doesn't exist|rejected)|(no such|unknown|invalid) (user|recipient|mailbox|address|account)|unbekannter empf|findes ikke|finns inte`), "5.1.1"},
	{regexp.MustCompile(`(?i)(domain|host)( name)? (not found|does not exist|unknown)|unrouteable`), "5.1.2"},
	{regexp.MustCompile(`(?i)(mailbox|account|user)( is)? (disabled|inactive|suspended|closed)`), "5.2.1"},
	{regexp.MustCompile(`(?i)quota|mailbox( is)? full|over ?quota|insufficient (disk )?(space|storage)`), "5.2.2"},
	{regexp.MustCompile(`(?i)spam|blocked|black ?list|blocklist|policy|reputation|dmarc|\bspf\b|\bdkim\b|denied`), "5.7.1"},
}

// How a mail tells of a failure. A subject does so by how it begins, as it may quote ours behind that, and an answer's
// may quote anybody's; a text does by the code of a reply, too.
var (
	failedSubject = regexp.MustCompile(`(?i)^(((mail|message|e-?mail) )?undeliver|non-?deliver|unzustellbar|kan ikke leveres|olevererbar|returned (mail|to sender)|failure notice|mail system error|delivery (status )?notification.{0,3}(fail|delivery has failed)|((mail|message|e-?mail|permanent) )?delivery (has )?fail|((your|the) )?(mail|message|e-?mail) (could|can) ?not be delivered)`)
	failedText    = regexp.MustCompile(`(?i)undeliver|not be delivered|((could|was|were)n['’]t|was not|were not) (be )?delivered|delivery (has )?failed|failure notice|returned to sender|could not deliver|permanent (fatal )?(delivery )?(error|failure)`)
	failedCode    = regexp.MustCompile(`(?im)(^|said:?|smtp;|error:?|code:?|response:?|reply:?|server:?|host:?|<<<|<--|[(<'])\s*5(0[0-4]|2[1-3]|3[0458]|4[01]|5[0-6]|7[0-9])([ -]+([^0-9\s]|5\.)|: )`)
	codeAndStatus = regexp.MustCompile(`(\b[245][0-9]{2}[ -]|#)[245]\.[0-7]\.[0-9]`)
	delayed       = regexp.MustCompile(`(?i)delayed|\(delay\)|warning message|not (yet been|been delivered yet)|(will|is) (still )?be(ing)? (re)?tried|(attempts|trying) will continue|(keep|continue) trying|will try again`)
	answer        = regexp.MustCompile(`(?i)^(re|aw|sv|vs|fwd?|antw)( ?\[[0-9]+\])?:|^auto(matic)?[- ]?(reply|response|svar)|^automatis[a-z]* (svar|antwort)|^réponse auto|^(abwesen|fravær|frånvaro|out of (the )?office|ooo\b)`)
	quoted        = regexp.MustCompile(`(?i)below this line is a copy|this is a copy of (the|your) message`) // ours, in plain text
)

// fromText makes what can be made of a server's words. Only what says that it is about a failure counts.
func fromText(subject, text string) Report {
	subject = strings.TrimSpace(subject)
	if answer.MatchString(subject) {
		return Report{}
	}
	if at := quoted.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	status, line := "", ""
	if at := anyStatus.FindStringIndex(text); at != nil && tells(subject, text) {
		status, line = statusCode(text), lineAround(text, at[0])
	} else {
		status, line = fromWords(subject, text)
	}
	r := Report{Kind: ReportFailed, Status: status, Words: cleanReply(line, "")}
	switch {
	case status == "", status[0] == '2':
		return Report{}
	case status[0] == '4':
		r.Kind = ReportDelayed
	}
	return r
}

// tells tells whether a mail is about a letter that didn't arrive: three numbers may be a date or an address, too.
func tells(subject, text string) bool {
	for _, p := range []*regexp.Regexp{failedText, failedCode, codeAndStatus, delayed} {
		if p.MatchString(text) {
			return true
		}
	}
	return failedSubject.MatchString(subject) || delayed.MatchString(subject)
}

// fromWords finds a status for a text without one, and the line that says it; none when it tells of neither a failure
// nor a delay.
func fromWords(subject, text string) (status, line string) {
	failed := failedSubject.MatchString(subject)
	if at := delayed.FindStringIndex(text); !failed && at != nil {
		return "4.0.0", lineAround(text, at[0])
	}
	if !failed && delayed.MatchString(subject) {
		return "4.0.0", text
	}
	if !failed && !failedText.MatchString(text) && !failedCode.MatchString(text) {
		return "", ""
	}
	for _, p := range phrases {
		if at := p.pattern.FindStringIndex(text); at != nil {
			return p.status, lineAround(text, at[0])
		}
	}
	return "5.0.0", text
}

// lineAround is the line of a text that a place lies on.
func lineAround(text string, at int) string {
	b := []byte(text)
	if at < len(b) && (b[at] == '\n' || b[at] == '\r') {
		at++
	}
	start := bytes.LastIndexAny(b[:at], "\r\n") + 1
	end := bytes.IndexAny(b[at:], "\r\n")
	if end < 0 {
		return text[start:]
	}
	return text[start : at+end]
}
