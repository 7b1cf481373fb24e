package render

import (
	"fmt"
	"math"
	"slices"

	"github.com/fltool/fltool/reports"
)

func bindingLimit(r reports.Report) string {
	if r.Capacity == nil {
		return ""
	}
	return r.Capacity.Limit
}

// answer says in a sentence whether the demand is carried, in another how many
// workers are, and of what that is said.
func (p *preflightWriter) answer(r reports.Report) {
	k := r.Capacity
	if k == nil {
		k = &reports.Capacity{}
	}
	// By the limits that were read, or by load.
	judged := k.Limit != "" || slices.ContainsFunc(r.Findings, func(f reports.Finding) bool {
		return f.Check == "probe/held" && f.Status == reports.StatusPass
	})
	p.head(r, *k, judged)
	switch {
	case r.Verdict == reports.VerdictRefused && k.AtMost != nil:
		p.wrapped(fmt.Sprintf("%s is unknown; the known limits allow %s at most.", k.Limit, Plural(*k.AtMost, "worker")))
	case k.AtMost != nil:
		p.wrapped(fmt.Sprintf("At most %s by the known limits; %s is unknown.", Plural(*k.AtMost, "worker"), k.Limit))
	case limitUnknown(*k):
		p.wrapped(k.Limit + " is unknown, and so is how many workers it holds.")
	case k.Limit != "":
		p.wrapped(fmt.Sprintf("It holds %s; the limit is %s.", bounds(*k, Plural(k.Workers, "worker")), k.Limit))
	case !judged:
		p.wrapped("How many workers it holds was not judged.")
	}
	for _, f := range r.Findings {
		if f.Check == "app/found" && f.Status == reports.StatusWarn {
			p.wrapped("No server runs yet; what it would be started with is judged, as far as that can be read.")
		}
	}
	p.way(r)
	fmt.Fprintln(&p.b)
}

// head is the first sentence.
func (p *preflightWriter) head(r reports.Report, k reports.Capacity, judged bool) {
	demand := "polls held for " + Duration(r.Demand.HoldSeconds)
	word, status := "PASS", reports.StatusPass
	if judged {
		demand = Plural(r.Demand.Workers, "worker") + ", " + demand
		word = "YES"
	}
	rest := ": " + demand + "."
	switch r.Verdict {
	case reports.VerdictFail:
		failed := 0
		for _, f := range r.Findings {
			if f.Status == reports.StatusFail {
				failed++
			}
		}
		word, status = "NO", reports.StatusFail
		switch {
		case !judged || limitUnknown(k):
			rest = fmt.Sprintf(": %s: %s failed.", demand, Plural(failed, "check"))
		case k.AtMost == nil && k.Workers >= r.Demand.Workers:
			rest = fmt.Sprintf(": %s: %s failed, though the limits allow them.", demand, Plural(failed, "check"))
		case k.AtMost == nil && allows(k) >= r.Demand.Workers && !slices.ContainsFunc(r.Findings, func(f reports.Finding) bool {
			return f.Status == reports.StatusFail && f.Workers == nil
		}):
			rest = ": " + demand + ": not safely."
		default:
			rest = ": " + demand + ": it can't."
		}
	case reports.VerdictRefused:
		word, status = "CAN'T TELL", reports.StatusUnknown
	case reports.VerdictWarn:
		if k.AtMost == nil && judged && k.Limit != "" && k.Workers < r.Demand.Workers {
			rest = ": " + demand + ": likely, not surely."
		}
		rest = ", with warnings" + rest
	}
	p.painted(status, word, hanging(word+rest, 0, ""))
}

// bounds says how many workers all limits hold: the number that is surely held, as
// told, and those likely and at best, where they differ.
func bounds(k reports.Capacity, surely string) string {
	safe, likely, best := k.Bounds()
	if best == safe {
		return surely
	}
	s := surely + " surely, "
	if likely > safe && likely < best {
		s += count(likely) + " likely, "
	}
	if best == math.MaxInt32 {
		return s + "no limit at best"
	}
	return s + count(best) + " at best"
}

// allows is how many workers the limits hold where all goes well; none where one of
// them is unknown.
func allows(k reports.Capacity) int {
	if slices.ContainsFunc(k.Ledger, func(r reports.Row) bool { return r.Unknown() && !r.Waived }) {
		return 0
	}
	_, _, best := k.Bounds()
	return best
}
