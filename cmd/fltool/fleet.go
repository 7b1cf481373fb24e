package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen/fleet"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
	"github.com/fltool/fltool/server/wire"
)

func newFleet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "A load from several machines, started by what you have",
		Long: `A load that one machine can't make is made by shards on several. What starts them is
Kubernetes, Ansible or Slurm; fltool writes what these take, and adds up what comes
back: see fltool report.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFleetRender())
	return cmd
}

type fleetFlags struct {
	engine, name, dir, image, claim, binary string
	shards                                  int
	hosts                                   []string
}

func newFleetRender() *cobra.Command {
	var f fleetFlags
	cmd := &cobra.Command{
		Use:   "render --engine ENGINE --shards N -- simulate|capacity|run PLAN [flags]",
		Short: "Write what Kubernetes, Ansible or Slurm takes to run a load in shards",
		Long: `Render writes a load, or the levels of a search, as an Indexed Job of Kubernetes, a
playbook of Ansible or a job array of Slurm, each of whose tasks drives one shard of the
workers. Behind -- stands the load as one machine would make it, or the plan of one. That,
keys and other files are read here, and each shard gets the keys of its own workers
alone; nothing is sent or started.`,
		Example: `  fltool fleet render --engine kubernetes --shards 20 --dir fleet -- simulate --target http://fl:5000 --unsafe --workers 40000
  fltool fleet render --engine ansible --shards 4 --hosts a.example.org,b.example.org --dir fleet -- simulate --target http://192.0.2.1:5000 --unsafe --workers 8000 --start-at +30s
  fltool fleet render --engine slurm --shards 4 --dir fleet -- simulate --target http://192.0.2.1:5000 --unsafe --workers 8000 --start-at +1m
  fltool fleet render --engine slurm --shards 4 --dir fleet -- run plan.yaml --start-at +1m
  fltool fleet render --engine slurm --shards 4 --dir search -- capacity --target http://192.0.2.1:5000 --unsafe --levels 2000,4000,8000 --start-at +1m`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.engine, "engine", "", "what runs the shards: "+strings.Join(fleet.Engines(), ", "))
	fl.IntVar(&f.shards, "shards", 0, "number of shards")
	fl.StringVar(&f.name, "name", "fl-load", "name of the job and of what belongs to it")
	fl.StringVarP(&f.dir, "dir", "o", "", "write the files into this `folder` (default: print Kubernetes' manifests)")
	fl.StringVar(&f.image, "image", "", "container image that has fltool (default: this version's)")
	fl.StringVar(&f.claim, "claim", "", "PersistentVolumeClaim for the reports (default: they are printed into the logs)")
	fl.StringSliceVar(&f.hosts, "hosts", nil, "[USER@]HOST of each machine; shards take turns")
	fl.StringVar(&f.binary, "binary", "", "fltool that the machines run (default: this one)")
	completeBy(cmd, "engine", fleet.Engines)
	return cmd
}

// ofOneMachine are the flags of a load that no fleet has: each shard has its own, or there
// is one server for all, which no shard starts.
var ofOneMachine = []string{"shard", "procs", "out", "format", "web", "results", "source-ip", "server-pid", "server-binary", "server-command", "server-output", "ready"}

// byShard are those that are made anew for shards and engines.
var byShard = []string{"keys", "ca", "update", "start-at", "help"}

var machine = regexp.MustCompile(`^([\w.-]+@)?[A-Za-z0-9]([\w.:-]*\w)?$`)

func (f *fleetFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "fltool" {
		args = args[1:]
	}
	if len(args) > 1 && args[0] == "run" {
		p, err := readPlan(args[1], cmd.InOrStdin())
		if err != nil {
			return err
		}
		if args, _, err = p.argv(args[2:]); err != nil {
			return err
		}
	}
	if cmd.ArgsLenAtDash() != 0 || len(args) == 0 || args[0] != "simulate" && args[0] != "capacity" {
		const example = "fltool fleet render --engine kubernetes --shards 20 -- simulate --target http://fl:5000 --unsafe --workers 40000"
		return usageError(example, "fleet render: want simulate or capacity and its flags, or run and a plan of these, behind --")
	}
	if err := f.check(); err != nil {
		return err
	}
	load, err := f.read(args)
	if err != nil {
		return err
	}
	fl, err := f.fleet(load)
	if err != nil {
		return err
	}
	files, err := fleet.Render(f.engine, fl)
	if err != nil {
		return usageError("", "--engine %s: %w", f.engine, err)
	}
	if f.dir == "" {
		var all strings.Builder
		for _, file := range files {
			all.Write(file.Content)
		}
		return printTo(cmd.OutOrStdout(), "the manifests", all.String())
	}
	return f.write(cmd, files)
}

