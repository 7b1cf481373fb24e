package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// readBaseline reads the reports of a folder.
func readBaseline(dir string) ([]reports.Report, error) {
	const hint = "fltool regress --baseline DIR --store makes one"
	if _, err := os.Stat(dir); err != nil {
		return nil, cantError(hint, "read baseline: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.json"))
	switch {
	case err != nil:
		return nil, cantError("", "read baseline: %w", err)
	case len(files) == 0:
		return nil, cantError(hint, "read baseline: no report in %s", dir)
	case len(files) > len(defaultRuns)*mostRuns:
		return nil, cantError("", "read baseline: %d reports in %s, more than regress makes", len(files), dir)
	}
	var rs []reports.Report
	for _, file := range files {
		r, err := reports.Read(file)
		if err != nil {
			return nil, cantError("", "%w", err)
		}
		switch {
		case r.Kind != reports.KindSimulate && r.Kind != reports.KindCapacity:
			return nil, cantError(hint, "read baseline: %s is a %s report, no run", file, r.Kind)
		case r.Shard != nil:
			return nil, cantError("fltool report merges shards", "read baseline: %s is shard %d of %d alone", file, r.Shard.Index, r.Shard.Count)
		case r.Verdict == reports.VerdictRefused || r.Verdict == reports.VerdictFail:
			return nil, cantError(hint, "read baseline: the verdict of %s is %s", file, r.Verdict)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// escapeGlob makes a path a pattern of itself.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// keepRuns writes the reports of the runs to a new folder, those of the two
// sides apart, so that fltool compare takes them.
func keepRuns(dir string, base, new []reports.Report) error {
	for side, rs := range map[string][]reports.Report{"base": base, "new": new} {
		if err := writeRuns(filepath.Join(dir, side), rs); err != nil {
			return cantError("", "--out: %w", err)
		}
	}
	return nil
}

// keepComparison writes the comparison beside the runs, in every format that has
// a file of its own.
func keepComparison(dir string, c reports.Comparison) error {
	for format, name := range map[string]string{"html": "comparison.html", "markdown": "comparison.md", "json": "comparison.json"} {
		show, err := render.Comparisons.For(format, render.Style{})
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := show(&b, c); err != nil {
			return err
		}
		if err := reports.ReplaceFile(filepath.Join(dir, name), b.Bytes(), reports.Public); err != nil {
			return err
		}
	}
	return nil
}

// writeRuns writes reports to a folder, by kind and number.
func writeRuns(dir string, rs []reports.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- a baseline is committed
		return err
	}
	number := map[string]int{}
	for _, r := range rs {
		kind := strings.ReplaceAll(reports.KindOfRun(r.Demand), " ", "-")
		number[kind]++
		if err := reports.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%02d.json", kind, number[kind])), r); err != nil {
			return err
		}
	}
	return nil
}

// storable says what makes a run no baseline: that it failed or was refused, or that it
// lacks what decides, so that no comparison with it could tell.
func storable(r reports.Report, gate reports.Gate) error {
	if err := verdictError(r.Verdict); err != nil {
		var exit *exitError
		errors.As(err, &exit)
		return &exitError{code: exit.code, err: fmt.Errorf("not stored: a run's verdict is %s: %s", r.Verdict, strings.Join(r.Reasons, "; "))}
	}
	if missing := reports.Missing(r, gate); len(missing) > 0 {
		return cantError("--server-pid names the process that holds the polls; --gate those metrics that decide without it",
			"not stored: it was not measured, and decides: %s", strings.Join(missing, ", "))
	}
	return nil
}

// storeBaseline makes the folder of these runs, or leaves what is there as it is.
func storeBaseline(stdout io.Writer, dir string, rs []reports.Report) error {
	if err := replaceRuns(dir, rs); err != nil {
		return cantError("", "store baseline: %w", err)
	}
	return printTo(stdout, "what was stored", fmt.Sprintf("stored %s in %s\n", render.Plural(len(rs), "run"), dir))
}

// replaceable says whether a folder is absent or has nothing but reports.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || e.IsDir() {
			return fmt.Errorf("%s has other things than reports: %s", dir, e.Name())
		}
	}
	return nil
}

// writable says whether a folder, made where there is none, takes another.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- a baseline is committed
		return err
	}
	try, err := os.MkdirTemp(dir, ".fltool-*")
	if err != nil {
		return err
	}
	return os.Remove(try)
}

// replaceRuns puts the folder of the runs in the place of one that is replaceable.
func replaceRuns(dir string, rs []reports.Report) error {
	dir = filepath.Clean(dir)
	if err := replaceable(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { // #nosec G301 -- a baseline is committed
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return err
	}
	made := filepath.Join(fresh, "new")
	old := filepath.Join(fresh, "old")
	err = writeRuns(made, rs)
	if err == nil {
		if err = os.Rename(dir, old); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		if err = os.Rename(made, dir); err != nil {
			if back := os.Rename(old, dir); back != nil && !errors.Is(back, fs.ErrNotExist) {
				return fmt.Errorf("%w; the old baseline is in %s", errors.Join(err, back), old)
			}
		}
	}
	return errors.Join(err, os.RemoveAll(fresh))
}
