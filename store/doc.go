// Package store is what Kartotek keeps: types, SQL, migrations and sealing.
//
// It exists so that nothing above it can see a person by accident. Addresses
// are found by a keyed hash only, personal data lies sealed, and what staff
// browse is masked before it is written, so browsing decrypts nothing. The
// package decides nothing about contacts: what may happen to one is for flows.
//
// Start reading at store.go (opening, transactions), then schema.sql, then the
// nouns: contacts.go, evidence.go, outbox.go. keys.go and seal.go hold the
// cryptography. What is particular to a database is behind engine.go: sqlite.go
// and writer.go are the embedded one, mysql.go, mysqlopen.go, nodes.go and
// ids.go a server; the queries are one text for both.
package store
