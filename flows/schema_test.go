package flows

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// exportSchema is the JSON Schema of an exported card, formats asserted.
func exportSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join("..", "docs", "export.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// export writes a card to a file as JSON and reads the file.
func (d *desk) export(target string) map[string]any {
	d.t.Helper()
	done, err := d.Export(d.t.Context(), anna, target, nil, "json", "")
	d.must(err)
	raw, err := os.ReadFile(done.Path)
	d.must(err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	d.must(err)
	return v.(map[string]any)
}

func (d *desk) importFile(content string, confirmed bool) {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "people.csv")
	d.must(os.WriteFile(path, []byte(content), 0o600))
	res, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: confirmed}, nil)
	d.must(err)
	if res.Added == 0 {
		d.t.Fatalf("imported nothing: %+v", res)
	}
}

// fullCSV is a contact that fills every field, with values that make trouble.
const fullCSV = "email,mobile,first_name,last_name,language,country,city,source,rating,opens,clicks,updates,signed_up_at,signed_up_ip,confirmed_at,confirmed_ip,last_activity_at,shoe size,=cmd\n" +
	"bjørn@blåbær.example,+4520123456,\"Bj\x1b[31mørn\u202e\r\nBcc: x\",Æøå,da,Denmark,Århus,\"=2+3\",VIP,3,2,1,2024-01-31T10:11:12.345Z,2001:db8::7,2024-01-31T10:12:00Z,192.0.2.7,2025-05-05,44,@SUM(1)\n"

// schemaCases bring a card into a state and name what is exported.
var schemaCases = map[string]func(*desk) string{
	"confirmed, every field": func(d *desk) string {
		d.importFile(fullCSV, true)
		return "bjørn@blåbær.example"
	},
	"confirmed on the web": func(d *desk) string { d.bring(marie, Confirmed); return marie },
	"with behaviour": func(d *desk) string {
		d.bring(marie, Confirmed)
		at := d.time.Add(-time.Minute).Format(time.RFC3339)
		d.takeActivity(d.activityFile("email,kind,at,city,country", marie+",open,"+at+",Aarhus,Denmark", marie+",click,"+at+",,"))
		return marie
	},
	"frozen and corrected, with a letter held": func(d *desk) string {
		d.bring(marie, Pending)
		id := d.newest(marie).SubscriberID
		_, err := d.Correct(d.t.Context(), anna, id, "city", "Aarhus")
		d.must(err)
		_, err = d.Freeze(d.t.Context(), anna, id, "disputed")
		d.must(err)
		_, err = d.Unfreeze(d.t.Context(), anna, id, "settled")
		d.must(err)
		_, err = d.Hold(d.t.Context(), anna, int64(d.countLetters()))
		d.must(err)
		return marie
	},
	"pending": func(d *desk) string {
		d.importFile("email,signed_up_ip\n"+marie+",192.0.2.7\n", false)
		return marie
	},
	"unsubscribed": func(d *desk) string { d.bring(marie, Unsubscribed); return marie },
	"waiting again after unsubscribing": func(d *desk) string {
		d.bring(marie, Unsubscribed)
		d.resubscribe(marie)
		return marie
	},
	"tombstone by address": func(d *desk) string { d.bring(marie, Deleted); return marie },
	"tombstone by id": func(d *desk) string {
		d.bring(marie, Deleted)
		return strconv.FormatInt(d.newest(marie).SubscriberID, 10)
	},
	"suppression": func(d *desk) string {
		_, err := d.Erase(d.t.Context(), anna, marie, "asked for it")
		d.must(err)
		return marie
	},
	"tombstone beside which somebody waits": func(d *desk) string {
		d.bring(marie, Deleted)
		d.resubscribe(marie)
		return marie
	},
	"came back": func(d *desk) string {
		d.bring(marie, Deleted)
		d.resubscribe(marie)
		d.confirmNewest()
		return marie
	},
	"tombstone of one who came back": func(d *desk) string {
		d.bring(marie, Deleted)
		id := d.newest(marie).SubscriberID
		d.resubscribe(marie)
		d.confirmNewest()
		return strconv.FormatInt(id, 10)
	},
}

func (d *desk) resubscribe(address string) {
	d.t.Helper()
	d.pass(25 * time.Hour)
	_, err := d.Resubscribe(d.t.Context(), anna, Resubscription{Address: address, List: "News", Asked: "called on Monday"})
	d.must(err)
}

func TestExportsMatchTheirSchema(t *testing.T) {
	schema := exportSchema(t)
	for name, bring := range schemaCases {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			card := d.export(bring(d))
			if err := schema.Validate(card); err != nil {
				text, _ := json.MarshalIndent(card, "", "  ")
				t.Errorf("%v\n%s", err, text)
			}
			closed := 0
			for _, e := range card["evidence"].([]any) {
				if e.(map[string]any)["closed"] == true {
					closed++
				}
			}
			byID := strings.HasPrefix(name, "tombstone") && !strings.Contains(name, "address") && !strings.Contains(name, "beside")
			if len(card["evidence"].([]any)) == 0 || byID != (closed > 0) {
				t.Errorf("%d acts closed", closed)
			}
		})
	}
}

// TestSchemaRefuses: a schema that takes everything describes nothing.
func TestSchemaRefuses(t *testing.T) {
	schema := exportSchema(t)
	d := newDesk(t)
	d.bring(marie, Deleted)
	tombstone := func() map[string]any { return d.export(marie) }
	if err := schema.Validate(tombstone()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(map[string]any){
		"a field more":          func(c map[string]any) { c["nickname"] = "m" },
		"a field less":          func(c map[string]any) { delete(c, "source") },
		"a tombstone's address": func(c map[string]any) { c["email"] = marie },
		"a tombstone's points":  func(c map[string]any) { c["points"] = 1.5 },
		"a tombstone's weeks": func(c map[string]any) {
			c["weeks"] = []any{map[string]any{"start": "2026-01-05T00:00:00Z", "opens": 1, "clicks": 0}}
		},
		"a tombstone's list": func(c map[string]any) {
			c["lists"] = []any{map[string]any{"list": "News", "status": "subscribed", "since": "2026-01-01T00:00:00Z"}}
		},
		"a live card, no address":   func(c map[string]any) { c["permission"] = "confirmed" },
		"an unknown permission":     func(c map[string]any) { c["permission"] = "erased" },
		"a time that is none":       func(c map[string]any) { c["signed_up_at"] = "2026-13-01T00:00:00Z" },
		"a time of another zone":    func(c map[string]any) { c["signed_up_at"] = "2026-01-01T00:00:00+01:00" },
		"an IP that is none":        func(c map[string]any) { c["evidence"].([]any)[0].(map[string]any)["ip"] = "192.0.2.256" },
		"a closed act with its IP":  func(c map[string]any) { c["evidence"].([]any)[0].(map[string]any)["closed"] = true },
		"the name of staff in acts": func(c map[string]any) { c["acts"].([]any)[0].(map[string]any)["by"] = "anna" },
		"a SubscriberID as text":    func(c map[string]any) { c["subscriber_id"] = "1" },
	} {
		card := tombstone()
		if spoil(card); schema.Validate(card) == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
}
