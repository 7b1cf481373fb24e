package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestMain makes fltool a command of the scripts and of all other tests: itself, and not
// this binary, which has all that tests need and takes half as long again to start. What
// TestHostile runs beside it is this binary, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(withFltool{m}, map[string]func(){raidCommand: runRaid})
}

// withFltool runs tests with a fltool of this source first in PATH, with the race
// detector where they have it.
type withFltool struct{ tests *testing.M }

func (w withFltool) Run() int {
	dir, err := os.MkdirTemp("", "fltool-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-ldflags=-s -w", fmt.Sprintf("-race=%t", raced()), "-o", dir, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n%s", build, err, out)
		return 1
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return w.tests.Run()
}

// raced says whether this binary has the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestScript runs testdata/script/*.txtar, one file a behaviour. A script runs
// fltool by `exec fltool …`, waits for an exit code by `exits CODE fltool …`,
// and may bring files, such as a fake root, in its archive. -update rewrites
// what `cmp stdout file` compares with.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "waitfor": waitfor, "fakehost": fakeHost, "fakeprocess": fakeProcess,
		},
	})
}

// exits runs a command and requires its exit code, which exec does not tell:
//
//	exits 3 fltool report missing.json
//	stderr 'no such file'
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = exit.ExitCode() // -1: ended by a signal
	}
	if got != want {
		ts.Fatalf("%v exited %d, want %d", args[1:], got, want)
	}
}

// waitfor waits until a line of a file, which a background command writes, matches
// a regular expression, and keeps its first group in a variable:
//
//	exec sh -c 'exec fltool serve --listen 127.0.0.1:0 >out' &server&
//	waitfor out 'listening on (.*)' URL
func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: waitfor FILE REGEXP VARIABLE")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Fatalf("%v", err)
		}
		if m := re.FindSubmatch(b); m != nil {
			ts.Setenv(args[2], string(m[len(m)-1]))
			return
		}
	}
	ts.Fatalf("%s: nothing matches %s within %s", args[0], args[1], patience)
}
