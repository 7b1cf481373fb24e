package facts

import (
	"path"
	"strings"
)

// OwnName is the name of every file that fltool proposes to write. It sorts
// after the numbered files of others, so that its settings win.
const OwnName = "zz-fltool.conf"

// readOwn reads the files that an earlier fix left, so that the next one keeps
// what they set.
func readOwn(r Root) Value[map[string]string] {
	dirs := []string{limitsDir, "/etc/sysctl.d"}
	names, err := r.ReadDir("/etc/systemd/system")
	if err != nil && !absent(err) {
		return unknown[map[string]string](err)
	}
	for _, name := range names {
		dirs = append(dirs, path.Join("/etc/systemd/system", name))
	}
	own := make(map[string]string)
	for _, dir := range dirs {
		file := path.Join(dir, OwnName)
		if !r.Exists(file) {
			continue
		}
		b, err := r.ReadFile(file)
		if err != nil {
			return unknown[map[string]string](err)
		}
		own[file] = string(b)
	}
	return known(own, OwnName)
}

// redactOwn leaves of lines that fix did not write, which a person did, only that
// there are some.
func redactOwn(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		key, _, set := strings.Cut(l, "=")
		switch key = strings.TrimSpace(key); {
		case !set, strings.HasPrefix(key, "Limit"), key == "TasksMax", strings.Contains(key, ".") && !strings.Contains(key, " "),
			strings.HasPrefix(strings.TrimSpace(l), `Environment="GUNICORN_CMD_ARGS=`):
			b.WriteString(l)
		default:
			b.WriteString(key + "=" + Hidden + "\n")
		}
	}
	return b.String()
}
