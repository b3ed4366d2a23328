package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"strconv"
	"time"

	"kartotek/mta/mtatest"
)

// sourceConns is over how many connections, or from how many goroutines, letters come in.
const sourceConns = 32

// sinkConns is how many connections to the sink tuned senders may have, Postfix and ours.
const sinkConns = "100"

// tuned is what Postfix's own TUNING_README advises for a machine that only passes letters on.
var tuned = map[string]string{
	"default_process_limit": "200", "default_destination_concurrency_limit": sinkConns, "initial_destination_concurrency": "50",
	"smtp_destination_concurrency_limit": sinkConns, "smtp_connection_cache_on_demand": "yes", "smtp_connection_cache_time_limit": "10s",
	"smtp_connection_reuse_count_limit": "0", "qmgr_message_active_limit": "60000", "qmgr_message_recipient_limit": "60000",
	"in_flow_delay": "0s", "smtpd_client_connection_count_limit": "0", "smtp_tls_security_level": "none", "smtputf8_enable": "no",
	"queue_run_delay": "300s", "minimal_backoff_time": "300s", "hopcount_limit": "500", "smtpd_recipient_restrictions": "permit_mynetworks, reject",
}

// fullQueue makes letters wait in Postfix until all are there.
var fullQueue = map[string]string{"defer_transports": "smtp"}

// postfixRun is how many of n letters it brings to the sink in a second, set up with further settings: from the first
// letter handed in until the last is with the sink, or with all letters in its queue at the beginning. What it takes to
// start it, or to tell it of other settings, doesn't count.
func postfixRun(ctx context.Context, n int, further map[string]string) (perSecond float64, err error) {
	out, err := startSink("-M", strconv.Itoa(n)) // ends with the last letter, whose sender it leaves without an answer
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.stop()) }()
	settings := map[string]string{"relayhost": "[127.0.0.1]:" + portOf(out.addr)}
	maps.Copy(settings, tuned)
	maps.Copy(settings, further)
	p, err := mtatest.Start(ctx, mtatest.Options{Hostname: "bench.test", Settings: settings})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	began := time.Now()
	source := exec.CommandContext(ctx, "smtp-source", "-s", strconv.Itoa(sourceConns), "-m", strconv.Itoa(n), "-l", strconv.Itoa(len(letterText)),
		"-f", "news@example.com", "-t", "marie@example.dk", "-d", p.Addr)
	if said, err := source.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("handing letters to Postfix: %w: %s", err, said)
	}
	if further["defer_transports"] != "" {
		if err := p.Release(ctx); err != nil {
			return 0, err
		}
		began = time.Now()
		if err := p.Flush(ctx); err != nil {
			return 0, err
		}
	}
	err = out.await(ctx)
	return float64(n) / time.Since(began).Seconds(), err
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
