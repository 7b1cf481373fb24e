package facts

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Who may start a process, and so where its limits are set.
const (
	ByUnit       = "unit"       // systemd
	ByUserUnit   = "user unit"  // systemd --user
	ByLogin      = "login"      // a session, or what one left behind
	ByContainer  = "container"  // docker, podman, containerd
	ByPod        = "pod"        // Kubernetes
	ByLXC        = "lxc"        // LXC, LXD, Incus
	ByOpenRC     = "openrc"     // an init script of OpenRC
	ByRunit      = "runit"      // runsv
	ByS6         = "s6"         // s6-supervise
	BySupervisor = "supervisor" // supervisord
	ByPM2        = "pm2"
	ByCron       = "cron"   // cron and atd
	ByNspawn     = "nspawn" // systemd-nspawn
	ByNobody     = ""       // nothing tells
)

// Origin is who started a process.
type Origin struct {
	By     string `json:"by"`
	Name   string `json:"name,omitempty"`   // of the service or container
	User   string `json:"user,omitempty"`   // whose manager it is, of a user unit
	Source string `json:"source,omitempty"` // file:line that sets its limit, where that was found; else the file to set it in
}

// maxAncestors bounds the walk up a process's parents.
const maxAncestors = 64

// readOrigin asks the control group, then the nearest ancestor that is known to
// set limits of what it starts.
func readOrigin(r Root, pid int) (Origin, error) {
	text, err := r.ReadString(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return Origin{}, err
	}
	group := originOfGroup(parseCgroupPaths(text))
	if group.By == ByContainer || group.By == ByPod || group.By == ByLXC || group.By == ByNspawn {
		return group, nil
	}
	for at, n := pid, 0; at > 1 && n < maxAncestors; n++ {
		stat, err := readStat(r, at)
		if err != nil {
			if absent(err) && at != pid {
				break // beyond a namespace
			}
			return Origin{}, err
		}
		if at != pid {
			args, err := readArgs(r, fmt.Sprintf("/proc/%d/cmdline", at))
			if err != nil && !absent(err) {
				return Origin{}, err
			}
			if o := originOfParent(stat.name, args); o.By != ByNobody {
				if o.By == ByLogin && group.By != ByNobody && !loginServices.MatchString(group.Name) {
					break
				}
				return o, nil
			}
		}
		at = stat.ppid
	}
	if group.By == ByUserUnit {
		if a, err := readAccount(r, group.User); err == nil {
			group.User = a.name
		}
	}
	return group, nil
}

// Control groups of containers, as docker, podman, containerd, cri-o and LXC name them.
var (
	containerGroup = regexp.MustCompile(`(?:^|/)(?:docker|libpod|libpod-payload|libpod-container|crio|cri-containerd|nerdctl|buildkit)-[0-9a-f]{4,}(?:\.scope)?(?:/|$)|/docker/[0-9a-f]{12,}|/system\.slice:docker:`)
	podGroup       = regexp.MustCompile(`/kubepods(?:\.slice|/|$)`)
	nspawnGroup    = regexp.MustCompile(`/systemd-nspawn@([^/]+)\.service/|/machine-([^/]+)\.scope(?:/|$)`)
	lxcGroup       = regexp.MustCompile(`(?:^|/)lxc(?:\.payload)?[./]([^/]+)`)
	loginServices  = regexp.MustCompile(`^(?:sshd?(?:@.*)?|getty@.*|serial-getty@.*)\.service$`) // where logins have no scope of their own
	userManagerDir = regexp.MustCompile(`^user@(\d+)\.service$`)
)

// originOfGroup tells what the path of a control group tells.
func originOfGroup(paths map[string]string) Origin {
	var o Origin
	for _, at := range paths {
		switch {
		case podGroup.MatchString(at):
			return Origin{By: ByPod}
		case lxcGroup.MatchString(at):
			return Origin{By: ByLXC, Name: lxcGroup.FindStringSubmatch(at)[1]}
		case nspawnGroup.MatchString(at):
			m := nspawnGroup.FindStringSubmatch(at)
			return Origin{By: ByNspawn, Name: m[1] + m[2]}
		case containerGroup.MatchString(at):
			o = Origin{By: ByContainer}
		}
	}
	if o.By != ByNobody {
		o.Name = unitOf(paths) // a quadlet's
		return o
	}
	if at := paths["name=openrc"]; strings.Trim(at, "/") != "" {
		return Origin{By: ByOpenRC, Name: path.Base(at)}
	}
	for _, c := range []string{"", "name=systemd"} {
		user := ""
		for part := range strings.SplitSeq(paths[c], "/") {
			if m := userManagerDir.FindStringSubmatch(part); m != nil {
				user = m[1]
			}
			if name, ok := strings.CutPrefix(part, "openrc."); ok {
				return Origin{By: ByOpenRC, Name: name}
			}
			if strings.HasPrefix(part, "session-") && strings.HasSuffix(part, ".scope") {
				o = Origin{By: ByLogin}
			}
		}
		switch unit := unitOf(paths); {
		case unit != "" && user != "":
			return Origin{By: ByUserUnit, Name: unit, User: user}
		case unit != "":
			return Origin{By: ByUnit, Name: unit}
		case user != "": // a terminal's scope
			return Origin{By: ByLogin}
		}
	}
	return o
}

