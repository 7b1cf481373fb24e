package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/remedy"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// fixMany writes a script for each group of hosts that want the same into a folder,
// and names what it leaves to do.
func (j *judgeFlags) fixMany(cmd *cobra.Command, members []checks.Member, dir string) error {
	asked, err := j.asked(cmd)
	if err != nil {
		return err
	}
	if err := j.readMany(cmd, members); err != nil {
		return err
	}
	switch in, err := os.ReadDir(dir); {
	case err == nil && len(in) > 0:
		return usageError("scripts of another time would stay beside the new ones: name a new folder", "--dir %s: the folder is not empty", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cantError("", "--dir: %w", err)
	}
	stderr := cmd.ErrOrStderr()
	if note := j.assumptions(cmd); note != "" {
		fmt.Fprintln(stderr, fitted(stderr, note))
	}
	own := map[string]map[string]string{} // by the file of facts
	for _, m := range members {
		if m.Facts != nil {
			own[m.File] = m.Facts.Own.V
		}
	}
	scripts, left := groups{}, groups{}
	code := exitGood
	for _, h := range (checks.Judge{Demand: asked.demand, Waivers: asked.waivers, Now: time.Now()}).Hosts(members) {
		if h.Capacity == nil {
			left.add("can't tell: "+strings.Join(h.Reasons, "; "), h.File)
			code = exitCant
			continue
		}
		steps := remedy.Make(h.Findings, maps.Clone(own[h.File]))
		what, worst := leftOver(h.Findings, steps)
		for _, w := range what {
			left.add(w, h.Name)
		}
		code = max(code, worst)
		if len(steps.Files) > 0 {
			scripts.add(steps.Script(fmt.Sprintf("Written by fltool fix for %s.", render.Plural(h.Workers, "worker"))), h.Name)
		}
	}
	said, err := scripts.write(dir)
	if err != nil {
		return err
	}
	if err := printTo(cmd.OutOrStdout(), "the scripts", said); err != nil {
		return err
	}
	for _, what := range left.sorted() {
		how, of, _ := strings.Cut(what, ": ")
		fmt.Fprintln(stderr, fitted(stderr, fmt.Sprintf("%s on %s: %s", how, reports.Some(left[what]), of)))
	}
	return exitWith(code)
}

// groups are hosts by what they have in common.
type groups map[string][]string

func (g groups) add(what, host string) { g[what] = append(g[what], host) }

// sorted is what most have in common first.
func (g groups) sorted() []string {
	return slices.SortedFunc(maps.Keys(g), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(g[b]), len(g[a])), cmp.Compare(a, b))
	})
}

// write keeps each script and the names of its hosts, and says where.
func (g groups) write(dir string) (said string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- scripts for others to read; what they hold is no secret
		return "", cantError("", "%w", err)
	}
	for i, script := range g.sorted() {
		name := filepath.Join(dir, fmt.Sprintf("fix-%d", i+1))
		for _, f := range []struct{ path, text string }{
			{name + ".sh", script}, {name + ".hosts", strings.Join(g[script], "\n") + "\n"},
		} {
			if err := reports.ReplaceFile(f.path, []byte(f.text), reports.Public); err != nil {
				return "", cantError(writableHint, "%w", err)
			}
		}
		said += fmt.Sprintf("%s.sh: %s: %s\n", name, render.Plural(len(g[script]), "host"), reports.Some(g[script]))
	}
	if said == "" {
		said = "no host wants a file\n"
	}
	return said, nil
}
