package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fltool/fltool/reports"
)

// measurement is the making of runs.
type measurement struct {
	commands  [][]string
	base, new side
	dir       string                     // for reports
	following *following                 // of the run that is made
	check     func(reports.Report) error // of a new run, that ends the making; nil: none

	kinds map[string]int // of demand, by the command
	made  int            // runs of each command and side
}

// side is one of the two servers that are compared, and the runs of it.
type side struct {
	name   string
	server []string // flags by which a run starts it
	runs   []reports.Report
}

// turns are the sides in the order of the next runs. Each is first as often as second:
// what the first leaves behind in the machine favours neither.
func (m *measurement) turns() []*side {
	switch {
	case m.base.server == nil: // its runs were made before
		return []*side{&m.new}
	case m.made%2 == 1:
		return []*side{&m.new, &m.base}
	}
	return []*side{&m.base, &m.new}
}

// measure makes runs of the base, if it has a server, and new ones, in turn, until
// there are so many. Stored are the runs of a stored base, if any: a demand that is
// not theirs is told after the first run, not after the last. What was made until an
// error stands.
func (m *measurement) measure(ctx context.Context, stored []reports.Report, runs int) error {
	if m.kinds == nil {
		m.kinds = map[string]int{}
	}
	for ; m.made < runs; m.made++ {
		for i, command := range m.commands {
			var took []string
			for _, s := range m.turns() {
				m.following.next(fmt.Sprintf("%s %d/%d", s.name, m.made+1, runs))
				r, err := m.one(ctx, slices.Concat(command, s.server))
				if err != nil {
					return err
				}
				s.runs = append(s.runs, r)
				took = append(took, fmt.Sprintf("%s %s in %.1f s", s.name, r.Verdict, r.Env.Seconds))
			}
			r := m.new.runs[len(m.new.runs)-1]
			kind := reports.KindOfRun(r.Demand)
			if other, seen := m.kinds[kind]; seen && other != i {
				return usageError("a command of rounds and one of a hold", "two commands make runs of one kind, %s: they could not be told apart", kind)
			}
			m.kinds[kind] = i
			if d := reports.DemandDifferences(ofKind(stored, kind), []reports.Report{r}); len(stored) > 0 && len(d) > 0 {
				return cantError("run the command that made the baseline, or --store a new one", "the baseline's runs were of another demand: %s", strings.Join(d, "; "))
			}
			fmt.Fprintf(m.following.stderr, "run %d of %d, %s: %s\n", m.made+1, runs, kind, strings.Join(took, ", "))
			if m.check != nil {
				if err := m.check(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func ofKind(rs []reports.Report, kind string) []reports.Report {
	return slices.DeleteFunc(slices.Clone(rs), func(r reports.Report) bool { return reports.KindOfRun(r.Demand) != kind })
}

// stopPatience is how long a run may take to end after it was told to.
const stopPatience = 15 * time.Second

// mostTries is how often a run is made whose verdict is refused: it tells nothing
// of the server, and whether it is refused has nothing to do with it.
const mostTries = 5

func (m *measurement) one(ctx context.Context, command []string) (r reports.Report, err error) {
	for range mostTries {
		if r, err = m.try(ctx, command); err != nil || r.Verdict != reports.VerdictRefused {
			break
		}
		fmt.Fprintln(m.following.stderr, fitted(m.following.stderr, "a run is of no use: "+strings.Join(r.Reasons, "; ")))
	}
	return r, err
}

// try makes one run and reads its report.
func (m *measurement) try(ctx context.Context, command []string) (reports.Report, error) {
	path := filepath.Join(m.dir, "run.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reports.Report{}, cantError("", "%w", err)
	}
	exe := command[0]
	if exe == "fltool" {
		self, err := os.Executable() // whatever the PATH has
		if err != nil {
			return reports.Report{}, cantError("", "find fltool itself: %w", err)
		}
		exe = self
	}
	run := exec.CommandContext(ctx, exe, append(slices.Clone(command[1:]), "--out", path)...) // #nosec G204 -- fltool itself, or what the flag names
	var said strings.Builder
	run.Stderr = &said
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	run.WaitDelay = stopPatience
	ended := runHeard(run, m.following.tell)
	if ctx.Err() != nil {
		return reports.Report{}, cantError("", "interrupted")
	}
	r, err := reports.Read(path)
	switch {
	case err == nil:
		m.following.board.Ended(r.Verdict)
		// What the exit code tells stands in the report, too.
		r.Env.Command = slices.DeleteFunc(r.Env.Command, func(arg string) bool { return arg == "--out="+path })
		return r, nil
	case !errors.Is(err, fs.ErrNotExist):
		return r, cantError("", "%s: %w", strings.Join(command, " "), err)
	}
	if ended == nil {
		ended = errors.New("it ended well without a report")
	}
	code := exitCant
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == exitUsage {
		code = exitUsage
	}
	return r, &exitError{code: code, err: fmt.Errorf("%s: %w: %s", strings.Join(command, " "), ended, lastWords(said.String()))}
}

// lastWords is the error that a run ended with, without its hint.
func lastWords(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for _, l := range slices.Backward(lines) {
		if !strings.HasPrefix(l, "hint: ") {
			return strings.TrimPrefix(l, "fltool: ")
		}
	}
	return lines[0]
}
