// Package cmd is the command line: one file per command, which parses, calls
// one flow and prints.
//
// Its words, flags, exit codes and JSON are a contract that scripts rely on.
// It decides nothing about contacts and writes no SQL. Start reading at
// root.go, then find.go for the shortest command and serve.go for the long
// running ones.
package cmd
