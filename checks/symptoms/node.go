package symptoms

// Node.js: lib/net.js and libuv name an error by its constant.
var node = []Symptom{
	{
		Source: "node", Title: "Node ran out of file descriptors",
		Literals: []string{`EMFILE: too many open files`, `EMFILE, too many open files`, `accept EMFILE`, `connect EMFILE`},
		Causes:   only("the process has as many descriptors open as its limit allows: one a held poll, two where it proxies", "app/nofile"),
		Do:       "raise LimitNOFILE= of its unit, and restart it",
	},
}
