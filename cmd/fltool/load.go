package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// loadFlags say what load is made and where it goes: simulate's and capacity's.
type loadFlags struct {
	target, keys, update, accept, think, first, behaviour, shard, sources, ca string
	startAt                                                                   string
	quorum, serverBinary, serverAt, results                                   string
	command                                                                   commandFlags
	follow                                                                    followFlags
	workers, rounds, serverPID, procs                                         int
	unsafe, compressible, insecure, yes                                       bool
	hold, ramp, pollTimeout, requestTimeout, roundTimeout, maxLag             time.Duration
	updateSize, modelSize                                                     sizeFlag
	seed                                                                      uint64
	rampOpen, strictLag                                                       bool
	befalls                                                                   loadgen.Scenario
	stages                                                                    []loadgen.Stage
	slo                                                                       []string
}

// rampUnset is a --ramp that was not given.
const rampUnset = time.Duration(-1)

// mostWorkers bounds what is typed, far above what one machine can simulate or hold.
const mostWorkers = 10_000_000

// add registers all but how much load there is and for how long.
func (f *loadFlags) add(cmd *cobra.Command) {
	f.updateSize, f.modelSize = loadgen.DefaultUpdateSize, 1<<10
	fl := cmd.Flags()
	fl.StringVar(&f.target, "target", "", "URL of the server; default: a reference server of our own")
	fl.StringVar(&f.keys, "keys", "", "key folder with the workers' private keys (see fltool keys)")
	fl.BoolVar(&f.unsafe, "unsafe", false, "workers without keys, for a server without key list")
	fl.DurationVar(&f.ramp, "ramp", rampUnset, "let the workers arrive evenly over so long, or slower if this machine can't serve so many; 0: as fast as it can")
	fl.BoolVar(&f.rampOpen, "ramp-open", false, "let them arrive in that time in any case, and count who is late as the generator's lag")
	fl.Lookup("ramp").DefValue = loadgen.ArrivalEvery.String() + " a worker"
	fl.StringVar(&f.quorum, "quorum", "", "updates that end a round of the server's: `N` or P% of the workers (default: one of each worker)")
	fl.StringVar(&f.think, "think", "0", "time between model and update: 2s, uniform:1s-3s or exp:2s")
	fl.StringVar(&f.first, "first", string(loadgen.FirstPoll), "what a worker does first: poll (stress test) or update (FedAvg)")
	fl.Var(&f.updateSize, "update-size", "size of every update, before compression")
	fl.StringVar(&f.update, "update", "", "file to send as every worker's update")
	fl.BoolVar(&f.compressible, "compressible", false, "make updates that compress well")
	fl.Var(&f.modelSize, "model-size", "size of the reference server's model")
	fl.StringVar(&f.accept, "accept", "", "regular expression of the answer to an accepted update")
	fl.StringVar(&f.behaviour, "worker-behaviour", string(loadgen.Resilient), "on errors: resilient (try again), backoff:1s..60s, upstream (spin on replies, end on cuts) or supervised:5s (upstream, started again)")
	fl.DurationVar(&f.requestTimeout, "request-timeout", loadgen.DefaultRequestTimeout, "for every request but the poll")
	fl.DurationVar(&f.pollTimeout, "poll-timeout", 0, "longest hold of one poll (default --round-timeout; none with --hold)")
	fl.DurationVar(&f.roundTimeout, "round-timeout", cmp.Or(f.roundTimeout, loadgen.DefaultRoundTimeout), "a worker that makes no progress for so long is lost")
	fl.DurationVar(&f.maxLag, "max-lag", loadgen.DefaultMaxLag, "the verdict is refused if 1 % of the requests were sent later than this after they were due; unless given, not for want of CPU that the server took")
	fl.StringVar(&f.sources, "source-ip", "", "local addresses to dial from, comma-separated")
	fl.StringVar(&f.ca, "ca", "", "PEM file of the authorities to trust")
	fl.BoolVar(&f.insecure, "insecure", false, "don't verify the server's certificate")
	fl.BoolVar(&f.yes, "yes", false, "send more than 100 workers to a public address, unasked")
	fl.Uint64Var(&f.seed, "seed", 0, "of all randomness (default: random, shown in the report)")
	fl.StringVar(&f.serverAt, "server-pid", "", "measure this process, and all that it started, as the server: a `pid`, or a file with one")
	f.command.add(cmd)
	fl.StringVar(&f.serverBinary, "server-binary", "", "fltool whose reference server is started (default: this one)")
	fl.StringArrayVar(&f.slo, "slo", nil, "service level that must hold, such as 'fanout.p99<2s' or 'errors<0.1%'")
	f.follow.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("keys", "unsafe")
	cmd.MarkFlagsMutuallyExclusive("target", "server-binary")
	cmd.MarkFlagsMutuallyExclusive("update", "update-size")
	cmd.MarkFlagsMutuallyExclusive("update", "compressible")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
}

