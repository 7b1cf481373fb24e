package facts

import (
	"strings"
	"testing"
	"time"
)

// units reads units of a root as a host with that version of systemd would.
func units(r Root) services {
	o := readOS(r)
	sys, _ := readSysctls(r)
	return newServices(r, o, sys,
		read(limitsPath(1), func() (Limits, error) { return ReadLimits(r, 1) }),
		read("/proc/1/status", func() (bool, error) { return readMayRaise(r) }))
}

func readUnit(r Root, name string) (*Unit, error) { return units(r).unit(systemManager, name) }

func TestReadUnit(t *testing.T) {
	const exec = "[Service]\nExecStart=/usr/bin/python3 server.py\n"
	for _, c := range []struct {
		name    string
		files   map[string]string
		want    string // bound, and the source
		ignored string
	}{
		{"default", map[string]string{"etc/systemd/system/fl.service": exec},
			"1024 soft, 524288 hard from systemd's default", ""},
		{"manager's default", map[string]string{"etc/systemd/system/fl.service": exec,
			"etc/systemd/system.conf":              "[Manager]\nDefaultLimitNOFILE=2000:4000\n",
			"etc/systemd/system.conf.d/50-fl.conf": "[Manager]\n#x\nDefaultLimitNOFILE=3000\n"},
			"3000 from /etc/systemd/system.conf.d/50-fl.conf:3", ""},
		{"set", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=65535\n"},
			"65535 from /etc/systemd/system/fl.service:3", ""},
		{"soft and hard", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=1000:infinity\n"},
			"1000 soft, 1048576 hard from /etc/systemd/system/fl.service:3", ""},
		{"in the wrong section", map[string]string{"etc/systemd/system/fl.service": exec + "[Unit]\nLimitNOFILE=65535\n"},
			"1024 soft, 524288 hard from systemd's default", ""},
		{"an empty line does not reset", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=65535\nLimitNOFILE=\n"},
			"65535 from /etc/systemd/system/fl.service:3", "/etc/systemd/system/fl.service:4"},
		{"hexadecimal and octal", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=0x1000:010000\n"},
			"4096 from /etc/systemd/system/fl.service:3", ""},
		{"suffixes and remarks are of no number", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=64K\nLimitNOFILE=9 # many\nLimitNOFILE=1_000\n"},
			"1024 soft, 524288 hard from systemd's default", "/etc/systemd/system/fl.service:3 /etc/systemd/system/fl.service:4 /etc/systemd/system/fl.service:5"},
		{"systemctl set-property", map[string]string{"lib/systemd/system/fl.service": exec + "LimitNOFILE=1\n",
			"etc/systemd/system.control/fl.service.d/50-LimitNOFILE.conf": "[Service]\nLimitNOFILE=7\n",
			"etc/systemd/system/fl.service.d/40-a.conf":                   "[Service]\nLimitNOFILE=8\n"},
			"7 from /etc/systemd/system.control/fl.service.d/50-LimitNOFILE.conf:2", ""},
		{"a transient unit", map[string]string{"run/systemd/transient/fl.service": exec + "LimitNOFILE=5\n"},
			"5 from /run/systemd/transient/fl.service:3", ""},
		{"a generated unit loses against the administrator's", map[string]string{"run/systemd/generator/fl.service": exec + "LimitNOFILE=5\n",
			"etc/systemd/system/fl.service": exec + "LimitNOFILE=6\n"},
			"6 from /etc/systemd/system/fl.service:3", ""},
		{"of one name the directory goes before the closer name", map[string]string{"lib/systemd/system/fl-a.service": "", "lib/systemd/system/fl.service": exec,
			"etc/systemd/system/service.d/50-a.conf":    "[Service]\nLimitNOFILE=2\n",
			"lib/systemd/system/fl.service.d/50-a.conf": "[Service]\nLimitNOFILE=3\n"},
			"3 from /lib/systemd/system/fl.service.d/50-a.conf:2", ""}, // service.d is of a kind of its own, and last
		{"an alias, with drop-ins of both names", map[string]string{"lib/systemd/system/dcf.service": exec + "LimitNOFILE=2000\n",
			"etc/systemd/system/fl.service":              "-> /lib/systemd/system/dcf.service",
			"etc/systemd/system/dcf.service.d/10.conf":   "[Service]\nLimitNOFILE=3000\n",
			"etc/systemd/system/fl.service.d/20.conf":    "[Service]\nLimitNOFILE=4000\n",
			"etc/systemd/system/other.service.d/30.conf": "[Service]\nLimitNOFILE=5000\n"},
			"4000 from /etc/systemd/system/fl.service.d/20.conf:2", ""},
		{"infinity is PID 1's", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=infinity\n"},
			"1048576 from /etc/systemd/system/fl.service:3", ""},
		{"the vendor's system.conf, and every directory of drop-ins", map[string]string{"etc/systemd/system/fl.service": exec,
			"usr/lib/systemd/system.conf":                   "[Manager]\nDefaultLimitNOFILE=4096:524288\n",
			"usr/local/lib/systemd/system.conf.d/60-a.conf": "[Manager]\nDefaultLimitNOFILE=1500:524288\n",
			"run/systemd/system.conf.d/50-b.conf":           "[Manager]\nDefaultLimitNOFILE=1600:524288\n"},
			"1500 soft, 524288 hard from /usr/local/lib/systemd/system.conf.d/60-a.conf:2", ""},
		{"unparsable lines are skipped", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=65535\nLimitNOFILE=lots\nLimitNOFILE=9:8\n"},
			"65535 from /etc/systemd/system/fl.service:3", "/etc/systemd/system/fl.service:4 /etc/systemd/system/fl.service:5"},
		{"words that are not systemd's", map[string]string{"etc/systemd/system/fl.service": exec + "LimitNOFILE=unlimited\nLimitNOFILE=5:max\n"},
			"1024 soft, 524288 hard from systemd's default", "/etc/systemd/system/fl.service:3 /etc/systemd/system/fl.service:4"},
		{"the drop-in with the last name wins, wherever it is", map[string]string{"lib/systemd/system/fl.service": exec + "LimitNOFILE=1\n",
			"etc/systemd/system/fl.service.d/10-a.conf": "[Service]\nLimitNOFILE=2\n",
			"lib/systemd/system/fl.service.d/90-b.conf": "[Service]\nLimitNOFILE=3\n",
			"run/systemd/system/fl.service.d/50-c.conf": "[Service]\nLimitNOFILE=4\n"},
			"3 from /lib/systemd/system/fl.service.d/90-b.conf:2", ""},
		{"of one name, /etc's wins", map[string]string{"lib/systemd/system/fl.service": exec,
			"etc/systemd/system/fl.service.d/50-a.conf": "[Service]\nLimitNOFILE=2\n",
			"lib/systemd/system/fl.service.d/50-a.conf": "[Service]\nLimitNOFILE=3\n"},
			"2 from /etc/systemd/system/fl.service.d/50-a.conf:2", ""},
		{"masked by a link", map[string]string{"lib/systemd/system/fl.service": exec,
			"etc/systemd/system/fl.service.d/50-a.conf": "-> /dev/null",
			"lib/systemd/system/fl.service.d/50-a.conf": "[Service]\nLimitNOFILE=3\n"},
			"1024 soft, 524288 hard from systemd's default", ""},
		{"masked on a host that runs, where /dev/null is there", map[string]string{"lib/systemd/system/fl.service": exec + "LimitNOFILE=8\n",
			"etc/systemd/system/fl.service.d/50-a.conf": "-> /dev/null", "dev/null/x": "no regular file"},
			"8 from /lib/systemd/system/fl.service:3", ""},
		{"manager's drop-in masked on a host that runs", map[string]string{"lib/systemd/system/fl.service": exec,
			"etc/systemd/system.conf":             "[Manager]\nDefaultLimitNOFILE=2000\n",
			"etc/systemd/system.conf.d/50-a.conf": "-> /dev/null", "dev/null/x": "no regular file"},
			"2000 from /etc/systemd/system.conf:2", ""},
		{"for all services", map[string]string{"etc/systemd/system/fl.service": exec,
			"etc/systemd/system/service.d/a.conf": "[Service]\nLimitNOFILE=7\n"},
			"7 from /etc/systemd/system/service.d/a.conf:2", ""},
		{"continued and commented", map[string]string{"etc/systemd/system/fl.service": "[Service]\nLimitNOFILE=\\\n# not this\n  65535\n; nor that\n"},
			"65535 from /etc/systemd/system/fl.service:2", ""},
		{"an absolute link", map[string]string{"srv/fl.service": exec + "LimitNOFILE=9\n", "etc/systemd/system/fl.service": "-> /srv/fl.service"},
			"9 from /etc/systemd/system/fl.service:3", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.files["usr/lib/systemd/libsystemd-shared-252.so"] = ""
			u, err := readUnit(write(t, c.files), "fl.service")
			if err != nil {
				t.Fatal(err)
			}
			if got := u.NoFile.V.String() + " from " + u.NoFile.Source; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := strings.Join(u.Ignored, " "); got != c.ignored {
				t.Errorf("ignored %q, want %q", got, c.ignored)
			}
		})
	}
	if _, err := readUnit(write(t, map[string]string{"etc/x": ""}), "fl.service"); err == nil {
		t.Error("a unit that is none was read")
	}
	for _, null := range []string{"dev/null/x", "dev/x"} { // /dev/null is there, or is not
		_, err := readUnit(write(t, map[string]string{"etc/systemd/system/fl.service": "-> /dev/null", "lib/systemd/system/fl.service": exec, null: ""}), "fl.service")
		if _, none := err.(errNoUnit); !none || !strings.Contains(err.Error(), "is masked") {
			t.Errorf("a masked unit: %v", err)
		}
	}
}

