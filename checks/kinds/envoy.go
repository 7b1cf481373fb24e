package kinds

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Envoy is Envoy by a bootstrap file of its own. What a control plane tells it (xDS)
// is not to be seen.
var Envoy = &Kind{
	Spec: facts.Spec{
		Kind: "envoy", Role: facts.RoleProxy,
		Match: func(args []string) bool { return path.Base(args[0]) == "envoy" },
		Read:  readEnvoy,
	},
	Source: "Envoy's documentation of timeouts, circuit breaking, listeners and its command line",

	Holds: envoyHolds,
	Connections: func(h Hop) Answer[Bound] {
		n := h.envoyCount("max_active_downstream_connections")
		switch {
		case !n.Known():
			return cant[Bound]("the bound of connections", n)
		case n.V == Unlimited:
			return is(Bound{Unlimited, Unlimited, ""}, "no limit", n.Source)
		}
		// Idle connections count, and a worker may have one beside its poll's.
		return is(Bound{n.V / 2, n.V, "is closed at once"}, fmt.Sprintf("at most %d connections", n.V), n.Source).
			settable(func(n int64) string { return fmt.Sprintf("max_active_downstream_connections: %d", 2*n+100) })
	},
	Tasks:       always(is(int64(0), "no thread", "Envoy's documentation of its threading model")),
	Descriptors: always(unknown[Files]("what Envoy has open beside a poll's connections was not measured: state it by --hop 'envoy descriptors=2'")),
	Memory:      always(unknown[Cost]("what a poll takes of Envoy's memory was not measured: state it by --hop 'envoy memory=100KiB'")),
	Silence: func(h Hop) Answer[time.Duration] {
		age := h.envoyTime("max_connection_duration")
		switch {
		case !age.Known():
			return cant[time.Duration]("max_connection_duration", age)
		case age.V > 0:
			return unknown[time.Duration](age.Source + ": max_connection_duration ends connections by their age, whatever they hold")
		}
		least := is(Forever, "no timeout", envoyDocs)
		for _, name := range envoyTimes {
			v := h.envoyTime(name)
			switch {
			case !v.Known():
				return cant[time.Duration](name, v)
			case v.V > 0 && (least.V == Forever || v.V < least.V):
				least = is(v.V, name+" "+Short(v.V), v.Source).settable(h.envoyLonger)
			}
		}
		return least
	},
	Body: func(h Hop) Answer[int64] {
		n := h.envoyCount("max_request_bytes")
		switch {
		case !n.Known():
			return cant[int64]("max_request_bytes", n)
		case n.V == Unlimited:
			return is(Unlimited, "no limit", n.Source)
		}
		return is(n.V, facts.Bytes(n.V), n.Source).settable(func(n int64) string { return fmt.Sprintf("max_request_bytes: %d", n) })
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		v := h.envoyTime("idle_timeout")
		switch {
		case !v.Known():
			return cant[time.Duration]("idle_timeout", v)
		case v.V == 0:
			return is(Forever, "for ever", v.Source)
		}
		return is(v.V, Short(v.V), v.Source).
			settable(func(n int64) string { return fmt.Sprintf("common_http_protocol_options: { idle_timeout: %ds }", n) })
	},
	Restart: func(h Hop) Answer[Ending] {
		v := h.Seconds("parent-shutdown-time-s")
		if !v.Known() {
			return cant[Ending]("--parent-shutdown-time-s", v)
		}
		return is(Ending{Grace: v.V, Does: "a hot restart cuts polls after " + Short(v.V) + ", any other at once"},
			"a hot restart waits "+Short(v.V)+", any other cuts", v.Source).
			settable(func(n int64) string { return fmt.Sprintf("--parent-shutdown-time-s %d", n) })
	},
	State: always(is(int64(0), "none", "Envoy's documentation of its threading model")),
	Backlog: func(h Hop) Answer[int64] {
		n := h.envoyCount("tcp_backlog_size")
		switch {
		case !n.Known():
			return cant[int64]("tcp_backlog_size", n)
		case n.V == Unlimited:
			return is(Unlimited, "as much as the kernel gives", n.Source)
		}
		return is(n.V, fmt.Sprint(n.V), n.Source).settable(func(n int64) string { return fmt.Sprintf("tcp_backlog_size: %d", n) })
	},
	Peers:  spread,
	Access: access,
	Mend:   inConfig,
}

