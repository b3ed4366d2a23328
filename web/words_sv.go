package web

var swedish = words{
	Language: "Svenska",
	Switch:   "Språk",

	Home: wordsMessage{"E-post från {company}", []string{
		"Här bekräftar du att du vill ha vår e-post, eller tackar nej till mer.",
		"Det gör du genom att följa länken i ett mejl som du har fått från oss.",
	}},
	NotFound: wordsMessage{"Sidan finns inte", []string{
		"Kanske kom inte hela länken med när den kopierades. Försök att öppna den från mejlet igen.",
	}},
	WrongMethod: wordsMessage{"Så fungerar inte sidan", []string{
		"Öppna länken i din webbläsare och använd knapparna på sidan.",
	}},
	BadRequest: wordsMessage{"Det kom inte fram som det skulle", []string{
		"Ingenting har ändrats. Öppna sidan igen och använd knappen på den.",
	}},
	TooLarge: wordsMessage{"Det var för mycket på en gång", []string{
		"Ingenting har ändrats. Gå tillbaka och skriv en kortare text.",
	}},
	Refused: wordsMessage{"Det går inte just nu", []string{
		"Ingenting har ändrats. Skriv till {company} om du har frågor.",
	}},
	Fault: wordsMessage{"Något gick fel hos oss", []string{
		"Det var inte ditt fel. Försök igen om några minuter.",
	}},

	ConfirmTitle:   "Bekräfta din anmälan",
	ConfirmAsk:     "Någon, troligen du själv, har bett om att {address} ska anmälas till listan ”{list}”.",
	ReturnTitle:    "Vill du ha vår e-post igen?",
	ReturnAsk:      "Någon, troligen du själv, har bett om att {address} åter ska få e-post från listan ”{list}”.",
	ReturnStays:    "Adressen har tidigare avanmälts eller raderats. Därför krävs en bekräftad anmälan, och den kan bara du själv göra. Det som har raderats förblir raderat.",
	ConfirmNotice:  "När du bekräftar samtycker du till följande:",
	ConfirmButton:  "Ja, jag bekräftar",
	ConfirmUntil:   "Du kan bekräfta till den {until}.",
	ConfirmNothing: "Om du inte har bett om detta behöver du inte göra någonting. Utan ditt klick får du ingen e-post från listan, och vi glömmer både begäran och adressen.",
	ConfirmDone: wordsMessage{"Tack, det är bekräftat", []string{
		"Du är nu anmäld till listan ”{list}”.",
		"Om du skulle ändra dig: i varje mejl finns en länk för att avanmäla dig.",
	}},
	ConfirmUsed: wordsMessage{"Du har redan bekräftat", []string{
		"Allt är som det ska. Du behöver inte göra något mer och kan stänga sidan.",
	}},
	ConfirmExpired: wordsMessage{"Länken har gått ut", []string{
		"Anmälan bekräftades inte i tid, så vi har glömt den.",
		"Vill du fortfarande ha vår e-post, anmäl dig igen. Då får du en ny länk.",
	}},
	ConfirmUnknown: wordsMessage{"Vi känner inte till länken", []string{
		"Kanske kom inte hela länken med, eller så har den gått ut. Försök att öppna den från mejlet igen.",
		"Om det inte hjälper, anmäl dig igen. Då får du en ny länk.",
	}},

	LeaveTitle:   "Avanmälan",
	LeaveAsk:     "Ska {address} inte längre få e-post från listan ”{list}”?",
	LeaveAskList: "Vill du inte längre ha e-post från listan ”{list}”?",
	LeaveLists:   "Du är anmäld till de här listorna:",
	LeaveList:    "Avanmäl mig från ”{list}”",
	LeaveAll:     "Avanmäl mig från alla listor",
	LeaveNothing: "Vill du fortsätta att få vår e-post, stäng bara sidan.",
	Left: wordsMessage{"Du är avanmäld", []string{
		"Du får ingen mer e-post från listan ”{list}”.",
	}},
	LeftAll: wordsMessage{"Du är avanmäld", []string{
		"Du får ingen mer e-post från någon av våra listor.",
	}},
	LeaveUnknown: wordsMessage{"Vi känner inte till länken", []string{
		"Kanske kom inte hela länken med, eller så har den gått ut. Använd länken i det senaste mejlet som du har fått från oss.",
		"Om det inte hjälper, skriv till {company}.",
	}},

	SignUpTitle:    "Anmäl dig till ”{list}”",
	SignUpIntro:    "Först får du ett mejl från {company} med en länk. Du är inte anmäld förrän du har bekräftat där.",
	AddressLabel:   "E-postadress",
	FirstNameLabel: "Förnamn (frivilligt)",
	NoticeLabel:    "Det här samtycker du till",
	AgreeLabel:     "Ja, jag har läst detta och samtycker",
	SignUpButton:   "Anmäl mig",
	Trap:           "Lämna det här fältet tomt",
	ErrorPrefix:    "Fel: ",
	FormErrors:     "Titta på det här igen",
	AddressError:   "Skriv en fullständig e-postadress, till exempel namn@example.com.",
	FirstNameError: "Skriv ett kortare namn, högst 100 tecken.",
	AgreedError:    "Kryssa i rutan om du samtycker. Annars får vi inte skicka e-post till dig.",
	NoticeChanged:  "Texten som du samtycker till är inte den som formuläret öppnades med. Läs den här nedanför och skicka formuläret igen.",
	TooManyError:   "Det har kommit för många anmälningar från din anslutning. Vänta några minuter och skicka formuläret igen.",
	Sent: wordsMessage{"Titta i din inkorg", []string{
		"Inom några minuter bör det finnas ett mejl till {address} där. Öppna länken i det och bekräfta; först då är du anmäld till listan ”{list}”.",
		"Inget mejl? Titta i skräpposten, och se efter att adressen här ovanför är rätt.",
	}},
}
