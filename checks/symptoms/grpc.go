package symptoms

// gRPC's core in C (tcp_server_posix.cc, chttp2) and the server of Python (_server.py).
var grpc = []Symptom{
	{
		Source: "grpc", Title: "the gRPC server ran out of file descriptors",
		Literals: []string{`Failed accept4: Too many open files`, `os_error":"Too many open files"`, `"description":"Too many open files"`},
		Causes:   only("the process has as many descriptors open as its limit allows: one a client", "app/nofile"),
		Do:       "raise LimitNOFILE= of its unit and restart it: some versions don't recover",
	},
	{
		Source: "grpc", Title: "the gRPC server refused a call above its limit",
		Literals: []string{`Concurrent RPC limit exceeded!`},
		Causes:   only("maximum_concurrent_rpcs: as many calls as that are under way, held streams included"),
		Do:       "raise maximum_concurrent_rpcs and the thread pool together",
	},
	{
		Source: "grpc", Title: "a gRPC client was sent away for pinging too often",
		Literals: []string{`too_many_pings`},
		Causes:   only("the client's keepalive time is shorter than the server allows (5 minutes unless grpc.http2.min_ping_interval_without_data_ms says less)"),
		Do:       "raise the client's keepalive time, or allow it on the server",
	},
}
