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
}
