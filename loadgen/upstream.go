package loadgen

import "time"

// upstreamTries is how often dc_federated's workers send a request again, at once: any
// whose connection was refused, and a GET that was cut, by their HTTPAdapter with
// max_retries=10.
const upstreamTries = 10

// stumbleUpstream does as dc_federated's worker does, which looks at no status: it
// signs whatever answers a challenge and polls again on whatever answers a poll. A
// broken connection, a registration that is refused and a model that can't be
// inflated are exceptions, and the end of it.
func (w *worker) stumbleUpstream(p *Plan, at step, now time.Duration) (fate, time.Duration) {
	switch {
	case !w.out.replied():
	case at == stepChallenge:
		w.step = w.goal
		return fateNext, 0
	case at == stepPoll:
		return w.again(p, now)
	case at == stepModel && w.out.fail.class == classNoModel: // none, so it polls again
		w.told, w.fresh = false, false
		w.challengeFor(stepPoll)
		return w.again(p, now)
	case at == stepModel && w.out.version != "": // an old one: it trains with that
		w.told = false
		if w.holds(p) {
			w.challengeFor(stepPoll)
			return fateNext, 0
		}
		return w.think(p)
	}
	if p.Restart > 0 && now-w.progress < p.RoundTimeout {
		w.restart()
		return fateNext, p.Restart
	}
	return fateLost, 0
}

// restart makes of the worker what a supervisor starts: a process that knows nothing
// but its key.
func (w *worker) restart() {
	w.id, w.step, w.signed, w.version, w.told = "", stepRegister, "", "", false
}

// ends says whether the failure of its last request ends a worker of dc_federated's, or
// would: see stumbleUpstream. That those send a request again ten times at once saves
// them where a challenge's connection was cut, not where nobody listens.
func (w *worker) ends(p *Plan) bool {
	f := w.out.fail
	again := p.Behaviour == Upstream && w.tries < upstreamTries
	switch {
	case f == nil || f.class == classGenerator || f.class == classStopped:
		return false
	case f.class == classRefused:
		return !again
	case w.step == stepChallenge && (f.class == classReset || f.class == classReconnect):
		return p.Behaviour == Upstream && !again
	case f.class == classReconnect || f.cut():
		return true
	}
	return w.step == stepRegister || w.step == stepModel && w.out.version == ""
}
