package cmd

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kartotek/flows"
	"kartotek/mta"
)

// scrapeTime bounds what one look at the numbers may cost.
const scrapeTime = 5 * time.Second

// metrics are the numbers of the sending of mail, for Prometheus. Their labels
// are words of ours, never a server's or a person's.
type metrics struct {
	registry *prometheus.Registry
	route    string // how mail leaves, in a word
	attempts *prometheus.CounterVec
	took     *prometheus.HistogramVec
	waited   prometheus.Histogram
	requests *prometheus.HistogramVec
}

func newMetrics(desk *flows.Service, route string, log *slog.Logger) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), route: route,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kartotek_mail_attempts_total", Help: "Attempts of this process to send a letter, by the route, what came of them, what it was about and how the connection was protected.",
		}, []string{"route", "state", "reason", "tls"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kartotek_mail_attempt_seconds", Help: "How long an attempt took, from its start until its verdict was kept.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 9),
		}, []string{"route"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kartotek_mail_first_attempt_seconds", Help: "How long letters that somebody waits for took until their first attempt had ended.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 9),
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kartotek_web_request_seconds", Help: "Requests to the web pages, by method, page and status.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"method", "page", "status"}),
	}
	m.registry.MustRegister(m.attempts, m.took, m.waited, m.requests, &mailCollector{desk, log}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: scrapeTime})
}

// observe counts an attempt.
func (m *metrics) observe(l mta.Letter, v mta.Verdict, took time.Duration) {
	tls, _, _ := strings.Cut(v.TLS, ",") // the version
	if tls == "" {
		tls = "none"
	}
	m.attempts.WithLabelValues(m.route, string(v.State), reasonOf(v.Enhanced), tls).Inc()
	m.took.WithLabelValues(m.route).Observe(took.Seconds())
	if l.Urgent && l.Attempts == 1 {
		m.waited.Observe(time.Since(l.Created).Seconds())
	}
}

// reasons are the subjects of RFC 3463 section 3, by their digit.
var reasons = [...]string{"other", "address", "mailbox", "system", "network", "protocol", "content", "policy"}

// reasonOf is what a status code of a server, which may say anything, is about.
func reasonOf(enhanced string) string {
	parts := strings.Split(enhanced, ".")
	if len(parts) != 3 || len(parts[1]) != 1 || parts[1] < "0" || parts[1] > "7" {
		return reasons[0]
	}
	return reasons[parts[1][0]-'0']
}

// request counts a request to the web pages.
func (m *metrics) request(method, page string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, page, strconv.Itoa(status)).Observe(took.Seconds())
}

// mailCollector reads the store's own counters when it is asked.
type mailCollector struct {
	desk *flows.Service
	log  *slog.Logger
}

var (
	descLetters = prometheus.NewDesc("kartotek_outbox_letters", "Letters in the outbox, by their state.", []string{"state"}, nil)
	descOldest  = prometheus.NewDesc("kartotek_outbox_oldest_due_seconds", "How long the oldest letter has waited for its first attempt.", nil, nil)
	descTotals  = prometheus.NewDesc("kartotek_mail_verdicts_total", "What became of letters since the store was made; deferred counts attempts.", []string{"verdict"}, nil)
	descAlarms  = prometheus.NewDesc("kartotek_mail_alarms", "Alarms about the sending of mail that nobody has taken as seen.", []string{"kind"}, nil)
)

// Describe names what there is.
func (c *mailCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLetters, descOldest, descTotals, descAlarms} {
		ch <- d
	}
}

// Collect reads the numbers; without a store there are none.
func (c *mailCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	m, err := c.desk.MailTotals(ctx)
	if err != nil {
		c.log.Error("reading the numbers of the outbox failed", "err", err)
		return
	}
	for state, n := range m.Letters {
		ch <- prometheus.MustNewConstMetric(descLetters, prometheus.GaugeValue, float64(n), state)
	}
	for verdict, n := range m.Verdicts {
		ch <- prometheus.MustNewConstMetric(descTotals, prometheus.CounterValue, float64(n), verdict)
	}
	for kind, n := range m.Alarms {
		ch <- prometheus.MustNewConstMetric(descAlarms, prometheus.GaugeValue, float64(n), kind)
	}
	ch <- prometheus.MustNewConstMetric(descOldest, prometheus.GaugeValue, m.OldestDue.Seconds())
}
