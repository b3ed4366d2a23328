package web

var german = words{
	Language: "Deutsch",
	Switch:   "Sprache",

	Home: wordsMessage{"E-Mails von {company}", []string{
		"Hier bestätigen Sie, dass Sie unsere E-Mails möchten, oder bestellen sie ab.",
		"Folgen Sie dazu bitte dem Link in einer E-Mail, die Sie von uns erhalten haben.",
	}},
	NotFound: wordsMessage{"Diese Seite gibt es nicht", []string{
		"Vielleicht wurde der Link nicht vollständig kopiert. Bitte versuchen Sie noch einmal, ihn aus der E-Mail zu öffnen.",
	}},
	WrongMethod: wordsMessage{"So funktioniert diese Seite nicht", []string{
		"Bitte öffnen Sie den Link in Ihrem Browser und benutzen Sie die Schaltflächen auf der Seite.",
	}},
	BadRequest: wordsMessage{"Das kam nicht richtig an", []string{
		"Es wurde nichts geändert. Bitte öffnen Sie die Seite noch einmal und benutzen Sie die Schaltfläche darauf.",
	}},
	TooLarge: wordsMessage{"Das war zu viel auf einmal", []string{
		"Es wurde nichts geändert. Bitte gehen Sie zurück und geben Sie weniger Text ein.",
	}},
	Refused: wordsMessage{"Das ist zurzeit nicht möglich", []string{
		"Es wurde nichts geändert. Bitte schreiben Sie an {company}, wenn Sie Fragen haben.",
	}},
	Fault: wordsMessage{"Bei uns ist etwas schiefgegangen", []string{
		"Es lag nicht an Ihnen. Bitte versuchen Sie es in einigen Minuten noch einmal.",
	}},

	ConfirmTitle:   "Bitte bestätigen Sie Ihre Anmeldung",
	ConfirmAsk:     "Jemand, vermutlich Sie selbst, hat darum gebeten, {address} für die Liste „{list}“ anzumelden.",
	ReturnTitle:    "Möchten Sie unsere E-Mails wieder erhalten?",
	ReturnAsk:      "Jemand, vermutlich Sie selbst, hat darum gebeten, dass {address} wieder E-Mails von der Liste „{list}“ erhält.",
	ReturnStays:    "Die Adresse wurde früher abgemeldet oder gelöscht. Deshalb ist eine bestätigte Anmeldung nötig, und nur Sie selbst können sie vornehmen. Was gelöscht wurde, bleibt gelöscht.",
	ConfirmNotice:  "Mit der Bestätigung willigen Sie in Folgendes ein:",
	ConfirmButton:  "Ja, ich bestätige",
	ConfirmUntil:   "Sie können bis zum {until} bestätigen.",
	ConfirmNothing: "Wenn Sie nicht darum gebeten haben, brauchen Sie nichts zu tun. Ohne Ihren Klick erhalten Sie keine E-Mails von der Liste, und wir löschen die Anfrage samt der Adresse.",
	ConfirmDone: wordsMessage{"Danke, das ist bestätigt", []string{
		"Sie sind jetzt für die Liste „{list}“ angemeldet.",
		"Falls Sie es sich einmal anders überlegen: In jeder E-Mail steht ein Link zum Abmelden.",
	}},
	ConfirmUsed: wordsMessage{"Sie haben bereits bestätigt", []string{
		"Alles ist in Ordnung. Sie brauchen nichts weiter zu tun und können diese Seite schließen.",
	}},
	ConfirmExpired: wordsMessage{"Dieser Link ist abgelaufen", []string{
		"Die Anmeldung wurde nicht rechtzeitig bestätigt, deshalb haben wir sie gelöscht.",
		"Wenn Sie unsere E-Mails weiterhin möchten, melden Sie sich bitte noch einmal an. Dann erhalten Sie einen neuen Link.",
	}},
	ConfirmUnknown: wordsMessage{"Wir kennen diesen Link nicht", []string{
		"Vielleicht wurde er nicht vollständig kopiert, oder er ist abgelaufen. Bitte versuchen Sie noch einmal, ihn aus der E-Mail zu öffnen.",
		"Wenn das nicht hilft, melden Sie sich bitte noch einmal an. Dann erhalten Sie einen neuen Link.",
	}},

	LeaveTitle:   "Abmelden",
	LeaveAsk:     "Soll {address} keine E-Mails der Liste „{list}“ mehr erhalten?",
	LeaveAskList: "Möchten Sie keine E-Mails der Liste „{list}“ mehr erhalten?",
	LeaveLists:   "Sie sind für diese Listen angemeldet:",
	LeaveList:    "Von „{list}“ abmelden",
	LeaveAll:     "Von allen Listen abmelden",
	LeaveNothing: "Wenn Sie unsere E-Mails weiterhin erhalten möchten, schließen Sie einfach diese Seite.",
	Left: wordsMessage{"Sie sind abgemeldet", []string{
		"Sie erhalten keine E-Mails der Liste „{list}“ mehr.",
	}},
	LeftAll: wordsMessage{"Sie sind abgemeldet", []string{
		"Sie erhalten von keiner unserer Listen mehr E-Mails.",
	}},
	LeaveUnknown: wordsMessage{"Wir kennen diesen Link nicht", []string{
		"Vielleicht wurde er nicht vollständig kopiert, oder er ist abgelaufen. Bitte nehmen Sie den Link in der neuesten E-Mail, die Sie von uns erhalten haben.",
		"Wenn das nicht hilft, schreiben Sie bitte an {company}.",
	}},

	SignUpTitle:    "Für „{list}“ anmelden",
	SignUpIntro:    "Sie erhalten zunächst eine E-Mail von {company} mit einem Link. Angemeldet sind Sie erst, wenn Sie dort bestätigt haben.",
	AddressLabel:   "E-Mail-Adresse",
	FirstNameLabel: "Vorname (freiwillig)",
	NoticeLabel:    "Darin willigen Sie ein",
	AgreeLabel:     "Ja, ich habe das gelesen und willige ein",
	SignUpButton:   "Anmelden",
	Trap:           "Bitte lassen Sie dieses Feld leer",
	ErrorPrefix:    "Fehler: ",
	FormErrors:     "Bitte sehen Sie noch einmal nach",
	AddressError:   "Bitte geben Sie eine vollständige E-Mail-Adresse ein, zum Beispiel name@example.com.",
	FirstNameError: "Bitte geben Sie einen kürzeren Namen mit höchstens 100 Zeichen ein.",
	AgreedError:    "Bitte setzen Sie das Häkchen, wenn Sie einwilligen. Sonst dürfen wir Ihnen keine E-Mails senden.",
	NoticeChanged:  "Der Text, in den Sie einwilligen, ist nicht der, mit dem dieses Formular geöffnet wurde. Bitte lesen Sie ihn unten und senden Sie das Formular noch einmal ab.",
	TooManyError:   "Von Ihrem Anschluss kamen zu viele Anmeldungen. Bitte warten Sie einige Minuten und senden Sie das Formular dann noch einmal ab.",
	Sent: wordsMessage{"Bitte sehen Sie in Ihr Postfach", []string{
		"In wenigen Minuten sollte dort eine E-Mail an {address} liegen. Öffnen Sie den Link darin und bestätigen Sie; erst dann sind Sie für die Liste „{list}“ angemeldet.",
		"Keine E-Mail? Sehen Sie im Spam-Ordner nach und prüfen Sie, ob die Adresse oben stimmt.",
	}},
}
