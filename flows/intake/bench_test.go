package intake

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// benchmark reads content over and over and reports rows per second.
func benchmark(b *testing.B, content string) {
	rows := 0
	b.ReportAllocs()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		r, err := open(strings.NewReader(content), int64(len(content)), Options{}, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		var row Row
		for {
			if err := r.Next(&row); errors.Is(err, io.EOF) {
				break
			} else if err != nil || row.Problem != "" {
				b.Fatal(err, row.Problem)
			}
			rows++
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCSVSimple(b *testing.B) {
	benchmark(b, "email,first_name,last_name\n"+strings.Repeat("marie.jensen@example.dk,Marie,Jensen\n", 100_000))
}

func BenchmarkCSVFull(b *testing.B) {
	benchmark(b, strings.Join(Fields(), ";")+";customer_no\n"+strings.Repeat(
		"marie.jensen@example.dk;+4520123456;Marie;Jensen;da;DK;Århus;Webform;VIP;2024-01-31T10:11:12Z;192.0.2.7;2024-01-31T10:15:12Z;192.0.2.7;2025-01-31 08:00:00;31;7;2;K-10042\n", 100_000))
}

func BenchmarkJSONLines(b *testing.B) {
	benchmark(b, strings.Repeat(`{"email":"marie.jensen@example.dk","first_name":"Marie","signed_up_at":"2024-01-31T10:11:12Z","shop":"Århus"}`+"\n", 20_000))
}

func BenchmarkXLSX(b *testing.B) {
	benchmark(b, bigWorkbook(b, 20_000))
}
