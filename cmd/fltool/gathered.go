package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// gathered are reports with where each is from.
type gathered struct {
	reports []reports.Report
	names   []string
	whole   bool // they are said to be all there are
}

// gather reads the reports of files, of all the files of a folder, or of logs.
func gather(paths []string, logs bool, stdin io.Reader) (all gathered, err error) {
	all.whole = logs
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if files, err = filesOf(path, logs); err != nil {
				return all, err
			}
			all.whole = true
		}
		for _, file := range files {
			if err := all.read(file, logs, stdin); err != nil {
				return all, cantError("", "%w", err)
			}
			if len(all.reports) > reports.MaxShards {
				return all, usageError("", "%d reports: a run has at most %d shards", len(all.reports), reports.MaxShards)
			}
		}
	}
	return all, nil
}

// filesOf are the reports of a folder, or all its files, which are logs.
func filesOf(dir string, logs bool) ([]string, error) {
	pattern := "*.json"
	if logs {
		pattern = "*"
	}
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
	if err != nil {
		return nil, cantError("", "%s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, cantError("", "%s: no report is in that folder: want %s", dir, pattern)
	}
	return files, nil
}

func (all *gathered) read(file string, logs bool, stdin io.Reader) error {
	name := file
	if file == "-" {
		name = "standard input"
	}
	if !logs {
		r, err := readReport(file, stdin)
		all.reports, all.names = append(all.reports, r), append(all.names, file)
		return err
	}
	src := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		defer f.Close()
		src = f
	}
	found, err := reports.DecodeLog(src)
	if err != nil {
		return fmt.Errorf("read log %s: %w", name, err)
	}
	for range found {
		all.names = append(all.names, name)
	}
	all.reports = append(all.reports, found...)
	return nil
}

func readReport(file string, stdin io.Reader) (reports.Report, error) {
	if file != "-" {
		return reports.Read(file)
	}
	r, err := reports.Decode(stdin)
	if err != nil {
		return r, fmt.Errorf("read report from standard input: %w", err)
	}
	return r, nil
}

// merge is the report of the whole. A shard that was named alone stays as it is.
func (all gathered) merge() (reports.Report, error) {
	if len(all.reports) == 1 && !all.whole {
		return all.reports[0], nil
	}
	if slices.ContainsFunc(all.reports, func(r reports.Report) bool { return r.Shard != nil && len(r.Shard.Levels) > 0 }) {
		return all.levels()
	}
	r, err := reports.Merge(all.reports)
	return r, all.named(err)
}

// named is an error of a merge with the names of the reports that it is of.
func (all gathered) named(err error) error {
	var merge *reports.MergeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &merge) || len(merge.Of) == 0:
		return cantError("", "merge: %w", err)
	}
	var names []string
	for _, i := range merge.Of {
		names = append(names, all.names[i])
	}
	hint := ""
	if first := all.reports[merge.Of[0]]; first.Shard == nil && first.Kind == reports.KindSimulate {
		hint = "fltool compare BASE... -- NEW... compares whole runs"
	}
	return cantError(hint, "merge %s: %w", strings.Join(names, " and "), err)
}
