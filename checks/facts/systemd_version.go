package facts

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Where systemd's version shows without running it.
var (
	systemdLibrary = regexp.MustCompile(`^libsystemd-shared-(\d+)`)
	systemdPackage = regexp.MustCompile(`^systemd-(\d+)[.-]`)
	leadingNumber  = regexp.MustCompile(`^(?:\d+:)?(\d+)`) // after dpkg's epoch
)

// readSystemdVersion is systemd's version: by the name of its own library or the
// package database, else by the distribution, of which a version has one.
func readSystemdVersion(r Root, o Value[OS]) Value[int] {
	dirs := []string{"/usr/lib/systemd", "/usr/lib64/systemd", "/lib/systemd"}
	if names, err := r.ReadDir("/usr/lib"); err == nil {
		for _, n := range names { // Debian's, by architecture
			if strings.HasSuffix(n, "-linux-gnu") || strings.HasSuffix(n, "-linux-gnueabihf") {
				dirs = append(dirs, "/usr/lib/"+n+"/systemd")
			}
		}
	}
	for _, dir := range dirs {
		if v := numberInDir(r, dir, systemdLibrary); v.Known() {
			return v
		}
	}
	if text, err := r.ReadString("/var/lib/dpkg/status"); err == nil {
		if s := dpkgVersion(text, "systemd"); s != "" {
			if m := leadingNumber.FindStringSubmatch(s); m != nil {
				return versionOf(m[1], "/var/lib/dpkg/status")
			}
		}
	}
	if v := numberInDir(r, "/var/lib/pacman/local", systemdPackage); v.Known() {
		return v
	}
	if store, err := r.Readlink("/run/current-system/systemd"); err == nil { // NixOS: HASH-systemd-256.7
		if i := strings.Index(store, "-systemd-"); i >= 0 {
			if m := systemdPackage.FindStringSubmatch(store[i+1:] + "."); m != nil {
				return versionOf(m[1], "/run/current-system/systemd")
			}
		}
	}
	if !o.Known() {
		return unknown[int](errors.New("systemd's version: neither its library nor a package database nor os-release tells"))
	}
	if v := systemdOf(o.V); v > 0 {
		return known(v, o.Source)
	}
	return unknown[int](fmt.Errorf("systemd's version in %s is not known", cmp.Or(o.V.Name, o.V.ID)))
}

func numberInDir(r Root, dir string, name *regexp.Regexp) Value[int] {
	names, err := r.ReadDir(dir)
	if err != nil {
		return unknown[int](err)
	}
	for _, n := range names {
		if m := name.FindStringSubmatch(n); m != nil {
			return versionOf(m[1], path.Join(dir, n))
		}
	}
	return unknown[int](fmt.Errorf("%s names no version", dir))
}

func versionOf(s, source string) Value[int] {
	n, err := strconv.Atoi(s)
	if err != nil || n == 0 {
		return unknown[int](fmt.Errorf("%s: %q is no version", source, s))
	}
	return known(n, source)
}

// dpkgVersion finds an installed package's version in dpkg's status file; "":
// it is not installed.
func dpkgVersion(status, pkg string) string {
	for paragraph := range strings.SplitSeq(status, "\n\n") {
		field := make(map[string]string)
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(line, ": "); ok {
				field[key] = strings.TrimSpace(value)
			}
		}
		if field["Package"] == pkg && strings.HasSuffix(field["Status"], " installed") {
			return field["Version"]
		}
	}
	return ""
}

// A release is a version of a distribution and what it ships; a distribution's
// last one stands for those after it.
type release struct {
	from    float64 // VERSION_ID: 22.04
	systemd int
	pam     pamVersion
}

