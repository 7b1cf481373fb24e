package loadgen

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// TestRoundsByQuorum has the server end rounds with two updates of three workers: the
// third's count for the round in which they come.
func TestRoundsByQuorum(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	up := func(sent, done int) acceptedOf { return acceptedOf{at(sent), at(done)} }
	b := newBook()
	*b.round("0") = roundBook{since: at(1), accepted: []acceptedOf{up(2, 3), up(4, 5), up(7, 8)}, told: []toldOf{{sent: at(3), answered: at(6)}}}
	*b.round("1") = roundBook{since: at(6), accepted: []acceptedOf{up(8, 9), up(12, 13)}, late: 1} // nobody waits for its end
	*b.round("2") = roundBook{since: at(10), accepted: []acceptedOf{up(11, 12)}, told: []toldOf{{sent: at(12), answered: at(14)}}}
	*b.round("3") = roundBook{since: at(15)}
	rounds, _ := b.close(time.Now(), true)
	var got [][3]int
	for _, r := range rounds {
		open := 0
		if r.Open {
			open = 1
		}
		got = append(got, [3]int{r.Number, r.Workers, open})
	}
	if d := cmp.Diff([][3]int{{1, 2, 0}, {2, 2, 0}, {3, 2, 0}, {4, 0, 1}}, got); d != "" {
		t.Errorf("number, accepted, open (-want +got):\n%s\n%+v", d, rounds)
	}
	if rounds[0].Version != "0" || rounds[0].Late != 1 || rounds[1].Late != 1 || rounds[1].Seconds != 3 {
		t.Errorf("%+v", rounds)
	}
	if n := len(asked(rounds, 2)); n != 2 {
		t.Errorf("%d rounds of the two asked for", n)
	}
}

// TestQuorumLeavesNobody has one worker get the model after the last that the other has,
// which is told of the last round's end and leaves: no update of another will ever end
// the first one's round, and it waits for none.
func TestQuorumLeavesNobody(t *testing.T) {
	for _, waits := range []string{"polling", "sending its update"} {
		for _, hold := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprintf("%s, hold %s", waits, hold), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(2)
					slow := wire.WorkerID(testKeys(1)[0].Public().(ed25519.PublicKey))
					said := map[string]int{} // models that each worker had
					f.fault = func(s step, n int, w http.ResponseWriter, r *http.Request) bool {
						f.mu.Lock()
						defer f.mu.Unlock()
						switch s {
						case stepModel:
							var m wire.ModelRequest
							if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
								t.Error(err)
							}
							said[m.WorkerID]++
							v := said[m.WorkerID]
							if m.WorkerID == slow && v > 1 {
								v++
							}
							v = min(v, 3)
							if err := wire.EncodeModel(w, strings.NewReader("m"), 1, wire.VersionInt(int64(v))); err != nil {
								t.Error(err)
							}
						case stepUpdate:
							io.Copy(io.Discard, r.Body)
							if strings.HasSuffix(r.URL.Path, slow) && said[slow] == 2 && waits != "polling" {
								f.mu.Unlock()
								time.Sleep(5 * time.Second)
								f.mu.Lock()
							}
							io.WriteString(w, wire.TextAccepted+"x")
						case stepPoll:
							var m wire.Poll
							if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
								t.Error(err)
							}
							f.mu.Unlock()
							defer f.mu.Lock()
							switch m.LastVersion {
							case wire.VersionInt(1):
								if m.WorkerID == slow {
									time.Sleep(time.Second)
								}
							case wire.VersionInt(2):
								time.Sleep(3 * time.Second)
							case wire.VersionInt(3):
								<-r.Context().Done()
								return true
							}
							io.WriteString(w, wire.TextUpdated)
						default:
							return false
						}
						return true
					}
					target, dial := servePipes(t, f)
					p := testPlan(target, 2)
					p.Rounds, p.Quorum, p.Hold = 2, 1, hold
					rep, err := Run(t.Context(), p, Setup{Dial: dial})
					if err != nil || rep.Verdict != reports.VerdictPass || len(rep.Errors) > 0 || len(rep.Rounds) != 2 {
						t.Errorf("%v, %s %q, errors %+v, rounds %+v", err, rep.Verdict, rep.Reasons, rep.Errors, rep.Rounds)
					}
					if took := rep.Env.Seconds; took > hold.Seconds()+10 {
						t.Errorf("took %g s", took)
					}
					if hold > 0 && rep.Held.Steady != 2 {
						t.Errorf("held %+v", *rep.Held)
					}
				})
			})
		}
	}
}

// TestRefusesQuorum: workers that take part in so many rounds each say nothing of a
// server that ends rounds without all, unless it went well.
func TestRefusesQuorum(t *testing.T) {
	r := reports.Report{
		Held: &reports.Held{}, Generator: &reports.Generator{}, Lost: []reports.Lost{{Worker: "worker 7"}},
		Rounds: []reports.Round{{Number: 1, Workers: 3}, {Number: 2, Workers: 3, Late: 1}},
	}
	p := Plan{Workers: 3, Rounds: 2, MaxLag: time.Second}
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictRefused || !strings.Contains(why[0], "ended round 2 with 2 of 3 updates") || len(why) < 2 {
		t.Errorf("%s %q", v, why)
	}
	more := r
	more.Rounds = []reports.Round{{Number: 1, Workers: 2}, {Number: 2, Workers: 2}, {Number: 3, Workers: 2}}
	if v, why := verdict(&p, &more, ending{}); v != reports.VerdictRefused || !strings.Contains(why[0], "of 3 models where each worker sent 2") {
		t.Errorf("%s %q", v, why)
	}
	p.Quorum = 2
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictFail {
		t.Errorf("%s %q", v, why)
	}
	p.Quorum, r.Lost = 0, nil
	if v, why := verdict(&p, &r, ending{}); v != reports.VerdictPass {
		t.Errorf("%s %q", v, why)
	}
}
