package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

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
	word, status, rest := answerTo(r)
	p.painted(status, strings.TrimSuffix(word, withWarnings), p.hanging(word+": "+rest, 0, ""))
	for _, s := range holding(r) {
		p.wrapped(s)
	}
	p.way(r)
	fmt.Fprintln(&p.b)
}

// judged says whether it was judged how many workers are held: by the limits that were
// read, or by load.
func judged(r reports.Report) bool {
	return bindingLimit(r) != "" || slices.ContainsFunc(r.Findings, func(f reports.Finding) bool {
		return f.Check == "probe/held" && f.Status == reports.StatusPass
	})
}

// holding says how many workers are held, in sentences.
func holding(r reports.Report) []string {
	var all []string
	add := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	k := r.Capacity
	if k == nil {
		k = &reports.Capacity{}
	}
	switch {
	case r.Verdict == reports.VerdictRefused && k.AtMost != nil:
		add("%s is unknown; the known limits allow %s at most.", k.Limit, Plural(*k.AtMost, "worker"))
	case k.AtMost != nil:
		add("At most %s by the known limits; %s is unknown.", Plural(*k.AtMost, "worker"), k.Limit)
	case limitUnknown(*k):
		add("%s is unknown, and so is how many workers it holds.", k.Limit)
	case k.Limit != "":
		add("It holds %s; the limit is %s.", bounds(*k), k.Limit)
	case !judged(r):
		add("How many workers it holds was not judged.")
	}
	for _, f := range r.Findings {
		if f.Check == "app/found" && f.Status == reports.StatusWarn {
			add("No server runs yet; what it would be started with is judged, as far as that can be read.")
		}
	}
	return all
}

const withWarnings = ", with warnings"

// answerTo is the word of the answer to what was asked, its colour, and what was asked.
func answerTo(r reports.Report) (word string, status reports.Status, rest string) {
	k := reports.Capacity{}
	if r.Capacity != nil {
		k = *r.Capacity
	}
	judged := judged(r)
	demand := "polls held for " + Duration(r.Demand.HoldSeconds)
	word, status = "PASS", reports.StatusPass
	if judged {
		demand = Plural(r.Demand.Workers, "worker") + ", " + demand
		word = "YES"
	}
	rest = demand + "."
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
			rest = fmt.Sprintf("%s: %s failed.", demand, Plural(failed, "check"))
		case k.AtMost == nil && k.Workers >= r.Demand.Workers:
			rest = fmt.Sprintf("%s: %s failed, though the limits allow them.", demand, Plural(failed, "check"))
		case k.AtMost == nil && allows(k) >= r.Demand.Workers && !slices.ContainsFunc(r.Findings, func(f reports.Finding) bool {
			return f.Status == reports.StatusFail && f.Workers == nil
		}):
			rest = demand + ": not safely."
		default:
			rest = demand + ": it can't."
		}
	case reports.VerdictRefused:
		word, status = "CAN'T TELL", reports.StatusUnknown
	case reports.VerdictWarn:
		if k.AtMost == nil && judged && k.Limit != "" && k.Workers < r.Demand.Workers {
			rest = demand + ": likely, not safely."
		}
		word += withWarnings
	}
	return word, status, rest
}

// bounds says how many workers all limits hold, by the words of the ledger where the
// safe number is not the only one.
func bounds(k reports.Capacity) string {
	safe, likely, hard := k.Bounds()
	s := Plural(k.Workers, "worker")
	if k.AtLeast {
		s = "at least " + s
	}
	switch {
	case k.Workers >= math.MaxInt32:
		return "any number of workers"
	case hard == safe:
		return s
	}
	s += " (safe), "
	if likely > safe && likely < hard {
		s += count(likely) + " (likely), "
	}
	if hard >= math.MaxInt32 {
		return s + "and sets no hard limit"
	}
	return s + count(hard) + " (hard)"
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
