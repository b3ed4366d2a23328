package web

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kartotek/flows/lang"
)

// texts flattens what a language says, by the path of its field.
func texts(v reflect.Value, path string, into map[string]string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			texts(v.Field(i), path+"."+v.Type().Field(i).Name, into)
		}
	case reflect.Slice:
		for i := range v.Len() {
			texts(v.Index(i), path+"."+string(rune('0'+i)), into)
		}
	default:
		into[path] = v.String()
	}
}

var place = regexp.MustCompile(`\{[a-z]+\}`)

func places(text string) string {
	found := place.FindAllString(text, -1)
	slices.Sort(found)
	return strings.Join(found, " ")
}

func TestEveryTextInEveryLanguage(t *testing.T) {
	said := make(map[lang.Tag]map[string]string)
	for _, tag := range lang.All() {
		if wording[tag] == nil {
			t.Fatalf("no words in %s", tag)
		}
		said[tag] = make(map[string]string)
		texts(reflect.ValueOf(*wording[tag]), "", said[tag])
	}
	for path, english := range said[lang.English] {
		for _, tag := range lang.All() {
			text, ok := said[tag][path]
			if !ok || strings.TrimSpace(text) == "" {
				t.Errorf("%s lacks %s", tag, path)
				continue
			}
			if tag != lang.English && text == english {
				t.Errorf("%s: %s is left in English: %q", tag, path, text)
			}
			if places(text) != places(english) {
				t.Errorf("%s: %s has the places %q, English has %q", tag, path, places(text), places(english))
			}
		}
	}
	for tag, all := range said {
		if len(all) != len(said[lang.English]) {
			t.Errorf("%s has %d texts, English has %d", tag, len(all), len(said[lang.English]))
		}
	}
}
