package kinds

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/fltool/fltool/checks/facts"
)

// A Hop is one process group or device on the way from workers to the application.
type Hop struct {
	Kind      *Kind
	Processes []facts.Process // of the group; the first one is whose settings count. None: it does not run, or not here
	Settings  facts.Settings
	Version   facts.Value[string]
	Stated    map[Question]string // by the user, of what can't be read
}

// Name is how a person knows the hop: "gunicorn 100".
func (h Hop) Name() string {
	name := h.Kind.Kind
	if len(h.Processes) == 0 {
		return name
	}
	p := h.Processes[0]
	if h.Kind == Other && p.Name != "" {
		name = p.Name
	}
	return fmt.Sprintf("%s %d", name, p.PID)
}

// known is the name by which a user states what the hop answers.
func (h Hop) known() string {
	if h.Kind == Other && len(h.Processes) > 0 {
		return h.Processes[0].Name
	}
	return h.Kind.Kind
}

// Count is a setting that is a whole number, not negative.
func (h Hop) Count(name string) facts.Value[int64] {
	return convert(name, h.Settings.Get(name), func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return 0, fmt.Errorf("%q is no count", s)
		}
		return n, nil
	})
}

// Seconds is a setting that is a time in seconds, perhaps with a fraction.
func (h Hop) Seconds(name string) facts.Value[time.Duration] {
	return convert(name, h.Settings.Get(name), func(s string) (time.Duration, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f < 0 || f > 1<<31 {
			return 0, fmt.Errorf("%q is no time in seconds", s)
		}
		return time.Duration(f * float64(time.Second)), nil
	})
}

// Text is a setting as it is written.
func (h Hop) Text(name string) facts.Value[string] { return h.Settings.Get(name) }

// convert reads a setting as what it is.
func convert[T any](name string, v facts.Value[string], f func(string) (T, error)) facts.Value[T] {
	if !v.Known() {
		return facts.Value[T]{Err: v.Why(), Source: v.Source}
	}
	out, err := f(v.V)
	if err != nil {
		return facts.Value[T]{Err: fmt.Sprintf("%s: %s: %v", v.Source, name, err)}
	}
	return facts.Value[T]{V: out, Source: v.Source}
}

// ask is what the user stated, else what the kind answers.
func ask[T any](h Hop, q Question, answer func(Hop) Answer[T], stated func(string) (T, error)) Answer[T] {
	if s, ok := h.Stated[q]; ok {
		v, err := stated(s)
		if err != nil {
			return unknown[T](fmt.Sprintf("%s=%s: %v", q, s, err))
		}
		return is(v, s+" as stated", "stated")
	}
	if answer == nil {
		if h.Kind.Holds == nil { // nothing is known of it
			return unknown[T](fmt.Sprintf("nothing is known of %s: state what it holds and the rest by --hop '%s holds=… silence=…'", h.Name(), h.known()))
		}
		return unknown[T](fmt.Sprintf("%s of %s is not known: state it by --hop '%s %s=…'", q, h.Name(), h.Kind.Kind, q))
	}
	a := answer(h)
	if a.Status == Unknown && a.Why == "" {
		a.Why = fmt.Sprintf("%s of %s is not known", q, h.Name())
	}
	return a
}

func wholeNumber(s string) (int64, error) {
	if s == "unlimited" {
		return Unlimited, nil
	}
	n, err := strconv.ParseInt(s, 10, 63)
	if err != nil || n < 0 {
		return 0, errors.New("want a whole number, or unlimited")
	}
	return n, nil
}

func bound(s string) (Bound, error) {
	n, err := wholeNumber(s)
	return Bound{Safe: n, Hard: n}, err
}

func duration(s string) (time.Duration, error) {
	if s == "unlimited" {
		return Forever, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a time such as 90s or 1h, or unlimited")
	}
	return d, nil
}

