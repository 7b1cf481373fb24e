// Package reports is the one document that every journey of fltool ends in:
// what was asked, what was seen, and the verdict. It reads, writes and merges
// that document and judges nothing about servers itself.
package reports

import "slices"

// Schema names the format and version of a report. A reader refuses any other.
const Schema = "fltool.report/v1"

// Kind says which journey made a report.
type Kind string

// The kinds of report.
const (
	KindSimulate  Kind = "simulate"
	KindPreflight Kind = "preflight"
	KindCapacity  Kind = "capacity"
	KindDrill     Kind = "drill"
	KindHosts     Kind = "hosts" // a preflight of many hosts
	KindDrift     Kind = "drift" // two readings of one host
)

// Verdict is the answer of a whole report.
type Verdict string

// The verdicts, from best to worst to undecided.
const (
	VerdictPass    Verdict = "pass"    // all that was asked held
	VerdictWarn    Verdict = "warn"    // it held, and something will bite later
	VerdictFail    Verdict = "fail"    // a check failed, a worker was lost, a threshold was missed
	VerdictRefused Verdict = "refused" // fltool can't tell; the reasons say why
)

// Worse is the worse of two verdicts. A word that is no verdict counts as
// refused: what can't be read is never a pass.
func Worse(a, b Verdict) Verdict {
	if a.rank() >= b.rank() {
		return Verdicts[a.rank()]
	}
	return Verdicts[b.rank()]
}

// Verdicts are all of them, from best to worst.
var Verdicts = []Verdict{VerdictPass, VerdictWarn, VerdictFail, VerdictRefused}

func (v Verdict) rank() int {
	if i := slices.Index(Verdicts, v); i >= 0 {
		return i
	}
	return len(Verdicts) - 1
}

// Report is the document. Sections that a kind of run does not produce are
// empty and left out of the JSON.
type Report struct {
	Schema     string       `json:"schema"`
	Kind       Kind         `json:"kind"`
	Verdict    Verdict      `json:"verdict"`
	Reasons    []string     `json:"reasons,omitempty"` // why the verdict is what it is, worst first
	Notes      []string     `json:"notes,omitempty"`   // what a reader must know to take the figures right
	Env        Env          `json:"env"`               // of a merged report: what all its shards have in common
	Demand     Demand       `json:"demand"`            // of the whole run; all its shards state the same
	Shard      *Shard       `json:"shard,omitempty"`   // set in the report of one shard
	Shards     []Env        `json:"shards,omitempty"`  // of a merged report: each shard's, in their order
	Held       *Held        `json:"held,omitempty"`
	Stages     []Stage      `json:"stages,omitempty"` // of a run that had some, in their order
	Scenario   *Scenario    `json:"scenario,omitempty"`
	Drill      *Drill       `json:"drill,omitempty"`
	Rounds     []Round      `json:"rounds,omitempty"`
	Series     []Series     `json:"series,omitempty"`
	Timeline   []Tick       `json:"timeline,omitempty"`
	Step       float64      `json:"step,omitempty"` // of the timeline, in seconds; absent: 1
	Errors     []ErrorClass `json:"errors,omitempty"`
	Lost       []Lost       `json:"lost,omitempty"`
	Bytes      *Bytes       `json:"bytes,omitempty"`
	Queue      *Queue       `json:"queue,omitempty"` // of a server on env.hostname
	Resources  []Resource   `json:"resources,omitempty"`
	Generator  *Generator   `json:"generator,omitempty"`
	Thresholds []Threshold  `json:"thresholds,omitempty"`
	Levels     []Level      `json:"levels,omitempty"` // in the order of trial
	Slopes     []Slope      `json:"slopes,omitempty"`
	Plan       *Forecast    `json:"plan,omitempty"`
	Sizing     *Sizing      `json:"sizing,omitempty"`
	Chain      []Hop        `json:"chain,omitempty"` // the way from workers to the application, in that order
	Findings   []Finding    `json:"findings,omitempty"`
	Capacity   *Capacity    `json:"capacity,omitempty"`
	Hosts      []Host       `json:"hosts,omitempty"` // those that hold least first
	Roles      []RoleSum    `json:"roles,omitempty"` // of hosts that have one
	Drift      *Drift       `json:"drift,omitempty"`
}

// Env is where, when and how a report was made.
type Env struct {
	Tool     string   `json:"tool"`               // "fltool v0.1.0"
	Command  []string `json:"command,omitempty"`  // the command that makes this report again, without secrets
	Target   string   `json:"target,omitempty"`   // URL of the server that was driven; no user info
	Started  string   `json:"started,omitempty"`  // RFC 3339, UTC
	Seconds  float64  `json:"seconds,omitempty"`  // how long it took
	Hostname string   `json:"hostname,omitempty"` // of the host that ran fltool
	Kernel   string   `json:"kernel,omitempty"`   // "Linux 6.1.0"
	CPU      string   `json:"cpu,omitempty"`      // model name from /proc/cpuinfo
	CPUs     int      `json:"cpus,omitempty"`     // usable by fltool
	Go       string   `json:"go,omitempty"`       // version of the toolchain
	Seed     uint64   `json:"seed,omitempty"`     // of the generator's randomness
}

