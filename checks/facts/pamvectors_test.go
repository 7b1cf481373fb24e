package facts

import (
	"encoding/json"
	"os"
	"testing"
)

// What Debian 12's own pam_limits made of lines drawn at random, as
// testdata/pam-vectors.py recorded it.
func TestPAMVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/pam-debian12.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Start, PID1 [2]Limit
		NROpen      int64
		MayRaise    bool
		Runs        []struct {
			User, Conf string
			Got        [2]Limit
		}
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	bound := func(l [2]Limit) Bound { return Bound{l[0], l[1]} }
	who := map[string]account{
		"root":   {name: "root", groups: []string{"root"}, gids: []int{0}},
		"daemon": {name: "daemon", uid: 1, gid: 1, groups: []string{"daemon"}, gids: []int{1}},
	}
	rules := pamRules{
		debian: true, known: true, setAll: true, softCap: 1024, pid1: known(bound(all.PID1), "/proc/1/limits"),
		nrOpen: known(all.NROpen, "fs.nr_open"), mayRaise: known(all.MayRaise, "/proc/1/status"), unlimited: known(true, "1.5.2"),
	}
	if len(all.Runs) == 0 {
		t.Fatal("no runs")
	}
	for _, run := range all.Runs {
		l, err := resolveLogin(parseLimitsConf(run.Conf, "conf", true), who[run.User], Limits{NoFile: bound(all.Start)}, rules)
		if err != nil || l.Limits.NoFile != bound(run.Got) {
			t.Errorf("%s with %q: %v, %v; the module gives %v", run.User, run.Conf, l.Limits.NoFile, err, bound(run.Got))
		}
	}
}
