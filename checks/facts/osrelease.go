package facts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// OS is the distribution, as os-release(5) names it for programs.
type OS struct {
	ID      string   `json:"id"`             // "debian", "rocky"
	Like    []string `json:"like,omitempty"` // what it derives from: "rhel", "fedora"
	Version string   `json:"version,omitempty"`
	Name    string   `json:"name,omitempty"` // for people: "Debian GNU/Linux 12 (bookworm)"
}

// Is says whether the distribution is one of these, or derives from one.
func (o OS) Is(ids ...string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return o.ID == id || slices.Contains(o.Like, id) })
}

// enterprise says whether it is RHEL or one that is built of it.
func (o OS) enterprise() bool { return o.Is("rhel", "centos") && o.ID != "amzn" || o.ID == "ol" }

// Major is the number before the version's first dot; 0: there is none.
func (o OS) Major() int {
	s, _, _ := strings.Cut(o.Version, ".")
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// readOS reads /etc/os-release or, where that is absent, /usr/lib/os-release.
func readOS(r Root) Value[OS] {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		s, err := r.ReadString(name)
		if absent(err) {
			continue
		}
		return read(name, func() (OS, error) {
			if err != nil {
				return OS{}, err
			}
			return parseOSRelease(s, name)
		})
	}
	return unknown[OS](fmt.Errorf("/etc/os-release is absent"))
}

// parseOSRelease reads assignments as a shell writes them, without expansions.
func parseOSRelease(text, file string) (OS, error) {
	set := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			set[key] = strings.Trim(value, `"'`)
		}
	}
	o := OS{ID: set["ID"], Like: strings.Fields(set["ID_LIKE"]), Version: set["VERSION_ID"], Name: set["PRETTY_NAME"]}
	if o.ID == "" {
		return OS{}, fmt.Errorf("%s: no line ID", file)
	}
	return o, nil
}
