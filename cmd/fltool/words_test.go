package main

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/reports/render"
)

// What matched is to be seen, however long the line, and the line is no wider.
func TestAround(t *testing.T) {
	for _, before := range []int{0, 5, 40, 300} {
		for _, match := range []int{0, 5, 40, 300} {
			for _, after := range []int{0, 5, 300} {
				s := strings.Repeat("b ", before/2) + strings.Repeat("m", match) + strings.Repeat("a", after)
				from := before / 2 * 2
				got := around(s, from, from+match, 60)
				if n := len([]rune(got)); n > 60 || n < min(len(s), 20) || strings.Count(got, "m") < min(match, 50) {
					t.Errorf("%d, %d, %d: %q", before, match, after, got)
				}
			}
		}
	}
	if got := around("a\x00\x1b[31mé\xff", 0, 1, 60); got != "a..[31mé." {
		t.Errorf("%q", got)
	}
}

// Programs that read errors get a line each; a person's terminal is not overrun.
func TestFitted(t *testing.T) {
	long := "hint: " + strings.Repeat("word ", 40) + "end"
	var b strings.Builder
	if got := fitted(&b, long); got != long {
		t.Errorf("where no terminal is: %q", got)
	}
	_, tty := terminal(t)
	if got := fitted(tty, long); got != render.Wrap(long, 2, columns) || got == long {
		t.Errorf("on a terminal: %q", got)
	}
}