// releases are the distributions' own package versions.
var releases = map[string][]release{
	"debian": {{8, 215, pamVersion{1, 1, 8}}, {9, 232, pamVersion{1, 1, 8}}, {10, 241, pamVersion{1, 3, 1}}, {11, 247, pamVersion{1, 4, 0}}, {12, 252, pamVersion{1, 5, 2}}, {13, 257, pamVersion{1, 7, 0}}},
	"ubuntu": {{16.04, 229, pamVersion{1, 1, 8}}, {18.04, 237, pamVersion{1, 1, 8}}, {20.04, 245, pamVersion{1, 3, 1}}, {22.04, 249, pamVersion{1, 4, 0}}, {24.04, 255, pamVersion{1, 5, 3}}},
	"rhel":   {{7, 219, pamVersion{1, 1, 8}}, {8, 239, pamVersion{1, 3, 1}}, {9, 252, pamVersion{1, 5, 1}}, {10, 257, pamVersion{1, 6, 1}}},
	"fedora": {{28, 238, pamVersion{1, 3, 1}}, {29, 239, pamVersion{1, 3, 1}}, {30, 241, pamVersion{1, 3, 1}}, {34, 248, pamVersion{1, 5, 1}}, {35, 249, pamVersion{1, 5, 2}}, {40, 255, pamVersion{1, 6, 1}}},
	"amzn":   {{2, 219, pamVersion{1, 1, 8}}, {2023, 252, pamVersion{1, 5, 1}}},
	"sles":   {{12, 228, pamVersion{1, 1, 8}}, {15, 234, pamVersion{1, 3, 0}}, {15.3, 246, pamVersion{1, 3, 0}}, {15.4, 249, pamVersion{1, 3, 0}}, {15.6, 254, pamVersion{1, 3, 0}}},
	"nixos":  {{19.03, 241, pamVersion{1, 3, 1}}, {22.05, 250, pamVersion{1, 5, 2}}, {24.05, 255, pamVersion{1, 6, 1}}},
	"alpine": {{3.14, 0, pamVersion{1, 5, 1}}, {3.15, 0, pamVersion{1, 5, 2}}},
}

// rolling distributions have none but new ones.
var rolling = release{0, 250, pamVersion{1, 5, 2}}

// releaseOf is what a distribution ships; ok is false where that is not known.
func releaseOf(o OS) (rel release, ok bool) {
	name := ""
	switch {
	case o.Is("arch", "archarm", "opensuse-tumbleweed", "opensuse-microos"), o.ID == "gentoo", o.ID == "debian" && o.Version == "":
		return rolling, true
	case o.ID == "ubuntu", o.ID == "debian", o.ID == "fedora", o.ID == "amzn", o.ID == "nixos", o.ID == "alpine":
		name = o.ID
	case o.enterprise():
		name = "rhel"
	case o.ID == "sles", o.ID == "opensuse-leap", o.ID == "sle_hpc", o.ID == "sles_sap":
		name = "sles"
	case o.Is("ubuntu") && o.Major() >= 18: // Mint and Pop number theirs otherwise, and are newer
		name = "ubuntu"
	case o.Is("debian") && !o.Is("ubuntu"): // Raspbian and Kali: as Debian numbers them, or by the year
		name = "debian"
	default:
		return release{}, false
	}
	v, err := strconv.ParseFloat(firstTwo(o.Version), 64)
	if err != nil {
		return release{}, false
	}
	for _, r := range releases[name] {
		if v >= r.from {
			rel, ok = r, true
		}
	}
	return rel, ok
}

// firstTwo is the first two numbers of a version: "3.20" of "3.20.3".
func firstTwo(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// systemdOf is the version that a distribution ships; 0: none, or not known.
func systemdOf(o OS) int {
	rel, _ := releaseOf(o)
	return rel.systemd
}

// managerDefault is the NOFILE that systemd gives services where nothing sets
// it: built in from 240 on; before that what PID 1 got of the kernel. EL8 ships
// 239 with a default of its own. Of an unknown version it is the least.
func managerDefault(version Value[int], o Value[OS]) (b Bound, sure bool) {
	const soft, kernelHard, el8Hard, hard = 1024, 4096, 262144, 524288
	switch {
	case !version.Known():
		return Bound{soft, kernelHard}, false
	case version.V >= 240:
		return Bound{soft, hard}, true
	case o.Known() && o.V.enterprise() && o.V.Major() == 8:
		return Bound{soft, el8Hard}, true
	}
	return Bound{soft, kernelHard}, true
}
