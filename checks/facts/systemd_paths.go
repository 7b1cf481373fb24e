package facts

import (
	"path"
	"slices"
	"strings"
)

// A manager is a systemd that starts services: the system's or a user's. Its
// directories are those of systemd.unit(5), in order of precedence.
type manager struct {
	user  string   // "" is the system's
	units []string // unit files and drop-ins
	conf  []string // directories of conf's name and its ".d"
	name  string   // "system.conf"
}

var systemManager = manager{
	units: []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
		"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached", "/run/systemd/generator",
		"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
	},
	conf: []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"},
	name: "system.conf",
}

// userManager is the one that runs services of a user.
func userManager(a account) manager {
	home := a.home
	if home == "" {
		home = "/home/" + a.name
	}
	run := "/run/user/" + a.uidText()
	return manager{
		user: a.name,
		units: []string{
			home + "/.config/systemd/user.control", run + "/systemd/user.control", run + "/systemd/transient", run + "/systemd/generator.early",
			home + "/.config/systemd/user", home + "/.config/systemd/user.attached", "/etc/xdg/systemd/user", "/etc/systemd/user",
			run + "/systemd/user", "/run/systemd/user", run + "/systemd/generator",
			home + "/.local/share/systemd/user", "/usr/local/share/systemd/user", "/usr/share/systemd/user",
			"/usr/local/lib/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user", run + "/systemd/generator.late",
		},
		conf: []string{home + "/.config/systemd", "/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"},
		name: "user.conf",
	}
}

// names are a unit's own name and its aliases. An alias is a link to a unit file
// of another name within the directories; of a linked file elsewhere the link's
// name counts.
func (m manager) names(r Root, name string) (own string, aliases []string) {
	links := make(map[string]string)
	seen := make(map[string]bool)
	for _, dir := range m.units {
		names, err := r.ReadDir(dir)
		if err != nil {
			continue // that it can't be read shows where its files are
		}
		for _, n := range names {
			if seen[n] || !strings.HasSuffix(n, ".service") {
				continue
			}
			seen[n] = true
			target, err := r.Readlink(path.Join(dir, n))
			if err != nil {
				continue
			}
			if !strings.HasPrefix(target, "/") {
				target = path.Join(dir, target)
			}
			if base := path.Base(target); base != n && unitName.MatchString(base) && slices.Contains(m.units, path.Dir(target)) {
				links[n] = base
			}
		}
	}
	resolve := func(n string) string {
		for range maxLinks {
			to, ok := links[n]
			if !ok {
				if template, instance := splitInstance(n); instance != "" && links[template] != "" {
					n = strings.Replace(links[template], "@.", "@"+instance+".", 1)
					continue
				}
				return n
			}
			n = to
		}
		return n
	}
	own = resolve(name)
	for n := range links {
		if resolve(n) == own {
			aliases = append(aliases, n)
		}
	}
	if name != own && !slices.Contains(aliases, name) {
		aliases = append(aliases, name)
	}
	slices.Sort(aliases)
	return own, aliases
}

// splitInstance takes "a@x.service" apart into its template and "x"; "" where it
// is no instance.
func splitInstance(name string) (template, instance string) {
	before, after, ok := strings.Cut(name, "@")
	if !ok || after == ".service" {
		return "", ""
	}
	return before + "@.service", strings.TrimSuffix(after, ".service")
}

// find gives a unit's file and its drop-ins in the order they apply. Of drop-ins
// of one name the first directory's counts and, within that, the more specific.
func (m manager) find(r Root, name string) (file string, dropins []string, err error) {
	own, aliases := m.names(r, name)
	candidates := []string{own}
	if template, _ := splitInstance(own); template != "" {
		candidates = append(candidates, template)
	}
	for _, n := range candidates {
		for _, dir := range m.units {
			at := path.Join(dir, n)
			if file == "" && masked(r, at) {
				return "", nil, errNoUnit(at + " is masked")
			}
			if file == "" && r.Exists(at) {
				file = at
			}
		}
	}
	var dirs []string
	for _, n := range append([]string{own}, aliases...) {
		variants := dropinNames(n)
		for _, dir := range m.units {
			for _, v := range variants {
				dirs = append(dirs, path.Join(dir, v+".d"))
			}
		}
	}
	for _, dir := range m.units {
		dirs = append(dirs, path.Join(dir, "service.d"))
	}
	dropins, err = mergeDirs(r, dirs, ".conf")
	return file, dropins, err
}

// dropinNames are the names whose ".d" is a unit's: its own, its template's, and
// those that it begins with up to a dash.
func dropinNames(name string) []string {
	names := []string{name}
	if template, _ := splitInstance(name); template != "" {
		names = append(names, template)
	}
	for _, n := range slices.Clone(names) {
		stem := strings.TrimSuffix(n, ".service")
		for i := len(stem) - 1; i > 0; i-- { // "a-b-.service", "a-.service"
			if stem[i] == '-' {
				names = append(names, stem[:i+1]+".service")
			}
		}
	}
	return names
}

// confFiles are the manager's own settings: one main file, then its drop-ins.
func (m manager) confFiles(r Root) ([]string, error) {
	var files, dirs []string
	for _, dir := range m.conf {
		if at := path.Join(dir, m.name); len(files) == 0 && r.Exists(at) {
			files = append(files, at)
		}
		dirs = append(dirs, path.Join(dir, m.name+".d"))
	}
	dropins, err := mergeDirs(r, dirs, ".conf")
	return append(files, dropins...), err
}
