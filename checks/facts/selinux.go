package facts

import (
	"path"
	"strings"
)

// SELinux is whether it is enforced, and what it allows to nginx (httpd_t).
type SELinux struct {
	Enforcing  bool        `json:"enforcing"`
	SetRlimit  Value[bool] `json:"setRlimit"`  // httpd_setrlimit: worker_rlimit_nofile may be set
	NetConnect Value[bool] `json:"netConnect"` // httpd_can_network_connect: it may reach any port
}

const selinuxDir = "/sys/fs/selinux"

// readSELinux reads what runs; where the root is files alone, what is configured.
func readSELinux(r Root) Value[SELinux] {
	enforce := path.Join(selinuxDir, "enforce")
	s, err := r.ReadString(enforce)
	switch {
	case err == nil:
		return known(SELinux{Enforcing: s == "1", SetRlimit: readBoolean(r, "httpd_setrlimit"), NetConnect: readBoolean(r, "httpd_can_network_connect")}, enforce)
	case !absent(err):
		return unknown[SELinux](err)
	}
	const config = "/etc/selinux/config"
	if r.Exists("/proc/sys") || !r.Exists(config) {
		return known(SELinux{}, enforce+" is absent")
	}
	text, err := r.ReadString(config)
	if err != nil {
		return unknown[SELinux](err)
	}
	out := SELinux{SetRlimit: readBoolean(r, "httpd_setrlimit"), NetConnect: readBoolean(r, "httpd_can_network_connect")}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "SELINUX="); ok {
			out.Enforcing = v == "enforcing"
		}
	}
	return known(out, config)
}

// readBoolean reads "now later": the running value and the one to come.
func readBoolean(r Root, name string) Value[bool] {
	file := path.Join(selinuxDir, "booleans", name)
	return read(file, func() (bool, error) {
		s, err := r.ReadString(file)
		return strings.HasPrefix(s, "1"), err
	})
}
