package main

import (
	"context"
	"fmt"
	"math"

	"kartotek/flows"
	"kartotek/store"
)

// pages is how often each page is timed.
const pages = 60

// filters are what the console's filter can combine.
var filters = []struct {
	name string
	flows.Filter
}{
	{"plain", flows.Filter{}},
	{"permission", flows.Filter{Permission: store.Unsubscribed}},
	{"permission, few", flows.Filter{Permission: store.Pending}},
	{"list", flows.Filter{List: importList}},
	{"list, few", flows.Filter{List: "Board"}},
	{"source", flows.Filter{Source: "Webform"}},
	{"source, few", flows.Filter{Source: rareSource}},
	{"permission+list", flows.Filter{Permission: store.Unsubscribed, List: importList}},
	{"permission+list, few", flows.Filter{Permission: store.Pending, List: "Events"}},
	{"permission+source", flows.Filter{Permission: store.Unsubscribed, Source: "Webform"}},
	{"permission+source, few", flows.Filter{Permission: store.Pending, Source: "Webform"}},
	{"list+source", flows.Filter{List: importList, Source: "Webform"}},
	{"list+source, few", flows.Filter{List: importList, Source: rareSource}},
	{"list, few+source", flows.Filter{List: "Board", Source: "Webform"}},
	{"all three", flows.Filter{Permission: store.Unsubscribed, List: "Events", Source: "Webform"}},
	{"all three, few", flows.Filter{Permission: store.Pending, List: importList, Source: rareSource}},
}

// browse compares the last page of 50 with the first one, under each filter.
func (b *bench) browse(ctx context.Context) error {
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	s, desk, err := openStore(ctx, large)
	if err != nil {
		return err
	}
	defer s.Close()
	b.tell("paging")
	for _, f := range filters {
		ask := func(p flows.Page) func(int) error {
			p.Filter, p.Limit = f.Filter, 50
			return func(int) error {
				_, err := desk.Browse(ctx, staff, p)
				return err
			}
		}
		middle, err := middlePage(ctx, desk, f.Filter)
		if err != nil {
			return err
		}
		took, err := alternate(pages, ask(flows.Page{}), ask(middle), ask(flows.Page{Last: true}))
		if err != nil {
			return err
		}
		b.atMost(fmt.Sprintf("page of 50, %s: last against first", f.name), took[2].median(), took[0].median(), 1.5)
		b.atMost(fmt.Sprintf("page of 50, %s: middle against first", f.name), took[1].median(), took[0].median(), 1.5)
	}
	return nil
}

// middlePage is the page half-way in time between the newest and the oldest.
func middlePage(ctx context.Context, desk *flows.Service, f flows.Filter) (flows.Page, error) {
	first, err := desk.Browse(ctx, staff, flows.Page{Filter: f, Limit: 50})
	if err != nil {
		return flows.Page{}, err
	}
	last, err := desk.Browse(ctx, staff, flows.Page{Filter: f, Limit: 50, Last: true})
	return flows.Page{After: &flows.Cursor{LastSeen: (first.First.LastSeen + last.Last.LastSeen) / 2, ID: math.MaxInt64}}, err
}
