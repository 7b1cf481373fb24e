package reports

import "math"

// Severity is how bad a failed check is.
type Severity string

// The severities. An error that fails, or that can't be told, decides the exit
// code; a warning does so only on request.
const (
	SeverityError Severity = "error"
	SeverityWarn  Severity = "warn"
	SeverityInfo  Severity = "info"
)

// Status is the outcome of one check.
type Status string

// The statuses. Unknown is never a pass; n/a means that the thing asked about
// does not exist (no nginx, say), which is not the same as unknown.
const (
	StatusPass    Status = "pass"
	StatusWarn    Status = "warn"
	StatusFail    Status = "fail"
	StatusUnknown Status = "unknown"
	StatusNA      Status = "n/a"
	StatusWaived  Status = "waived"
)

// Finding is the answer of one check.
type Finding struct {
	Check    string   `json:"check"`          // stable kebab id: "app/nofile"
	Host     string   `json:"host,omitempty"` // "app" or "proxy", where the deployment has two
	Hop      string   `json:"hop,omitempty"`  // "haproxy 201", where a check is asked of several
	Title    string   `json:"title"`
	Status   Status   `json:"status"`
	Severity Severity `json:"severity"`
	Got      string   `json:"got,omitempty"`     // what was seen
	Want     string   `json:"want,omitempty"`    // what the demand needs, and why
	Source   string   `json:"source,omitempty"`  // where it was read: "/etc/nginx/nginx.conf:7"
	Workers  *int     `json:"workers,omitempty"` // it supports; absent where it limits no number
	Symptom  string   `json:"symptom,omitempty"` // what users see if it is not fixed
	Remedy   Remedy   `json:"remedy,omitzero"`
	Because  string   `json:"because,omitempty"` // id of the finding whose consequence this is
	Reason   string   `json:"reason,omitempty"`  // why unknown, n/a or waived
	Was      Status   `json:"was,omitempty"`     // of a waived finding: its status without the waiver
	Doc      string   `json:"doc,omitempty"`     // page in docs
}

// Name is the finding's check, with its hop or host where a check is asked of several.
func (f Finding) Name() string { return nameOf(f.Check, f.Hop, f.Host) }

func nameOf(check, hop, host string) string {
	if hop != "" {
		check += " of " + hop
	}
	if host != "" {
		check += " on " + host
	}
	return check
}

// Remedy is how a finding is fixed.
type Remedy struct {
	Text     string   `json:"text,omitempty"`
	Commands []string `json:"commands,omitempty"`
	Files    []File   `json:"files,omitempty"`
	Then     string   `json:"then,omitempty"` // "restart", "login", "reboot", "reload": what makes it take effect
	Hand     string   `json:"hand,omitempty"` // beside Files: the half that no file does
}

// File is a drop-in file that fixes a finding when it holds these lines.
type File struct {
	Path    string   `json:"path"`
	Section string   `json:"section,omitempty"` // of a unit file: "Service"
	Lines   []string `json:"lines"`
}

// Capacity is the ledger: every limit as a number of workers, and the smallest.
type Capacity struct {
	Workers int    `json:"workers"`          // the smallest safe bound; 0 where a limit is unknown
	AtLeast bool   `json:"atLeast"`          // measured, and the generator was the limit: workers is no upper bound
	AtMost  *int   `json:"atMost,omitempty"` // the smallest known bound, where a limit is unknown
	Limit   string `json:"limit,omitempty"`  // id of the check that binds, or that is unknown
	Ledger  []Row  `json:"ledger"`

	// Of a measured capacity. Limit then is what the server's behaviour showed where
	// it held no more: a check's id, or "cpu", "memory", "latency", "refused
	// connections"; "" where that can't be told.
	Evidence    []string `json:"evidence,omitempty"`    // for Limit, or what there is without telling it
	Predicted   *int     `json:"predicted,omitempty"`   // the smallest safe bound that the ledger knows
	PredictedBy string   `json:"predictedBy,omitempty"` // its check's id
	Unknown     []string `json:"unknown,omitempty"`     // limits that the ledger does not know: any of them might be smaller
	FailedAt    int      `json:"failedAt,omitempty"`    // the lowest level that did not hold; 0: none was tried
}

// Bounds are how many workers all limits hold that are known and not waived: surely,
// likely, and at best. A limit of which no experiment tells likely holds what it
// holds surely.
func (c Capacity) Bounds() (safe, likely, best int) {
	safe, likely, best = math.MaxInt32, math.MaxInt32, math.MaxInt32
	for _, r := range c.Ledger {
		if r.Workers == nil || r.Waived {
			continue
		}
		l, b := *r.Workers, *r.Workers
		if r.WorkersLikely != nil {
			l = *r.WorkersLikely
		}
		switch {
		case r.HardNoLimit:
			b = math.MaxInt32
		case r.WorkersHard != nil:
			b = *r.WorkersHard
		}
		safe, likely, best = min(safe, *r.Workers), min(likely, l), min(best, b)
	}
	return safe, likely, best
}

// Name is the row's limit, with its hop or host where there are several.
func (r Row) Name() string { return nameOf(r.Limit, r.Hop, r.Host) }

// Hop is one process group or device on the way from workers to the application.
type Hop struct {
	Name    string   `json:"name"`              // "gunicorn 100"
	Kind    string   `json:"kind,omitempty"`    // of the catalogue: "gunicorn"
	Role    string   `json:"role,omitempty"`    // "server", "proxy", "forwarder", "balancer"
	Version string   `json:"version,omitempty"` // where it is known
	Listen  []string `json:"listen,omitempty"`  // "0.0.0.0:80"
	Holds   *int     `json:"holds,omitempty"`   // workers by its own limits; absent: unknown, or no limit of its own
	Silence string   `json:"silence,omitempty"` // for which it lets a held poll be: "1m", "for ever"
	Why     string   `json:"why,omitempty"`     // of what is not known of it
}

// Unknown says whether how many workers the limit supports could not be told.
func (r Row) Unknown() bool { return r.Workers == nil && !r.NoLimit }

// Row is one limit of the ledger.
type Row struct {
	Limit         string `json:"limit"`                   // check id
	Host          string `json:"host,omitempty"`          // as the finding's
	Hop           string `json:"hop,omitempty"`           // as the finding's
	Waived        bool   `json:"waived,omitempty"`        // shown, and left out of the answer
	Workers       *int   `json:"workers"`                 // safe bound; null is unknown, or no limit
	NoLimit       bool   `json:"noLimit,omitempty"`       // it never limits workers
	WorkersLikely *int   `json:"workersLikely,omitempty"` // held in most runs of an experiment, where one tells and the bounds differ
	WorkersHard   *int   `json:"workersHard,omitempty"`   // hard bound, where it differs
	HardNoLimit   bool   `json:"hardNoLimit,omitempty"`   // at best it does not limit workers
	InUse         *int64 `json:"inUse,omitempty"`         // of the limited thing, now
	InUseUnit     string `json:"inUseUnit,omitempty"`     // "fds", "ports", "bytes"
	Headroom      *int   `json:"headroom,omitempty"`      // workers minus the demand
	Source        string `json:"source,omitempty"`
	Proof         string `json:"proof"` // the experiment that proved the formula, or "unproven"
	Measured      *int   `json:"measured,omitempty"`
}
