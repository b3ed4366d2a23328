package mta

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// ErrSigning begins every error of signing and of its keys.
var ErrSigning = errors.New("the message can't be signed")

// rsaBits is the size that RFC 8301 recommends; larger records don't fit well into the name service.
const rsaBits = 2048

// The fields that are signed. Each of the first kind is also signed as absent once more than it occurs, so that
// nobody can add a second one that a reader would see (RFC 6376 section 8.15); mailing lists may add of the others.
var (
	signedOnce = []string{
		"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	}
	signedIfThere = []string{
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Owner", "List-Post", "List-Archive",
		"List-Subscribe",
	}
)

// SigningKey is one DKIM key of a domain (RFC 6376), RSA or Ed25519.
type SigningKey struct {
	domain, selector string
	key              crypto.Signer
}

// NewSigningKeys makes the two keys of a domain: RSA, which every receiver checks, under the selector selector-rsa,
// and Ed25519 (RFC 8463) under selector-ed25519.
func NewSigningKeys(domain, selector string) ([]SigningKey, error) {
	r, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("%w: making an RSA key: %w", ErrSigning, err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: making an Ed25519 key: %w", ErrSigning, err)
	}
	first, err := newSigningKey(domain, selector+"-rsa", r)
	if err != nil {
		return nil, err
	}
	second, err := newSigningKey(domain, selector+"-ed25519", e)
	return []SigningKey{first, second}, err
}

// ParseSigningKey reads a key from PEM (PKCS #8), as [SigningKey.PEM] writes it. Errors quote nothing of the key.
func ParseSigningKey(domain, selector string, text []byte) (SigningKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return SigningKey{}, fmt.Errorf("%w: the key is not a PEM block of type PRIVATE KEY", ErrSigning)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return SigningKey{}, fmt.Errorf("%w: the key is not in PKCS #8", ErrSigning)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < rsaBits {
			return SigningKey{}, fmt.Errorf("%w: the RSA key is shorter than %d bits", ErrSigning, rsaBits)
		}
		return newSigningKey(domain, selector, key)
	case ed25519.PrivateKey:
		return newSigningKey(domain, selector, key)
	}
	return SigningKey{}, fmt.Errorf("%w: the key is neither RSA nor Ed25519", ErrSigning)
}

func newSigningKey(domain, selector string, key crypto.Signer) (SigningKey, error) {
	d, err := domainASCII(domain)
	if err != nil {
		return SigningKey{}, fmt.Errorf("%w: its domain is not a domain name", ErrSigning)
	}
	s, err := domainASCII(selector)
	if err != nil {
		return SigningKey{}, fmt.Errorf("%w: its selector may have letters, digits and hyphens only", ErrSigning)
	}
	return SigningKey{domain: d, selector: s, key: key}, nil
}

