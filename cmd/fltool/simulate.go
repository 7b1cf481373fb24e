package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

type simulateFlags struct {
	target, keys, update, accept, think, first, behaviour, shard, sources, ca string
	results                                                                   string
	workers, rounds, serverPID                                                int
	unsafe, compressible, insecure                                            bool
	hold, ramp, pollTimeout, requestTimeout, roundTimeout, maxLag             time.Duration
	updateSize, modelSize                                                     sizeFlag
	seed                                                                      uint64
	output                                                                    outputFlags
}

func newSimulate() *cobra.Command {
	f := simulateFlags{updateSize: loadgen.DefaultUpdateSize, modelSize: 1 << 10}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Drive simulated workers through whole rounds, or hold their polls",
		Long: `Drive simulated dc_federated workers against a server: whole rounds with --rounds,
or polls held for a while with --hold. Without --target it starts the reference
server as a child process with fresh keys and stops it afterwards.

The report goes to stdout, progress to stderr. Exit code 0: every worker did all
that was asked; 1: a worker was lost or an update not accepted; 3: the generator
itself was the limit, or the run could not be made.`,
		Example: `  fltool simulate --workers 1000 --rounds 3
  fltool simulate --workers 5000 --hold 30s
  fltool simulate --target http://127.0.0.1:5000 --keys keys --workers 1000 --rounds 3
  fltool simulate --workers 1000 --rounds 3 --results run.bin && vegeta report run.bin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.target, "target", "", "URL of the server; default: a reference server of our own")
	fl.IntVar(&f.workers, "workers", 1000, "number of workers")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds that each worker takes part in (default 3 without --hold)")
	fl.DurationVar(&f.hold, "hold", 0, "instead of rounds: hold every worker's poll for so long")
	fl.StringVar(&f.keys, "keys", "", "key folder with the workers' private keys (see fltool keys)")
	fl.BoolVar(&f.unsafe, "unsafe", false, "workers without keys, for a server without key list")
	fl.DurationVar(&f.ramp, "ramp", 0, "let the workers arrive evenly over so long")
	fl.StringVar(&f.think, "think", "0", "time between model and update: 2s, uniform:1s-3s or exp:2s")
	fl.StringVar(&f.first, "first", string(loadgen.FirstPoll), "what a worker does first: poll (stress test) or update (FedAvg)")
	fl.Var(&f.updateSize, "update-size", "size of every update, before compression")
	fl.StringVar(&f.update, "update", "", "file to send as every worker's update")
	fl.BoolVar(&f.compressible, "compressible", false, "make updates that compress well")
	fl.Var(&f.modelSize, "model-size", "size of the reference server's model")
	fl.StringVar(&f.accept, "accept", "", "regular expression of the answer to an accepted update")
	fl.StringVar(&f.behaviour, "worker-behaviour", string(loadgen.Resilient), "on errors: resilient (try again) or upstream (spin on replies, die on cuts)")
	fl.DurationVar(&f.requestTimeout, "request-timeout", loadgen.DefaultRequestTimeout, "for every request but the poll")
	fl.DurationVar(&f.pollTimeout, "poll-timeout", 0, "longest hold of one poll (default --round-timeout; none with --hold)")
	fl.DurationVar(&f.roundTimeout, "round-timeout", loadgen.DefaultRoundTimeout, "a worker that makes no progress for so long is lost")
	fl.DurationVar(&f.maxLag, "max-lag", loadgen.DefaultMaxLag, "the verdict is refused if 1 % of the requests were sent later than this after they were due")
	fl.StringVar(&f.sources, "source-ip", "", "local addresses to dial from, comma-separated")
	fl.StringVar(&f.ca, "ca", "", "PEM file of the authorities to trust")
	fl.BoolVar(&f.insecure, "insecure", false, "don't verify the server's certificate")
	fl.StringVar(&f.shard, "shard", "", "k/n: drive only the k-th of n parts of the workers (merge the reports with fltool report)")
	fl.Uint64Var(&f.seed, "seed", 0, "of all randomness (default: random, shown in the report)")
	fl.IntVar(&f.serverPID, "server-pid", 0, "measure this process as the server")
	fl.StringVar(&f.results, "results", "", "write every request in vegeta's encoding, by suffix .bin, .json or .csv")
	f.output.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("rounds", "hold")
	cmd.MarkFlagsMutuallyExclusive("keys", "unsafe")
	cmd.MarkFlagsMutuallyExclusive("update", "update-size")
	cmd.MarkFlagsMutuallyExclusive("update", "compressible")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command) (err error) {
	set := cmd.Flags().Changed
	if !set("rounds") && !set("hold") {
		f.rounds = 3
	}
	if !set("seed") {
		f.seed = rand.Uint64()
	}
	if err := f.check(set); err != nil {
		return err
	}
	if err := f.output.check(); err != nil {
		return err
	}
	if f.results != "" {
		if err := loadgen.CheckRecordName(f.results); err != nil {
			return usageError("", "--results: %v", err)
		}
	}
	plan, shard, err := f.plan()
	if err != nil {
		return err
	}
	if err := loadgen.CheckRoom(plan.Workers, plan.Sources); err != nil {
		return roomError(err)
	}
	if f.serverPID != 0 {
		if err := loadgen.CheckServer(f.serverPID); err != nil {
			return cantError("", "--server-pid: %v", err)
		}
	}
	opts := loadgen.Options{ServerPID: f.serverPID, Progress: progressTo(cmd.ErrOrStderr())}

	ctx := cmd.Context()
	if f.target == "" {
		child, cleanup, err := f.serve(ctx, &plan)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cleanup()) }()
		plan.Target, opts.ServerPID, opts.Exited = child.URL, child.PID, child.Exited
	} else if err := loadgen.CheckTarget(ctx, plan.Target, plan.TLS); err != nil {
		var t *loadgen.TargetError
		if errors.As(err, &t) {
			return cantError(t.Hint, "%s", t.What)
		}
		return cantError("", "%v", err)
	}
	if f.results != "" {
		// Created last: a run that can't start leaves an old file as it is.
		if opts.Record, err = loadgen.NewRecorder(f.results); err != nil {
			return cantError("", "--results: %v", err)
		}
	}
	opts.Env = func(e *reports.Env) {
		e.Tool = "fltool " + toolVersion()
		e.Command = append([]string{"fltool"}, f.reproduce(cmd)...)
	}
	rep, err := loadgen.Run(ctx, plan, opts)
	if opts.Record != nil {
		if cerr := opts.Record.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("--results %s is not complete: %w", f.results, cerr))
		}
	}
	if err != nil {
		return cantError("", "%v", err)
	}
	rep.Shard = shard
	rep.Demand.Workers = f.workers // of the whole run, which all shards state alike
	if f.target == "" {
		rep.Demand.ModelBytes = int64(f.modelSize)
	}
	return f.output.write(cmd, rep)
}

// check refuses flags that would have no effect; set says whether one was given.
func (f *simulateFlags) check(set func(name string) bool) error {
	if set("rounds") && f.rounds == 0 || set("hold") && f.hold == 0 {
		return usageError("", "no rounds and no hold is nothing to do")
	}
	ours, theirs := []string{"model-size"}, []string{"ca", "insecure", "server-pid"}
	for _, name := range ours {
		if f.target != "" && set(name) {
			return usageError("it is for the server that simulate starts itself", "--%s goes without --target", name)
		}
	}
	for _, name := range theirs {
		if f.target == "" && set(name) {
			return usageError("", "--%s needs --target", name)
		}
	}
	return nil
}

// plan turns the flags into what is to be done.
func (f *simulateFlags) plan() (loadgen.Plan, *reports.Shard, error) {
	p := loadgen.Plan{
		Workers: f.workers, Rounds: f.rounds, Hold: f.hold, Ramp: f.ramp,
		First: loadgen.First(f.first), Behaviour: loadgen.Behaviour(f.behaviour),
		RequestTimeout: f.requestTimeout, PollTimeout: f.pollTimeout, RoundTimeout: f.roundTimeout, MaxLag: f.maxLag,
		Seed: f.seed,
	}
	if f.workers < 1 {
		return p, nil, usageError("", "--workers %d: want at least one", f.workers)
	}
	if f.rounds < 0 || f.hold < 0 || f.ramp < 0 || f.requestTimeout <= 0 || f.roundTimeout <= 0 || f.pollTimeout < 0 || f.maxLag <= 0 {
		return p, nil, usageError("", "negative numbers and zero timeouts make no sense here")
	}
	if p.First != loadgen.FirstPoll && p.First != loadgen.FirstUpdate {
		return p, nil, usageError("", "--first %s: want poll or update", f.first)
	}
	if p.Behaviour != loadgen.Resilient && p.Behaviour != loadgen.Upstream {
		return p, nil, usageError("", "--worker-behaviour %s: want resilient or upstream", f.behaviour)
	}
	shard, err := parseShard(f.shard)
	if err != nil {
		return p, nil, err
	}
	if shard != nil {
		if f.target == "" {
			return p, nil, usageError("every shard must drive the same server", "--shard needs --target")
		}
		if shard.Count > p.Workers {
			return p, nil, usageError("", "--shard %s: more shards than workers", f.shard)
		}
		p.FirstNo = p.Workers * (shard.Index - 1) / shard.Count
		p.Workers = p.Workers*shard.Index/shard.Count - p.FirstNo
	}
	if p.Think, err = loadgen.ParseThink(f.think); err != nil {
		return p, nil, usageError("", "--think: %v", err)
	}
	if f.accept != "" {
		if p.Accept, err = regexp.Compile(f.accept); err != nil {
			return p, nil, usageError("", "--accept: %v", err)
		}
	}
	for s := range strings.SplitSeq(f.sources, ",") {
		if s == "" {
			continue
		}
		ip, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return p, nil, usageError("", "--source-ip: %v", err)
		}
		if p.Sources = append(p.Sources, ip.Unmap()); ip.Unmap().Is4() != p.Sources[0].Is4() {
			return p, nil, usageError("", "--source-ip: of %s and %s one is IPv4, one IPv6: only one can reach the target", ip, p.Sources[0])
		}
	}
	if p.Update, err = f.updateBytes(); err != nil {
		return p, nil, err
	}
	if f.target != "" {
		if p.Target, err = url.Parse(f.target); err != nil || p.Target.Host == "" || p.Target.Scheme != "http" && p.Target.Scheme != "https" ||
			strings.Trim(p.Target.Path, "/") != "" {
			return p, nil, usageError("for example http://127.0.0.1:5000", "--target %q: want the URL of a server, without a path", f.target)
		}
		if !f.unsafe && f.keys == "" {
			return p, nil, usageError("fltool keys generate makes a key folder", "--target needs --keys DIR, or --unsafe for a server without key list")
		}
		if p.TLS, err = f.tls(p.Target.Hostname()); err != nil {
			return p, nil, err
		}
		if p.Target.Scheme == "http" {
			p.TLS = nil
		}
	}
	if f.keys != "" {
		if p.Keys, err = wire.ReadKeys(f.keys, p.FirstNo, p.Workers); err != nil {
			hint := "fltool keys verify tells what is wrong with a key folder"
			if errors.Is(err, os.ErrNotExist) {
				hint = fmt.Sprintf("the folder must hold %s0 and so on, one for each of %d workers; fltool keys generate makes one", wire.KeyFilePrefix, f.workers)
			}
			return p, nil, usageError(hint, "--keys: %v", err)
		}
	}
	return p, shard, nil
}

// parseShard reads k/n; nil is no shard.
func parseShard(s string) (*reports.Shard, error) {
	if s == "" {
		return nil, nil
	}
	k, n, _ := strings.Cut(s, "/")
	index, err1 := strconv.Atoi(k)
	count, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || index < 1 || index > count {
		return nil, usageError("", "--shard %q: want k/n with k from 1 to n", s)
	}
	return &reports.Shard{Index: index, Count: count}, nil
}

func (f *simulateFlags) updateBytes() ([]byte, error) {
	if f.update != "" {
		b, err := os.ReadFile(f.update)
		if err != nil {
			return nil, usageError("", "--update: %v", err)
		}
		return b, nil
	}
	b := make([]byte, f.updateSize)
	if !f.compressible {
		var seed [32]byte
		copy(seed[:], strconv.FormatUint(f.seed, 16))
		if _, err := rand.NewChaCha8(seed).Read(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (f *simulateFlags) tls(host string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, InsecureSkipVerify: f.insecure}
	if f.ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, usageError("", "--ca: %v", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usageError("", "--ca %s: no PEM certificate in it", f.ca)
	}
	return cfg, nil
}

// serve starts the reference server for the plan's workers.
func (f *simulateFlags) serve(ctx context.Context, p *loadgen.Plan) (*loadgen.Child, func() error, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, cantError("", "find fltool itself: %v", err)
	}
	dir, err := os.MkdirTemp("", "fltool-simulate-")
	if err != nil {
		return nil, nil, cantError("", "%v", err)
	}
	clean := func() error { return os.RemoveAll(dir) }
	args := []string{
		"--listen", "127.0.0.1:0", "--log-level", "warn",
		// The round ends with the last of these workers, however many keys the list has.
		"--round", strconv.Itoa(p.Workers),
		"--model-size", f.modelSize.String(),
		"--max-update-size", strconv.FormatInt(int64(len(p.Update))+1<<20, 10),
	}
	if f.unsafe {
		args = append(args, "--unsafe")
	} else {
		keys := f.keys
		if keys == "" {
			keys = filepath.Join(dir, "keys")
			err = wire.GenerateKeys(keys, p.Workers)
			if err == nil {
				p.Keys, err = wire.ReadKeys(keys, 0, p.Workers)
			}
			if err != nil {
				return nil, nil, errors.Join(cantError("", "%v", err), clean())
			}
		}
		args = append(args, "--keys", keys)
	}
	child, err := loadgen.StartChild(ctx, exe, args...)
	if err != nil {
		return nil, nil, errors.Join(cantError("", "%v", err), clean())
	}
	return child, func() error { return errors.Join(child.Stop(), clean()) }, nil
}

// reproduce is the command line that makes this run again.
func (f *simulateFlags) reproduce(cmd *cobra.Command) []string {
	args := commandLine(cmd)
	if !cmd.Flags().Changed("seed") {
		args = append(args, "--seed="+strconv.FormatUint(f.seed, 10))
	}
	return args
}

func roomError(err error) error {
	var room *loadgen.RoomError
	if errors.As(err, &room) {
		return cantError(room.Hint, "%s", room.What)
	}
	return cantError("", "%v", err)
}
