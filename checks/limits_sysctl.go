package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// sysctlRemedy sets a kernel setting, now and for good. In a container that can't,
// it names who can: of the network's settings the one who starts it, of others
// the host's. Where another file is read later, or none may be written, it is for hands.
func (c Case) sysctlRemedy(text string, lines ...string) reports.Remedy {
	own := "/etc/sysctl.d/" + facts.OwnName
	switch {
	case c.Fixed.Known() && c.Fixed.V:
		var outside []string
		for _, l := range lines {
			key, value, _ := strings.Cut(l, " = ")
			if strings.HasPrefix(key, "net.") && !wholeKernel[key] {
				outside = append(outside, fmt.Sprintf("start this container with --sysctl %s='%s'", key, value))
			} else {
				outside = append(outside, fmt.Sprintf("set %s on the host of this container", l))
			}
		}
		return reports.Remedy{Text: text + ": " + strings.Join(outside, ", and "), Then: "restart"}
	case c.nix():
		var set []string
		for _, l := range lines {
			key, value, _ := strings.Cut(l, " = ")
			set = append(set, fmt.Sprintf(`boot.kernel.sysctl."%s" = "%s";`, key, value))
		}
		return reports.Remedy{Text: text + ": add to the system's configuration " + strings.Join(set, " ") + ", and run nixos-rebuild switch"}
	}
	for _, l := range lines {
		key, _, _ := strings.Cut(l, " = ")
		if p := c.persisted(key); p != nil && !winsOver(p.Source) {
			return reports.Remedy{
				Text:     fmt.Sprintf("%s: %s is read after any file of fltool's and wins: write there %s", text, p.Source, strings.Join(lines, ", ")),
				Commands: []string{"sysctl --system"},
			}
		}
	}
	return reports.Remedy{
		Text:     text,
		Commands: []string{"sysctl -p " + own},
		Files:    []reports.File{{Path: own, Lines: lines}},
	}
}

// wholeKernel are the network's settings that are the same in every container.
var wholeKernel = map[string]bool{"net.ipv4.tcp_mem": true, "net.netfilter.nf_conntrack_max": true}

// persisted is what sysctl.d sets of a key; nil: nothing.
func (c Case) persisted(key string) *facts.Persisted {
	i := slices.IndexFunc(c.Persisted.V, func(p facts.Persisted) bool { return p.Key == key })
	if i < 0 || !c.Persisted.Known() {
		return nil
	}
	return &c.Persisted.V[i]
}

// evalSysctlPending asks whether the kernel has what sysctl.d sets.
func evalSysctlPending(c Case) Judgement {
	if !c.Persisted.Known() {
		return cantTell("sysctl.d", c.Persisted)
	}
	same := 0
	for _, p := range c.Persisted.V {
		if strings.HasPrefix(p.Source, "/usr/") || strings.HasPrefix(p.Source, "/lib/") {
			continue // a package's default, which nobody here asked for
		}
		if c.Fixed.V || c.Container.V {
			continue // the files are the image's, and nothing applies them
		}
		if !p.Running.Known() {
			if strings.HasPrefix(p.Key, "net.netfilter.") {
				continue // the module is not loaded
			}
			return cantTell(p.Key, p.Running)
		}
		if sameSetting(p.Value, p.Running.V) {
			same++
			continue
		}
		got := fmt.Sprintf("%s is %s", p.Key, strings.Join(strings.Fields(p.Running.V), " "))
		want := fmt.Sprintf("%s, as %s sets it when the host starts", p.Value, p.Source)
		if p.Key == conntrackKey && c.KubeProxy.V {
			return fail(got, want, p.Running.Source, reports.Remedy{Text: "kube-proxy sets it by the number of cores whenever it starts: set conntrack.maxPerCore: 0 in its configuration (--conntrack-max-per-core=0), or conntrack.min to what is needed, and restart it"})
		}
		return fail(got, want, p.Running.Source, reports.Remedy{
			Text:     "whichever is right, make both the same: the running value is lost when the host starts again, or the file was never applied or was overridden since",
			Commands: []string{"sysctl --system"},
		})
	}
	if same == 0 {
		return notApplicable("sysctl.d of this host sets none of the settings that held polls need")
	}
	return pass(count(same, "setting", "settings")+" as in sysctl.d", c.Persisted.Source)
}

const conntrackKey = "net.netfilter.nf_conntrack_max"

// sameSetting compares values as the kernel does: by their words, and of a list
// of ports by its parts.
func sameSetting(a, b string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	}
	return slices.Equal(words(a), words(b))
}

// conntrackRemedy enlarges the table. kube-proxy would set it back.
func (c Case) conntrackRemedy(size int64) reports.Remedy {
	if c.KubeProxy.V {
		return reports.Remedy{Text: fmt.Sprintf("kube-proxy sets the size whenever it starts: set conntrack.min: %d in its configuration (--conntrack-min), and restart it", size)}
	}
	return c.sysctlRemedy("enlarge the table", fmt.Sprintf("%s = %d", conntrackKey, size))
}

// reservedWith is a list of reserved ports with one more.
func reservedWith(kept string, port int) string {
	for part := range strings.SplitSeq(kept, ",") {
		var lo, hi int
		n, err := fmt.Sscanf(part, "%d-%d", &lo, &hi)
		if err != nil && n < 1 {
			continue
		}
		if n == 1 {
			hi = lo
		}
		if lo <= port && port <= hi {
			return kept
		}
	}
	if kept == "" {
		return fmt.Sprint(port)
	}
	return fmt.Sprintf("%s,%d", kept, port)
}