// check refuses flags that would have no effect, and picks the seed where none was
// given; set says whether a flag was.
func (f *loadFlags) check(set func(name string) bool) error {
	if f.target != "" && set("model-size") {
		return usageError("it is for the server that fltool starts itself", "--model-size goes without --target")
	}
	for _, name := range []string{"ca", "insecure", "server-pid"} {
		if f.target == "" && set(name) {
			return usageError("the server that fltool starts itself needs none of it", "--%s needs --target", name)
		}
	}
	if err := f.checkCommand(set); err != nil {
		return err
	}
	if err := f.follow.check(); err != nil {
		return err
	}
	if !set("seed") {
		f.seed = rand.Uint64() // #nosec G404 -- of a load, no secret
	}
	f.strictLag = set("max-lag")
	return f.readPID()
}

// thresholds are those of --slo.
func (f *loadFlags) thresholds() ([]reports.Threshold, error) {
	var all []reports.Threshold
	for _, expr := range f.slo {
		t, err := reports.ParseThreshold(expr)
		if err != nil {
			return nil, usageError(sloHint(expr), "--slo: %v", err)
		}
		all = append(all, t)
	}
	return all, nil
}

// sloHint names the metrics that a threshold of none may have meant.
func sloHint(expr string) string {
	end := strings.IndexAny(expr, "<>= ")
	if end < 0 {
		return ""
	}
	metric := expr[:end]
	if slices.Contains(reports.MetricNames(), metric) {
		return ""
	}
	return didYouMean(near(metric, reports.MetricNames()), "")
}

// plan turns the flags into what is to be done.
func (f *loadFlags) plan() (loadgen.Plan, *reports.Shard, error) {
	var err error
	p := loadgen.Plan{
		Workers: f.workers, Rounds: f.rounds, Hold: f.hold, Ramp: f.ramp, RampOpen: f.rampOpen,
		First:          loadgen.First(f.first),
		RequestTimeout: f.requestTimeout, PollTimeout: f.pollTimeout, RoundTimeout: f.roundTimeout, MaxLag: f.maxLag, StrictLag: f.strictLag,
		Seed: f.seed, Scenario: f.befalls, Stages: f.stages,
	}
	if f.workers < 1 {
		return p, nil, usageError("", "--workers %d: want at least one", f.workers)
	}
	if f.workers > mostWorkers {
		return p, nil, usageError("", "--workers %d: want at most %d", f.workers, mostWorkers)
	}
	if p.Quorum, err = f.updatesToEnd(); err != nil {
		return p, nil, err
	}
	if p.Quorum > 0 && f.rounds == 0 {
		return p, nil, usageError("it is how many updates end a round, and held polls send none", "--quorum needs rounds")
	}
	if p.Ramp == rampUnset {
		p.Ramp = time.Duration(f.workers) * loadgen.ArrivalEvery
	}
	if f.rounds < 0 {
		return p, nil, usageError("", "--rounds %d: want 0 or more", f.rounds)
	}
	for name, d := range map[string]time.Duration{"hold": f.hold, "ramp": p.Ramp, "poll-timeout": f.pollTimeout} {
		if d < 0 {
			return p, nil, usageError("", "--%s %s: want 0 or more", name, d)
		}
	}
	for name, d := range map[string]time.Duration{"request-timeout": f.requestTimeout, "round-timeout": f.roundTimeout, "max-lag": f.maxLag} {
		if d <= 0 {
			return p, nil, usageError("", "--%s %s: want more than 0", name, d)
		}
	}
	if p.First != loadgen.FirstPoll && p.First != loadgen.FirstUpdate {
		return p, nil, usageError("", "--first %s: want poll or update", f.first)
	}
	if p.Policy, err = loadgen.ParsePolicy(f.behaviour); err != nil {
		return p, nil, usageError("", "--worker-behaviour %v", err)
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
		p.Shard = *shard
		p.FirstNo, p.Workers = shard.Of(p.Workers)
		p.Quorum = min(p.Quorum, p.Workers) // the server counts those of all shards
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
	if f.serverPID != 0 {
		if err := loadgen.CheckServer(f.serverPID); err != nil {
			return p, nil, cantError("", "--server-pid: %v", err)
		}
	}
	if p.Update, err = f.updateOfAll(); err != nil {
		return p, nil, err
	}
	if f.target != "" {
		if p.Target, err = parseTarget(f.target); err != nil {
			return p, nil, err
		}
		if !f.unsafe && f.keys == "" {
			return p, nil, usageError("fltool keys generate makes a key folder", "--target needs --keys DIR, or --unsafe for a server without key list")
		}
		if p.TLS, err = tlsConfig(p.Target.Hostname(), f.ca, f.insecure); err != nil {
			return p, nil, err
		}
		if p.Target.Scheme == "http" {
			p.TLS = nil
		}
	}
	if len(p.Sources) == 0 {
		if p.Sources, err = loadgen.SpreadSources(cmp.Or(p.Target, ownServer), f.workers, index(shard), p.Workers); err != nil {
			return p, nil, cantError("", "%v", err)
		}
	}
	if err := loadgen.CheckSources(p.Sources); err != nil {
		return p, nil, roomError(err)
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

// asked is what the server is asked to carry, as far as the flags tell.
func (f *loadFlags) asked() reports.Demand {
	d := reports.Demand{Workers: f.workers, HoldSeconds: f.hold.Seconds(), UpdateBytes: int64(f.updateSize)}
	if f.target == "" {
		d.ModelBytes = int64(f.modelSize)
	}
	return d
}

// ownServer is about where the server listens that fltool starts itself.
var ownServer = &url.URL{Scheme: "http", Host: "127.0.0.1"}

// index is a shard's; 0 is a whole run's.
func index(s *reports.Shard) int {
	if s == nil {
		return 0
	}
	return s.Index
}

// updatesToEnd are those that end a round; 0: one of each worker.
func (f *loadFlags) updatesToEnd() (int, error) {
	if f.quorum == "" {
		return 0, nil
	}
	text, share := strings.CutSuffix(f.quorum, "%")
	n, err := strconv.Atoi(text)
	if share && err == nil && n <= 100 {
		n = (n*f.workers + 99) / 100
	}
	if err != nil || n < 1 || n > f.workers {
		return 0, usageError("", "--quorum %s: want 1 to %d updates, or a share of the workers such as 80%%", f.quorum, f.workers)
	}
	return n, nil
}

// parseTarget reads the URL of a server. What of a URL could not be honoured is
// refused, and not shown: it may hold a password.
func parseTarget(s string) (*url.URL, error) {
	const example = "for example http://127.0.0.1:5000"
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError(example, "--target: want the URL of a server, http or https")
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, usageError(example, "--target: a port is missing after the colon")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, usageError(example, "--target: port %s: want 1 to 65535", port)
		}
	}
	if strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError(example, "--target %s://%s…: want the URL of a server alone, without user, path or query", u.Scheme, u.Host)
	}
	return u, nil
}