func TestInstancesAndPrefixes(t *testing.T) {
	r := write(t, map[string]string{
		"etc/systemd/system/fl@.service":            "[Service]\nLimitNOFILE=1\n",
		"etc/systemd/system/fl@.service.d/a.conf":   "[Service]\nLimitNOFILE=2\n",
		"etc/systemd/system/fl@x.service.d/a.conf":  "[Service]\nLimitNOFILE=3\n",
		"etc/systemd/system/fl-a-b.service":         "[Service]\n",
		"etc/systemd/system/fl-.service.d/x.conf":   "[Service]\nLimitNOFILE=4\n",
		"etc/systemd/system/fl-a-.service.d/x.conf": "[Service]\nLimitNOFILE=5\n",
	})
	for name, want := range map[string]Limit{"fl@x.service": 3, "fl@y.service": 2, "fl-a-b.service": 5} {
		u, err := readUnit(r, name)
		if err != nil {
			t.Fatal(err)
		}
		if u.NoFile.V.Soft != want {
			t.Errorf("%s: %v, want %v", name, u.NoFile.V, want)
		}
	}
}

func TestRuntimeMax(t *testing.T) {
	for _, c := range []struct {
		unit, dropIn string
		want         time.Duration // 0: never; -1: unknown
		line         string
	}{
		{"", "", 0, "systemd's default"},
		{"RuntimeMaxSec=600\n", "", 10 * time.Minute, "/etc/systemd/system/fl.service:2"},
		{"", "RuntimeMaxSec=1h 30min\n", 90 * time.Minute, "/etc/systemd/system/fl.service.d/10.conf:2"},
		{"RuntimeMaxSec=2.5d\n", "", 60 * time.Hour, "/etc/systemd/system/fl.service:2"},
		{"RuntimeMaxSec=600\n", "RuntimeMaxSec=infinity\n", 0, "/etc/systemd/system/fl.service.d/10.conf:2"},
		{"RuntimeMaxSec=600\n", "RuntimeMaxSec=\n", 10 * time.Minute, "/etc/systemd/system/fl.service:2"},
		{"RuntimeMaxSec=0\n", "", 1, "/etc/systemd/system/fl.service:2"},
		{"RuntimeMaxSec=1000y\n", "", 0, "/etc/systemd/system/fl.service:2"},
		{"RuntimeMaxSec=soon\n", "", -1, ""},
		{"RuntimeMaxSec=5 moons\n", "", -1, ""},
		{"[Unit]\nRuntimeMaxSec=600\n", "", 0, "systemd's default"},
	} {
		u, err := readUnit(write(t, map[string]string{
			"etc/systemd/system/fl.service": "[Service]\n" + c.unit, "etc/systemd/system/fl.service.d/10.conf": "[Service]\n" + c.dropIn,
		}), "fl.service")
		if err != nil {
			t.Fatal(err)
		}
		if v := u.RuntimeMax; v.Known() != (c.want >= 0) || v.V != max(0, c.want) || v.Source != c.line {
			t.Errorf("%q, %q: %+v, want %v of %q", c.unit, c.dropIn, v, c.want, c.line)
		}
	}
}

func FuzzUnit(f *testing.F) {
	f.Add("[Service]\nLimitNOFILE=1:2\nUser=fl\nTasksMax=4K\nMemoryMax=50%\nExecStart=-/usr/bin/gunicorn -w 4 'a b' \\\n --timeout=3\nEnvironment=\"GUNICORN_CMD_ARGS=-k gevent\" A=b\n")
	f.Add("\\\n[\n=\n]=[\nTasksMax=99999999999G\n")
	f.Fuzz(func(t *testing.T, text string) {
		all := parseUnit(text, "f")
		var u Unit
		u.merge(all)
		if b := u.NoFile.V; u.NoFile.Known() && b.Hard != Unlimited && (b.Soft == Unlimited || b.Soft > b.Hard) {
			t.Errorf("soft above hard: %v", b)
		}
		for _, l := range []Limit{u.TasksMax.V, u.MemoryMax.V} {
			if l < Unlimited {
				t.Errorf("negative limit %d", l)
			}
		}
		unitProgram(NewRoot("/nonexistent"), nil, all)
	})
}
