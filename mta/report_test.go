package mta

import (
	"strings"
	"testing"
	"unicode"
)

const boundary = "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\nMIME-Version: 1.0\r\n\r\n"

func dsn(kind, fields string) string {
	return "From: MAILER-DAEMON@mx.test\r\nSubject: Undelivered Mail\r\n" + boundary +
		"--b\r\nContent-Type: text/plain\r\n\r\nSorry, it failed: 5.9.9\r\n--b\r\nContent-Type: message/" + kind + "\r\n\r\n" + fields +
		"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Please\r\n\r\n4.4.4 user unknown\r\n--b--\r\n"
}

const perMessage = "Reporting-MTA: dns; mx.test\r\nArrival-Date: today\r\n\r\n"

func TestParseReport(t *testing.T) {
	plain := "From: MAILER-DAEMON@mx.test\r\nSubject: failure notice\r\n\r\n"
	tests := []struct {
		name, mail string
		null       bool
		want       Report
	}{
		{"failed", dsn("delivery-status", perMessage+"Final-Recipient: rfc822; marie@example.dk\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n <marie@example.dk>: no\r\n such user"), true, Report{ReportFailed, "5.1.1", "550 5.1.1 <<address>>: no such user"}},
		{"comment in the status", dsn("delivery-status", perMessage+"Action: Failed\r\nStatus: 5.2.2 (mailbox full)"), true, Report{ReportFailed, "5.2.2", ""}},
		{"delayed", dsn("delivery-status", perMessage+"Action: delayed\r\nStatus: 4.4.1"), true, Report{ReportDelayed, "4.4.1", ""}},
		{"delivered", dsn("delivery-status", perMessage+"Action: delivered\r\nStatus: 2.0.0"), false, Report{}},
		{"a failure among others", dsn("delivery-status", perMessage+"Action: relayed\r\nStatus: 2.0.0\r\n\r\nAction: failed\r\nStatus: 5.7.1\r\n\r\nAction: delayed\r\nStatus: 4.0.0"), true, Report{ReportFailed, "5.7.1", ""}},
		{"no status, but words", dsn("delivery-status", perMessage+"Action: failed\r\nDiagnostic-Code: smtp; 550 No such user here"), true, Report{ReportFailed, "5.1.1", "550 No such user here"}},
		{"international", dsn("global-delivery-status", perMessage+"Final-Recipient: utf-8; ø@example.dk\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 ø findes ikke"), true, Report{ReportFailed, "5.1.1", "550 ø findes ikke"}},
		{"base64", dsn("delivery-status\r\nContent-Transfer-Encoding: base64", "QWN0aW9uOiB4DQoNCkFjdGlvbjogZmFpbGVkDQpTdGF0dXM6IDUuMS4xDQo="), true, Report{ReportFailed, "5.1.1", ""}},
		{"complaint", "Subject: x\r\n" + strings.Replace(boundary, "delivery-status", "feedback-report", 1) + "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n\r\n--b--\r\n", false, Report{ReportComplaint, "", "a complaint of the kind abuse"}},
		{"no complaint", "Subject: x\r\n" + boundary + "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: not-spam\r\n\r\n--b--\r\n", false, Report{}},
		{"qmail", plain + "Hi. This is the qmail-send program at mx.test.\r\n<marie@example.dk>:\r\n192.0.2.7 does not like recipient.\r\nRemote host said: 550 5.1.1 unknown\r\n", true, Report{ReportFailed, "5.1.1", "Remote host said: 550 5.1.1 unknown"}},
		{"words only", plain + "Your mail could not be delivered.\r\nUser unknown\r\n", true, Report{ReportFailed, "5.1.1", "User unknown"}},
		{"a full mailbox", plain + "Delivery failed: over quota\r\n", true, Report{ReportFailed, "5.2.2", "Delivery failed: over quota"}},
		{"for the time being", plain + "will try again: 451 4.7.1 greylisted\r\n", true, Report{ReportDelayed, "4.7.1", "will try again: 451 4.7.1 greylisted"}},
		{"words of somebody with an address", plain + "Delivery failed: user unknown 5.1.1\r\n", false, Report{}},
		{"a failure by its subject", plain + "Sorry, no mailbox here.\r\nUser unknown\r\n", true, Report{ReportFailed, "5.1.1", "User unknown"}},
		{"a vague status", dsn("delivery-status", perMessage+"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550-5.1.1 no such person"), true, Report{ReportFailed, "5.1.1", "550-5.1.1 no such person"}},
		{"a vague status of another class", dsn("delivery-status", perMessage+"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 451 4.4.1 timed out"), true, Report{ReportFailed, "5.0.0", "451 4.4.1 timed out"}},
		{"delivered, with an address", strings.Replace(dsn("delivery-status", perMessage+"Action: delivered\r\nStatus: 2.0.0"), "it failed", "delivery has failed", 1), true, Report{}},
		{"an absence until a day", "Subject: Automatisk svar: News\r\n\r\nJeg har ferie til 5.1.25.\r\n", true, Report{}},
		{"a day", "Subject: Ferie\r\n\r\nJeg har ferie til 5.1.25. Ring 503-555-1234, Tel: 570-555-1234, pris: 500 kr.\r\n", true, Report{}},
		{"an address of four numbers", plain + "192.0.2.7 and [5.1.12.34] failed, by a server of version 4.9.2.1.\r\nUser unknown\r\n", true, Report{ReportFailed, "5.1.1", "User unknown"}},
		{"a report that calls itself an answer", "Auto-Submitted: auto-replied\r\nSubject: Mail delivery failed: returning message to sender\r\n\r\nmarie@example.dk\r\n550 unknown user\r\n", true, Report{ReportFailed, "5.1.1", "550 unknown user"}},
		{"recipients that failed", "Auto-Submitted: auto-replied\r\nX-Failed-Recipients: marie@example.dk\r\nSubject: News\r\n\r\nhost mx.test said: 552 mailbox is full\r\n", true, Report{ReportFailed, "5.2.2", "host mx.test said: 552 mailbox is full"}},
		{"our letter behind it", plain + "Sorry.\r\n--- Below this line is a copy of the message.\r\nOur privacy policy, 5.7.1\r\n", true, Report{ReportFailed, "5.0.0", "Sorry. ---"}},
		{"fatal errors", "Subject: About your mail\r\n\r\nThe following addresses had permanent fatal errors\r\n", true, Report{ReportFailed, "5.0.0", "The following addresses had permanent fatal errors"}},
		{"a sender that is refused", plain + "Sender address rejected: not from here\r\n", true, Report{ReportFailed, "5.7.1", "Sender address rejected: not from here"}},
		{"a directory", plain + "User x (x@example.dk) not listed in Domino Directory\r\n", true, Report{ReportFailed, "5.1.1", "User x (<address>) not listed in Domino Directory"}},
		{"a delay", "Subject: Delivery Status Notification (Delay)\r\n\r\nThis is an automatically generated Delivery Status Notification.\r\nNo recipient was reached.\r\n", true, Report{ReportDelayed, "4.0.0", "This is an automatically generated Delivery Status Notification. No recipient was reached."}},
		{"a delay in words", "Subject: Warning: message 1x delayed 24 hours\r\n\r\nHello,\r\nyour mail has not yet been delivered. It may be undeliverable.\r\n", true, Report{ReportDelayed, "4.0.0", "your mail has not yet been delivered. It may be undeliverable."}},
		{"a success", "Subject: Delivery Status Notification (Success)\r\n\r\nThis is an automatically generated Delivery Status Notification.\r\nYour mail was handed on.\r\n", true, Report{}},
		{"a failure in German", "Subject: Unzustellbar: News\r\n\r\nUnbekannter Empfaenger\r\n", true, Report{ReportFailed, "5.1.1", "Unbekannter Empfaenger"}},
		{"a notification of failure", "Subject: Delivery Status Notification (Failure)\r\n\r\nSorry.\r\n", true, Report{ReportFailed, "5.0.0", "Sorry."}},
		{"an answer to a failure", "Subject: Re: Returned mail\r\n\r\nThank you, user unknown.\r\n", true, Report{}},
		{"an answer about parcels", "Subject: Automatic reply: could not deliver your parcel\r\n\r\nWe are closed.\r\n", true, Report{}},
		{"parcels", "Subject: We could not deliver your parcel\r\n\r\nWe are at 512 High Street, room 601.\r\n", true, Report{}},
		{"a reply without a status", "Subject: About your mail\r\n\r\nmx.test said:\r\n550 Go away\r\n", true, Report{ReportFailed, "5.0.0", "mx.test said: 550 Go away"}},
		{"our own subject", "Subject: Re: News 500\r\n\r\nUser unknown? No, I am away.\r\n", true, Report{}},
		{"an absence", "Auto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nI am away until 5.1.1 or so\r\n", true, Report{}},
		{"a letter", "Subject: thanks\r\n\r\nThat was 5 times 1 and no more.\r\n", true, Report{}},
		{"nothing", "", true, Report{}},
		{"no header", "\x00\xff", true, Report{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseReport(strings.NewReader(tt.mail), tt.null)
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseReport(f *testing.F) {
	for _, kind := range []string{"delivery-status", "global-delivery-status", "feedback-report"} {
		f.Add(dsn(kind, perMessage+"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n"), true)
	}
	f.Add("Subject: x\r\n\r\nmailbox full 5.2.2", true)
	f.Fuzz(func(t *testing.T, mail string, null bool) {
		r, err := ParseReport(strings.NewReader(mail), null)
		if err != nil {
			t.Fatalf("an error of what was read: %v", err)
		}
		if len(r.Words) > maxReply || strings.ContainsFunc(r.Words, func(c rune) bool { return !unicode.IsGraphic(c) }) {
			t.Errorf("words %q", r.Words)
		}
		switch {
		case r.Kind == ReportFailed && statusCode(r.Status) != r.Status, r.Kind == ReportNone && r != Report{}:
			t.Errorf("%+v", r)
		}
	})
}