// PEM is the private key as PKCS #8, to be kept secret.
func (k SigningKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, fmt.Errorf("%w: writing its key: %w", ErrSigning, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Selector is the name under which the domain publishes the key.
func (k SigningKey) Selector() string { return k.selector }

// Record is the TXT record that the domain must publish for receivers to check the signatures: its full name, without
// a dot at its end, and its value (RFC 6376 section 3.6.1).
func (k SigningKey) Record() (name, value string, err error) {
	kind, public := "ed25519", []byte(nil)
	switch p := k.key.Public().(type) {
	case ed25519.PublicKey:
		public = p
	default:
		kind = "rsa"
		if public, err = x509.MarshalPKIXPublicKey(p); err != nil {
			return "", "", fmt.Errorf("%w: writing its public key: %w", ErrSigning, err)
		}
	}
	value = "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(public)
	return k.selector + "._domainkey." + k.domain, value, nil
}

// ZoneLine writes a TXT record as a line of a zone file: one string holds 255 bytes at most (RFC 1035 section 3.3.14).
// The value is one that [SigningKey.Record] made.
func ZoneLine(name, value string) string {
	var b strings.Builder
	b.WriteString(name + ". IN TXT (")
	for len(value) > 0 {
		n := min(len(value), 255)
		b.WriteString(` "` + value[:n] + `"`)
		value = value[n:]
	}
	b.WriteString(" )")
	return b.String()
}

// Signer signs messages with all keys of a domain. It may be used by several goroutines at once.
type Signer struct {
	keys []SigningKey
}

// NewSigner makes a signer. The signatures are put in the order of the keys, the first on top.
func NewSigner(keys ...SigningKey) (*Signer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is no key", ErrSigning)
	}
	return &Signer{keys: keys}, nil
}

// Sign returns msg with CRLF line ends and a DKIM-Signature of each key on top. The message must have exactly one
// From: what a reader takes for the sender is what the signature vouches for. Text of 8 bits is encoded in 7 first, for
// a server on the way may have to do that and would break the signature (RFC 6376 section 5.3).
func (s *Signer) Sign(msg []byte) ([]byte, error) {
	msg = normalise(msg)
	if head, body := splitHeader(msg); hasHighBit(body) && !hasHighBit(head) {
		if seven, err := sevenBit(msg); err == nil {
			msg = seven
		}
	}
	there, err := fieldNames(msg)
	if err != nil {
		return nil, err
	}
	if there["From"] != 1 {
		return nil, fmt.Errorf("%w: it needs exactly one From field", ErrSigning)
	}
	fields := fieldsToSign(there)
	var out bytes.Buffer
	for _, k := range s.keys {
		field, err := k.sign(msg, fields)
		if err != nil {
			return nil, err
		}
		out.WriteString(field)
	}
	out.Write(msg)
	return out.Bytes(), nil
}

// sign makes one signature field, with its CRLF.
func (k SigningKey) sign(msg []byte, fields []string) (string, error) {
	signer, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: k.domain, Selector: k.selector, Signer: k.key, HeaderKeys: fields,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSigning, err)
	}
	_, writeErr := signer.Write(msg)
	// Closed in any case, or its goroutine would stay for ever.
	if err := errors.Join(writeErr, signer.Close()); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSigning, err)
	}
	return signer.Signature(), nil
}

// Signers are the signers of domains, in A-labels. A message is signed by the one of its From field's domain or of the
// nearest domain above it, which DMARC takes as well (RFC 7489 section 3.1.1); where there is none it leaves as it is.
type Signers map[string]*Signer

func (s Signers) sign(l Letter) (Letter, error) {
	if len(s) == 0 {
		return l, nil
	}
	m, err := mail.ReadMessage(bytes.NewReader(l.Data))
	if err != nil {
		return l, fmt.Errorf("%w: its header can't be read", ErrSigning)
	}
	from, err := mail.ParseAddress(m.Header.Get("From"))
	if err != nil {
		return l, fmt.Errorf("%w: its From field can't be read", ErrSigning)
	}
	domain, err := domainASCII(from.Address[strings.LastIndexByte(from.Address, '@')+1:])
	if err != nil {
		return l, fmt.Errorf("%w: its From field has no domain", ErrSigning)
	}
	for above := true; above; _, domain, above = strings.Cut(domain, ".") {
		if signer := s[domain]; signer != nil {
			l.Data, err = signer.Sign(l.Data)
			return l, err
		}
	}
	return l, nil
}

// fieldNames counts the fields of a normalised message by their canonical names. A line that is no field is an
// error: readers differ in whether the header ends there.
func fieldNames(msg []byte) (map[string]int, error) {
	names := map[string]int{}
	head, _ := splitHeader(msg)
	for line := range bytes.Lines(head) {
		if (line[0] == ' ' || line[0] == '\t') && len(names) > 0 {
			continue // folded
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return nil, fmt.Errorf("%w: its header has a line that is no field", ErrSigning)
		}
		names[canonicalField(string(name))]++
	}
	return names, nil
}

// canonicalField writes a field's name as the lists above do.
func canonicalField(name string) string {
	name = textproto.CanonicalMIMEHeaderKey(strings.TrimRight(name, " \t"))
	switch name {
	case "Message-Id":
		return "Message-ID"
	case "Mime-Version":
		return "MIME-Version"
	}
	return name
}

func fieldsToSign(there map[string]int) []string {
	var fields []string
	for _, name := range signedOnce {
		for range there[name] + 1 {
			fields = append(fields, name)
		}
	}
	for _, name := range signedIfThere {
		for range there[name] {
			fields = append(fields, name)
		}
	}
	return fields
}
