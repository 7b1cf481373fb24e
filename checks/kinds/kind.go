// Package kinds is the catalogue of what a deployment is made of: one file a kind
// of server, proxy, forwarder or balancer. Each says how it is known, where its
// settings stand, and what it answers to the questions that every hop on the way
// owes an answer to. A new kind is a new file and a name in the list of all.
package kinds

import (
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// A Kind is an entry of the catalogue. A question that it leaves out is unknown.
type Kind struct {
	facts.Spec
	Commands []string // command lines that it is known by
	Source   string   // where its defaults and its behaviour were read, or what measured them
	Proof    string   // the experiments that proved what it holds, as prove -list names them; "": none did

	Holds       func(Hop) Answer[Bound]
	Connections func(Hop) Answer[Bound]
	Tasks       func(Hop) Answer[int64]
	Descriptors func(Hop) Answer[Files]
	Memory      func(Hop) Answer[Cost]
	Silence     func(Hop) Answer[time.Duration]
	Body        func(Hop) Answer[int64]
	Keepalive   func(Hop) Answer[time.Duration]
	Restart     func(Hop) Answer[Ending]
	State       func(Hop) Answer[int64]
	Backlog     func(Hop) Answer[int64]
	Peers       func(Hop) Answer[int64] // nil: what it passes on it passes to one, or how it chooses is not read
	Access      func(Hop) Answer[bool]  // nil: what it lets in is not read, or not its to say

	// Mend says how a setting is changed: set is what to write, as an answer's Set
	// gives it, and from is where the setting stands now. nil: by "start … with".
	Mend    func(h Hop, set, from string) string
	EndsTLS bool // it speaks TLS to workers, and HTTP
	// Variable is that of the environment that adds flags, where h heeds one; "".
	Variable func(h Hop) string
}

// RoleBalancer is the role of what is named by --lb and runs no process here.
const RoleBalancer facts.Role = "balancer"

// A Question is one that every hop owes an answer to.
type Question string

// The questions, and what their answers are.
const (
	Holds       Question = "holds"       // polls at once, and what happens at one more
	Connections Question = "connections" // connections at once, idle ones counted
	Tasks       Question = "tasks"       // threads or processes that a held poll takes
	Descriptors Question = "descriptors" // of a held poll and of an upload
	Memory      Question = "memory"      // of a held poll, a download and an upload
	Silence     Question = "silence"     // the longest that it bears while a poll is held; Forever
	Body        Question = "body"        // bytes of the largest body of an update; Unlimited
	Keepalive   Question = "keepalive"   // how long it keeps an idle connection; 0: it keeps none; Forever
	Restart     Question = "restart"     // what a reload, a restart or a recycled process does to held polls
	State       Question = "state"       // processes that each keep a state of their own; 0: it keeps none
	Backlog     Question = "backlog"     // connections that wait to be accepted; Unlimited: as many as the kernel lets
	Peers       Question = "peers"       // servers that one worker's requests may go to
	Access      Question = "access"      // whether workers, who have nothing but their signature, are let in
)

// Questions lists them in the order of the manual.
var Questions = []Question{Holds, Connections, Tasks, Descriptors, Memory, Silence, Body, Keepalive, Restart, State, Backlog, Peers, Access}

// Unlimited stands for a number without a bound, and Forever for a time without.
const (
	Unlimited = int64(facts.Unlimited)
	Forever   = time.Duration(-1)
)

// Bound is how many polls or connections a hop holds at once.
type Bound struct {
	Safe, Hard int64  // Hard: where all goes well; Unlimited
	Beyond     string // what one more sees: "waits in a queue"
}

// Files are the descriptors of a hop's process.
type Files struct {
	Own    int64 // that it has beside polls and requests
	Poll   int64 // a held poll
	Upload int64 // an update under way of more than Spool bytes; 0: as a poll
	Spool  int64 // bytes
}

// Cost is the memory that a hop takes, in bytes.
type Cost struct {
	Most, Least int64   // of a held poll, without TLS
	Download    float64 // of a model under way, as a multiple of its size
	Upload      float64 // of an update under way, as a multiple of its size
}

// Ending is what ends held polls though nothing failed.
type Ending struct {
	Grace    time.Duration // for which a reload or restart lets held polls be; Forever
	Does     string        // what a reload or restart does, in words
	Recycled string        // when a process is replaced though nothing failed: "after 1000 requests"; "": never
	Never    string        // what to write so that none is
}

// An Answer is what a hop says to a question: known, n/a because of its kind, or
// unknown, which the zero Answer is.
type Answer[T any] struct {
	V      T
	Status Status
	Got    string             // as a person reads it: "4 threads"
	Source string             // where it was read
	Why    string             // of n/a and unknown
	Set    func(int64) string // what to write where it is to be so many: "--threads 1000"; nil: it can't be set
}

// Status says whether an answer is known.
type Status string

// The statuses.
const (
	Unknown Status = ""
	Known   Status = "known"
	NA      Status = "n/a"
)

// Is says whether the answer may be used.
func (a Answer[T]) Is() bool { return a.Status == Known }

// settable is the answer, with what to write where it is to be another.
func (a Answer[T]) settable(set func(int64) string) Answer[T] {
	a.Set = set
	return a
}

// is is a known answer.
func is[T any](v T, got, source string) Answer[T] {
	return Answer[T]{V: v, Status: Known, Got: got, Source: source}
}

// na is n/a, and why.
func na[T any](why string) Answer[T] { return Answer[T]{Status: NA, Why: why} }

// unknown is unknown, and why.
func unknown[T any](why string) Answer[T] { return Answer[T]{Why: why} }

// cant is unknown for the reason that a fact gives.
func cant[T, F any](what string, v facts.Value[F]) Answer[T] {
	return Answer[T]{Why: what + ": " + v.Why(), Source: v.Source}
}

// always is the answer of a kind whatever it is set to.
func always[T any](a Answer[T]) func(Hop) Answer[T] { return func(Hop) Answer[T] { return a } }
