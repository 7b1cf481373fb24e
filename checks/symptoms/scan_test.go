package symptoms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestScan(t *testing.T) {
	long := strings.Repeat("x", 20*MaxLine)
	text := long + "\n" + strings.Repeat("WORKER TIMEOUT (pid:1)\n", 3) + long + "[Errno 24] Too many open files\nno end"
	log, err := Scan(strings.NewReader(text))
	if f := log.Found; err != nil || log.Lines != 6 || len(f) != 1 || f[0].Lines != 3 || f[0].First != 2 {
		t.Errorf("%+v, %v", log, err)
	}
}

// What was read before an error is not lost.
func TestScanError(t *testing.T) {
	broken := errors.New("broken")
	log, err := Scan(io.MultiReader(strings.NewReader("WORKER TIMEOUT (pid:1)\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(log.Found) != 1 {
		t.Errorf("%+v, %v", log, err)
	}
}

// Lines of level error that tell of no symptom are counted, and no other ones.
func TestScanUnknown(t *testing.T) {
	log, err := Scan(strings.NewReader(`2026/05/01 10:00:00 [notice] 1#1: start worker process 7
2026/05/01 10:00:00 [error] 7#7: *1 upstream sent a riddle while reading response header from upstream
2026/05/01 10:00:00 [crit] 7#7: accept4() failed (24: Too many open files)
[2026-05-01 10:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 3
time=2026-05-01T10:00:00Z level=ERROR msg="no"
`))
	if err != nil || log.Unknown != 3 || log.First != 2 || !strings.Contains(log.Example, "riddle") || len(log.Found) != 1 {
		t.Errorf("%+v, %v", log, err)
	}
	if f := log.Found[0]; !strings.Contains(f.Example[f.From:f.To], "Too many open files") {
		t.Errorf("the symptom is %q", f.Example[f.From:f.To])
	}
}

// The second after which most requests ended is told, and none where they differ.
func TestScanTimes(t *testing.T) {
	for _, c := range []struct {
		times       string
		timed       int
		after, most int
	}{
		{"59.998 60.001 60.002 60.999 3.000", 5, 59, 4},
		{"60.001 60.002 61.000 3.000", 4, 60, 3},
		{"0.000 0.000 0.001", 3, 0, 3},
		{"1.000 10.000 100.000", 3, 0, 0},
		{"99999999.000 - -", 1, 86400, 1},
		{"- -", 0, 0, 0},
	} {
		var b strings.Builder
		for s := range strings.FieldsSeq(c.times) {
			fmt.Fprintf(&b, "::1 - - [d] \"GET / HTTP/1.1\" 499 0 \"-\" \"-\" %s\n", s)
		}
		log, err := Scan(strings.NewReader(b.String()))
		if err != nil || len(log.Found) != 1 {
			t.Fatalf("%+v, %v", log, err)
		}
		if f := log.Found[0]; f.Timed != c.timed || f.After != c.after || f.Most != c.most {
			t.Errorf("%s: %d timed, %d after %d; want %d, %d after %d", c.times, f.Timed, f.Most, f.After, c.timed, c.most, c.after)
		}
	}
}

// plain matches as the data says it, without any haste.
type plain struct{ exprs []*regexp.Regexp }

func newPlain() plain {
	var p plain
	for _, s := range all {
		var re *regexp.Regexp
		if s.Line != "" {
			re = regexp.MustCompile(s.Line)
		}
		p.exprs = append(p.exprs, re)
	}
	return p
}

func (p plain) line(line []byte) (symptom int, isSevere bool) {
	any := func(literals []string) bool {
		for _, l := range literals {
			if bytes.Contains(line, []byte(l)) {
				return true
			}
		}
		return false
	}
	for i, s := range all {
		if any(s.Literals) && (p.exprs[i] == nil || p.exprs[i].Match(line)) {
			return i, any(severe)
		}
	}
	return -1, any(severe)
}

// The matcher says of each line what the data says.
func FuzzLine(f *testing.F) {
	for _, l := range lines {
		f.Add([]byte(l.line))
		f.Add([]byte(l.line[len(l.line)/2:] + l.line))
	}
	m, p := newMatcher(), newPlain()
	f.Fuzz(func(t *testing.T, line []byte) {
		got, gotSevere := m.line(line)
		want, wantSevere := p.line(line)
		if got != want || got < 0 && gotSevere != wantSevere {
			t.Fatalf("%q: symptom %d, severe %v; want %d, %v", line, got, gotSevere, want, wantSevere)
		}
		if got < 0 {
			return
		}
		if from, to := m.where(got, line); from < 0 || from > to || to > len(line) {
			t.Errorf("%q: from %d to %d", line, from, to)
		}
		if all[got].Took != nil {
			if s, ok := all[got].Took(line); ok && !(s >= 0) {
				t.Errorf("%q took %v", line, s)
			}
		}
	})
}

// FuzzScan reads whole logs.
func FuzzScan(f *testing.F) {
	for _, l := range lines {
		f.Add(l.line + "\n" + l.line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		log, err := Scan(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range log.Found {
			if s.Lines < 1 || s.Lines > log.Lines || s.First < 1 || s.First > log.Lines || len(s.Example) > MaxLine ||
				s.From > s.To || s.To > len(s.Example) || s.Timed > s.Lines || s.Most > s.Timed {
				t.Errorf("%+v in %d lines", s, log.Lines)
			}
		}
	})
}

// An access log of which one line in a hundred tells of something, read beside the
// same by regular expressions alone.
func BenchmarkAccessLog(b *testing.B) {
	var text []byte
	for i := range 40000 {
		status := 200
		if i%100 == 99 {
			status = 499
		}
		text = fmt.Appendf(text, `10.0.%d.%d - - [01/May/2026:10:%02d:%02d +0000] "POST /challenge_update/%08d HTTP/1.1" %d %d "-" "python-requests/2.28.1" %d.%03d`+"\n",
			i/256%256, i%256, i/60%60, i%60, i, status, i%5000, i%60, i%1000)
	}
	var alone []*regexp.Regexp // each symptom as one expression
	for _, s := range all {
		var any []string
		for _, l := range s.Literals {
			any = append(any, regexp.QuoteMeta(l))
		}
		re := s.Line
		if re == "" {
			re = strings.Join(any, "|")
		}
		alone = append(alone, regexp.MustCompile(re))
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if log, err := Scan(bytes.NewReader(text)); err != nil || len(log.Found) != 1 || log.Found[0].Lines != 400 {
			b.Fatalf("%+v, %v", log, err)
		}
	}
	own := b.Elapsed().Nanoseconds() / int64(b.N)
	part := text[:len(text)/20]
	began := time.Now()
	for line := range bytes.Lines(part) {
		for _, re := range alone {
			re.Match(line)
		}
	}
	b.ReportMetric(float64(time.Since(began).Nanoseconds())*20/float64(own), "x-regexps-alone")
}
