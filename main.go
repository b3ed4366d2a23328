// Kartotek is a terminal console for the people on a company's
// email-marketing lists: see README.md.
package main

import (
	"os"

	"kartotek/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
