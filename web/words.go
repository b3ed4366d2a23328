package web

import "kartotek/flows/lang"

// wording is all that the pages say. To change or add a text, change it in all
// four files words_*.go; a test compares them.
var wording = map[lang.Tag]*words{
	lang.English: &english,
	lang.Danish:  &danish,
	lang.Swedish: &swedish,
	lang.German:  &german,
}

// words are the texts of one language. In braces stand places that say fills:
// {list}, {address}, {company} and {until}.
type words struct {
	Language string // the language's name in itself
	Switch   string // what the switch at the foot is for, to screen readers

	Home        wordsMessage
	NotFound    wordsMessage
	WrongMethod wordsMessage
	BadRequest  wordsMessage
	TooLarge    wordsMessage
	Refused     wordsMessage
	Fault       wordsMessage

	ConfirmTitle   string
	ConfirmAsk     string
	ReturnTitle    string // of a resubscription, as the next two
	ReturnAsk      string
	ReturnStays    string
	ConfirmNotice  string
	ConfirmButton  string
	ConfirmUntil   string
	ConfirmNothing string
	ConfirmDone    wordsMessage
	ConfirmUsed    wordsMessage
	ConfirmExpired wordsMessage
	ConfirmUnknown wordsMessage

	LeaveTitle   string
	LeaveAsk     string
	LeaveAskList string // when there is no address to show any more
	LeaveLists   string
	LeaveList    string
	LeaveAll     string
	LeaveNothing string
	Left         wordsMessage
	LeftAll      wordsMessage
	LeaveUnknown wordsMessage

	SignUpTitle    string
	SignUpIntro    string
	AddressLabel   string
	FirstNameLabel string
	NoticeLabel    string
	AgreeLabel     string
	SignUpButton   string
	Trap           string // the label of the field that nobody sees
	ErrorPrefix    string // before the window's title
	FormErrors     string
	AddressError   string
	FirstNameError string
	AgreedError    string
	NoticeChanged  string
	TooManyError   string
	Sent           wordsMessage
}

// wordsMessage is a page of a heading and some paragraphs.
type wordsMessage struct {
	Title string
	Text  []string
}
