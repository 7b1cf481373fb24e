package checks

import (
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// How many polls a hop holds at once, and what one more sees.
var holdsChecks = []Check{
	{
		ID: "app/worker-class", Title: "the application holds polls without a thread or process each", Severity: reports.SeverityError, On: OnApp,
		Reads:   []string{"the server's command line, environment and config file, where that is plain data", "--holds, --hop"},
		Formula: "holds",
		Why: `A held poll is a request that does not end. A server that gives each request a thread or a process holds
as many polls as it has of these: a sync worker of gunicorn one, waitress 4 by default, a development server one. A server that
is built on events holds as many as its connections and descriptors allow, unless it was given a bound. Of a server that fltool
does not know the number has to be stated.`,
		Symptom: "as many workers as that are held; all others hang or get a 503",
		Mend:    "With gunicorn use -k gevent; give other servers as many threads as workers, or take one that is built on events.",
		Eval:    ofServer(func(c Case, h kinds.Hop) Judgement { return c.bounded(h, h.Holds(), facts.Value[int64]{}) }),
	},
	{
		ID: "app/worker-connections", Title: "connections that the application accepts", Severity: reports.SeverityError, On: OnApp,
		After:   []string{"app/worker-class"},
		Reads:   []string{"the server's command line, environment and config file, where that is plain data"},
		Formula: "gunicorn-connections",
		Why: `gunicorn's gevent and eventlet workers accept worker_connections connections, 1000 by default; other servers
have bounds of other names. Idle keep-alive connections count. At one more worker than that the last one waits for ever, and with
it a round that waits for all. The safe bound allows for workers that come anew while their old polls are still held; dc_federated
itself ends a worker's old poll when its new one comes, and there 300 of 300 came back at a limit of 330, where 133 are safe.`,
		Symptom: "exactly as many workers as the setting are held; the rest hang or are reset, and the round never ends",
		Mend: `Set worker_connections to twice the workers and 64. Where the program starts gunicorn itself, as
dc_federated does, the environment variable GUNICORN_CMD_ARGS="--worker-connections N" sets it without a change of code, but
for bottle 0.13 and newer.`,
		Eval: ofServer(func(c Case, h kinds.Hop) Judgement { return c.bounded(h, h.Connections(), c.connections(false)) }),
	},
	{
		ID: "proxy/holds", Title: "polls that a hop before the application holds", Severity: reports.SeverityError, On: OnHop,
		Reads:   []string{"the proxy's command line and config", "--hop"},
		Formula: "holds",
		Why: `Every hop on the way has a bound of its own, and the smallest counts. HAProxy has maxconn at three levels,
Envoy circuit breakers of 1024, Apache MaxRequestWorkers.`,
		Symptom: "as many workers as that are held; the rest wait in a queue, or get a 503",
		Mend:    "Raise the proxy's bound above the number of workers.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.bounded(h, h.Holds(), facts.Value[int64]{}) }),
	},
	{
		ID: "proxy/connections", Title: "connections that a hop before the application accepts", Severity: reports.SeverityError, On: OnHop,
		After:   []string{"proxy/holds"},
		Reads:   []string{"the proxy's command line and config", "--hop"},
		Formula: "holds",
		Why:     `Idle keep-alive connections count towards some proxies' bounds, as towards gunicorn's.`,
		Symptom: "as many workers as that are held; the rest wait, or are refused",
		Mend:    "Raise the proxy's bound to twice the number of workers.",
		Eval:    ofFront(func(c Case, h kinds.Hop) Judgement { return c.bounded(h, h.Connections(), facts.Value[int64]{}) }),
	},
	{
		ID: "lb/holds", Title: "requests that the load balancer lets in at once", Severity: reports.SeverityError, On: OnBalancer, Lint: true,
		Reads:   []string{"--lb, --hop"},
		Formula: "holds",
		Why: `Most vendors scale their balancers, and state no bound. Cloud Run lets 80 requests at once into an instance by default, 1000
at most, and starts another instance for more, which knows no worker of the first one's.`,
		Symptom: "as many workers as that are held; others meet a server that does not know them",
		Mend:    "Set the concurrency to the number of workers, and the number of instances to one.",
		Eval:    ofBalancer(func(c Case, h kinds.Hop) Judgement { return c.bounded(h, h.Holds(), facts.Value[int64]{}) }),
	},
}
