package kinds

import (
	"debug/buildinfo"
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Go is a server on Go's net/http. What its program sets (WriteTimeout,
// IdleTimeout, a bound of its own) can't be seen from outside.
var Go = &Kind{
	Spec:   facts.Spec{Kind: "go", Role: facts.RoleServer, Look: builtByGo, Slow: true},
	Source: "documentation of Go's net/http; memory by this project's benches",

	Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit in net/http", goHTTP)),
	Connections: always(na[Bound]("net/http bounds no connections")),
	Tasks:       always(is(int64(0), "no thread", goHTTP)),
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1}, "one a poll", goHTTP)),
	Memory:      always(is(Cost{Most: 31 << 10, Least: 17 << 10}, "17 to 31 KiB a poll", "make bench: a goroutine a poll on net/http")),
	Silence: always(unknown[time.Duration](
		"http.Server.WriteTimeout cuts held polls, and what the program sets is not to be seen: state it by --hop 'go silence=1h'")),
	Body:      always(is(Unlimited, "no limit in net/http", goHTTP)),
	Keepalive: always(unknown[time.Duration]("http.Server.IdleTimeout is the program's: state it by --hop 'go keepalive=75s'")),
	Restart:   always(unknown[Ending]("what the program does with held polls when it ends is not known")),
	State:     always(is(int64(1), "1 process", "a Go server is one process")),
	Backlog:   always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
}

const goHTTP = "documentation of net/http"

// builtByGo knows a program by the mark that Go leaves in what it builds.
func builtByGo(r facts.Root, p facts.Program) bool {
	file, err := r.Path(fmt.Sprintf("/proc/%d/exe", p.PID))
	if err != nil {
		return false
	}
	_, err = buildinfo.ReadFile(file)
	return err == nil
}
