package facts

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/nginx"
)

// masterArgs is what nginx was started with.
type masterArgs struct {
	pid                  int // 0: none runs
	conf, prefix, global string
}

// readMasterArgs takes the title of the running master apart, which nginx
// writes as "nginx: master process /usr/sbin/nginx -g daemon on;". Of several
// the one that passes to the application is meant, else the one that listens on the
// URL's port, and else one that is believed. Where the one that is meant is not, that
// is the error.
func readMasterArgs(r Root, procs []Process, asked Asked) (masterArgs, error) {
	type master struct {
		Process
		title string
		why   error // it is not believed
	}
	var masters []master
	for _, p := range procs {
		if p.Kind != KindNginx || p.Part != "master" {
			continue
		}
		args, err := readArgs(r, fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if err != nil || len(args) == 0 {
			continue
		}
		if title, ok := strings.CutPrefix(args[0], "nginx: master process "); ok {
			masters = append(masters, master{p, title, distrust(r, p.PID)})
		}
	}
	if len(masters) == 0 {
		return masterArgs{}, nil
	}
	rank := func(m master) int {
		n := 0
		if m.PassesTo(asked.Port) {
			n += 4
		}
		if m.ListensOn(portOf(asked.URL)) {
			n += 2
		}
		if m.why == nil {
			n++
		}
		return n
	}
	m := slices.MaxFunc(masters, func(a, b master) int { return rank(a) - rank(b) })
	if m.why != nil {
		return masterArgs{}, fmt.Errorf("%w: name nginx's main file by --nginx-conf", m.why)
	}
	out := parseMasterTitle(m.title)
	out.pid = m.PID
	return out, nil
}

// MasterConf is the main file that a running master was started with, of what
// stands behind "nginx: master process"; "": its build's own.
func MasterConf(title string) string {
	m := parseMasterTitle(title)
	if m.conf != "" && !path.IsAbs(m.conf) && m.prefix != "" {
		return path.Join(m.prefix, m.conf)
	}
	return m.conf
}

func parseMasterTitle(title string) masterArgs {
	var m masterArgs
	words := strings.Fields(title)
	for i := 0; i < len(words); i++ {
		at := func() string {
			if len(words[i]) > 2 {
				return words[i][2:]
			}
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch w := words[i]; {
		case i == 0: // the program
		case strings.HasPrefix(w, "-c"):
			m.conf = at()
		case strings.HasPrefix(w, "-p"):
			m.prefix = at()
		case strings.HasPrefix(w, "-g"):
			m.global = at()
			for i+1 < len(words) && !slices.Contains([]string{"-c", "-p", "-e"}, words[i+1]) {
				i++
				m.global += " " + words[i]
			}
		}
	}
	return m
}

// override makes unknown what -g may have set, since it is not read as a config.
func (m masterArgs) override(n *Nginx) {
	why := "set by -g on nginx's command line: " + m.global
	if strings.Contains(m.global, "worker_processes") {
		n.Main.WorkerProcesses = nginx.Value[int64]{Err: why}
	}
	if strings.Contains(m.global, "worker_rlimit_nofile") {
		n.Main.WorkerRlimitNofile = nginx.Value[int64]{Err: why}
	}
	if strings.Contains(m.global, "worker_shutdown_timeout") {
		n.Main.WorkerShutdownTimeout = nginx.Value[time.Duration]{Err: why}
	}
}

// maxProgramBytes bounds the program that is read for its build; nginx with all
// libraries inside has some 30 MB.
const maxProgramBytes = 128 << 20

// readBuild reads what is compiled into the running nginx or the host's, else the
// version of Debian's record of packages. No program is run: who asks is root, and
// the program may be anybody's.
func readBuild(r Root, m masterArgs) nginx.Build {
	programs := nginxPrograms
	if m.pid != 0 {
		programs = append([]string{fmt.Sprintf("/proc/%d/exe", m.pid)}, programs...)
	}
	for _, program := range programs {
		if b, err := readProgram(r, program); err == nil {
			return b
		}
	}
	return nginx.Build{Version: packageVersion(r)}
}

// buildText finds in a program the two lines of nginx -V that tell of its build:
// they stand there whole.
func buildText(program []byte) string {
	var lines []string
	for _, start := range []string{"nginx version: ", "configure arguments:"} {
		if i := bytes.Index(program, []byte(start)); i >= 0 {
			line := program[i:]
			if end := bytes.IndexAny(line, "\n\x00"); end >= 0 {
				lines = append(lines, string(line[:end]))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// readProgram reads a build out of a program's file.
func readProgram(r Root, program string) (nginx.Build, error) {
	f, err := r.Open(program)
	if err != nil {
		return nginx.Build{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxProgramBytes))
	if err != nil {
		return nginx.Build{}, err
	}
	return nginx.ParseBuild(buildText(content))
}

// packageVersion is nginx's of Debian's record, "" where there is none.
func packageVersion(r Root) string {
	b, err := r.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(b, []byte("\n\n")) {
		name, version, installed := "", "", false
		for line := range bytes.Lines(entry) {
			key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
			switch key {
			case "Package":
				name = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			case "Version":
				version = value
			}
		}
		if installed && slices.Contains([]string{"nginx", "nginx-core", "nginx-light", "nginx-full", "nginx-extras", "nginx-common"}, name) {
			if _, after, ok := strings.Cut(version, ":"); ok { // an epoch
				version = after
			}
			version, _, _ = strings.Cut(version, "-")
			return version
		}
	}
	return ""
}
