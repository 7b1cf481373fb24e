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
	From    int    // where in Example, in bytes, the symptom begins
	To      int    // and where it ends
}

// A Log is what a log tells.
type Log struct {
	Symptoms []Symptom // the most frequent first
	Lines    int
	Unknown  int    // lines of level error or worse that no check knows
	First    int    // number of the first of those
	Example  string // that line, cut at maxLogLine
}

// severe matches a line of level error or worse of nginx, gunicorn or fltool serve.
var severe = regexp.MustCompile(`\[(error|crit|alert|emerg|ERROR|CRITICAL)\]|\blevel=ERROR\b|"level":"ERROR"`)

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
// whose symptoms stand in it.
func ScanLog(r io.Reader) (log Log, err error) {
	all := All()
	byCheck := make(map[int]*Symptom)
	br := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, more, err := br.ReadLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return log, err
		}
		log.Lines++
		hit := make(map[int]bool) // a line counts once a check
		for _, p := range logPatterns() {
			if hit[p.check] {
				continue
			}
			at := p.re.FindIndex(line)
			if at == nil {
				continue
			}
			hit[p.check] = true
			s := byCheck[p.check]
			if s == nil {
				s = &Symptom{Check: all[p.check], First: log.Lines, Example: string(line), From: at[0], To: at[1]}
				byCheck[p.check] = s
			}
			s.Lines++
		}
		if len(hit) == 0 && severe.Match(line) {
			if log.Unknown++; log.Unknown == 1 {
				log.First, log.Example = log.Lines, string(line)
			}
		}
		for more && err == nil { // the rest of a long line
			_, more, err = br.ReadLine()
		}
	}
	for i := range all { // in the checks' order, where nothing else tells
		if s := byCheck[i]; s != nil {
			log.Symptoms = append(log.Symptoms, *s)
		}
	}
	slices.SortStableFunc(log.Symptoms, func(a, b Symptom) int {
		if a.Lines != b.Lines {
			return b.Lines - a.Lines
		}
		return cmp.Or(a.First-b.First, strings.Compare(a.Check.ID, b.Check.ID))
	})
	return log, nil
}
