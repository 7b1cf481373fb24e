package kinds

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Traefik is Traefik 2 and 3 as a reverse proxy.
var Traefik = &Kind{
	Spec: facts.Spec{
		Kind: "traefik", Role: facts.RoleProxy,
		Env:   []string{"TRAEFIK_*", "XDG_CONFIG_HOME", "HOME"},
		Match: func(args []string) bool { return path.Base(args[0]) == "traefik" },
		Read:  readTraefik,
	},
	Source: "Traefik's documentation of entry points, servers transports and the file provider, and its notes of migration",

	Holds: func(h Hop) Answer[Bound] {
		v := h.Text("inflightreq")
		if !v.Known() {
			return cant[Bound]("inFlightReq", v)
		}
		return is(Bound{Unlimited, Unlimited, ""}, "no limit", v.Source)
	},
	Connections: always(na[Bound]("Traefik bounds no connections")),
	Tasks:       always(is(int64(0), "no thread", traefikDocs)),
	Descriptors: always(is(Files{Own: 20, Poll: 2}, "two a poll", "one towards the worker, one towards the application")),
	Memory:      always(is(Cost{Most: 80 << 10, Least: 62 << 10}, "62 to 80 KiB a poll", "as Caddy, which is of the same parts of Go's library")),
	Silence: func(h Hop) Answer[time.Duration] {
		least := is(Forever, "no timeout", traefikDefault)
		// readTimeout goes on while a poll is held: net/http ends the request when it fires.
		for _, l := range []struct{ name, set string }{
			{"readTimeout", "respondingTimeouts.readTimeout: %ds in the entry point's transport"},
			{"writeTimeout", "respondingTimeouts.writeTimeout: %ds in the entry point's transport"},
			{"responseHeaderTimeout", "forwardingTimeouts.responseHeaderTimeout: %ds in serversTransport"},
		} {
			v := h.traefikTime(l.name)
			switch {
			case !v.Known():
				return cant[time.Duration](l.name, v)
			case v.V > 0 && (least.V == Forever || v.V < least.V):
				least = is(v.V, l.name+" "+Short(v.V), v.Source).settable(by(l.set))
			}
		}
		return least
	},
	Body: func(h Hop) Answer[int64] {
		v := h.Text("buffering")
		if !v.Known() {
			return cant[int64]("buffering", v)
		}
		return is(Unlimited, "no limit", v.Source)
	},
	Keepalive: func(h Hop) Answer[time.Duration] {
		v := h.traefikTime("idleTimeout")
		switch {
		case !v.Known():
			return cant[time.Duration]("idleTimeout", v)
		case v.V == 0:
			return is(Forever, "for ever", v.Source)
		}
		return is(v.V, Short(v.V), v.Source).settable(by("respondingTimeouts.idleTimeout: %ds in the entry point's transport"))
	},
	Restart: func(h Hop) Answer[Ending] {
		v := h.traefikTime("graceTimeOut")
		if !v.Known() {
			return cant[Ending]("graceTimeOut", v)
		}
		return is(Ending{Grace: v.V, Does: "a change of routes cuts none, a restart cuts polls after " + Short(v.V)}, "graceTimeOut "+Short(v.V), v.Source).
			settable(by("lifeCycle.graceTimeOut: %ds in the entry point's transport"))
	},
	State:   always(is(int64(0), "none", traefikDocs)),
	Backlog: always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
	Peers:   spread,
	Access:  access,
	Mend:    inConfig,
}

const (
	traefikDocs    = "Traefik's documentation"
	traefikDefault = "Traefik's default"
)

// traefikTime is a setting, in any case of letters, that is a time: seconds, or a time
// of Go's.
func (h Hop) traefikTime(name string) facts.Value[time.Duration] {
	return convert(name, h.Settings.Get(strings.ToLower(name)), func(s string) (time.Duration, error) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			if n < 0 || n > math.MaxInt32 {
				return 0, errors.New("no time")
			}
			return time.Duration(n) * time.Second, nil
		}
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = fmt.Errorf("%s is below zero", s)
		}
		return d, err
	})
}
