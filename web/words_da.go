package web

var danish = words{
	Language: "Dansk",
	Switch:   "Sprog",

	Home: wordsMessage{"Mails fra {company}", []string{
		"Her bekræfter du, at du gerne vil have vores mails, eller siger nej tak til flere.",
		"Det gør du ved at følge linket i en mail, du har fået fra os.",
	}},
	NotFound: wordsMessage{"Siden findes ikke", []string{
		"Måske kom hele linket ikke med, da det blev kopieret. Prøv at åbne det fra mailen igen.",
	}},
	WrongMethod: wordsMessage{"Sådan virker siden ikke", []string{
		"Åbn linket i din browser, og brug knapperne på siden.",
	}},
	BadRequest: wordsMessage{"Det kom ikke rigtigt frem", []string{
		"Intet er ændret. Åbn siden igen, og brug knappen på den.",
	}},
	TooLarge: wordsMessage{"Det var for meget på én gang", []string{
		"Intet er ændret. Gå tilbage, og skriv en kortere tekst.",
	}},
	Refused: wordsMessage{"Det kan ikke lade sig gøre lige nu", []string{
		"Intet er ændret. Skriv til {company}, hvis du har spørgsmål.",
	}},
	Fault: wordsMessage{"Noget gik galt hos os", []string{
		"Det var ikke din skyld. Prøv igen om nogle minutter.",
	}},

	ConfirmTitle:   "Bekræft din tilmelding",
	ConfirmAsk:     "Nogen, sandsynligvis dig selv, har bedt om at få {address} tilmeldt listen »{list}«.",
	ReturnTitle:    "Vil du have vores mails igen?",
	ReturnAsk:      "Nogen, sandsynligvis dig selv, har bedt om, at {address} igen får mails fra listen »{list}«.",
	ReturnStays:    "Adressen har tidligere været afmeldt eller slettet. Derfor kræves der en bekræftet tilmelding, og den kan kun du selv give. Det, der er slettet, forbliver slettet.",
	ConfirmNotice:  "Når du bekræfter, giver du samtykke til følgende:",
	ConfirmButton:  "Ja, jeg bekræfter",
	ConfirmUntil:   "Du kan bekræfte indtil den {until}.",
	ConfirmNothing: "Hvis du ikke har bedt om dette, behøver du ikke gøre noget. Uden dit klik får du ingen mails fra listen, og vi glemmer både anmodningen og adressen.",
	ConfirmDone: wordsMessage{"Tak, det er bekræftet", []string{
		"Du er nu tilmeldt listen »{list}«.",
		"Hvis du en dag skifter mening: I hver mail er der et link til at afmelde dig.",
	}},
	ConfirmUsed: wordsMessage{"Du har allerede bekræftet", []string{
		"Alt er, som det skal være. Du behøver ikke gøre mere og kan lukke siden.",
	}},
	ConfirmExpired: wordsMessage{"Linket er udløbet", []string{
		"Tilmeldingen blev ikke bekræftet i tide, så vi har glemt den.",
		"Vil du stadig have vores mails, så tilmeld dig igen. Så får du et nyt link.",
	}},
	ConfirmUnknown: wordsMessage{"Vi kender ikke linket", []string{
		"Måske kom hele linket ikke med, eller også er det udløbet. Prøv at åbne det fra mailen igen.",
		"Hvis det ikke hjælper, så tilmeld dig igen. Så får du et nyt link.",
	}},

	LeaveTitle:   "Afmeld",
	LeaveAsk:     "Skal {address} ikke længere have mails fra listen »{list}«?",
	LeaveAskList: "Vil du ikke længere have mails fra listen »{list}«?",
	LeaveLists:   "Du er tilmeldt disse lister:",
	LeaveList:    "Afmeld »{list}«",
	LeaveAll:     "Afmeld alle lister",
	LeaveNothing: "Vil du blive ved med at få vores mails, så luk blot siden.",
	Left: wordsMessage{"Du er afmeldt", []string{
		"Du får ikke flere mails fra listen »{list}«.",
	}},
	LeftAll: wordsMessage{"Du er afmeldt", []string{
		"Du får ikke flere mails fra nogen af vores lister.",
	}},
	LeaveUnknown: wordsMessage{"Vi kender ikke linket", []string{
		"Måske kom hele linket ikke med, eller også er det udløbet. Brug linket i den nyeste mail, du har fået fra os.",
		"Hvis det ikke hjælper, så skriv til {company}.",
	}},

	SignUpTitle:    "Tilmeld dig »{list}«",
	SignUpIntro:    "Først får du en mail fra {company} med et link. Du er ikke tilmeldt, før du har bekræftet dér.",
	AddressLabel:   "E-mailadresse",
	FirstNameLabel: "Fornavn (valgfrit)",
	NoticeLabel:    "Det giver du samtykke til",
	AgreeLabel:     "Ja, jeg har læst dette og giver mit samtykke",
	SignUpButton:   "Tilmeld mig",
	Trap:           "Lad dette felt være tomt",
	ErrorPrefix:    "Fejl: ",
	FormErrors:     "Se lige på dette igen",
	AddressError:   "Skriv en fuld e-mailadresse, for eksempel navn@example.com.",
	FirstNameError: "Skriv et kortere navn på højst 100 tegn.",
	AgreedError:    "Sæt kryds i feltet, hvis du giver dit samtykke. Ellers må vi ikke sende dig mails.",
	NoticeChanged:  "Den tekst, du giver samtykke til, er ikke den, som formularen blev åbnet med. Læs den herunder, og send formularen igen.",
	TooManyError:   "Der har været for mange tilmeldinger fra din forbindelse. Vent nogle minutter, og send formularen igen.",
	Sent: wordsMessage{"Kig i din indbakke", []string{
		"Inden for få minutter skulle der gerne ligge en mail til {address}. Åbn linket i den, og bekræft; først da er du tilmeldt listen »{list}«.",
		"Ingen mail? Kig i spammappen, og se efter, om adressen ovenfor er rigtig.",
	}},
}
