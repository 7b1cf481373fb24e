package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestReport shows errors as a user sees them.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		said string
	}{
		{nil, exitGood, ""},
		{errors.New(`unknown command "x"`), exitUsage, "fltool: unknown command \"x\"\nhint: fltool --help lists the commands\n"},
		{cantError("try again", "two\nlines"), exitCant, "fltool: two lines\nhint: try again\n"},
		{&exitError{code: exitFail}, exitFail, ""},
		{errors.Join(cantError("", "first"), usageError("", "second")), exitCant, "fltool: first\n"},
		{cantError("is it there?", "start server: %w", context.Canceled), exitCant, "fltool: interrupted\n"},
	} {
		var said strings.Builder
		if code := report(c.err, &said); code != c.code || said.String() != c.said {
			t.Errorf("%v: exit code %d, %q; want %d, %q", c.err, code, said.String(), c.code, c.said)
		}
	}
}
