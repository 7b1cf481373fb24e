package checks

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Symptom is a check whose trace stands in a log.
type Symptom struct {
	Check   Check
	Lines   int    // that tell of it
	First   int    // number of the first of them
	Example string // the first, cut at maxLogLine
}

// maxLogLine bounds what is looked at of one line, in bytes.
const maxLogLine = 4096

type logPattern struct {
	check int // index in All
	re    *regexp.Regexp
}

// logPatterns are compiled once, when a log is first read.
var logPatterns = sync.OnceValue(func() []logPattern {
	var out []logPattern
	for i, c := range All() {
		for _, p := range c.Logs {
			out = append(out, logPattern{i, regexp.MustCompile(p)})
		}
	}
	return out
})

// ScanLog reads a log of nginx, gunicorn or the kernel and finds the checks
// whose symptoms stand in it, the most frequent first; it counts all lines too.
func ScanLog(r io.Reader) (found []Symptom, lines int, err error) {
	all := All()
	byCheck := make(map[int]*Symptom)
	br := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, more, err := br.ReadLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, lines, err
		}
		lines++
		hit := make(map[int]bool) // a line counts once a check
		for _, p := range logPatterns() {
			if hit[p.check] || !p.re.Match(line) {
				continue
			}
			hit[p.check] = true
			s := byCheck[p.check]
			if s == nil {
				s = &Symptom{Check: all[p.check], First: lines, Example: string(line)}
				byCheck[p.check] = s
			}
			s.Lines++
		}
		for more && err == nil { // the rest of a long line
			_, more, err = br.ReadLine()
		}
	}
	for i := range all { // in the checks' order, where nothing else tells
		if s := byCheck[i]; s != nil {
			found = append(found, *s)
		}
	}
	slices.SortStableFunc(found, func(a, b Symptom) int {
		if a.Lines != b.Lines {
			return b.Lines - a.Lines
		}
		return cmp.Or(a.First-b.First, strings.Compare(a.Check.ID, b.Check.ID))
	})
	return found, lines, nil
}