const (
	envoyDocs    = "Envoy's documentation of timeouts"
	envoyDefault = "Envoy's default"
)

// envoyTimes are the timeouts that end a held poll, by the names that Envoy has for
// them. request_timeout is none: it ends once the request is there.
var envoyTimes = []string{"timeout", "stream_idle_timeout", "max_stream_duration", "per_try_timeout", "per_try_idle_timeout", "max_stream_duration of the cluster"}

// envoyHolds is what the circuit breaker of the cluster lets through. With HTTP/1.1 a
// poll has a connection of its own, and what finds none is pending.
func envoyHolds(h Hop) Answer[Bound] {
	protocol, requests := h.Text("upstream"), h.envoyCount("max_requests")
	switch {
	case !protocol.Known():
		return cant[Bound]("the protocol to the application", protocol)
	case !requests.Known():
		return cant[Bound]("max_requests", requests)
	}
	set := func(n int64) string {
		return fmt.Sprintf("circuit_breakers: { thresholds: [ { max_connections: %d, max_pending_requests: %d, max_requests: %d } ] }", n, n, n)
	}
	byRequests := is(Bound{requests.V, requests.V, envoyRefused}, fmt.Sprintf("max_requests %d", requests.V), requests.Source).settable(set)
	if protocol.V == "http2" {
		return byRequests
	}
	connections, pending := h.envoyCount("max_connections"), h.envoyCount("max_pending_requests")
	switch {
	case !connections.Known():
		return cant[Bound]("max_connections", connections)
	case !pending.Known():
		return cant[Bound]("max_pending_requests", pending)
	case requests.V < connections.V:
		return byRequests
	}
	beyond := envoyRefused
	if pending.V > 0 {
		beyond = fmt.Sprintf("waits for a connection, and beyond %d that wait it %s", pending.V, envoyRefused)
	}
	return is(Bound{connections.V, connections.V, beyond}, fmt.Sprintf("max_connections %d", connections.V), connections.Source).settable(set)
}

const envoyRefused = "gets a 503 (UO)"

// envoyLonger is what to write where no timeout may end a poll of n seconds.
func (h Hop) envoyLonger(n int64) string {
	var out []string
	for _, name := range envoyTimes {
		if v := h.envoyTime(name); v.V > 0 && v.V < time.Duration(n)*time.Second {
			out = append(out, fmt.Sprintf(cmp.Or(envoyWrites[name], name+": %ds"), n))
		}
	}
	return strings.Join(out, ", ")
}

// envoyWrites is how a timeout is set where its name alone won't do: in the route,
// which wins over the manager of connections.
var envoyWrites = map[string]string{
	"timeout":                            "timeout: %ds in the route",
	"stream_idle_timeout":                "idle_timeout: %ds in the route",
	"max_stream_duration":                "max_stream_duration: { max_stream_duration: %ds } in the route",
	"max_stream_duration of the cluster": "max_stream_duration: %ds in the cluster",
}

// envoyTime is a setting that is a duration, in seconds as "1.5s"; 0: none.
func (h Hop) envoyTime(name string) facts.Value[time.Duration] {
	return convert(name, h.Settings.Get(name), func(s string) (time.Duration, error) {
		if s == "" {
			return 0, nil
		}
		number, ok := strings.CutSuffix(s, "s")
		f, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || math.IsNaN(f) || f < 0 || f > 1<<31 {
			return 0, fmt.Errorf("%q is no time such as 90s", s)
		}
		return time.Duration(f * float64(time.Second)), nil
	})
}

// envoyCount is a setting that is a number of 32 bits; Unlimited where none is set.
func (h Hop) envoyCount(name string) facts.Value[int64] {
	return convert(name, h.Settings.Get(name), func(s string) (int64, error) {
		if s == "" {
			return Unlimited, nil
		}
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is no count", s)
		}
		return int64(n), nil
	})
}
