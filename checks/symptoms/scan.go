package symptoms

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

// A Log is what a log tells.
type Log struct {
	Found   []Found // the most frequent first
	Lines   int
	Unknown int    // lines of level error or worse that tell of no symptom
	First   int    // number of the first of those
	Example string // that line, cut at MaxLine
}

// Found is a symptom that stands in a log.
type Found struct {
	Symptom
	Lines   int    // that tell of it
	First   int    // number of the first of them
	Example string // the first, cut at MaxLine
	From    int    // where in Example, in bytes, the symptom begins
	To      int    // and where it ends
	Timed   int    // of its lines, those that tell how long the request took
	After   int    // the whole second after which most of these ended
	Most    int    // how many ended within two seconds from After; 0 where they are no majority
}

// MaxLine bounds what is looked at of one line, in bytes.
const MaxLine = 4096

// severe are the levels of error or worse, as nginx, gunicorn and slog write them.
var severe = []string{
	"[error]", "[crit]", "[alert]", "[emerg]", "[ERROR]", "[CRITICAL]", "level=ERROR", `"level":"ERROR"`,
}

// A matcher tells which symptom a line tells of.
type matcher struct {
	finder  *finder
	of      [][]int          // by literal, the symptoms that ask for it; none: it is a severe one
	exprs   []*regexp.Regexp // by symptom; nil: a literal is enough
	maybe   []bool           // by symptom, in the line at hand
	touched []int            // those that are true in maybe
}

// compiled is what the matchers of all logs share.
var compiled = sync.OnceValue(func() *matcher {
	m := &matcher{}
	var literals []string
	index := map[string]int{}
	add := func(literal string) int {
		i, ok := index[literal]
		if !ok {
			i = len(literals)
			index[literal] = i
			literals = append(literals, literal)
			m.of = append(m.of, nil)
		}
		return i
	}
	for i, s := range all {
		for _, l := range s.Literals {
			at := add(l)
			m.of[at] = append(m.of[at], i)
		}
		var re *regexp.Regexp
		if s.Line != "" {
			re = regexp.MustCompile(s.Line)
		}
		m.exprs = append(m.exprs, re)
	}
	for _, l := range severe {
		add(l)
	}
	m.finder = newFinder(literals)
	return m
})

// newMatcher is for one log: it is not for use by several at once.
func newMatcher() *matcher {
	m := *compiled()
	m.maybe, m.touched = make([]bool, len(all)), nil
	return &m
}

// line gives the first symptom that a line matches, or -1, and whether its level is
// error or worse.
func (m *matcher) line(line []byte) (symptom int, isSevere bool) {
	for _, s := range m.touched {
		m.maybe[s] = false
	}
	m.touched = m.touched[:0]
	m.finder.in(line, func(literal int) {
		of := m.of[literal]
		isSevere = isSevere || len(of) == 0
		for _, s := range of {
			if !m.maybe[s] {
				m.maybe[s] = true
				m.touched = append(m.touched, s)
			}
		}
	})
	slices.Sort(m.touched)
	for _, s := range m.touched {
		if m.exprs[s] == nil || m.exprs[s].Match(line) {
			return s, isSevere
		}
	}
	return -1, isSevere
}

// where says at which bytes of a line a symptom stands that it tells of.
func (m *matcher) where(symptom int, line []byte) (from, to int) {
	text := string(line)
	for _, l := range all[symptom].Literals {
		if from = strings.Index(text, l); from >= 0 {
			to = from + len(l)
			break
		}
	}
	if re := m.exprs[symptom]; re != nil {
		at := re.FindIndex(line)
		from, to = min(from, at[0]), max(to, at[1])
	}
	return from, to
}

// Scan reads a log of any of the sources and finds the symptoms that stand in it. A
// line tells of one symptom at most. With an error it gives what it found before.
func Scan(r io.Reader) (Log, error) {
	var log Log
	m := newMatcher()
	found := make(map[int]*Found)
	times := make(map[int]map[int]int) // by symptom and whole second, lines
	br := bufio.NewReaderSize(r, 16*MaxLine)
	for {
		line, more, err := br.ReadLine()
		if errors.Is(err, io.EOF) {
			return log.of(found, times), nil
		}
		if err != nil {
			return log.of(found, times), err
		}
		log.Lines++
		log.read(m, line[:min(len(line), MaxLine)], found, times)
		for more && err == nil { // the rest of a long line
			_, more, err = br.ReadLine()
		}
	}
}

// read is one line.
func (log *Log) read(m *matcher, line []byte, found map[int]*Found, times map[int]map[int]int) {
	i, isSevere := m.line(line)
	if i < 0 {
		if isSevere {
			if log.Unknown++; log.Unknown == 1 {
				log.First, log.Example = log.Lines, string(line)
			}
		}
		return
	}
	f := found[i]
	if f == nil {
		f = &Found{Symptom: all[i], First: log.Lines, Example: string(line)}
		f.From, f.To = m.where(i, line)
		found[i], times[i] = f, make(map[int]int)
	}
	f.Lines++
	if f.Took == nil {
		return
	}
	if seconds, ok := f.Took(line); ok {
		const day = 24 * 60 * 60 // of a longer one nobody learns more
		f.Timed++
		times[i][int(min(seconds, day))]++
	}
}

// of is the log with what was found in it.
func (log Log) of(found map[int]*Found, times map[int]map[int]int) Log {
	for i := range all { // in the symptoms' order, where nothing else tells
		f := found[i]
		if f == nil {
			continue
		}
		for s, n := range times[i] {
			n += times[i][s+1] // a timeout fires a little late
			if 2*n > f.Timed && (n > f.Most || n == f.Most && s < f.After) {
				f.After, f.Most = s, n
			}
		}
		log.Found = append(log.Found, *f)
	}
	slices.SortStableFunc(log.Found, func(a, b Found) int { return cmp.Or(b.Lines-a.Lines, a.First-b.First) })
	return log
}