// Demand is what the deployment is asked to carry.
type Demand struct {
	Workers      int     `json:"workers"`
	Rounds       int     `json:"rounds,omitempty"`
	HoldSeconds  float64 `json:"holdSeconds,omitempty"`  // longest time a poll is held
	ModelBytes   int64   `json:"modelBytes,omitempty"`   // global model before compression
	ModelAssumed bool    `json:"modelAssumed,omitempty"` // nobody stated the model's size: it is a guess
	UpdateBytes  int64   `json:"updateBytes,omitempty"`  // worker's update before compression
	RampSeconds  float64 `json:"rampSeconds,omitempty"`  // over which the workers arrive
	Stages       string  `json:"stages,omitempty"`       // how many workers are held over time, as --stages takes them; workers is the most of them
}

// Shard says which 1-based part of a larger run a report holds.
type Shard struct {
	Index  int   `json:"index"`
	Count  int   `json:"count"`
	Levels []int `json:"levels,omitempty"` // of a search by shards: the workers of all its levels, ascending; the report is of that which its demand names
}

// Of is which of all workers are the shard's: the first one's number, and how many. Of more
// workers it has no fewer. The zero shard has all.
func (s Shard) Of(workers int) (first, n int) {
	if s.Count == 0 {
		return 0, workers
	}
	each, over := workers/s.Count, workers%s.Count
	first, n = each*(s.Index-1)+min(s.Index-1, over), each
	if s.Index <= over {
		n++
	}
	return first, n
}

// Held counts held polls, in workers.
type Held struct {
	Asked        int            `json:"asked"`
	Peak         int            `json:"peak"`                   // most held at one moment
	Steady       int            `json:"steady"`                 // fewest held at any moment of the hold
	NeverHeld    int            `json:"neverHeld"`              // workers that never got a poll parked
	LostWhile    int            `json:"lostWhileHeld"`          // workers whose held poll ended though it should not have
	NeverCauses  map[string]int `json:"neverCauses,omitempty"`  // neverHeld by error class
	LostCauses   map[string]int `json:"lostCauses,omitempty"`   // lostWhileHeld by error class
	HoldSeconds  float64        `json:"holdSeconds,omitempty"`  // how long the hold lasted in fact
	RepollsAsked int            `json:"repollsAsked,omitempty"` // holds that the server itself ended early with a text
	Places       int            `json:"places,omitempty"`       // connections that the server took, and no more: the other workers got not one byte; 0: it met no such limit
	Kept         int            `json:"kept,omitempty"`         // of those held: workers that kept their connection without a poll, since a full server would let nobody end the others' polls
	Unfreed      int            `json:"unfreed,omitempty"`      // polls that the server may still hold after the run
}

// Round is one federated round as the workers saw it.
type Round struct {
	Number        int     `json:"number"`         // from 1
	Version       string  `json:"version"`        // of the model that the round started from, as JSON text
	Workers       int     `json:"workers"`        // whose update was accepted
	Late          int     `json:"late,omitempty"` // whose update of its model came after its end: accepted, for the next, or not
	Failed        int     `json:"failed"`         // lost, or refused for good, before they had an update accepted
	Seconds       float64 `json:"seconds"`        // publication of its model (first round: all registered) to its last accepted update
	FanoutSeconds float64 `json:"fanoutSeconds"`
	FanoutFrom    string  `json:"fanoutFrom,omitempty"` // "server" (its own word for the moment of publication) or "client" (earliest sign of it that a worker saw)
	Told          int     `json:"told"`                 // workers notified of the model that ended the round
	Open          bool    `json:"open,omitempty"`       // no worker was notified that it ended
	Passed        *Passed `json:"passed,omitempty"`
}

// Passed is how a round went by: the moments, in seconds since the start of the run, at
// which its last worker was through with each part of it. None is before the one above.
type Passed struct {
	Published  float64 `json:"published"`  // its model was; in the first round all workers were registered
	Notified   float64 `json:"notified"`   // of its model; the first round begins without
	Downloaded float64 `json:"downloaded"` // its model
	Thought    float64 `json:"thought"`    // and began to send its update
	Accepted   float64 `json:"accepted"`   // its update was, and the round was over
}

// Series is the distribution of one measured quantity.
type Series struct {
	Name      string    `json:"name"` // "poll", "wakeup", "lag", …
	Unit      string    `json:"unit"` // of the percentiles: "s"
	Count     int64     `json:"count"`
	P50       float64   `json:"p50"`
	P90       float64   `json:"p90"`
	P99       float64   `json:"p99"`
	P999      float64   `json:"p999"`
	Max       float64   `json:"max"`
	Histogram Histogram `json:"histogram"`
}

// ErrorClass sums up one way in which requests failed.
type ErrorClass struct {
	Class   string `json:"class"`
	Count   int    `json:"count"`   // requests
	Workers int    `json:"workers"` // distinct workers hit
	Example string `json:"example"` // one of them: worker, step and what it got
}

