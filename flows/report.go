package flows

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// report is the file that lists an import's refused and invalid lines: by
// number and reason, never by what stands in them.
type report struct {
	path string
	file *os.File
	buf  *bufio.Writer
	csv  *csv.Writer
}

func newReport(dir, pattern string) (*report, error) {
	f, err := os.CreateTemp(dir, pattern) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("making the report: %w", err)
	}
	buf := bufio.NewWriter(f)
	r := &report{path: f.Name(), file: f, buf: buf, csv: csv.NewWriter(buf)}
	return r, r.csv.Write([]string{"line", "outcome", "reason"})
}

func (r *report) add(items []*item) error {
	for _, it := range items {
		why := it.why
		switch it.fate {
		case invalid:
			why = it.problem
		case refused:
		default:
			continue
		}
		if err := r.csv.Write([]string{strconv.Itoa(it.line), fateNames[it.fate], why}); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

func (r *report) close() error {
	r.csv.Flush()
	if err := errors.Join(r.csv.Error(), r.buf.Flush(), r.file.Close()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
