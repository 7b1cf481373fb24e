package render

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 40) + strings.Repeat("x", 100) + " end"
	got := Wrap(long, 2, usualColumns)
	if strings.Join(strings.Fields(got), " ") != long {
		t.Errorf("words are lost: %q", got)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if len(line) > usualColumns && !strings.Contains(line, "xxx") || strings.HasSuffix(line, " ") {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if got := Wrap("short", 2, usualColumns); got != "short" {
		t.Errorf("%q", got)
	}
}
