package symptoms

// Programs in Go (fltool serve, Caddy, Traefik, clients): package net writes the call
// and the errno's text.
var golang = []Symptom{
	{
		Source: "go", Title: "a server in Go ran out of file descriptors",
		Literals: []string{`accept4: too many open files`, `accept: too many open files`},
		Causes:   only("the process has as many descriptors open as its limit allows: one a held poll, two where it proxies", "app/nofile"),
		Do:       "raise LimitNOFILE= of its unit, and restart it",
	},
	{
		Source: "go", Title: "a client or proxy in Go ran out of file descriptors",
		Literals: []string{`socket: too many open files`},
		Causes:   only("the process that connects has as many descriptors open as its limit allows"),
		Do:       "raise the limit of the process that writes this log (Caddy, Traefik, a client), not of the server that it calls",
	},
	{
		Source: "go", Title: "a proxy in Go gave up waiting for the application's answer",
		Literals: []string{`net/http: timeout awaiting response headers`},
		Causes: []Cause{
			{"the poll was held for longer than Caddy's response_header_timeout or Traefik's responseHeaderTimeout", []string{"proxy/timeout"}},
			{"the application hangs: all of its threads hold polls", []string{"app/worker-class"}},
		},
		Do: "leave that timeout out, as both do by default, or set it above the longest hold",
	},
	{
		Source: "go", Title: "a proxy or client in Go found nobody listening",
		Literals: []string{`connect: connection refused`},
		Line:     `dial (tcp|unix)`,
		Causes:   only("the application does not run, is being restarted, or listens elsewhere", "app/found"),
		Do:       "see why the application ended, or fix the address",
	},
}
