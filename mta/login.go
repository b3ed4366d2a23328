package mta

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

var (
	errNoLogin  = errors.New("the server offers no way to log in that is known here")
	errUnproven = errors.New("the server doesn't prove that it knows the password")
)

// maxIterations bounds what a server can make us hash: less than a second's work, and a hundred times what is usual.
const maxIterations = 1_000_000

// challenges are the mechanisms by which the password itself never leaves us and the server proves that it knows it
// (SCRAM, RFC 5802, RFC 7677), the strongest first. Without channel binding: the certificate was checked already.
var challenges = []struct {
	name string
	hash scram.HashGeneratorFcn
}{
	{"SCRAM-SHA-512", scram.SHA512},
	{"SCRAM-SHA-256", scram.SHA256},
	{"SCRAM-SHA-1", scram.SHA1},
}

// login authenticates (RFC 4954) by the strongest mechanism that both sides know. Servers often offer SCRAM for users
// whose passwords they can check by PLAIN only; so after a no, the password is told to the server, whose certificate was
// checked. A server that fails to prove itself isn't told.
func (s *session) login(ctx context.Context, user, password string) error {
	var err error = &fault{phaseAuth, errNoLogin}
	for _, way := range mechanisms(strings.Fields(strings.ToUpper(s.caps["AUTH"])), user, password) {
		err = s.authenticate(ctx, way)
		var no *refusal
		if !errors.As(err, &no) || no.reply.code/100 != 5 {
			return err
		}
	}
	return err
}

// mechanisms are the ways to log in: at most one by challenge, and then one that tells the password.
func mechanisms(offered []string, user, password string) (ways []sasl.Client) {
	for _, c := range challenges {
		if !slices.Contains(offered, c.name) {
			continue
		}
		// Names and passwords that RFC 4013 has no form for can only be told.
		if client, err := c.hash.NewClient(user, password, ""); err == nil {
			ways = append(ways, &scramClient{name: c.name, talk: client.NewConversation()})
		}
		break
	}
	switch {
	case slices.Contains(offered, sasl.Plain):
		ways = append(ways, sasl.NewPlainClient("", user, password))
	case slices.Contains(offered, sasl.Login):
		ways = append(ways, sasl.NewLoginClient(user, password))
	}
	return ways
}

// scramClient is one log-in by SCRAM, as go-sasl has its own mechanisms.
type scramClient struct {
	name string
	talk *scram.ClientConversation
	no   bool // the server has said within the exchange that it refuses
}

// Start begins the exchange.
func (c *scramClient) Start() (mech string, initial []byte, err error) {
	first, err := c.talk.Step("")
	return c.name, []byte(first), err
}

// Next answers the server, whose last word is its own proof.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	if bytes.HasPrefix(challenge, []byte("e=")) {
		c.no = true
		return nil, nil // the reply to this tells it in SMTP's own words
	}
	if c.no || iterations(challenge) > maxIterations {
		return nil, errUnproven
	}
	answer, err := c.talk.Step(string(challenge))
	if err != nil {
		return nil, errors.Join(errUnproven, err)
	}
	return []byte(answer), nil
}

// proven tells whether the server has shown that it knows the password too.
func (c *scramClient) proven() bool { return c.talk.Valid() }

// iterations is the number of rounds that a server's first message asks for (RFC 5802 section 5.1); 0 for none.
func iterations(challenge []byte) int {
	for field := range strings.SplitSeq(string(challenge), ",") {
		if text, ok := strings.CutPrefix(field, "i="); ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				return maxIterations + 1
			}
			return n
		}
	}
	return 0
}
