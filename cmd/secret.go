package cmd

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"kartotek/store"
)

// hidePassword takes a password that stands in --store out of what everybody
// on the machine can read with ps: the program starts itself again, in its
// place, with the password in the environment.
func hidePassword(storeURL string) error {
	without, password := store.CutPassword(storeURL)
	if password == "" {
		return nil
	}
	args := slices.Clone(os.Args)
	found := false
	for i, arg := range args {
		if arg == storeURL || arg == "--store="+storeURL {
			args[i], found = strings.Replace(arg, storeURL, without, 1), true
		}
	}
	if !found {
		return nil // it came by the environment or the configuration
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, args, append(os.Environ(), store.PasswordVariable+"="+password))
}
