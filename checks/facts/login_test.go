package facts

import (
	"maps"
	"strings"
	"testing"
)

// osRelease is the file of a distribution.
func osRelease(id, version, like string) string {
	return "ID=" + id + "\nVERSION_ID=\"" + version + "\"\nID_LIKE=\"" + like + "\"\nPRETTY_NAME=\"" + id + " " + version + "\"\n"
}

// What a login gets, by distribution.
func TestLoginByDistribution(t *testing.T) {
	base := map[string]string{
		"etc/passwd":               "root:x:0:0::/root:/bin/sh\nfl:x:1000:1000::/srv/fl:/bin/sh\n",
		"etc/group":                "root:x:0:\nfl:x:1000:\ndev:x:2000:fl\n",
		"etc/pam.d/sshd":           "@include common-session\n",
		"etc/pam.d/common-session": "session required pam_limits.so\n",
		"proc/1/comm":              "systemd\n",
		"proc/1/status":            "CapBnd:\t000001ffffffffff\n",
		"proc/1/limits":            "Max processes             63000                63000                processes \nMax open files            1048576              1048576              files     \n",
		"proc/sys/fs/nr_open":      "1048576\n",
		"etc/systemd/system/x":     "",
	}
	const debian11, debian12, debian13, ubuntu, rocky9, arch = "debian 11", "debian 12", "debian 13", "ubuntu 24.04", "rocky 9.4", "arch"
	releases := map[string]string{
		debian11: osRelease("debian", "11", ""), debian12: osRelease("debian", "12", ""), debian13: osRelease("debian", "13", ""),
		ubuntu: osRelease("ubuntu", "24.04", "debian"), rocky9: osRelease("rocky", "9.4", "rhel centos fedora"), arch: osRelease("arch", "", ""),
	}
	for _, c := range []struct {
		os, user, conf string
		more           map[string]string
		want           string // soft and hard, or why it is unknown
	}{
		{debian12, "fl", "", nil, "1024 1048576"}, // what PID 1 has, soft at most 1024
		{ubuntu, "fl", "", map[string]string{"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=65536\n"}, "1024 1048576"},
		{debian13, "fl", "", map[string]string{"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=65536\n"}, "65536 65536"},
		{rocky9, "fl", "", map[string]string{"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=65536\n"}, "65536 65536"},
		{debian13, "fl", "", map[string]string{"lib/systemd/system/ssh.service": "[Service]\nLimitNOFILE=3000\n"}, "3000 3000"},
		{debian12, "root", "* - nofile 5000\n", nil, "1024 1048576"},
		{rocky9, "root", "* - nofile 5000\n", nil, "5000 5000"},
		{arch, "root", "@root - nofile 5000\n", nil, "5000 5000"},
		{debian12, "root", "root - nofile 5000\n", nil, "5000 5000"},
		{debian11, "fl", "fl - nofile unlimited\n", nil, "1024 524288"},
		{debian12, "fl", "fl - nofile unlimited\n", nil, "1048576 1048576"},
		{arch, "fl", "fl - nofile infinity\n", nil, "1048576 1048576"},
		{rocky9, "fl", "fl - nofile unlimited\n", nil, "is not known"},
		{debian13, "fl", "fl - nofile 2000000\n", nil, "1024 524288"},
		{rocky9, "fl", "fl - nofile 2000000\n", nil, "0 0"}, // the session is refused
		{debian13, "fl", "fl soft nofile 9000\n", nil, "9000 524288"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"proc/1/status": "CapBnd:\t00000000a80425fb\n", "proc/1/limits": "Max processes 5 5 processes\nMax open files 4000 4000 files\n"}, "1024 4000"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/security/limits.d/.hidden.conf": "fl - nofile 1\n"}, "9000 9000"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/pam.d/common-session": "session required pam_unix.so\n"}, "1024 524288"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/ssh/sshd_config": "Port 22\nUsePAM no\n"}, "1024 524288"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n", "etc/ssh/sshd_config.d/50-a.conf": "UsePAM yes\n"}, "9000 9000"},
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/ssh/sshd_config": "Port 22\n"}, "1024 524288"}, // sshd's own default is no
		{debian13, "fl", "fl - nofile 9000\n", map[string]string{"etc/pam.d/common-session": "session required pam_limits.so conf=/srv/limits\n", "srv/limits": "fl - nofile 70\n"}, "70 70"},
		{debian13, "fl", "", map[string]string{"usr/etc/security/limits.conf": "fl - nofile 80\n", "etc/security/limits.conf": "-"}, "80 80"},
		{debian13, "fl", "", map[string]string{"usr/etc/security/limits.d/10-a.conf": "fl - nofile 80\n", "etc/security/limits.d/10-a.conf": "fl - nofile 90\n"}, "90 90"},
		{debian13, "fl", "@:2000 - nofile 60\n", map[string]string{"etc/pam.d/sshd": "-", "usr/lib/pam.d/sshd": "session [success=ok default=ignore] \\\n pam_limits.so\n"}, "60 60"},
		{debian12, "fl", "fl -\n* - nofile 4096\n", nil, "1024 524288"},
	} {
		files := maps.Clone(base)
		files["etc/os-release"] = releases[c.os]
		files["etc/security/limits.conf"] = c.conf
		maps.Copy(files, c.more)
		maps.DeleteFunc(files, func(_, text string) bool { return text == "-" })
		f, err := Gather(write(t, files), Scope{Asked: Asked{User: c.user}})
		if err != nil {
			t.Fatal(err)
		}
		got := f.Login.Why()
		if f.Login.Known() {
			b := f.Login.V.Limits.NoFile
			got = b.Soft.String() + " " + b.Hard.String()
		}
		if got != c.want && (c.want[0] < 'a' || !strings.Contains(got, c.want)) {
			t.Errorf("%s on %s with %q and %v: %s, want %s", c.user, c.os, c.conf, c.more, got, c.want)
		}
	}
}

func TestPAMVersion(t *testing.T) {
	for text, want := range map[string]pamVersion{"1.5.2-6+deb12u1": {1, 5, 2}, "1.7.0": {1, 7, 0}, "1.4.0-11ubuntu2.5": {1, 4, 0}} {
		if v, ok := parsePAMVersion(text); !ok || v != want {
			t.Errorf("%s: %v, %v", text, v, ok)
		}
	}
	if _, ok := parsePAMVersion("unknown"); ok {
		t.Error("a version that is none was read")
	}
}

func FuzzPAM(f *testing.F) {
	f.Add("#%PAM-1.0\n@include common-session\nsession [success=1 default=bad] pam_limits.so conf=/x set_all\n-session optional \\\n pam_x.so\n", "UsePAM=yes\nInclude /etc/ssh/*.conf\nMatch User x\n")
	f.Add("session [a b", "usepam \"no\"\n")
	f.Fuzz(func(t *testing.T, stack, sshd string) {
		for _, l := range parsePAM(stack) {
			if (l.include == "") == (l.module == "") {
				t.Errorf("%+v is both or neither", l)
			}
		}
		for _, l := range parseSSHD(sshd) {
			if l.key == "" || len(l.values) == 0 {
				t.Errorf("%+v says nothing", l)
			}
		}
	})
}
