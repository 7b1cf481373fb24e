package facts

import (
	"strings"
	"testing"
)

// What systemd and the kernel make of a limit that a unit asks for.
func TestGrant(t *testing.T) {
	const million = 1 << 20
	full, capped := known(true, "caps"), known(false, "caps")
	for _, c := range []struct {
		name     string
		ask      Bound
		nrOpen   int64
		own      Bound
		mayRaise Value[bool]
		want     Bound
		refused  bool
	}{
		{"below all", Bound{65536, 65536}, million, Bound{1024, 524288}, full, Bound{65536, 65536}, false},
		{"above PID 1's, which root may exceed", Bound{700000, 700000}, million, Bound{1024, 524288}, full, Bound{700000, 700000}, false},
		{"above nr_open: PID 1's", Bound{2 * million, 2 * million}, million, Bound{million, million}, full, Bound{million, million}, false},
		{"infinity of an old systemd", Bound{Unlimited, Unlimited}, million, Bound{65536, 65536}, full, Bound{65536, 65536}, false},
		{"a soft half stays", Bound{1000, Unlimited}, million, Bound{65536, 65536}, full, Bound{1000, 65536}, false},
		{"nr_open was lowered below PID 1's: as PID 1 has it", Bound{Unlimited, Unlimited}, 5000, Bound{million, million}, full, Bound{million, million}, false},
		{"nr_open was lowered below PID 1's and the unit's", Bound{65536, 65536}, 5000, Bound{million, million}, full, Bound{}, true},
		{"a container that may raise nothing", Bound{65536, 65536}, million, Bound{4096, 4096}, capped, Bound{4096, 4096}, false},
		{"a container that may raise nothing, below", Bound{1000, 2000}, million, Bound{4096, 4096}, capped, Bound{1000, 2000}, false},
	} {
		k := ceiling{nrOpen: known(c.nrOpen, "nr_open"), own: known(c.own, "pid 1"), mayRaise: c.mayRaise}
		got, refused, err := k.grant(c.ask)
		if err != nil || got != c.want || (refused != "") != c.refused {
			t.Errorf("%s: %v, %q, %v; want %v", c.name, got, refused, err, c.want)
		}
	}
	if _, _, err := (ceiling{nrOpen: known[int64](million, "x"), own: Value[Bound]{Err: "hidden"}}).grant(Bound{Unlimited, Unlimited}); err == nil {
		t.Error("what PID 1 has is not known, and infinity was granted")
	}
	if _, _, err := (ceiling{}).grant(Bound{1, 1}); err == nil {
		t.Error("fs.nr_open is not known, and a limit was granted")
	}
}

func TestSystemdVersion(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int
		soft  Bound
	}{
		"by its library": {map[string]string{"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-255.so": ""}, 255, Bound{1024, 524288}},
		"SUSE's suffix":  {map[string]string{"usr/lib/systemd/libsystemd-shared-234-suse.so": ""}, 234, Bound{1024, 4096}},
		"dpkg":           {map[string]string{"var/lib/dpkg/status": "Package: systemd-x\nStatus: install ok installed\nVersion: 1\n\nPackage: systemd\nStatus: install ok installed\nVersion: 232-25+deb9u12\n"}, 232, Bound{1024, 4096}},
		"dpkg, removed":  {map[string]string{"var/lib/dpkg/status": "Package: systemd\nStatus: deinstall ok config-files\nVersion: 232-25\n"}, 0, Bound{1024, 4096}},
		"pacman":         {map[string]string{"var/lib/pacman/local/systemd-libs-1-1/x": "", "var/lib/pacman/local/systemd-256.4-1/desc": ""}, 256, Bound{1024, 524288}},
		"NixOS":          {map[string]string{"run/current-system/systemd": "-> /nix/store/abc-systemd-255.9"}, 255, Bound{1024, 524288}},
		"EL8":            {map[string]string{"etc/os-release": osRelease("almalinux", "8.10", "rhel centos fedora")}, 239, Bound{1024, 262144}},
		"EL7":            {map[string]string{"etc/os-release": osRelease("centos", "7", "rhel fedora")}, 219, Bound{1024, 4096}},
		"Ubuntu 18.04":   {map[string]string{"etc/os-release": osRelease("ubuntu", "18.04", "debian")}, 237, Bound{1024, 4096}},
		"Arch":           {map[string]string{"usr/lib/os-release": "ID=arch\n"}, 250, Bound{1024, 524288}},
		"nobody knows":   {map[string]string{"etc/os-release": "ID=own\nVERSION_ID=3\n"}, 0, Bound{1024, 4096}},
		"no os-release":  {nil, 0, Bound{1024, 4096}},
	} {
		r := write(t, c.files)
		o := readOS(r)
		v := readSystemdVersion(r, o)
		b, sure := managerDefault(v, o)
		if v.V != c.want || v.Known() != (c.want > 0) || b != c.soft || sure != v.Known() {
			t.Errorf("%s: %+v gives %v", name, v, b)
		}
	}
}