func (f *fleetFlags) check() error {
	kubernetes, ansible := f.engine == "kubernetes", f.engine == "ansible"
	switch {
	case !slices.Contains(fleet.Engines(), f.engine):
		return usageError(didYouMean(near(f.engine, fleet.Engines()), ""), "--engine %q: want %s", f.engine, strings.Join(fleet.Engines(), ", "))
	case f.shards < 1 || f.shards > reports.MaxShards:
		return usageError("", "--shards %d: want 1 to %d", f.shards, reports.MaxShards)
	case !dnsLabel.MatchString(f.name):
		return usageError("letters a to z, digits and -, as Kubernetes has it", "--name %s is no name of a job", f.name)
	case f.image != "" && (!kubernetes || !imageName.MatchString(f.image)):
		return usageError("for example registry.example.org/fltool:1.0", "--image %s is no image for %s", f.image, f.engine)
	case f.claim != "" && (!kubernetes || !dnsLabel.MatchString(f.claim)):
		return usageError("", "--claim %s is no PersistentVolumeClaim for %s", f.claim, f.engine)
	case ansible != (len(f.hosts) > 0):
		return usageError("for example --engine ansible --hosts a.example.org,b.example.org", "--hosts and --engine ansible belong together")
	case len(f.hosts) > f.shards:
		return usageError("", "%d --hosts for %d --shards: some would have none", len(f.hosts), f.shards)
	case kubernetes && f.binary != "":
		return usageError("--image names the one that has fltool", "--binary goes without --engine kubernetes")
	case !kubernetes && f.dir == "":
		return usageError("for example --dir fleet", "--engine %s writes several files: want --dir", f.engine)
	}
	for i, host := range f.hosts {
		if !machine.MatchString(host) || slices.Contains(f.hosts[:i], host) {
			return usageError("each once, as a.example.org or user@192.0.2.7", "--hosts: %q", host)
		}
	}
	return nil
}

// sharedLoad is a load that shards are to make.
type sharedLoad struct {
	loadFlags // of all shards together; of capacity the highest level's
	cmd       *cobra.Command
	sizes     []int // of its levels; of simulate one
}

// read takes the command line of a load apart, and says what shards can't take.
func (f *fleetFlags) read(args []string) (load sharedLoad, err error) {
	simulate, of := simulateCommand()
	search, ofSearch := capacityCommand()
	if args[0] == "capacity" {
		of = ofSearch
	}
	if err := of.ParseFlags(args[1:]); err != nil {
		return load, flagError(of, err)
	}
	if rest := of.Flags().Args(); len(rest) > 0 {
		return load, usageError("", "%s: %q is one argument too many", args[0], rest[0])
	}
	if err := groupError(of, of.ValidateFlagGroups()); err != nil {
		return load, err
	}
	for _, name := range ofOneMachine {
		if of.Flags().Changed(name) {
			return load, usageError("", "%s --%s is of one machine, and no fleet has it", args[0], name)
		}
	}
	set, shard := of.Flags().Changed, fmt.Sprintf("1/%d", f.shards)
	if args[0] == "capacity" {
		search.shard = shard
		if err := search.check(of); err != nil {
			return load, err
		}
		sizes := search.ladder.levels
		return sharedLoad{search.level(sizes[len(sizes)-1]), of, sizes}, nil
	}
	if simulate.target == "" {
		return load, usageError("every shard must drive the same server", "simulate: want --target")
	}
	if err := simulate.pick(set); err != nil {
		return load, err
	}
	simulate.shard = shard
	return sharedLoad{simulate.loadFlags, of, []int{simulate.workers}}, simulate.loadFlags.check(set)
}

