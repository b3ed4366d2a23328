// Package flows is what may happen to a contact, and why.
//
// Everything that changes a contact is a flow: one file with one entry method
// on Service. In one transaction it reads the contact, asks the permission
// table whether the act is allowed, writes the new state guarded by what it
// read, writes the evidence and the audit row, and puts any mail into the
// outbox. All or nothing. No door (command line, console, web) decides
// anything itself, and no flow knows a screen or speaks SMTP.
//
// Start reading at permission.go (the table), then signup.go and confirm.go,
// the shortest way round.
package flows
