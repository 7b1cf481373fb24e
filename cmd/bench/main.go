// Command bench measures every figure that fltool promises, in one run on one
// machine, with the tools beside it that a user would pick instead, and writes them
// down as a page. Both ends of each load are on this machine, on the loopback.
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
	"strings"
	"syscall"
)

// The exit codes.
const (
	exitGood  = 0
	exitFail  = 1 // a target was missed
	exitUsage = 2
	exitCant  = 3 // a figure could not be measured, and none was missed
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == naiveArg {
		if err := serveNaive(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
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
	fl := flag.NewFlagSet("bench", flag.ContinueOnError)
	fl.SetOutput(stderr)
	list := fl.Bool("list", false, "list the rows")
	binary := fl.String("fltool", "", "`path` of the binary to measure (default: fltool beside bench)")
	page := fl.String("page", "", "write the table as Markdown into this `file`, too: of all rows only")
	fl.Usage = func() {
		fmt.Fprint(stderr, "usage: bench [flags] [ROW…]   from the top of the repository\n\n")
		fl.PrintDefaults()
	}
	if err := fl.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitGood
		}
		return exitUsage
	}
	chosen, err := choose(fl.Args())
	if err == nil && *page != "" && len(chosen) < len(rows) {
		err = errors.New("a page is made of all rows")
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\nhint: bench -list lists the rows\n", err)
		return exitUsage
	}
	if *list {
		for _, r := range chosen {
			fmt.Fprintf(stdout, "%-18s %s\n", r.id, r.figure)
		}
		return exitGood
	}
	b, err := newBench(*binary, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\nhint: make build builds what it needs\n", err)
		return exitCant
	}
	defer b.close()
	var results []result
	for i, r := range chosen {
		fmt.Fprintf(stderr, "%d/%d %s: %s\n", i+1, len(chosen), r.id, r.figure)
		res := b.measure(ctx, r)
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "bench: interrupted")
			return exitCant
		}
		fmt.Fprintf(stderr, "     %s\n", res.line())
		results = append(results, res)
	}
	printTable(stdout, results)
	if *page != "" {
		if err := writePage(*page, results); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return exitCant
		}
	}
	return verdict(results)
}

// choose finds the rows that were named, or all.
func choose(ids []string) ([]row, error) {
	for _, id := range ids {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			return nil, fmt.Errorf("there is no row %q", id)
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !slices.Contains(ids, r.id) }), nil
}

// verdict is the worst outcome as an exit code. What a peer lacks decides nothing.
func verdict(results []result) int {
	code := exitGood
	for _, r := range results {
		switch {
		case r.err != nil:
			code = max(code, exitCant)
		case !r.met():
			return exitFail
		}
	}
	return code
}

// bench is what the rows share.
type bench struct {
	fltool, self, dir string
	note              func(string)
	once              map[string]func() (any, error) // runs that several rows read
}

func newBench(fltool string, stderr io.Writer) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if fltool == "" {
		fltool = filepath.Join(filepath.Dir(self), "fltool")
	}
	if fltool, err = filepath.Abs(fltool); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(fltool); err != nil {
		return nil, fmt.Errorf("no fltool to measure: %w", err)
	}
	dir, err := os.MkdirTemp("", "fltool-bench-")
	if err != nil {
		return nil, err
	}
	note := func(s string) { fmt.Fprintf(stderr, "     %s\n", s) }
	return &bench{fltool: fltool, self: self, dir: dir, note: note, once: map[string]func() (any, error){}}, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) } // it is in a folder for such

// tool is the path of a peer: where make bench-peers puts it, or the system's.
func (b *bench) tool(name string) (string, error) {
	for _, path := range []string{filepath.Join(filepath.Dir(b.self), "peers", name), name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: make bench-peers", name)
}

// measure runs a row and its peers, one after the other.
func (b *bench) measure(ctx context.Context, r row) result {
	res := result{row: r}
	res.value, res.err = r.measure(ctx, b)
	for _, p := range r.peers {
		v, err := p.measure(ctx, b)
		if ctx.Err() != nil {
			break
		}
		res.peers = append(res.peers, measured{p.name, v, err})
		if err != nil {
			b.note(p.name + ": " + strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	return res
}
