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

// filters are what the console's filter can combine, in both orders.
var filters = []struct {
	name string
	flows.Filter
	flows.Order
}{
	{"plain", flows.Filter{}, flows.ByActivity},
	{"permission", flows.Filter{Permission: store.Unsubscribed}, flows.ByActivity},
	{"permission, few", flows.Filter{Permission: store.Pending}, flows.ByActivity},
	{"list", flows.Filter{List: importList}, flows.ByActivity},
	{"list, few", flows.Filter{List: "Board"}, flows.ByActivity},
	{"source", flows.Filter{Source: "Webform"}, flows.ByActivity},
	{"source, few", flows.Filter{Source: rareSource}, flows.ByActivity},
	{"permission+list", flows.Filter{Permission: store.Unsubscribed, List: importList}, flows.ByActivity},
	{"permission+list, few", flows.Filter{Permission: store.Pending, List: "Events"}, flows.ByActivity},
	{"permission+source", flows.Filter{Permission: store.Unsubscribed, Source: "Webform"}, flows.ByActivity},
	{"permission+source, few", flows.Filter{Permission: store.Pending, Source: "Webform"}, flows.ByActivity},
	{"list+source", flows.Filter{List: importList, Source: "Webform"}, flows.ByActivity},
	{"list+source, few", flows.Filter{List: importList, Source: rareSource}, flows.ByActivity},
	{"list, few+source", flows.Filter{List: "Board", Source: "Webform"}, flows.ByActivity},
	{"all three", flows.Filter{Permission: store.Unsubscribed, List: "Events", Source: "Webform"}, flows.ByActivity},
	{"all three, few", flows.Filter{Permission: store.Pending, List: importList, Source: rareSource}, flows.ByActivity},
	{"rating", flows.Filter{Rating: "average"}, flows.ByActivity},
	{"rating+permission, few", flows.Filter{Rating: "average", Permission: store.Pending}, flows.ByActivity},
	{"rating+list", flows.Filter{Rating: "average", List: "Offers"}, flows.ByActivity},
	{"rating+source, few", flows.Filter{Rating: "average", Source: rareSource}, flows.ByActivity},
	{"rating+list+source", flows.Filter{Rating: "average", List: "Offers", Source: "Webform"}, flows.ByActivity},
	{"everything, few", flows.Filter{Rating: "average", Permission: store.Pending, List: importList, Source: rareSource}, flows.ByActivity},
	{"list+source, both few", flows.Filter{List: "Board", Source: "Event"}, flows.ByActivity},
	{"days", flows.Filter{From: sampleTime.AddDate(-1, 0, 0), Before: sampleTime.AddDate(0, -1, 0)}, flows.ByActivity},
	{"days+list+rating", flows.Filter{List: "Offers", Rating: "average", From: sampleTime.AddDate(-1, 0, 0)}, flows.ByActivity},
	{"by id", flows.Filter{}, flows.ByID},
	{"by id, permission", flows.Filter{Permission: store.Unsubscribed}, flows.ByID},
	{"by id, list", flows.Filter{List: importList}, flows.ByID},
	{"by id, permission+list, few", flows.Filter{Permission: store.Pending, List: "Events"}, flows.ByID},
	{"by id, source, few", flows.Filter{Source: rareSource}, flows.ByID},
	{"by id, rating", flows.Filter{Rating: "average"}, flows.ByID},
	{"by id, rating+list", flows.Filter{Rating: "average", List: "Offers"}, flows.ByID},
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
			p.Filter, p.Order, p.Limit = f.Filter, f.Order, 50
			return func(int) error {
				_, err := desk.Browse(ctx, staff, p)
				return err
			}
		}
		middle, err := middlePage(ctx, desk, f.Filter, f.Order)
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

// middlePage is the page half-way between the first and the last.
func middlePage(ctx context.Context, desk *flows.Service, f flows.Filter, o flows.Order) (flows.Page, error) {
	first, err := desk.Browse(ctx, staff, flows.Page{Filter: f, Order: o, Limit: 50})
	if err != nil {
		return flows.Page{}, err
	}
	last, err := desk.Browse(ctx, staff, flows.Page{Filter: f, Order: o, Limit: 50, Last: true})
	after := flows.Cursor{LastSeen: (first.First.LastSeen + last.Last.LastSeen) / 2, ID: math.MaxInt64}
	if o == flows.ByID {
		after.ID = (first.First.ID + last.Last.ID) / 2
	}
	return flows.Page{After: &after}, err
}
