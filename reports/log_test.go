package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLog: reports are found in a log where their lines are mixed with each other's, and
// with what others put before and between.
func TestLog(t *testing.T) {
	shards := randomShards(3)
	var texts [][]string
	for _, r := range shards {
		var b bytes.Buffer
		if err := EncodeLog(&b, r); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.Split(strings.TrimSpace(b.String()), "\n"))
	}
	var log []string
	for i := 0; ; i++ {
		more := false
		for pod, lines := range texts {
			if i < len(lines) {
				more = true
				log = append(log, fmt.Sprintf("[pod/fl-%d] 2026-03-01T12:00:00Z %s", pod, lines[i]), "12:00:00 held 100")
			}
		}
		if !more {
			break
		}
	}
	found, err := DecodeLog(strings.NewReader(strings.Join(log, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b Report) int { return a.Shard.Index - b.Shard.Index })
	for i, r := range found {
		var want bytes.Buffer
		if err := Encode(&want, shards[i]); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Encode(&got, r); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.String(), got.String()); d != "" {
			t.Error(d)
		}
	}
	if len(found) != len(shards) {
		t.Errorf("%d reports of %d", len(found), len(shards))
	}
	// A shard that is begun again counts once; one that ended twice is there twice.
	once := texts[0]
	if found, err := DecodeLog(strings.NewReader(once[0] + "\n" + strings.Join(once, "\n"))); err != nil || len(found) != 1 {
		t.Errorf("begun twice: %d reports, %v", len(found), err)
	}
	if found, err := DecodeLog(strings.NewReader(strings.Join(append(slices.Clone(once), once...), "\n"))); err != nil || len(found) != 2 {
		t.Errorf("there twice: %d reports, %v", len(found), err)
	}
}

func TestLogBroken(t *testing.T) {
	r := randomShards(3)[0]
	for i := range 2000 {
		r.Notes = append(r.Notes, fmt.Sprintf("%x", i*i*i)) // so that it has several lines
	}
	var b bytes.Buffer
	if err := EncodeLog(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	last := len(lines) - 1
	if last < 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for why, log := range map[string][]string{
		"no report is in it":    {"12:00:00 held 100"},
		"has no end":            lines[:last],
		"has no beginning":      lines[1:],
		"its line 1 is missing": append([]string{lines[0]}, lines[2:]...),
		"of 1":                  {lines[0], strings.Replace(lines[last], fmt.Sprintf("end %d", last-1), "end 1", 1)},
		"its sum differs":       append(slices.Clone(lines[:last]), lines[last][:len(lines[last])-64]+strings.Repeat("0", 64)),
		"its line 1 is damaged": append([]string{lines[0], lines[1] + "="}, lines[2:]...),
	} {
		if _, err := DecodeLog(strings.NewReader(strings.Join(log, "\n"))); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
}
