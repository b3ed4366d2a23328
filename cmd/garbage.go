package cmd

import (
	"os"
	"runtime/debug"
)

// How much garbage may come on top of what is in use, in percent: what runs for
// days, with a team's screens in it, takes memory before time. While many
// letters are sent it is the other way round.
const (
	garbage       = 50
	garbageInRush = 300
)

// Garbage sets how much garbage may come before it is collected, for a process
// that runs on; more while letters are sent in a rush. A GOGC in the environment
// stands.
func Garbage(rush bool) {
	switch {
	case os.Getenv("GOGC") != "":
	case rush:
		debug.SetGCPercent(garbageInRush)
	default:
		debug.SetGCPercent(garbage)
	}
}
