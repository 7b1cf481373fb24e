package symptoms

// The kernel: mm/oom_kill.c, net/netfilter/nf_conntrack_core.c, fs/file_table.c,
// net/ipv4/tcp*.c, kernel/cgroup/pids.c; SELinux speaks through its audit.
var kernel = []Symptom{
	{
		Source: "kernel", Title: "memory of a control group ran out, and a process was killed",
		Literals: []string{`Memory cgroup out of memory`, `oom-kill:constraint=CONSTRAINT_MEMCG`},
		Causes:   only("the group's memory.max (MemoryMax= of a unit, a container's limit) is reached", "host/cgroup-memory", "host/oom-kills"),
		Do:       "raise the group's limit, or hold fewer polls",
	},
	{
		Source: "kernel", Title: "the host's memory ran out, and a process was killed",
		Literals: []string{`Out of memory: Kill`, `oom-kill:constraint=CONSTRAINT_`},
		Causes:   only("held polls, copies of the model under way and everything else need more than the host has", "host/memory"),
		Do:       "more memory, or fewer polls a host",
	},
	{
		Source: "kernel", Title: "the connection-tracking table was full, and packets were dropped",
		Literals: []string{`table full, dropping packet`, `table full in netns`},
		Line:     `nf_conntrack`,
		Causes:   only("more connections are tracked than nf_conntrack_max", "host/conntrack"),
		Do:       "raise net.netfilter.nf_conntrack_max, or don't track the polls (notrack)",
	},
	{
		Source: "kernel", Title: "the whole host ran out of open files",
		Literals: []string{`VFS: file-max limit `, `Too many open files in system`},
		Causes:   only("fs.file-max is reached by all processes together", "host/file-max"),
		Do:       "raise fs.file-max",
	},
	{
		Source: "kernel", Title: "memory for sockets ran out",
		Literals: []string{`TCP: out of memory`},
		Causes:   only("net.ipv4.tcp_mem is reached by all sockets together", "host/tcp-mem"),
		Do:       "raise net.ipv4.tcp_mem, or lower the buffers of each socket",
	},
	{
		Source: "kernel", Title: "the accept queue of a port was full when workers came",
		Literals: []string{`Possible SYN flooding on port`},
		Causes: []Cause{
			{"no attack, but all workers at once: the listen backlog or net.core.somaxconn is smaller than their number", []string{"nginx/listen-backlog", "app/accept-queue"}},
			{"the server accepts too slowly, or none at all", nil},
		},
		Do: "raise backlog= of the port's listen and net.core.somaxconn together; tcp_max_syn_backlog is not what limits",
	},
	{
		Source: "kernel", Title: "the control group could not start a thread or a process",
		Literals: []string{`fork rejected by pids controller`},
		Causes:   only("pids.max of the group (TasksMax= of a unit) is reached", "app/pids"),
		Do:       "raise TasksMax= of the unit or the container's pids limit",
	},
	{
		Source: "selinux", Title: "SELinux forbade a server to raise its limits",
		Literals: []string{`{ setrlimit }`},
		Line:     `avc: +denied`,
		Causes:   only("worker_rlimit_nofile under the policy of httpd_t", "nginx/worker-rlimit-nofile", "nginx/nofile"),
		Do:       "setsebool -P httpd_setrlimit on, or set LimitNOFILE= in the unit instead",
	},
	{
		Source: "selinux", Title: "SELinux forbade a proxy to connect to the application",
		Literals: []string{`{ name_connect }`},
		Line:     `avc: +denied`,
		Causes:   only("the policy of httpd_t allows no connections to that port"),
		Do:       "setsebool -P httpd_can_network_connect on, or label the port (semanage port -a -t http_port_t)",
	},
}