func bytes(s string) (int64, error) {
	if s == "unlimited" {
		return Unlimited, nil
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64/2 {
		return 0, errors.New("want a size such as 20MB, or unlimited")
	}
	return int64(n), nil
}

// Holds is how many polls it holds at once.
func (h Hop) Holds() Answer[Bound] { return ask(h, Holds, h.Kind.Holds, bound) }

// Connections is how many connections it accepts at once.
func (h Hop) Connections() Answer[Bound] {
	if s, ok := h.Stated[Holds]; ok && h.Stated[Connections] == "" {
		return na[Bound]("it holds " + s + " as stated")
	}
	return ask(h, Connections, h.Kind.Connections, bound)
}

// Tasks is how many threads or processes a held poll takes.
func (h Hop) Tasks() Answer[int64] { return ask(h, Tasks, h.Kind.Tasks, wholeNumber) }

// Descriptors are those of its process.
func (h Hop) Descriptors() Answer[Files] {
	return ask(h, Descriptors, h.Kind.Descriptors, func(s string) (Files, error) {
		n, err := wholeNumber(s)
		return Files{Own: ownFiles, Poll: n}, err
	})
}

// Memory is what it takes.
func (h Hop) Memory() Answer[Cost] {
	return ask(h, Memory, h.Kind.Memory, func(s string) (Cost, error) {
		n, err := bytes(s)
		return Cost{Most: n, Least: n}, err
	})
}

// Silence is the longest one that it bears while a poll is held.
func (h Hop) Silence() Answer[time.Duration] { return ask(h, Silence, h.Kind.Silence, duration) }

// Body is the largest body of an update that it takes.
func (h Hop) Body() Answer[int64] { return ask(h, Body, h.Kind.Body, bytes) }

// Keepalive is how long it keeps an idle connection.
func (h Hop) Keepalive() Answer[time.Duration] { return ask(h, Keepalive, h.Kind.Keepalive, duration) }

// Restart is what ends held polls.
func (h Hop) Restart() Answer[Ending] {
	return ask(h, Restart, h.Kind.Restart, func(s string) (Ending, error) {
		d, err := duration(s)
		return Ending{Grace: d, Does: "waits for " + s}, err
	})
}

// State is how many processes keep a state of their own.
func (h Hop) State() Answer[int64] { return ask(h, State, h.Kind.State, wholeNumber) }

// Backlog is how many connections wait to be accepted.
func (h Hop) Backlog() Answer[int64] { return ask(h, Backlog, h.Kind.Backlog, wholeNumber) }

// Peers is how many servers one worker's requests may go to.
func (h Hop) Peers() Answer[int64] {
	switch {
	case h.Kind.Peers != nil || h.Stated[Peers] != "":
	case h.Kind.Role == facts.RoleServer:
		return na[int64]("it passes nothing on")
	case h.Kind == Nginx:
		return na[int64]("nginx/upstream-peers answers it")
	default:
		return na[int64]("how it chooses among servers is not read")
	}
	return ask(h, Peers, h.Kind.Peers, wholeNumber)
}

// Access is whether it lets workers in.
func (h Hop) Access() Answer[bool] {
	switch {
	case h.Kind.Access != nil || h.Stated[Access] != "":
	case h.Kind != Other && h.Kind.Role == facts.RoleServer:
		return na[bool]("app/found and the probe tell")
	case h.Kind == Nginx:
		return na[bool]("nginx/access answers it")
	case h.Kind.Role == facts.RoleForwarder:
		return na[bool]("it passes on what comes, and asks for nothing")
	default: // who states what it holds is not asked for this, too
		return na[bool]("what it asks of workers is not read: fltool probe tells")
	}
	return ask(h, Access, h.Kind.Access, func(s string) (bool, error) {
		if s != "open" {
			return false, errors.New("want open: it lets all workers in")
		}
		return true, nil
	})
}

// Answers are the statuses of all its answers, and why of those that are not known.
func (h Hop) Answers() map[Question][2]string {
	return map[Question][2]string{
		Holds: brief(h.Holds()), Connections: brief(h.Connections()), Tasks: brief(h.Tasks()), Descriptors: brief(h.Descriptors()),
		Memory: brief(h.Memory()), Silence: brief(h.Silence()), Body: brief(h.Body()), Keepalive: brief(h.Keepalive()),
		Restart: brief(h.Restart()), State: brief(h.State()), Backlog: brief(h.Backlog()), Peers: brief(h.Peers()),
		Access: brief(h.Access()),
	}
}

func brief[T any](a Answer[T]) [2]string { return [2]string{string(a.Status), a.Why} }

// ParseHop reads what a user states of a hop: its kind, then QUESTION=ANSWER:
// "haproxy holds=2000 silence=1h".
func ParseHop(s string) (kind string, stated map[Question]string, err error) {
	words := strings.Fields(s)
	if len(words) == 0 || strings.Contains(words[0], "=") {
		return "", nil, errors.New("want a kind, then QUESTION=ANSWER: 'haproxy holds=2000 silence=1h'")
	}
	if words[0] == Nginx.Kind { // what would be stated here nothing asks for
		return "", nil, errors.New("nginx answers by its config, and nothing is stated of it: name another config by --nginx-conf, or put up with a check by --ignore nginx/…=REASON")
	}
	stated = make(map[Question]string)
	probe := Hop{Kind: Other, Stated: stated}
	for _, w := range words[1:] {
		name, value, ok := strings.Cut(w, "=")
		if !ok || !slices.Contains(Questions, Question(name)) {
			return "", nil, fmt.Errorf("%q: want QUESTION=ANSWER with a question of %s", w, list(Questions))
		}
		stated[Question(name)] = value
		if a := probe.Answers()[Question(name)]; Status(a[0]) != Known {
			return "", nil, errors.New(a[1])
		}
	}
	return words[0], stated, nil
}

func list(q []Question) string {
	words := make([]string, len(q))
	for i, one := range q {
		words[i] = string(one)
	}
	return strings.Join(words, ", ")
}
