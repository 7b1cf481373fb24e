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
		{errors.Join(cantError("", "first"), usageError("", "second")), exitCant, "fltool: first\nfltool: second\n"},
		{errors.Join(&exitError{code: exitFail}, errors.Join(errors.New("a child is left"), nil)), exitFail, "fltool: a child is left\n"},
		{errors.Join(cantError("", "run: %w", context.Canceled), context.Canceled, cantError("look", "a file is left")), exitCant, "fltool: interrupted\nfltool: a file is left\nhint: look\n"},
		{asExit(nil), exitGood, ""},
		{asExit(errors.New("remove: busy")), exitCant, "fltool: remove: busy\n"},
		{asExit(errors.Join(&exitError{code: exitFail}, errors.New("remove: busy"))), exitFail, "fltool: remove: busy\n"},
		{cantError("is it there?", "start server: %w", context.Canceled), exitCant, "fltool: interrupted\n"},
	} {
		var said strings.Builder
		if code := report(c.err, &said); code != c.code || said.String() != c.said {
			t.Errorf("%v: exit code %d, %q; want %d, %q", c.err, code, said.String(), c.code, c.said)
		}
	}
}

// TestSeed: any seed that was given is the seed, 0 as well.
func TestSeed(t *testing.T) {
	given := loadFlags{}
	if err := given.check(func(name string) bool { return name == "seed" }); err != nil || given.seed != 0 {
		t.Error(given.seed, err)
	}
	random := loadFlags{}
	if err := random.check(func(string) bool { return false }); err != nil || random.seed == 0 {
		t.Error(random.seed, err)
	}
}
