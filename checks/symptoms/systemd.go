package symptoms

// systemd (exec-invoke.c, load-fragment.c, service.c) and pam_limits.c.
var systemd = []Symptom{
	{
		Source: "systemd", Title: "systemd could not set a limit, so the service does not start",
		Literals: []string{`Failed to adjust resource limit`, `status=205/LIMITS`, `Failed at step LIMITS spawning`},
		Causes:   only("LimitNOFILE= is above fs.nr_open, or above what PID 1 itself may have (a container)", "host/nr-open", "app/nofile"),
		Do:       "lower LimitNOFILE=, or raise fs.nr_open before the service starts",
	},
	{
		Source: "systemd", Title: "systemd did not understand a limit and left it out",
		Literals: []string{`Failed to parse resource value`, `Failed to parse resource limit`, `Soft resource limit chosen higher than hard limit`},
		Causes:   only("the value of a Limit…= is no number, or soft is above hard: the limit is the default", "app/nofile"),
		Do:       "write LimitNOFILE=65536, or SOFT:HARD, and systemctl daemon-reload",
	},
	{
		Source: "systemd", Title: "a process of the service was killed when memory ran out",
		Literals: []string{`has been killed by the OOM killer`, `was killed by the OOM killer`},
		Causes: []Cause{
			{"the control group's memory.max is reached", []string{"host/cgroup-memory"}},
			{"the host's memory is used up", []string{"host/memory"}},
		},
		Do: "the kernel's log tells which (CONSTRAINT_MEMCG is the control group); give it more memory, or hold fewer polls",
	},
	{
		Source: "systemd", Title: "the service was killed",
		Literals: []string{`code=killed, status=9/KILL`},
		Causes: []Cause{
			{"the kernel or systemd-oomd killed it when memory ran out", []string{"host/memory", "host/cgroup-memory"}},
			{"it did not end within TimeoutStopSec= at a stop: \"Killing process\" stands before it", []string{"app/graceful-timeout"}},
		},
		Do: "look at the lines before it, and into the kernel's log (journalctl -k)",
	},
	{
		Source: "pam", Title: "a login did not get the limits of limits.conf",
		Literals: []string{`Could not set limit for '`},
		Causes:   only("a value above fs.nr_open or above the hard limit makes its line void", "app/limits-conf", "host/nr-open"),
		Do:       "lower the value, or raise fs.nr_open",
	},
	{
		Source: "pam", Title: "a line of limits.conf has no valid value",
		Literals: []string{`wrong limit value '`},
		Causes:   only("what stands there is neither a number nor unlimited", "app/limits-conf"),
		Do:       "fix the line that it quotes",
	},
}
