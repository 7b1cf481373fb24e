package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// manyFacts are the files of --facts where it names many hosts: by a pattern, a
// folder, or several files of one part.
func manyFacts(args []string) (members []checks.Member, many bool, err error) {
	times := map[string]int{}
	for _, arg := range args {
		role, path := factsPart(arg)
		files, wide, err := factsFiles(path)
		if err != nil {
			return nil, false, err
		}
		times[role]++
		many = many || wide || times[role] > 1
		for _, f := range files {
			members = append(members, checks.Member{File: f, Role: role})
		}
	}
	if !many {
		return nil, false, nil
	}
	const hint = "give files, folders or patterns of hosts that carry all, or proxy=… and app=…"
	switch {
	case times["probe"] > 0:
		return nil, true, usageError(hint, "--facts probe=FILE is of one deployment")
	case times[""] > 0 && len(times) > 1:
		return nil, true, usageError(hint, "--facts: some hosts have a role, others none")
	case times["proxy"] > 0 != (times["app"] > 0):
		return nil, true, usageError(hint, "--facts: hosts of one role are missing")
	}
	return members, true, nil
}

// factsPart takes proxy=FILE apart.
func factsPart(arg string) (role, path string) {
	role, path, ok := strings.Cut(arg, "=")
	if !ok || role != "proxy" && role != "app" && role != "probe" {
		return "", arg
	}
	return role, path
}

// factsFiles are the files that a path means, and whether it may mean many.
func factsFiles(path string) (files []string, wide bool, err error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		files, err = filepath.Glob(filepath.Join(escapeGlob(path), "*.json"))
		if err != nil || len(files) == 0 {
			return nil, true, usageError("", "--facts %s: the folder has no .json", path)
		}
		return files, true, nil
	case err == nil || !strings.ContainsAny(path, "*?["):
		return []string{path}, false, nil // that it can't be read is told by who reads it
	}
	files, err = filepath.Glob(path)
	switch {
	case err != nil:
		return nil, true, usageError("", "--facts %s: %w", path, err)
	case len(files) == 0:
		return nil, true, usageError("", "--facts %s: no file is named so", path)
	}
	return files, true, nil
}

// excludeWithFacts are flags that say whose facts are read.
var excludeWithFacts = []string{"root", "pid", "service", "user", "port", "nginx-conf", "nginx-version", "nginx-flavour", "nginx-bin", "no-nginx-t", "fl-url", "upstream", "save-facts"}

// readMany reads the facts of many hosts. What can't be read is told of that host.
func (j *judgeFlags) readMany(cmd *cobra.Command, members []checks.Member) error {
	for _, name := range append(slices.Clone(excludeWithFacts), "url", "probe-only") {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return usageError("saved facts are about what was asked when they were saved", "--facts of many hosts and --%s exclude each other", name)
		}
	}
	for i := range members {
		f, err := readFactsFile(members[i].File)
		if err != nil {
			members[i].Err = fmt.Errorf("the facts can't be read: %w", err)
			continue
		}
		j.state(&f.Asked)
		members[i].Facts = &f
	}
	return nil
}

// judgeMany is a preflight of many hosts.
func (j *judgeFlags) judgeMany(cmd *cobra.Command, members []checks.Member, start time.Time, least reports.Severity) (r reports.Report, err error) {
	asked, err := j.asked(cmd)
	if err != nil {
		return r, err
	}
	if err := j.readMany(cmd, members); err != nil {
		return r, err
	}
	judge := checks.Judge{Demand: asked.demand, Waivers: asked.waivers, Least: least, Now: start}
	r = reports.Report{Schema: reports.Schema, Kind: reports.KindHosts, Env: toolEnv(start), Demand: asked.demand, Hosts: judge.Hosts(members)}
	r.Roles = reports.SumRoles(r.Hosts)
	r.Verdict, r.Reasons = reports.JudgeHosts(r.Hosts, r.Roles, r.Demand.Workers)
	r.Notes = checks.ManyNotes(members)
	return r, nil
}

// toolEnv says which fltool made a report and when.
func toolEnv(start time.Time) reports.Env {
	return reports.Env{Tool: "fltool " + toolVersion(), Started: start.UTC().Format(time.RFC3339), Seconds: time.Since(start).Seconds()}
}

// judgeDrift tells what changed between two readings of a host.
func (j *judgeFlags) judgeDrift(cmd *cobra.Command, files []string, start time.Time) (r reports.Report, err error) {
	asked, err := j.asked(cmd)
	if err != nil {
		return r, err
	}
	for _, name := range excludeWithFacts {
		if cmd.Flags().Changed(name) {
			return r, usageError("saved facts are about what was asked when they were saved", "--drift and --%s exclude each other", name)
		}
	}
	var both [2]facts.Facts
	for i, file := range files {
		if both[i], err = readFactsFile(file); err != nil {
			return r, cantError("save facts anew: fltool preflight --save-facts FILE", "facts %s: %w", file, err)
		}
		j.state(&both[i].Asked)
	}
	judge := checks.Judge{Demand: asked.demand, Waivers: asked.waivers, Now: start}
	r = reports.Report{Schema: reports.Schema, Kind: reports.KindDrift, Env: toolEnv(start), Demand: asked.demand}
	drift := judge.Drift(both[0], both[1])
	r.Drift = &drift
	r.Env.Hostname = cmp.Or(both[1].Host.Hostname.V, both[0].Host.Hostname.V)
	r.Verdict, r.Reasons = drift.Judge()
	return r, nil
}