// originOfParent tells an ancestor that sets limits of what it starts.
func originOfParent(name string, args []string) Origin {
	title := ""
	if len(args) > 0 {
		title = args[0]
	}
	arg := func(i int) string {
		if i < len(args) {
			return strings.Trim(path.Base(args[i]), "/.") // of "/" and ".." nothing
		}
		return ""
	}
	switch name {
	case "supervise-daemo", "supervise-daemon":
		return Origin{By: ByOpenRC, Name: arg(1)}
	case "runsv":
		return Origin{By: ByRunit, Name: arg(1)}
	case "s6-supervise":
		return Origin{By: ByS6, Name: arg(1)}
	case "supervisord":
		return Origin{By: BySupervisor}
	case "cron", "crond", "atd", "CRON":
		return Origin{By: ByCron}
	case "conmon", "containerd-shim", "containerd-shim-":
		return Origin{By: ByContainer}
	case "lxc-start":
		return Origin{By: ByLXC}
	case "sshd", "sshd-session", "login", "su", "sudo", "tmux: server", "screen":
		return Origin{By: ByLogin}
	}
	switch {
	case strings.HasPrefix(title, "PM2 "), strings.HasPrefix(name, "PM2 "):
		return Origin{By: ByPM2}
	case strings.HasPrefix(title, "[lxc monitor]"):
		return Origin{By: ByLXC}
	case arg(1) == "supervisord", arg(0) == "supervisord":
		return Origin{By: BySupervisor}
	}
	return Origin{}
}

// locate finds the file that sets the limit of what an init system other than
// systemd started, or the one to set it in.
func (o Origin) locate(r Root) Origin {
	var files []string
	var what *regexp.Regexp
	switch o.By {
	case ByOpenRC:
		files, what = []string{"/etc/conf.d/" + o.Name, "/etc/init.d/" + o.Name, "/etc/rc.conf"}, rcUlimit
	case ByRunit:
		files, what = []string{"/etc/service/" + o.Name + "/run", "/etc/sv/" + o.Name + "/run", "/var/service/" + o.Name + "/run"}, limitWords
	case ByS6:
		files, what = []string{"/run/service/" + o.Name + "/run", "/etc/s6/sv/" + o.Name + "/run", "/etc/services.d/" + o.Name + "/run"}, limitWords
	case BySupervisor:
		files, what = []string{"/etc/supervisor/supervisord.conf", "/etc/supervisord.conf"}, minFDs
	default:
		return o
	}
	if strings.ContainsAny(o.Name, "/\x00") {
		return o
	}
	first := ""
	for _, file := range files {
		b, err := r.ReadFile(file)
		if err != nil {
			continue
		}
		if first == "" {
			first = file
		}
		if n := lineOf(string(b), what); n > 0 {
			o.Source = file + ":" + strconv.Itoa(n)
			return o
		}
	}
	o.Source = first
	if first == "" {
		o.Source = files[0]
	}
	return o
}

var (
	rcUlimit = regexp.MustCompile(`^\s*rc_ulimit=`)
	minFDs   = regexp.MustCompile(`^\s*minfds\s*=`)
)

// lineOf is the number of the last line that matches and is no remark; 0: none.
func lineOf(text string, what *regexp.Regexp) int {
	n, found := 0, 0
	for line := range strings.Lines(text) {
		n++
		if !strings.HasPrefix(strings.TrimSpace(line), "#") && what.MatchString(line) {
			found = n
		}
	}
	return found
}

// containerMarks are files that a runtime leaves in a container.
var containerMarks = []string{"/.dockerenv", "/run/.containerenv"}

// readContainer says whether the root is a container's: a runtime's mark is in it.
// PID 1 of one that is not systemd tells as well.
func readContainer(r Root, systemd Value[bool]) Value[bool] {
	for _, file := range containerMarks {
		if r.Exists(file) {
			return known(true, file)
		}
	}
	if !systemd.Known() {
		return unknown[bool](errors.New(systemd.Why()))
	}
	return known(false, "no "+strings.Join(containerMarks, " and no "))
}
