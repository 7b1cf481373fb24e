package kinds

import (
	"fmt"
	"path"

	"github.com/fltool/fltool/checks/facts"
)

// configFile reads a config file by the name that a program has for it: below dir
// where that is relative, or where it runs where dir is "".
func configFile(r facts.Root, p facts.Program, dir, name string) (text, file string, err error) {
	if file, err = configPath(p, dir, name); err != nil {
		return "", "", err
	}
	b, err := r.ReadFile(file)
	return string(b), file, err
}

// configPath is the absolute path of a name.
func configPath(p facts.Program, dir, name string) (string, error) {
	switch {
	case p.FilesErr != nil:
		return "", p.FilesErr
	case p.Unexpanded && unexpanded(name):
		return "", fmt.Errorf("%s: %s, which only systemd expands", p.From, name)
	case path.IsAbs(name):
		return path.Clean(name), nil
	case dir == "" && p.CwdErr != nil:
		return "", p.CwdErr
	case dir == "":
		dir = p.Cwd
	}
	return path.Join(dir, name), nil
}

// unreadable are the details of a program whose config can't be read.
func unreadable(err error) facts.Details {
	return facts.Details{Passes: facts.Value[[]facts.Pass]{Err: err.Error()}}
}

// inConfig says how a setting of a config file is changed.
func inConfig(h Hop, set, from string) string {
	return fmt.Sprintf("write %s into the config of %s; what counts now is from %s", set, h.Kind.Kind, from)
}