// Lost is a worker that gave up, and why.
type Lost struct {
	Worker  string  `json:"worker"` // its key's number and the start of its id
	Step    string  `json:"step"`   // of the last failure
	Class   string  `json:"class"`
	Detail  string  `json:"detail,omitempty"`
	Seconds float64 `json:"seconds"` // since the start of the run
}

// Bytes counts what crossed the generator's sockets, HTTP heads included.
type Bytes struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// Queue counts connections that found the accept queue of some server full while the
// run lasted, of all servers of the network namespace.
type Queue struct {
	Overflows int64 `json:"overflows"` // TcpExt ListenOverflows
	Drops     int64 `json:"drops"`     // TcpExt ListenDrops: for that or any other reason
}

// Resource is what one process used.
type Resource struct {
	Process           string   `json:"process"`        // "server" or "generator"
	Host              string   `json:"host,omitempty"` // where it ran, if not on env.hostname: merged reports name it
	PID               int      `json:"pid,omitempty"`
	RSSPeakBytes      int64    `json:"rssPeakBytes"`
	RSSPerWorkerBytes *float64 `json:"rssPerWorkerBytes,omitempty"` // slope while polls were held; absent where it could not be measured
	CPUSeconds        float64  `json:"cpuSeconds"`
	CPUPeak           float64  `json:"cpuPeak,omitempty"` // cores kept busy in its busiest second; 0 where less was seen of it
	FDsPeak           int      `json:"fdsPeak"`
	FDLimit           int64    `json:"fdLimit,omitempty"`    // soft RLIMIT_NOFILE of the process that came nearest to its own; -1 is unlimited
	FDsFullest        int      `json:"fdsFullest,omitempty"` // peak of that process, where there were several
	Processes         int      `json:"processes,omitempty"`  // where there were several: the one named and its descendants, together
	FDsPerWorker      *float64 `json:"fdsPerWorker,omitempty"`
	RSSGrowth         *float64 `json:"rssGrowth,omitempty"` // of a server that outlives the run, from before it to after it, as a share
	FDsGrowth         *float64 `json:"fdsGrowth,omitempty"` // the same in descriptors
}

// Generator is the health of the load generator itself: where it was the
// bottleneck, nothing may be said of the server.
type Generator struct {
	LagP50Seconds      float64 `json:"lagP50Seconds"` // from the moment a request was due to the moment it was sent
	LagP99Seconds      float64 `json:"lagP99Seconds"`
	LagMaxSeconds      float64 `json:"lagMaxSeconds"`
	SpareLagP99Seconds float64 `json:"spareLagP99Seconds,omitempty"` // where what was sent while generator and server, on one host, had all of its CPUs counts as in time
	Slowed             string  `json:"slowed,omitempty"`             // how much was late for that alone, where it was
	CPUShare           float64 `json:"cpuShare"`                     // of all cores, 0 to 1, mean over the run
	GCPauseSeconds     float64 `json:"gcPauseSeconds"`               // sum of stop-the-world pauses
	GCCPUShare         float64 `json:"gcCpuShare"`                   // of the process's CPU, 0 to 1
	OthersCPUShare     float64 `json:"othersCpuShare,omitempty"`     // of the host's CPUs, 0 to 1: processes other than generator and server; 0 also where unknown
	StolenCPUShare     float64 `json:"stolenCpuShare,omitempty"`     // of the host's CPUs, 0 to 1: by a hypervisor's other guests
	FDsLeft            int64   `json:"fdsLeft"`                      // unused descriptors at the worst moment; -1 unknown
	PortsLeft          int64   `json:"portsLeft"`                    // unused local ports at the worst moment; -1 unknown
	Reconnects         int     `json:"reconnects"`                   // idle connections found closed by the server and dialled again
	Refused            string  `json:"refused,omitempty"`
}

// Threshold is a service level that the run was held to.
type Threshold struct {
	Expr   string   `json:"expr"`          // as given: "fanout.p99<2s"
	Metric string   `json:"metric"`        // "fanout.p99"
	Limit  float64  `json:"limit"`         // in the metric's unit
	Got    *float64 `json:"got,omitempty"` // absent: no samples, which fails
	Unit   string   `json:"unit,omitempty"`
	Pass   bool     `json:"pass"`
}

// Level is one step of a search for capacity.
type Level struct {
	Workers       int          `json:"workers"`
	Verdict       Verdict      `json:"verdict"`
	Held          Held         `json:"held"`
	Rounds        []Round      `json:"rounds,omitempty"`
	Thresholds    []Threshold  `json:"thresholds,omitempty"`
	Resources     []Resource   `json:"resources,omitempty"`
	Reasons       []string     `json:"reasons,omitempty"`
	FanoutSeconds float64      `json:"fanoutSeconds,omitempty"` // of the slowest round
	Remains       string       `json:"remains,omitempty"`       // of the levels before, with which it began: no measure of this one's cost
	Errors        []ErrorClass `json:"errors,omitempty"`
}
