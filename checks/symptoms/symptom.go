// Package symptoms knows the lines that logs show when a deployment meets a limit:
// what each says, what may stand behind it and what to do.
package symptoms

import (
	"slices"
)

// A Symptom is a kind of line in a log, as data.
type Symptom struct {
	Source   string   // whose log it stands in: "nginx", "kernel"
	Title    string   // what happened, as a sentence without an end
	Literals []string // every such line holds one of them
	Line     string   // a regular expression that matches it, too; "" where a literal says all
	Causes   []Cause  // the likeliest first; more than one where the line alone leaves it open
	Do       string   // what to do or to look at, as a sentence without an end
	Took     Took     // how a line of it tells how long the request took; nil: it does not
}

// A Cause is what may stand behind a symptom.
type Cause struct {
	Text   string
	Checks []string // ids of the checks that ask for it, the nearest first; none where nothing asks
}

// A Took reads off a line how many seconds the request took; false: it doesn't tell.
type Took func(line []byte) (seconds float64, ok bool)

// Check is the check that a symptom names beyond doubt: the first of its only cause,
// or "".
func (s Symptom) Check() string {
	if len(s.Causes) != 1 || len(s.Causes[0].Checks) == 0 {
		return ""
	}
	return s.Causes[0].Checks[0]
}

// MayBe says whether a check asks for one of the symptom's causes.
func (s Symptom) MayBe(check string) bool {
	return slices.ContainsFunc(s.Causes, func(c Cause) bool { return slices.Contains(c.Checks, check) })
}

// Of lists the symptoms that a check may stand behind.
func Of(check string) (of []Symptom) {
	for _, s := range all {
		if s.MayBe(check) {
			of = append(of, s)
		}
	}
	return of
}

// all is in the order in which a line is matched: it tells of the first that it
// matches, so what is general stands behind what is special.
var all = slices.Concat(nginx, gunicorn, uwsgi, python, grpc, node, golang, haproxy, envoy, apache, systemd, kernel, access)

// All lists the symptoms, those of one source together.
func All() []Symptom { return slices.Clone(all) }

// only is the cause of a symptom that has but one.
func only(text string, checks ...string) []Cause { return []Cause{{text, checks}} }
