package intake

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Limits on what a workbook unpacks to. A sheet of a million rows and twenty
// columns takes about 1 GB; it is streamed, the texts that its cells share are
// kept in memory.
const (
	maxSheet  = 8 << 30
	maxShared = 512 << 20
	maxPart   = 32 << 20 // of the other parts
	maxRatio  = 400      // unpacked to packed, for parts over maxPart
	maxToken  = 4 << 20  // bytes of one XML token
)

var errBomb = errors.New("the workbook unpacks to far more than a list of people can hold: export it again, or as CSV")

// workbook is an open .xlsx. It is read here and not by excelize, which takes
// the XML of a whole sheet into memory or into a temporary file in plain, says
// nothing of a sheet that breaks off, and doesn't tell dates from numbers while
// it streams.
type workbook struct {
	parts  map[string]*zip.File
	sheets []sheetPart
	from04 bool
	shared sharedTexts
	dates  []bool // by cell style: whether a number is shown as a date
}

// sheetPart is a sheet and the part that it is kept in.
type sheetPart struct{ name, part string }

// openXLSX reads the first sheet that has a column of addresses.
func (r *Reader) openXLSX(at io.ReaderAt, size int64, set settings) error {
	wb, err := openWorkbook(at, size)
	if err != nil {
		return err
	}
	set.workbook, set.from1904 = true, wb.from04
	var first error
	for _, sh := range wb.sheets {
		s, head, err := wb.openSheet(sh, set, r)
		if err == nil {
			r.src, r.head = s, head
			r.total = int64(wb.parts[sh.part].UncompressedSize64)
			r.format = fmt.Sprintf("XLSX, sheet %q", clean(sh.name))
			return nil
		}
		if errors.Is(err, errDamaged) || errors.Is(err, errBomb) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// openSheet stands behind the sheet's header.
func (wb *workbook) openSheet(sh sheetPart, set settings, r *Reader) (*sheetSource, *header, error) {
	r.done.Store(0)
	in, err := wb.open(sh.part, maxSheet)
	if err != nil {
		return nil, nil, err
	}
	s := &sheetSource{wb: wb, in: in, x: newTokens(&counter{src: in, n: &r.done})}
	for {
		rec, err := s.next()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the sheet %q is empty", clean(sh.name))
		}
		if err != nil {
			return nil, nil, errors.Join(err, in.Close())
		}
		if rec.problem != "" {
			return nil, nil, errors.Join(fmt.Errorf("row %d, which should hold the column names: %s", rec.line, rec.problem), in.Close())
		}
		names := trimTail(rec.values)
		if len(names) == 0 {
			continue
		}
		head, err := newHeader(names, set)
		if err != nil {
			return nil, nil, errors.Join(err, in.Close())
		}
		return s, head, nil
	}
}

// openWorkbook reads all but the sheets.
func openWorkbook(at io.ReaderAt, size int64) (*workbook, error) {
	z, err := zip.NewReader(at, size)
	if err != nil {
		return nil, errors.New("the workbook is cut short or damaged: save it again")
	}
	wb := &workbook{parts: make(map[string]*zip.File, len(z.File))}
	for _, f := range z.File {
		wb.parts[strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/"))] = f
	}
	main, err := wb.mainPart()
	if err != nil {
		return nil, err
	}
	targets, err := wb.relations(main)
	if err != nil {
		return nil, err
	}
	if err := wb.readMain(main, targets); err != nil {
		return nil, err
	}
	for _, t := range targets {
		switch {
		case strings.HasSuffix(t.kind, "/sharedStrings"):
			err = wb.readShared(t.part)
		case strings.HasSuffix(t.kind, "/styles"):
			err = wb.readStyles(t.part)
		}
		if err != nil {
			return nil, err
		}
	}
	return wb, nil
}

// mainPart finds the part that lists the sheets, or says what else the archive
// is.
func (wb *workbook) mainPart() (string, error) {
	if wb.parts["[content_types].xml"] == nil {
		if wb.parts["mimetype"] != nil {
			return "", errors.New("this is an OpenDocument file: save it as .xlsx or CSV")
		}
		return "", errors.New("this is a zip archive and no workbook: unpack it and import what is inside")
	}
	roots, err := wb.relations("")
	if err != nil {
		return "", err
	}
	for _, t := range roots {
		if strings.HasSuffix(t.kind, "/officeDocument") && path.Ext(t.part) == ".xml" && !strings.HasPrefix(t.part, "word/") && !strings.HasPrefix(t.part, "ppt/") {
			return t.part, nil
		}
	}
	return "", errors.New("this is an Office file but no workbook with plain sheets: save it as .xlsx or CSV")
}

// relation is a link from one part to another.
type relation struct{ id, kind, part string }

// relations reads the links of a part; "" is the archive itself. A part
// without any has none.
func (wb *workbook) relations(part string) ([]relation, error) {
	dir, base := path.Split(part)
	name := strings.ToLower(dir + "_rels/" + base + ".rels")
	if wb.parts[name] == nil {
		return nil, nil
	}
	var out []relation
	err := wb.each(name, maxPart, func(x *tokens, e xml.StartElement) error {
		if e.Name.Local != "Relationship" || attr(e, "TargetMode") == "External" {
			return nil
		}
		target := attr(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = dir + target
		}
		target = strings.ToLower(strings.TrimPrefix(path.Clean(target), "/"))
		out = append(out, relation{attr(e, "Id"), attr(e, "Type"), target})
		return nil
	})
	return out, err
}

// readMain takes the visible sheets, in their order, and the date system.
func (wb *workbook) readMain(part string, targets []relation) error {
	err := wb.each(part, maxPart, func(x *tokens, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			wb.from04 = attr(e, "date1904") == "1" || attr(e, "date1904") == "true"
		case "sheet":
			if state := attr(e, "state"); state == "hidden" || state == "veryHidden" {
				return nil
			}
			i := slices.IndexFunc(targets, func(t relation) bool { return t.id == attr(e, "id") })
			if i >= 0 && strings.HasSuffix(targets[i].kind, "/worksheet") {
				wb.sheets = append(wb.sheets, sheetPart{attr(e, "name"), targets[i].part})
			}
		}
		return nil
	})
	if err == nil && len(wb.sheets) == 0 {
		err = errors.New("the workbook has no visible sheet")
	}
	return err
}

// open opens a part that unpacks to no more than limit bytes.
func (wb *workbook) open(part string, limit uint64) (io.ReadCloser, error) {
	f := wb.parts[part]
	if f == nil {
		return nil, errDamaged
	}
	packed, unpacked := f.CompressedSize64, f.UncompressedSize64
	if unpacked > limit || unpacked > maxPart && unpacked/maxRatio > packed {
		return nil, errBomb
	}
	in, err := f.Open() // never yields more than UncompressedSize64
	if err != nil {
		return nil, errDamaged
	}
	return in, nil
}

// each calls f for every element that begins in a part.
func (wb *workbook) each(part string, limit uint64, f func(*tokens, xml.StartElement) error) error {
	in, err := wb.open(part, limit)
	if err != nil {
		return err
	}
	defer in.Close()
	x := newTokens(in)
	for {
		t, err := x.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := t.(xml.StartElement); ok {
			if err := f(x, e); err != nil {
				return err
			}
		}
	}
}
