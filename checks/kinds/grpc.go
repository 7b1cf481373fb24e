package kinds

import (
	"fmt"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// The gRPC servers of frameworks in Python. A stream that is held takes a thread of
// a pool for as long as it lives, and so does each call that waits.
var (
	NVFlare = grpcServer{
		name: "nvflare", source: "nvflare/fuel/f3/drivers/grpc_driver.py and comm_config.py of NVIDIA/NVFlare at 020f709d", commands: []string{"python3 -u -m nvflare.private.fed.app.server.server_train -m /workspace -s fed_server.json"},
		match: func(args []string) bool { return programAt(args, nvflareServer) >= 0 }, read: readNVFlare,
		beyond: poolBeyond, set: `{"grpc": {"max_workers": %d}} in local/comm_config.json`, body: 1 << 30,
	}.kind()
	FEDn = grpcServer{
		name: "fedn", source: "fedn/cli/combiner_cmd.py, network/grpc/server.py and network/combiner/modelservice.py of scaleoutsystems/fedn at 035f6524", commands: []string{"fedn combiner start", "fedn run combiner --init combiner.yaml"},
		match: func(args []string) bool { return fednAt(args) >= 0 }, read: readFEDn,
		beyond: "is told that the combiner accepts no clients", accepts: true, body: Unlimited, idle: 5 * time.Minute,
	}.kind()
	Flower = grpcServer{
		name: "flower", source: "flwr/server/superlink/fleet/grpc_bidi/grpc_server.py of adap/flower at 06b1a224", commands: []string{"flower-superlink --insecure", "flower-fleet-api", "flower-server --rounds 3"},
		match: func(args []string) bool { return flowerAt(args) >= 0 }, read: readFlower,
		beyond: "gets RESOURCE_EXHAUSTED", body: 512 << 20,
	}.kind()
	APPFL = grpcServer{
		name: "appfl", source: "src/appfl/comm/grpc/serve.py of APPFL/APPFL at 23a7146d", commands: []string{"python3 -m appfl.run_grpc_server", "python3 /opt/APPFL/examples/grpc/run_server.py"},
		match: isAPPFL, read: readAPPFL,
		beyond: poolBeyond, set: "max_workers: %d under grpc_configs of the server's configuration", body: Unlimited,
	}.kind()
	// GRPC is a server of Python that has gRPC loaded and is of no kind above.
	GRPC = func() *Kind {
		k := grpcServer{name: "grpc", source: "grpcio 1.51, measured", beyond: poolBeyond}.kind()
		k.Match, k.Read, k.Look, k.Slow = nil, nil, hasGRPC, true
		k.Commands = nil
		k.Holds = always(unknown[Bound]("the pool of threads (max_workers) is the program's: state it by --hop 'grpc holds=…'"))
		k.Body = always(unknown[int64]("grpc.max_receive_message_length is the program's, 4 MiB by default: state it by --hop 'grpc body=…'"))
		return k
	}()
)

// What one more sees where the pool is the bound, whosever it is, and what proved it.
const (
	poolBeyond = "waits for a thread without a word"
	poolProof  = "grpc-pool"
)

// grpcServer is one of these.
type grpcServer struct {
	name, source string
	commands     []string
	match        func(args []string) bool
	read         func(facts.Root, facts.Program) facts.Settings
	beyond       string        // what one more sees
	accepts      bool          // it accepts max_clients and no more
	set          string        // how the pool is set; "": it can't be
	body         int64         // bytes of a message
	idle         time.Duration // for which it keeps an idle connection; 0: for ever
}

const grpcMeasured = "measured of Python gRPC 1.51"

func (g grpcServer) kind() *Kind {
	proof := ""
	if g.beyond == poolBeyond {
		proof = poolProof
	}
	return &Kind{
		Spec: facts.Spec{
			Kind: g.name, Role: facts.RoleServer, Match: g.match,
			Read: func(r facts.Root, p facts.Program) facts.Details { return facts.Details{Settings: g.read(r, p)} },
		},
		Commands: g.commands, Source: g.source, Proof: proof,

		Holds: func(h Hop) Answer[Bound] {
			pool := h.Count("max_workers")
			if !pool.Known() {
				return cant[Bound]("max_workers", pool)
			}
			n, got, source := pool.V, fmt.Sprintf("a pool of %d threads, one a stream", pool.V), pool.Source
			if g.accepts {
				most := h.Count("max_clients")
				if !most.Known() {
					return cant[Bound]("max_clients", most)
				}
				if most.V < n {
					n, got, source = most.V, fmt.Sprintf("max_clients %d; a pool of %d threads", most.V, pool.V), most.Source
				}
			}
			a := is(Bound{n, n, g.beyond}, got, source)
			if g.set == "" {
				return a
			}
			return a.settable(by(g.set))
		},
		Connections: always(na[Bound]("it bounds calls, not connections")),
		Tasks:       always(is(int64(1), "a thread a stream", grpcMeasured)),
		Descriptors: always(is(Files{Own: ownFiles, Poll: 1}, "one a connection", grpcMeasured)),
		Memory:      always(grpcCost),
		Silence:     always(is(Forever, "no timeout", grpcMeasured)),
		Body: func(Hop) Answer[int64] {
			if g.body == Unlimited {
				return is(Unlimited, "models are sent in parts", g.source)
			}
			return is(g.body, facts.Bytes(g.body)+" a message", g.source)
		},
		Keepalive: func(Hop) Answer[time.Duration] {
			if g.idle > 0 {
				return is(g.idle, Short(g.idle), g.source)
			}
			return is(Forever, "for ever", "documentation of gRPC core: no idle timeout by default")
		},
		Restart: always(is(Ending{Does: "cuts all streams"}, "cuts held streams", g.source)),
		State:   always(is(int64(1), "1 process", g.source)),
		Backlog: always(is(Unlimited, "as much as the kernel gives", "gRPC core: tcp_server_utils_posix reads net.core.somaxconn")),
	}
}

// hasGRPC knows a Python program that has loaded gRPC's core.
func hasGRPC(r facts.Root, p facts.Program) bool {
	if !isPython(p.Args[0]) {
		return false
	}
	maps, err := r.ReadString(fmt.Sprintf("/proc/%d/maps", p.PID))
	return err == nil && strings.Contains(maps, "/grpc/_cython/cygrpc")
}
