package web

var english = words{
	Language: "English",
	Switch:   "Language",

	Home: wordsMessage{"Mail from {company}", []string{
		"Here you confirm that you want our mail, or say that you no longer want it.",
		"To do so, please follow the link in a mail that you got from us.",
	}},
	NotFound: wordsMessage{"This page does not exist", []string{
		"Perhaps the link was not copied whole. Please try once more to open it from the mail.",
	}},
	WrongMethod: wordsMessage{"That is not how this page works", []string{
		"Please open the link in your browser and use the buttons on the page.",
	}},
	BadRequest: wordsMessage{"That did not arrive as it should", []string{
		"Nothing was changed. Please open the page again and use the button on it.",
	}},
	TooLarge: wordsMessage{"That was too much at once", []string{
		"Nothing was changed. Please go back and enter less text.",
	}},
	Refused: wordsMessage{"This cannot be done at the moment", []string{
		"Nothing was changed. Please write to {company} if you have questions.",
	}},
	Fault: wordsMessage{"Something went wrong here", []string{
		"It was not your fault. Please try again in a few minutes.",
	}},

	ConfirmTitle:   "Please confirm your sign-up",
	ConfirmAsk:     "Someone, most likely you, asked for {address} to be signed up to the list “{list}”.",
	ReturnTitle:    "Do you want our mail again?",
	ReturnAsk:      "Someone, most likely you, asked for {address} to receive mail from the list “{list}” again.",
	ReturnStays:    "The address was unsubscribed or erased before. A confirmed sign-up is therefore required, and only you can give it. Whatever was deleted stays deleted.",
	ConfirmNotice:  "By confirming you agree to this:",
	ConfirmButton:  "Yes, I confirm",
	ConfirmUntil:   "You can confirm until {until}.",
	ConfirmNothing: "If you did not ask for this, you need not do anything. Without your click you get no mail from the list, and we forget the request together with the address.",
	ConfirmDone: wordsMessage{"Thank you, that is confirmed", []string{
		"You are now signed up to the list “{list}”.",
		"Should you ever change your mind: every mail has a link to unsubscribe.",
	}},
	ConfirmUsed: wordsMessage{"You have already confirmed", []string{
		"All is well. You need not do anything more and can close this page.",
	}},
	ConfirmExpired: wordsMessage{"This link has expired", []string{
		"The sign-up was not confirmed in time, so we have forgotten it.",
		"If you still want our mail, please sign up again. You will then get a new link.",
	}},
	ConfirmUnknown: wordsMessage{"We do not know this link", []string{
		"Perhaps it was not copied whole, or it has expired. Please try once more to open it from the mail.",
		"If that does not help, please sign up again. You will then get a new link.",
	}},

	LeaveTitle:   "Unsubscribe",
	LeaveAsk:     "Should {address} no longer receive mail from the list “{list}”?",
	LeaveAskList: "Do you no longer want mail from the list “{list}”?",
	LeaveLists:   "You are on these lists:",
	LeaveList:    "Unsubscribe from “{list}”",
	LeaveAll:     "Unsubscribe from all lists",
	LeaveNothing: "If you want to keep getting our mail, just close this page.",
	Left: wordsMessage{"You are unsubscribed", []string{
		"You will get no more mail from the list “{list}”.",
	}},
	LeftAll: wordsMessage{"You are unsubscribed", []string{
		"You will get no more mail from any of our lists.",
	}},
	LeaveUnknown: wordsMessage{"We do not know this link", []string{
		"Perhaps it was not copied whole, or it has expired. Please use the link in the newest mail that you got from us.",
		"If that does not help, please write to {company}.",
	}},

	SignUpTitle:    "Sign up to “{list}”",
	SignUpIntro:    "You will first get a mail from {company} with a link. You are not signed up until you confirm there.",
	AddressLabel:   "Email address",
	FirstNameLabel: "First name (optional)",
	NoticeLabel:    "What you agree to",
	AgreeLabel:     "Yes, I have read this and agree",
	SignUpButton:   "Sign up",
	Trap:           "Please leave this field empty",
	ErrorPrefix:    "Error: ",
	FormErrors:     "Please look at this again",
	AddressError:   "Please enter a full email address, such as name@example.com.",
	FirstNameError: "Please enter a shorter name, of at most 100 characters.",
	AgreedError:    "Please tick the box if you agree. Without that we may not send you mail.",
	NoticeChanged:  "The text that you agree to is not the one this form was opened with. Please read it below and send the form again.",
	TooManyError:   "There have been too many sign-ups from your connection. Please wait a few minutes and send the form again.",
	Sent: wordsMessage{"Please look in your mailbox", []string{
		"Within a few minutes you should find a mail to {address} there. Open the link in it and confirm; only then are you signed up to the list “{list}”.",
		"No mail? Look among the spam, and check that the address above is right.",
	}},
}
