package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/adrg/xdg"
	"github.com/charmbracelet/x/term"

	"kartotek/flows"
	"kartotek/store"
)

// app is one run of the program.
type app struct {
	in     io.Reader
	out    io.Writer
	errOut io.Writer
	set    settings

	migrates   bool                                      // the command may change the schema of a database server
	newJournal func(context.Context, *store.Store) error // the command begins another erasure journal, unless this refuses
	told       []string

	store  *store.Store
	who    flows.Actor    // who is acting; set by open
	desk   *flows.Service // of a command over SSH: who and store are settled
	common shared         // with the other processes on the store; set by open

	sealing *sealing // of the log; set by open
}

// openStore opens the store, once, and says so when its key file is new.
func (a *app) openStore(ctx context.Context) error {
	if a.store != nil {
		return nil
	}
	s, err := store.Open(ctx, store.Options{URL: a.set.Store, Keys: a.set.Keys, Files: filepath.Join(xdg.DataHome, "kartotek"), Migrate: a.migrates, NewJournal: a.newJournal})
	if err != nil {
		return err
	}
	a.store = s
	if s.NewKeys {
		a.tell(a.keyWord())
	}
	for _, w := range s.Words() {
		a.tell(w)
	}
	return a.catchUp(ctx)
}

// catchUp erases again, in a store that was restored from a backup, who was
// erased since, before anything of it is shown or sent.
func (a *app) catchUp(ctx context.Context) error {
	r := a.store.Behind()
	if r == nil {
		return nil
	}
	fmt.Fprintf(a.errOut, "The store lacks %s that this machine's journal holds, as a store does that was restored from a backup: erasing again first.\n", plural(r.Total, "erasure"))
	bar := newBar(a.errOut)
	done, err := flows.New(a.store, flows.Config{}).CatchUp(ctx, func(done, total int) {
		bar.count(int64(done), int64(total))
	})
	bar.clear()
	if err != nil {
		return fmt.Errorf("erasing again (it goes on where it stopped at the next start): %w", err)
	}
	a.tell(fmt.Sprintf("The store was older than its erasure journal. Erased again: %d.", done.Erasures))
	return nil
}

// tell says what whoever opens the store must know, also to who opens the
// console, which covers what was written before it.
func (a *app) tell(word string) {
	fmt.Fprintln(a.errOut, word)
	a.told = append(a.told, word)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// keyWord is what a user must know of a new key file.
func (a *app) keyWord() string {
	return fmt.Sprintf("A new key file was made: %s. Keep a copy of it in a safe place, apart from the database's backups: without it everything in the store is lost.", a.set.Keys)
}

// open opens the store with the flows on it, and signs the user in.
func (a *app) open(ctx context.Context) (*flows.Service, error) {
	if a.desk != nil {
		return a.desk, nil
	}
	desk, err := a.service(ctx)
	if err != nil {
		return nil, err
	}
	return desk, a.signIn(ctx, desk, commandLine)
}

// commandLine is the door of who acts by a command on this machine.
const commandLine = "command line"

// signIn settles who is acting.
func (a *app) signIn(ctx context.Context, desk *flows.Service, door string) (err error) {
	a.who, err = desk.SignIn(ctx, a.set.As, a.set.User, door)
	return err
}

// service opens the store with the flows on it, for what nobody does.
func (a *app) service(ctx context.Context) (*flows.Service, error) {
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	common, err := a.sharedSettings(ctx)
	if err != nil {
		return nil, err
	}
	a.common = common
	cfg := common.config()
	cfg.Publish = a.set.publish()
	desk := flows.New(a.store, cfg)
	if a.sealing == nil {
		a.startSealing(ctx, desk)
	}
	return desk, nil
}

func (a *app) close() error {
	if a.store == nil {
		return nil
	}
	if a.sealing != nil {
		if err := a.sealing.end(); err != nil && !errors.Is(err, flows.ErrNewer) { // the command did what it was asked for
			fmt.Fprintln(a.errOut, "kartotek: warning: "+sentence(err))
		}
	}
	return a.store.Close()
}

// reopen closes the store, so that it is opened anew.
func (a *app) reopen() error {
	err := a.close()
	a.store, a.sealing = nil, nil
	return err
}

// abandon closes a store that is not to be the store after all: its log is not
// signed, since the checkpoints outside of it would vouch for it.
func (a *app) abandon() error {
	if a.sealing != nil {
		a.sealing.stop()
		if err := a.sealing.group.Wait(); err != nil {
			return err
		}
		a.sealing = nil
	}
	return a.reopen()
}

// cli is who acts by a command.
func (a *app) cli() flows.Actor { return a.who }

// address reads an address that is given as -, which keeps it out of the
// shell's history and of ps, from standard input.
func (a *app) address(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	line, err := bufio.NewReader(io.LimitReader(a.in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the address from standard input: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usageError{errors.New("- reads an address from standard input, and there was none")}
	}
	return line, nil
}

// print writes v as JSON, or what text writes.
func (a *app) print(v any, text func(w io.Writer)) error {
	if !a.set.JSON {
		text(a.out)
		return nil
	}
	return flows.WriteJSON(a.out, v, "  ")
}

// clean takes out of a stranger's text what moves the cursor or turns a line around.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return -1
	}, s)
}

// terminal tells whether a stream is one that a person looks at.
func terminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(f.Fd())
}
