package facts

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Host is the machine.
type Host struct {
	Hostname    Value[string] `json:"hostname"`
	Kernel      Value[string] `json:"kernel"`      // "Linux 6.1.0-13-amd64"
	Distro      Value[string] `json:"distro"`      // "Debian GNU/Linux 12 (bookworm)"
	CPU         Value[string] `json:"cpu"`         // model name
	CPUs        Value[int]    `json:"cpus"`        // logical, online
	MemoryBytes Value[int64]  `json:"memoryBytes"` // usable by the kernel
}

// ReadHost reads what the machine is; what can't be read is unknown.
func ReadHost(r Root) Host {
	text := func(path, prefix string) Value[string] {
		return read(path, func() (string, error) {
			s, err := r.ReadString(path)
			if err == nil && s == "" {
				err = fmt.Errorf("%s is empty", path)
			}
			return prefix + s, err
		})
	}
	h := Host{
		Hostname: text("/proc/sys/kernel/hostname", ""),
		Kernel:   text("/proc/sys/kernel/osrelease", "Linux "),
		Distro:   read("/etc/os-release", func() (string, error) { return readDistro(r) }),
		MemoryBytes: read(meminfoPath, func() (int64, error) {
			m, err := ReadMemory(r)
			return m.TotalBytes, err
		}),
	}
	const path = "/proc/cpuinfo"
	f, err := r.Open(path)
	if err != nil {
		h.CPU, h.CPUs = unknown[string](err), unknown[int](err)
		return h
	}
	defer f.Close()
	model, n, err := parseCPUInfo(f)
	switch {
	case err != nil:
		h.CPU, h.CPUs = unknown[string](fmt.Errorf("%s: %w", path, err)), unknown[int](fmt.Errorf("%s: %w", path, err))
	default:
		h.CPU, h.CPUs = known(model, path), known(n, path)
	}
	return h
}

// parseCPUInfo reads the first model name and counts the processors. The file's
// other lines differ by architecture; a Raspberry Pi names no model, which is "".
func parseCPUInfo(rd io.Reader) (model string, n int, err error) {
	sc := bufio.NewScanner(rd)
	for sc.Scan() {
		key, value, ok := strings.Cut(sc.Text(), ":")
		if !ok {
			continue
		}
		switch strings.TrimSpace(key) {
		case "processor":
			n++
		case "model name", "Model", "cpu model":
			if model == "" {
				model = strings.Join(strings.Fields(value), " ")
			}
		}
	}
	if err := sc.Err(); err != nil {
		return "", 0, err
	}
	if n == 0 {
		return "", 0, fmt.Errorf("no line processor")
	}
	return model, n, nil
}

func readDistro(r Root) (string, error) {
	s, err := r.ReadString("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(s) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`), nil
		}
	}
	return "", fmt.Errorf("/etc/os-release: no line PRETTY_NAME")
}
