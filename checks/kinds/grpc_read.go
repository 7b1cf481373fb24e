package kinds

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

const nvflareServer = "nvflare.private.fed.app.server.server_train"

// readNVFlare reads the pool of the gRPC driver from comm_config.json of the
// workspace.
func readNVFlare(r facts.Root, p facts.Program) facts.Settings {
	s := layer{"max_workers": known("100", "NVFlare's default")}
	line := commandLine{args: p.Args[programAt(p.Args, nvflareServer)+1:], from: p.From, unexpanded: p.Unexpanded}
	workspace := line.parse([]flag{{name: "workspace", short: "-m", long: "--workspace"}})["workspace"]
	if !workspace.Known() {
		s["max_workers"] = unread(fmt.Errorf("%s: no workspace is named", p.From))
		return s
	}
	for _, name := range []string{"local/comm_config.json", "startup/comm_config.json", "local/comm_config.json.default"} {
		text, file, err := beside(r, p, path.Join(workspace.V, name))
		switch {
		case err != nil && facts.Absent(err):
			continue
		case err != nil:
			s["max_workers"] = unread(err)
			return s
		}
		if v, set := nvflareWorkers(text, file); set {
			s["max_workers"] = v
		}
		return s
	}
	return s
}

// nvflareWorkers is the pool that a comm_config.json sets, if it does. Its other
// driver, asyncio's, has no pool.
func nvflareWorkers(text, file string) (v facts.Value[string], set bool) {
	var c struct {
		AIO  *bool `json:"use_aio_grpc"`
		GRPC struct {
			MaxWorkers *json.Number `json:"max_workers"`
		} `json:"grpc"`
	}
	switch err := json.Unmarshal([]byte(text), &c); {
	case err != nil:
		return unread(fmt.Errorf("%s: %w", file, err)), true
	case c.AIO != nil && *c.AIO:
		return unread(fmt.Errorf("%s: use_aio_grpc: streams take no thread of a pool, and how many it holds is not known", file)), true
	case c.GRPC.MaxWorkers == nil:
		return v, false
	}
	return known(c.GRPC.MaxWorkers.String(), file), true
}

// fednAt finds "fedn run combiner" and "fedn combiner start".
func fednAt(args []string) int {
	at := programAt(args, "fedn")
	if at < 0 || len(args) < at+3 || !slices.Contains([]string{"run combiner", "combiner start"}, strings.Join(args[at+1:at+3], " ")) {
		return -1
	}
	return at
}

// readFEDn reads how many clients a combiner accepts. Its pool is fixed.
func readFEDn(r facts.Root, p facts.Program) facts.Settings {
	s := layer{"max_workers": known("350", "FEDn's server"), "max_clients": known("30", "FEDn's default")}
	line := commandLine{args: p.Args[fednAt(p.Args)+1:], from: p.From, unexpanded: p.Unexpanded}
	set := line.parse([]flag{{name: "max_clients", short: "-c", long: "--max_clients", exact: true}, {name: "init", short: "-in", long: "--init", exact: true}})
	if v, ok := set["max_clients"]; ok {
		s["max_clients"] = v
	}
	if v, ok := set["init"]; ok {
		s = over(s, yamlNumbers(r, p, v, "max_clients"))
	}
	return s
}

// flowerAt finds what serves Flower's clients.
func flowerAt(args []string) int {
	return programAt(args, "flower-superlink", "flower-fleet-api", "flower-server", "flwr.server.superlink", "flower_superlink")
}

// readFlower says how many calls it takes at once, which no flag sets.
func readFlower(_ facts.Root, p facts.Program) facts.Settings {
	s := layer{"max_workers": known("1000", "Flower's server")}
	line := commandLine{args: p.Args[flowerAt(p.Args)+1:], from: p.From, unexpanded: p.Unexpanded}
	if v, ok := line.parse([]flag{{name: "type", long: "--fleet-api-type", exact: true}})["type"]; ok && !strings.HasPrefix(v.V, "grpc-") {
		s["max_workers"] = unread(fmt.Errorf("%s: --fleet-api-type %s: how many it holds is not known", p.From, v.V))
	}
	return s
}

// isAPPFL knows APPFL's server by its module, or by a script of its examples.
func isAPPFL(args []string) bool {
	if !isPython(args[0]) {
		return false
	}
	at := scriptAt(args, 1)
	if at >= len(args) {
		return false
	}
	script := strings.ToLower(args[at])
	return strings.Contains(script, "appfl") && strings.Contains(path.Base(script), "server")
}

func readAPPFL(r facts.Root, p facts.Program) facts.Settings {
	s := layer{"max_workers": known("128", "APPFL's default")}
	config, ok := commandLine{args: p.Args[1:], from: p.From, unexpanded: p.Unexpanded}.parse([]flag{{name: "config", long: "--config", exact: true}})["config"]
	if !ok {
		return s
	}
	return over(s, yamlNumbers(r, p, config, "max_workers"))
}

// beside reads a file that a program names, from where it runs.
func beside(r facts.Root, p facts.Program, name string) (text, file string, err error) {
	switch {
	case p.FilesErr != nil:
		return "", "", p.FilesErr
	case p.Unexpanded && unexpanded(name):
		return "", "", fmt.Errorf("%s: %s, which only systemd expands", p.From, name)
	case path.IsAbs(name):
	case p.CwdErr != nil:
		return "", "", p.CwdErr
	default:
		name = path.Join(p.Cwd, name)
	}
	text, err = r.ReadString(name)
	return text, name, err
}

// yamlNumbers reads a key of a YAML file, wherever it stands in it: the one number that
// it is set to.
func yamlNumbers(r facts.Root, p facts.Program, name facts.Value[string], key string) layer {
	if !name.Known() {
		return layer{key: unread(errors.New(name.Why()))}
	}
	text, file, err := beside(r, p, name.V)
	if err != nil {
		return layer{key: unread(err)}
	}
	return parseYAMLNumber(text, file, key)
}

var yamlLine = regexp.MustCompile(`^\s*(?:-\s+)?["']?([A-Za-z_]+)["']?\s*:\s*([^#]*?)\s*(?:#.*)?$`)

func parseYAMLNumber(text, file, key string) layer {
	out := make(layer)
	n := 0
	for line := range strings.Lines(text) {
		n++
		m := yamlLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || m[1] != key {
			if code, _, _ := strings.Cut(line, "#"); strings.Contains(code, key) {
				return layer{key: unread(fmt.Errorf("%s:%d: %s is set in a way that is not read", file, n, key))}
			}
			continue
		}
		if old, ok := out[key]; ok && old.V != m[2] {
			return layer{key: unread(fmt.Errorf("%s:%d: %s is set twice", file, n, key))}
		}
		out[key] = known(m[2], fmt.Sprintf("%s:%d", file, n))
	}
	return out
}
