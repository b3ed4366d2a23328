package proof

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"kartotek/store/ledger"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	page = template.Must(template.New("proof").Parse(pageText))
)

// WriteHTML writes the proof as one page that needs nothing else and runs
// nothing, fit for printing; the file of Write stands at its end, so that it
// can be checked from the page.
func (b *Bundle) WriteHTML(w io.Writer, key *ledger.Key) error {
	var file bytes.Buffer
	if err := b.Write(&file, key); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(pageStyle))
	err := page.Execute(w, map[string]any{
		"Story": b.Story(), "Bundle": b, "File": file.String(), "Style": template.CSS(pageStyle), //nolint:gosec // ours
		"Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	})
	if err != nil {
		return fmt.Errorf("writing a proof: %w", err)
	}
	return nil
}
