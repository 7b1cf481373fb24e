package facts

import (
	"strings"
	"testing"
)

// anyRules are those of Debian 13: root is spared, and nothing else is special.
var anyRules = pamRules{debian: true, known: true, nrOpen: known[int64](1<<20, "fs.nr_open"), unlimited: known(true, "pam 1.7"), mayRaise: known(true, "")}

func mustResolve(t *testing.T, conf string, who account, start Limits) Login {
	t.Helper()
	l, err := resolveLogin(parseLimitsConf(conf, "f", false), who, start, anyRules)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// As pam_limits resolves them: who a line means, and which line wins.
func TestResolveLogin(t *testing.T) {
	base := Limits{NoFile: Bound{1024, 524288}, NProc: Bound{Unlimited, Unlimited}}
	alice := account{name: "alice", uid: 1000, gid: 1000, groups: []string{"alice", "fl"}, gids: []int{1000, 2000}}
	root := account{name: "root", groups: []string{"root", "fl"}, gids: []int{0, 2000}}
	for _, c := range []struct {
		name, conf string
		who        account
		soft, hard Limit
		lines      string
	}{
		{"nothing", "", alice, 1024, 524288, ""},
		{"everybody", "* soft nofile 5000\n* hard nofile 6000", alice, 5000, 6000, "f:1 f:2"},
		{"dash is both", "* - nofile 5000", alice, 5000, 5000, "f:1"},
		{"the last of equals wins", "* - nofile 5000\n* - nofile 6000", alice, 6000, 6000, "f:2"},
		{"a user's line wins over a later wildcard", "alice - nofile 2000\n* - nofile 9000", alice, 2000, 2000, "f:1"},
		{"a group's line wins over a wildcard", "@fl - nofile 3000\n* - nofile 9000", alice, 3000, 3000, "f:1"},
		{"a user's line wins over a group's", "alice - nofile 2000\n@fl - nofile 9000", alice, 2000, 2000, "f:1"},
		{"another user's line", "bob - nofile 9", alice, 1024, 524288, ""},
		{"another group", "@wheel - nofile 9", alice, 1024, 524288, ""},
		{"wildcards are not root's", "* - nofile 65535", root, 1024, 524288, ""},
		{"groups are not root's", "@fl - nofile 65535", root, 1024, 524288, ""},
		{"ids mean root", "0: - nofile 7", root, 7, 7, "f:1"},
		{"and ranges of groups are ids of users to Debian's root", "root - nofile 9\n@0:5 - nofile 7\n@2000: - nofile 8", root, 7, 7, "f:2"},
		{"root by name", "root - nofile 65535", root, 65535, 65535, "f:1"},
		{"soft is cut to hard", "* soft nofile 9000\nalice hard nofile 4000", alice, 4000, 4000, "f:1 f:2"},
		{"soft and hard by different lines", "* hard nofile 9000\nalice soft nofile 4000", alice, 4000, 9000, "f:2 f:1"},
		{"unlimited", "* - nofile unlimited", alice, 1 << 20, 1 << 20, "f:1"},
		{"minus one", "* - nofile -1", alice, 1 << 20, 1 << 20, "f:1"},
		{"a range of ids", "1000:2000 - nofile 7", alice, 7, 7, "f:1"},
		{"an open range", "1000: - nofile 7", alice, 7, 7, "f:1"},
		{"one id", ":1000 - nofile 7", alice, 7, 7, "f:1"},
		{"another id", ":999 - nofile 7", alice, 1024, 524288, ""},
		{"a range of groups", "@900:1000 - nofile 7", alice, 7, 7, "f:1"},
		{"a group by its id, supplementary ones too", "@:2000 - nofile 7", alice, 7, 7, "f:1"},
		{"a range of group ids means the first group alone", "@1500:2500 - nofile 7", alice, 1024, 524288, ""},
		{"a range that is none", ": - nofile 7\nx:y - nofile 8", alice, 1024, 524288, ""},
		{"a comma ends a number", "* - nofile 65536\nalice soft nofile 65,536\nalice hard nofile 65,536", alice, 65, 65, "f:2 f:3"},
		{"what stands behind a number", "alice - nofile 700 per login", alice, 700, 700, "f:1"},
		{"a word with more behind is none", "alice - nofile unlimited please", alice, 1024, 524288, ""},
		{"the hard half is not looked at where the soft half loses", "alice soft nofile 4000\n* - nofile 9000", alice, 4000, 524288, "f:1"},
		{"above nr_open nothing is set", "alice soft nofile 5000\nalice hard nofile 9000000", alice, 1024, 524288, "f:1 f:2"},
		{"a negative number is a huge one", "alice - nofile -5", alice, 1024, 524288, "f:1"},
		{"lifted out by more than a dash", "alice -x", alice, 1024, 524288, "f:1"},
		{"nobody is lifted out by a star", "* -\nalice - nofile 7", alice, 7, 7, "f:2"},
		{"lifted out", "* - nofile 7\nalice -", alice, 1024, 524288, "f:2"},
		{"comments and blanks", "# x\n\n* - nofile 7 # y", alice, 7, 7, "f:3"},
		{"other items", "* - nproc 7\n* - memlock 8", alice, 1024, 524288, ""},
		{"garbage", "* - nofile many\n* - nofile\nnofile 7\n* up nofile 7\n\x00", alice, 1024, 524288, ""},
		{"upper case", "* HARD NOFILE 600000", alice, 1024, 600000, "f:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := mustResolve(t, c.conf, c.who, base)
			if got := l.Limits.NoFile; got != (Bound{c.soft, c.hard}) || strings.Join(l.Lines, " ") != c.lines {
				t.Errorf("%v by %q, want %v by %q", got, l.Lines, Bound{c.soft, c.hard}, c.lines)
			}
		})
	}
}

