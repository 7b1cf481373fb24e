package loadgen

import (
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// TestAdvance steps one worker by one outcome.
func TestAdvance(t *testing.T) {
	const roundTimeout = 5 * time.Minute
	policy := Policy{Behaviour: Resilient, Backoff: backoffBase, Longest: backoffLongest}
	rounds, hold := Plan{Rounds: 2, RoundTimeout: roundTimeout, Policy: policy}, Plan{Hold: time.Hour, RoundTimeout: roundTimeout, Policy: policy}
	upstream := rounds
	upstream.Behaviour = Upstream
	poll := func(took time.Duration, text string, f *failure) outcome {
		return outcome{held: true, sent: time.Second, done: time.Second + took, status: 200, text: text, fail: f}
	}
	refused := func(c class) outcome { return outcome{status: 502, fail: failed(c, ""), text: "bad gateway"} }
	cut, noConnection := outcome{fail: failed(classReset, "")}, outcome{fail: failed(classRefused, "")}
	quorum := rounds
	quorum.Quorum = 1
	for _, c := range []struct {
		name string
		plan Plan
		w    *worker
		out  outcome
		now  time.Duration
		want fate
		step step
		goal step
		wait bool // after a delay
		got  bool // it made progress
	}{
		{"a text at once is asked again with back-off", rounds, &worker{step: stepPoll, version: "1"}, poll(0, "poll again", nil), 2 * time.Second,
			fateNext, stepChallenge, stepPoll, true, false},
		{"in a hold too", hold, &worker{step: stepPoll, version: "1"}, poll(0, "poll again", nil), 2 * time.Second,
			fateNext, stepChallenge, stepPoll, true, false},
		{"nor for ever", rounds, &worker{step: stepPoll, version: "1"}, poll(0, "poll again", nil), roundTimeout + 2*time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"a text after a while ends a hold early", hold, &worker{step: stepPoll, version: "1"}, poll(time.Minute, "poll again", nil), roundTimeout + 2*time.Second,
			fateNext, stepChallenge, stepPoll, false, true},
		{"which is no progress of a round", rounds, &worker{step: stepPoll, version: "1"}, poll(time.Minute, "poll again", nil), roundTimeout + 2*time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"nor is a proxy's end of it", rounds, &worker{step: stepPoll, version: "1"}, poll(time.Minute, "", failed(class5xx, "")), roundTimeout + 2*time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"but it is of a hold", hold, &worker{step: stepPoll, version: "1"}, poll(time.Minute, "", failed(class5xx, "")), roundTimeout + 2*time.Second,
			fateNext, stepChallenge, stepPoll, true, true},
		{"who comes late has its time", rounds, &worker{step: stepRegister}, outcome{sent: 10 * time.Minute, fail: failed(classRefused, "")}, 10*time.Minute + time.Second,
			fateNext, stepRegister, 0, true, false},
		{"not accepted in the last round", rounds, &worker{step: stepUpdate, rounds: 1}, outcome{status: 200, fail: failed(classNotAccepted, "")}, 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, true},
		{"told of the last round's end", rounds, &worker{step: stepPoll, rounds: 2}, outcome{status: 200, text: wire.TextUpdated}, 2 * time.Second,
			fateDone, stepPoll, 0, false, true},

		{"an idle connection's end is tried again at once", rounds, &worker{step: stepModel}, outcome{fail: failed(classReconnect, "")}, 2 * time.Second,
			fateNext, stepChallenge, stepModel, false, false},
		{"under another request as well", rounds, &worker{step: stepModel, raced: [steps]bool{stepChallenge: true}}, outcome{fail: failed(classReconnect, "")}, 2 * time.Second,
			fateNext, stepChallenge, stepModel, false, false},
		{"under the same it is a cut", rounds, &worker{step: stepModel, raced: [steps]bool{stepModel: true}}, outcome{fail: failed(classReconnect, "")}, 2 * time.Second,
			fateNext, stepChallenge, stepModel, true, false},

		{"upstream: a text is asked again at once", upstream, &worker{step: stepPoll, version: "1"}, poll(0, "poll again", nil), 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, false},
		{"upstream: not for ever", upstream, &worker{step: stepPoll, version: "1"}, poll(0, "poll again", nil), roundTimeout + 2*time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"upstream: registration refused", upstream, &worker{step: stepRegister}, refused(classInvalid), 2 * time.Second,
			fateLost, stepRegister, 0, false, false},
		{"upstream: whatever comes is signed", upstream, &worker{step: stepChallenge, goal: stepModel}, refused(class5xx), 2 * time.Second,
			fateNext, stepModel, stepModel, false, false},
		{"upstream: poll refused", upstream, &worker{step: stepPoll, version: "1"}, refused(classInvalid), 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, false},
		{"upstream: model refused", upstream, &worker{step: stepModel, told: true}, refused(classInvalid), 2 * time.Second,
			fateLost, stepChallenge, stepModel, false, false},
		{"upstream: an old model is a model", upstream, &worker{step: stepModel, told: true, version: "1"}, outcome{status: 200, version: "1"}, 2 * time.Second,
			fateNext, stepUpdate, stepModel, false, false},
		{"upstream: update refused", upstream, &worker{step: stepUpdate}, refused(class5xx), 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, true},
		{"upstream: update cut", upstream, &worker{step: stepUpdate}, cut, 2 * time.Second,
			fateLost, stepUpdate, 0, false, false},
		{"upstream: a refused connection is tried again at once", upstream, &worker{step: stepPoll, tries: 9, signed: "s"}, noConnection, 2 * time.Second,
			fateNext, stepPoll, 0, false, false},
		{"upstream: ten times", upstream, &worker{step: stepPoll, tries: 10, signed: "s"}, noConnection, 2 * time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"upstream: a GET that was cut as well", upstream, &worker{step: stepChallenge, goal: stepPoll, tries: 9}, cut, 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, false},
		{"upstream: ten times, too", upstream, &worker{step: stepChallenge, goal: stepPoll, tries: 10}, cut, 2 * time.Second,
			fateLost, stepChallenge, stepPoll, false, false},
		{"upstream: but no other request", upstream, &worker{step: stepModel}, cut, 2 * time.Second,
			fateLost, stepChallenge, stepModel, false, false},
		{"quorum: not accepted is a straggler's fate", quorum, &worker{step: stepUpdate}, outcome{status: 200, fail: failed(classNotAccepted, "")}, 2 * time.Second,
			fateNext, stepChallenge, stepPoll, false, true},
		{"quorum: who was in enough rounds stays for the others", quorum, &worker{step: stepPoll, rounds: 7}, outcome{status: 200, text: wire.TextUpdated}, 2 * time.Second,
			fateNext, stepChallenge, stepModel, false, true},
		{"quorum: until all have ended", quorum, &worker{step: stepPoll, over: true}, outcome{status: 200, text: wire.TextUpdated}, 2 * time.Second,
			fateDone, stepPoll, 0, false, true},
		{"upstream: out of descriptors is not the server's fault", upstream, &worker{step: stepUpdate}, outcome{fail: failed(classGenerator, "")}, 2 * time.Second,
			fateNext, stepUpdate, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.w
			w.out, w.through = c.out, c.plan.Rounds == 0
			if w.step != stepRegister {
				w.progress = time.Second
			}
			w.review(&c.plan)
			fate, delay := w.advance(&c.plan, c.now)
			if fate != c.want || w.step != c.step || w.goal != c.goal {
				t.Errorf("fate %d, step %s for %s; want %d, %s for %s", fate, w.step, w.goal, c.want, c.step, c.goal)
			}
			if fate == fateNext && (delay > 0) != c.wait {
				t.Errorf("delay %s", delay)
			}
			if got := w.progress == c.now; got != c.got {
				t.Errorf("progress at %s of %s", w.progress, c.now)
			}
			if fate == fateLost && w.last == nil {
				t.Error("lost without a reason")
			}
		})
	}
}
