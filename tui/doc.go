// Package tui is the console: what staff see and press.
//
// It exists so that looking after contacts is quick and calm: masked cards to
// browse, exact search, one card with its evidence, and the acts on it. The
// package decides nothing. It asks flows through the [Desk] interface and draws
// the answer; it never meets SQL, SMTP or a web page, and it holds no address
// longer than the overlay it was typed into.
//
// Start reading at app.go: a key press arrives at Model.Update, is looked up in
// the table of actions of the screen on show (screen.go), and becomes a call
// through ask (call.go), whose reply comes back to the screen that asked. A new
// screen is one file that embeds base, and one line in the table registry.
package tui
