package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"kartotek/flows"
)

// sealing signs the log while a command runs, and what is left when it ends:
// a command that nobody else's process follows must not leave its acts unsigned.
type sealing struct {
	desk  *flows.Service
	group errgroup.Group
	stop  context.CancelFunc
}

// lastSealing bounds what a command waits for at its end; what is left then is
// signed by whoever comes next.
const lastSealing = 20 * time.Second

func (a *app) startSealing(ctx context.Context, desk *flows.Service) {
	ctx, stop := context.WithCancel(ctx)
	a.sealing = &sealing{desk: desk, stop: stop}
	a.sealing.group.Go(func() error { return desk.Sealing(ctx) })
}

func (s *sealing) end() error {
	s.stop()
	err := s.group.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastSealing)
	defer cancel()
	if last := s.desk.EndSealing(ctx); !errors.Is(last, context.DeadlineExceeded) {
		err = errors.Join(err, last)
	}
	return err
}

// publishFor bounds how long handing a checkpoint on may take.
const publishFor = 10 * time.Second

// publish hands the log's checkpoints on as the configuration says; nil for nowhere.
func (s settings) publish() func(context.Context, string) error {
	if s.CheckpointCommand == "" && s.CheckpointURL == "" {
		return nil
	}
	return func(ctx context.Context, checkpoint string) error {
		ctx, cancel := context.WithTimeout(ctx, publishFor)
		defer cancel()
		return errors.Join(runWith(ctx, s.CheckpointCommand, checkpoint), post(ctx, s.CheckpointURL, checkpoint))
	}
}

// runWith runs a program, without a shell, with a text on its standard input.
func runWith(ctx context.Context, command, input string) error {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil
	}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stdin = strings.NewReader(input)
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return fmt.Errorf("running checkpoint-command: %w", err)
	}
	return nil
}

func post(ctx context.Context, url, body string) error {
	if url == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return errors.New("checkpoint-url is no address: it looks like https://witness.example.com/kartotek")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("sending a checkpoint: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("sending a checkpoint: the server of checkpoint-url answered %s", res.Status)
	}
	return nil
}