func TestLimitFilesInOrder(t *testing.T) {
	r := write(t, map[string]string{
		"etc/security/limits.conf":           "* - nofile 1\n",
		"etc/security/limits.d/90-a.conf":    "* - nofile 2\n",
		"etc/security/limits.d/20-b.conf":    "* - nofile 3\n",
		"etc/security/limits.d/99-no.bak":    "* - nofile 4\n",
		"etc/security/limits.d/95-gone.conf": "-> /nowhere",
		"etc/passwd":                         "alice:x:1000:1000::/home/alice:/bin/sh\n",
		"etc/group":                          "alice:x:1000:\n",
		"proc/1/comm":                        "systemd\n",
	})
	v := readLimitLines(r, "", false)
	if !v.Known() || len(v.V) != 3 {
		t.Fatalf("%+v", v)
	}
	f, err := Gather(r, Scope{Asked: Asked{User: "alice"}})
	if err != nil {
		t.Fatal(err)
	}
	if !f.Login.Known() || f.Login.V.Limits.NoFile.Soft != 2 || f.Login.Source != "/etc/security/limits.d/90-a.conf:1" {
		t.Errorf("%+v from %s", f.Login.V, f.Login.Source)
	}
	manager := map[string]string{
		"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n", "etc/group": "alice:x:1000:\n", "proc/1/comm": "systemd\n",
		"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=2000:4000\n",
	}
	f, err = Gather(write(t, manager), Scope{Asked: Asked{User: "alice"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Bound{2000, 4000}); !f.Login.Known() || f.Login.V.Limits.NoFile != want || f.Login.Source != "/etc/systemd/system.conf:2" {
		t.Errorf("without a line: %+v, want %v, the manager's default", f.Login, want)
	}
	delete(manager, "etc/systemd/system.conf")
	manager["etc/systemd/system.conf/x"] = "no regular file"
	if f, err = Gather(write(t, manager), Scope{Asked: Asked{User: "alice"}}); err != nil || f.Login.Known() {
		t.Errorf("the manager's default can't be read: %+v, %v", f.Login, err)
	}
	if _, err := Gather(r, Scope{Asked: Asked{User: "bob"}}); err == nil || !strings.Contains(err.Error(), "bob") {
		t.Errorf("a user that is none: %v", err)
	}
}

func FuzzLimitsConf(f *testing.F) {
	f.Add("* soft nofile 65535\n@fl hard nofile unlimited\nalice -\n1000: - nproc 5 # x\n")
	f.Add("*  -  nofile 18446744073709551615\n:0 - nofile 1\n@: - nofile 2")
	f.Fuzz(func(t *testing.T, text string) {
		base := Limits{NoFile: Bound{1024, 4096}, NProc: Bound{Unlimited, Unlimited}}
		for _, who := range []account{{name: "root"}, {name: "alice", uid: 1000, gid: 1000, groups: []string{"fl"}}} {
			l, err := resolveLogin(parseLimitsConf(text, "f", len(text)%2 == 0), who, base, anyRules)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []Bound{l.Limits.NoFile, l.Limits.NProc} {
				if b.Hard != Unlimited && (b.Soft == Unlimited || b.Soft > b.Hard) {
					t.Errorf("soft above hard: %v", b)
				}
				if b.Soft < Unlimited || b.Hard < Unlimited {
					t.Errorf("negative: %v", b)
				}
			}
			if len(l.Lines) == 0 && l.Limits.NoFile != base.NoFile {
				t.Errorf("%v by no line", l.Limits.NoFile)
			}
		}
	})
}

func FuzzAccount(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/:/bin/sh\n", "fl:x:2000:alice,bob\nalice:x:1000:\n")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		if a, ok := parsePasswd(passwd, "alice"); ok {
			parseGroups(group, a)
		}
	})
}