// A service of a user's systemd is read from the user's folders and bounded by
// what the manager has.
func TestUserUnits(t *testing.T) {
	files := map[string]string{
		"etc/passwd": "fl:x:1000:1000::/srv/fl:/bin/sh\n", "etc/group": "fl:x:1000:\n",
		"usr/lib/systemd/libsystemd-shared-252.so":           "",
		"usr/lib/systemd/system/user@.service":               "[Service]\nUser=%i\nPAMName=systemd-user\nExecStart=/usr/lib/systemd/systemd --user\n",
		"etc/systemd/user/fl.service":                        "[Service]\nExecStart=/usr/bin/gunicorn a:a\nLimitNOFILE=900000\n",
		"etc/systemd/system/fl.service":                      "[Service]\nLimitNOFILE=7\n",
		"srv/fl/.config/systemd/user/fl.service.d/10-a.conf": "[Service]\nLimitNOFILE=800000\n",
		"etc/systemd/user.conf":                              "[Manager]\nDefaultLimitNOFILE=9\n",
	}
	s := units(write(t, files))
	a, err := readAccount(s.r, "fl")
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.unit(userManager(a), "fl.service")
	if err != nil || u.NoFile.V != (Bound{524288, 524288}) || u.User != "fl" || u.Asked != "800000" {
		t.Fatalf("%+v, %v", u, err)
	}
	files["etc/pam.d/systemd-user"] = "session required pam_limits.so\n"
	files["etc/os-release"] = osRelease("debian", "13", "")
	files["etc/security/limits.conf"] = "fl hard nofile 4096\n"
	s = units(write(t, files))
	if u, err = s.unit(userManager(a), "fl.service"); err != nil || u.NoFile.V != (Bound{4096, 4096}) {
		t.Errorf("with pam_limits for systemd-user: %+v, %v", u, err)
	}
}

// What sets another limit than systemd did is named.
func TestSetters(t *testing.T) {
	for start, want := range map[string]string{
		"/usr/bin/gunicorn app:app":                      " / ",
		"/bin/sh -c 'ulimit -n 4096; exec gunicorn a:a'": " / ulimit at f:1",
		"/usr/bin/prlimit --nofile=10 gunicorn a:a":      " / prlimit at f:1",
		"/srv/start":                 " / ulimit at /srv/start:3",
		"/usr/bin/bash start":        " / ",
		"/usr/bin/python3 server.py": " / setrlimit at /srv/server.py:2",
		"/usr/bin/supervisord -n -c /etc/supervisor/supervisord.conf": " / supervisord, started at f:1",
		"/usr/bin/podman run --ulimit nofile=1:1 x":                   "podman / ",
		"-/usr/bin/docker run x":                                      "docker / ",
	} {
		r := write(t, map[string]string{
			"srv/start":     "#!/bin/sh\n# ulimit -n 5\nulimit -n 7\n",
			"srv/server.py": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n",
		})
		container, setter := setters(r, []setting{{"Service", "ExecStart", start, "f:1"}}, "/srv")
		if got := container + " / " + setter; got != want {
			t.Errorf("%s: %q, want %q", start, got, want)
		}
	}
}

func TestUserNamespace(t *testing.T) {
	for text, want := range map[string]bool{"         0          0 4294967295\n": true, "0 100000 65536": false, "0 0 65536": false, "": false, "0 1000 1\n1 100000 65536": false} {
		if wholeUIDMap(text) != want {
			t.Errorf("%q", text)
		}
	}
	r := write(t, map[string]string{"proc/1/status": "CapBnd:\t000001ffffffffff\n", "proc/1/uid_map": "0 100000 65536\n"})
	if may, err := readMayRaise(r); may || err != nil {
		t.Errorf("in a user namespace hard limits may be raised: %v", err)
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add("ID=debian\nVERSION_ID=\"12\"\nID_LIKE='a b'\n", "Package: systemd\nStatus: install ok installed\nVersion: 1:252-1\n")
	f.Add("ID=ubuntu\nVERSION_ID=NaN\n", "")
	f.Fuzz(func(t *testing.T, text, status string) {
		if o, err := parseOSRelease(text, "f"); err == nil {
			systemdOf(o)
		}
		if strings.Contains(dpkgVersion(status, "systemd"), "\n") {
			t.Error("a version of two lines")
		}
	})
}