// updateOfAll is what every worker sends.
func (f *loadFlags) updateOfAll() (loadgen.Update, error) {
	b, err := f.updateBytes()
	if err != nil {
		return loadgen.Update{}, err
	}
	return loadgen.NewUpdate(b)
}

func (f *loadFlags) updateBytes() ([]byte, error) {
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

// serve starts the reference server for the plan's workers.
func (f *loadFlags) serve(ctx context.Context, p *loadgen.Plan) (*loadgen.Child, func() error, error) {
	exe := f.serverBinary
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, nil, cantError("", "find fltool itself: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "fltool-simulate-")
	if err != nil {
		return nil, nil, tempError(err)
	}
	clean := func() error { return os.RemoveAll(dir) }
	args := []string{
		"--listen", "127.0.0.1:0", "--log-level", "warn",
		// The round ends with the last of these workers, however many keys the list has.
		"--round", strconv.Itoa(cmp.Or(p.Quorum, p.Scenario.Quorum(p.Workers), p.Workers)),
		"--model-size", f.modelSize.String(),
		"--max-update-size", strconv.FormatInt(p.Update.Size()+1<<20, 10),
	}
	if f.unsafe {
		args = append(args, "--unsafe")
	} else {
		keys := f.keys
		if keys == "" {
			keys = filepath.Join(dir, wire.KeyListFile)
			if p.Keys, err = loadgen.FreshKeys(p.Workers, keys); err != nil {
				return nil, nil, errors.Join(cantError("", "%v", err), clean())
			}
		}
		args = append(args, "--keys", keys)
	}
	child, err := loadgen.StartChild(ctx, exe, args...)
	if err != nil {
		return nil, nil, errors.Join(cantError("", "%w", err), clean())
	}
	return child, func() error { return errors.Join(child.Stop(), clean()) }, nil
}

func roomError(err error) error {
	var room *loadgen.RoomError
	if errors.As(err, &room) {
		return cantError(room.Hint, "%s", room.What)
	}
	return cantError("", "%v", err)
}

func targetError(err error) error {
	var t *loadgen.TargetError
	if errors.As(err, &t) {
		return cantError(t.Hint, "%s", t.What)
	}
	return cantError("", "%v", err)
}
