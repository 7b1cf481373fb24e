// Command prove runs the experiments that prove the ledger of fltool preflight,
// on the built binary: each sets one limit low, writes down what preflight
// predicts, loads the deployment by fltool simulate, and compares. It needs root
// or user namespaces, and touches nothing outside the namespaces that it makes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// The exit codes.
const (
	exitGood  = 0
	exitFail  = 1 // a row failed; with MUTATE, one did not
	exitUsage = 2
	exitCant  = 3 // a row can't be run here, and none failed
)

// mutation is what MUTATE=1 scales every prediction by.
const mutation = 1.1

func main() {
	if len(os.Args) > 1 && os.Args[1] == roomArg {
		if err := enter(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "prove:", err)
			os.Exit(exitCant)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("prove", flag.ContinueOnError)
	fl.SetOutput(stderr)
	list := fl.Bool("list", false, "list the rows")
	quick := fl.Bool("quick", false, "run the subset that ends soon")
	atOnce := fl.Int("at-once", 1, "run so `many` rows at a time, each in namespaces of its own")
	odds := fl.Bool("odds", false, "count how often several processes of nginx hold all workers, and write the table that preflight reads")
	binary := fl.String("fltool", "", "`path` of the binary to prove (default: fltool beside prove)")
	fl.Usage = func() {
		fmt.Fprintf(stderr, "usage: prove [flags] [ROW…]\n\nMUTATE=1 scales each prediction by %v: then every row must fail.\n\n", mutation)
		fl.PrintDefaults()
	}
	if err := fl.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitGood
		}
		return exitUsage
	}
	if *atOnce < 1 {
		fmt.Fprintf(stderr, "prove: -at-once %d: want 1 or more\n", *atOnce)
		return exitUsage
	}
	chosen, err := choose(fl.Args(), *quick)
	if err != nil {
		fmt.Fprintf(stderr, "prove: %v\nhint: prove -list lists the rows\n", err)
		return exitUsage
	}
	if *list {
		for _, r := range chosen {
			fmt.Fprintf(stdout, "%-24s %-28s %s = %s\n", r.id, r.check, r.limit, r.set)
		}
		return exitGood
	}
	fltool, err := findFltool(*binary)
	if err != nil {
		fmt.Fprintf(stderr, "prove: %v\nhint: make build builds both\n", err)
		return exitCant
	}
	if *odds {
		if err := writeOdds(ctx, stdout, fltool); err != nil {
			fmt.Fprintln(stderr, "prove:", err)
			return exitCant
		}
		return exitGood
	}
	mutate := os.Getenv("MUTATE") == "1"
	results := proveAll(ctx, chosen, *atOnce, stderr, func(r row, note func(string)) result {
		return prove(ctx, r, fltool, mutate, note)
	})
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "prove: interrupted")
	}
	table(stdout, results)
	return verdict(stdout, results, len(chosen), mutate)
}

// proveAll runs rows, so many at a time, tells of each on the way, and gives the results
// of those that have ended before the context, in the order of the rows.
func proveAll(ctx context.Context, rows []row, atOnce int, progress io.Writer, prove func(r row, note func(string)) result) []result {
	var mu sync.Mutex // of progress and results
	results := map[int]result{}
	var rooms errgroup.Group
	rooms.SetLimit(atOnce)
	for i, r := range rows {
		rooms.Go(func() error {
			note := func(s string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintf(progress, "%d/%d %s\n", i+1, len(rows), s)
			}
			if ctx.Err() != nil {
				return nil
			}
			res := prove(r, note)
			if ctx.Err() != nil {
				return nil
			}
			note(fmt.Sprintf("%s: %s", r.id, outcome(res)))
			mu.Lock()
			defer mu.Unlock()
			results[i] = res
			return nil
		})
	}
	_ = rooms.Wait() // none gives an error
	var inOrder []result
	for i := range rows {
		if res, ended := results[i]; ended {
			inOrder = append(inOrder, res)
		}
	}
	return inOrder
}

// choose finds the rows that were named, or all, or the quick ones.
func choose(ids []string, quick bool) ([]row, error) {
	if len(ids) > 0 && quick {
		return nil, errors.New("give -quick or rows, not both")
	}
	var out []row
	for _, r := range rows {
		if len(ids) == 0 && (r.quick || !quick) || slices.Contains(ids, r.id) {
			out = append(out, r)
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			return nil, fmt.Errorf("there is no row %q", id)
		}
	}
	return out, nil
}

func findFltool(path string) (string, error) {
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		path = filepath.Join(filepath.Dir(self), "fltool")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("no fltool to prove: %w", err)
	}
	return path, nil
}

// prove runs one row and tells of it on the way.
func prove(ctx context.Context, r row, fltool string, mutate bool, note func(string)) result {
	res := result{row: r}
	err := play(ctx, r.id, fltool, func(m message) {
		switch {
		case m.Prediction != nil:
			res.predicted, res.told = *m.Prediction, true
			if mutate {
				res.predicted = res.predicted.scale(mutation)
			}
			note(fmt.Sprintf("%s: %s = %s, predicted %s %s", r.id, r.limit, r.set, res.predicted, r.unit))
		case m.Measurement != nil:
			res.measured = *m.Measurement
		case m.Error != "":
			res.err = errors.New(m.Error)
		case m.Cannot != "":
			res.cannot = m.Cannot
		}
	})
	if res.err == nil {
		res.err = err
	}
	return res
}