// fleet reads what the shards of a load need. The load is one that its command would take.
func (f *fleetFlags) fleet(load sharedLoad) (fl fleet.Fleet, err error) {
	fl = fleet.Fleet{Name: f.name, Hosts: f.hosts, Claim: f.claim, Image: f.image, Levels: load.cmd.Name() == "capacity"}
	if fl.Image == "" {
		fl.Image = "ghcr.io/fltool/fltool:" + imageTag(toolVersion())
	}
	if _, err := load.thresholds(); err != nil {
		return fl, err
	}
	now := time.Now()
	at, err := startTime(load.startAt, now)
	if err != nil {
		return fl, err
	}
	if fl.Start.At = at; strings.HasPrefix(load.startAt, "+") {
		fl.Start = fleet.Start{After: at.Sub(now)}
	}
	plan, _, err := load.plan()
	if err != nil {
		return fl, err
	}
	fl.TLS, fl.UpdateBytes = plan.TLS != nil, plan.Update.Size()
	fl.Args = append([]string{load.cmd.Name()}, given(load.cmd, byShard)...)
	for _, in := range []struct{ flag, path string }{{"ca", load.ca}, {"update", load.update}} {
		if in.path == "" {
			continue
		}
		content, err := os.ReadFile(in.path)
		if err != nil {
			return fl, usageError("", "--%s: %w", in.flag, err)
		}
		fl.Files = append(fl.Files, fleet.Input{Flag: in.flag, Name: in.flag + ".file", Content: content})
	}
	for k := 1; k <= f.shards; k++ {
		shard, err := load.part(reports.Shard{Index: k, Count: f.shards})
		if err != nil {
			return fl, err
		}
		fl.Shards = append(fl.Shards, shard)
	}
	return fl, nil
}

// part is a shard with the keys of the workers that it drives in any level.
func (l sharedLoad) part(s reports.Shard) (fleet.Shard, error) {
	var part fleet.Shard
	drives := map[int]bool{}
	for _, size := range l.sizes {
		first, workers := s.Of(size)
		if workers < 1 {
			return part, usageError("", "%d workers are fewer than the %d shards", size, s.Count)
		}
		part.Workers = max(part.Workers, workers)
		for i := range workers {
			drives[first+i] = true
		}
	}
	if l.keys == "" {
		return part, nil
	}
	var err error
	if part.Keys, err = wire.Bundle(l.keys, slices.Sorted(maps.Keys(drives))); err != nil {
		return part, usageError("the folder must have a key for each worker", "--keys: %w", err)
	}
	return part, nil
}

// write makes a new folder of the files, with fltool for machines that have none.
func (f *fleetFlags) write(cmd *cobra.Command, files []fleet.File) error {
	switch in, err := os.ReadDir(f.dir); {
	case err == nil && len(in) > 0:
		return usageError("files of another time would stay beside the new ones: name a new folder", "--dir %s: the folder is not empty", f.dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cantError("", "--dir: %w", err)
	}
	if f.engine != "kubernetes" {
		content, err := f.fltool()
		if err != nil {
			return err
		}
		files = append(files, fleet.File{Path: "fltool", Mode: 0o755, Content: content})
	}
	for _, file := range files {
		path := filepath.Join(f.dir, file.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // #nosec G301 -- secrets in it have 0600
			return cantError(writableHint, "--dir: %w", err)
		}
		if err := os.WriteFile(path, file.Content, file.Mode); err != nil {
			return cantError(writableHint, "--dir: %w", err)
		}
	}
	return printTo(cmd.OutOrStdout(), "what was made", fmt.Sprintf("%s: %s for %s; next:\n%s", f.dir, render.Plural(f.shards, "shard"), f.engine, f.next()))
}

// fltool is the program that the machines run.
func (f *fleetFlags) fltool() ([]byte, error) {
	path, err := f.binary, error(nil)
	if path == "" && runtime.GOOS != "linux" {
		return nil, usageError("for example --binary fltool_linux_amd64/fltool, of a release", "--engine %s: the machines need fltool for Linux, and this one is for %s", f.engine, runtime.GOOS)
	}
	if path == "" {
		if path, err = os.Executable(); err != nil {
			return nil, cantError("", "find fltool itself: %w", err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError("", "--binary: %w", err)
	}
	return content, nil
}

// next is how to go on.
func (f *fleetFlags) next() string {
	dir := filepath.ToSlash(f.dir)
	switch f.engine {
	case "ansible":
		return fmt.Sprintf("  cd %s && ansible-playbook fleet.yml\n", dir)
	case "slurm":
		return fmt.Sprintf("  %s/submit.sh\n", dir)
	}
	next := fmt.Sprintf("  kubectl create -f %s\n  kubectl wait --for=condition=complete --timeout=1h job/%s\n", dir, f.name)
	if f.claim != "" {
		return next + fmt.Sprintf("  fltool report DIR, where the reports of the claim %s are\n", f.claim)
	}
	return next + fmt.Sprintf("  kubectl logs -l app.kubernetes.io/name=%s --tail=-1 --max-log-requests=%d | fltool report --from-logs -\n", f.name, f.shards)
}
