package reports

import "fmt"

// Drift is what changed between two readings of a host's facts.
type Drift struct {
	Old    Reading       `json:"old"`
	New    Reading       `json:"new"`
	Facts  []FactChange  `json:"facts,omitempty"`
	Checks []CheckChange `json:"checks,omitempty"` // those whose status changed, the worst first
	Limits []LimitChange `json:"limits,omitempty"` // those that support another number of workers
}

// Reading is one of the two.
type Reading struct {
	Hostname string `json:"hostname,omitempty"`
	Gathered string `json:"gathered,omitempty"` // RFC 3339
	Workers  *int   `json:"workers,omitempty"`  // that the host surely held; absent: not known
	Limit    string `json:"limit,omitempty"`    // by which
}

// FactChange is a fact that lasts until somebody changes it, and was. An empty text
// was not there.
type FactChange struct {
	What   string `json:"what"`
	Old    string `json:"old,omitempty"`
	New    string `json:"new,omitempty"`
	Source string `json:"source,omitempty"`
}

// CheckChange is a check that is answered otherwise.
type CheckChange struct {
	Was     Status  `json:"was"` // n/a where it was not asked
	Worse   bool    `json:"worse,omitempty"`
	Finding Finding `json:"finding"` // now
}

// LimitChange is a limit that supports another number of workers: absent where that is
// not known, or no limit.
type LimitChange struct {
	Limit string `json:"limit"`
	Was   *int   `json:"was,omitempty"`
	Is    *int   `json:"is,omitempty"`
}

// Judge says whether the host changed for the worse: fail where a check fails that did
// not, refused where one can't be told any more, warn where one warns or a limit
// supports fewer workers.
func (d Drift) Judge() (Verdict, []string) {
	verdict := VerdictPass
	var reasons []string
	if d.Old.Hostname != d.New.Hostname {
		verdict = VerdictWarn
		reasons = append(reasons, fmt.Sprintf("the facts are of two hosts by their names, %q and %q", d.Old.Hostname, d.New.Hostname))
	}
	fails := false
	for _, c := range d.Checks {
		if !c.Worse {
			continue
		}
		f := c.Finding
		v, text := VerdictWarn, f.Got
		switch {
		case f.Status == StatusFail:
			v, fails = VerdictFail, true
		case f.Status == StatusUnknown:
			if text = f.Reason; f.Severity == SeverityError {
				v = VerdictRefused
			}
		}
		verdict = Worse(verdict, v)
		reasons = append(reasons, fmt.Sprintf("%s was %s and is %s: %s", f.Name(), c.Was, f.Status, text))
	}
	if fails { // what is known outweighs what is not
		verdict = VerdictFail
	}
	if verdict != VerdictPass {
		return verdict, reasons
	}
	for _, l := range d.Limits {
		if l.Was != nil && l.Is != nil && *l.Is < *l.Was {
			return VerdictWarn, []string{fmt.Sprintf("%s supports %d workers, where it supported %d", l.Limit, *l.Is, *l.Was)}
		}
	}
	return VerdictPass, nil
}
