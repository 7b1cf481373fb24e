package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var bodyChecks = []Check{
	{
		ID: "nginx/client-max-body-size", Title: "nginx takes an update's body", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config"},
		Reads: []string{"client_max_body_size in force where updates are passed on"},
		Why: `An update comes as a form: the model, compressed as far as it can be, and what a form puts around it.
Weights of floats hardly compress. nginx refuses what is larger than client_max_body_size, 1 MB by default, with 413.`,
		Symptom: "413: client intended to send too large body: N bytes; the round never ends",
		Mend:    "Set client_max_body_size above the model's size and 64 KB.",
		Eval:    onRoutes(evalMaxBody, facts.RouteUpdate),
	},
	{
		ID: "nginx/body-disk", Title: "room for updates that spill to disk", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"client_body_buffer_size, client_body_in_file_only, proxy_request_buffering and client_body_temp_path", "free bytes of that file system"},
		Why: `A body larger than client_body_buffer_size, 16 KB by default, goes to a file before the application sees a
byte of it. When a round ends every worker uploads at once: workers × model on disk, and one descriptor more each. With
client_body_in_file_only on no file is ever removed.`,
		Symptom: "pwrite() failed (28: No space left on device), and 500 for uploads",
		Mend:    "Give client_body_temp_path a larger file system, or stream updates by proxy_request_buffering off.",
		Eval:    onRoutes(evalBodyDisk, facts.RouteUpdate),
	},
	{
		ID: "nginx/response-spool", Title: "model downloads stay off the disk", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"proxy_buffering, proxy_buffers and proxy_max_temp_file_size in force for models"},
		Why: `Where a worker takes the model more slowly than the application gives it, nginx writes the rest to a file,
up to proxy_max_temp_file_size, 1 GB by default: a copy of the model for each slow worker.`,
		Symptom: "disk traffic and a full disk when a model is published: an upstream response is buffered to a temporary file",
		Mend:    "Set proxy_max_temp_file_size 0 for the model's location.",
		Eval:    onRoutes(evalSpool, facts.RouteModel),
	},
	{
		ID: "nginx/gzip", Title: "nginx does not compress models again", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"gzip in force for models"},
		Why: `The model is sent as text/html and is compressed already. Python's workers accept gzip, and with gzip on,
as in Debian's and Ubuntu's nginx.conf, nginx compresses every download once more: some tenths of a second of CPU for
13 MB, for each worker, and nothing gained.`,
		Symptom: "nginx takes all CPU when a model is published, and downloads crawl",
		Mend:    "Set gzip off in the location or the server.",
		Eval:    onRoutes(evalGzip, facts.RouteModel),
	},
}

func evalMaxBody(c Case, p place) Judgement {
	v := p.at.ClientMaxBodySize
	if !v.Known() {
		return cantTell("client_max_body_size", v)
	}
	if v.V == 0 {
		return pass("no limit", source(v, p.at.Source))
	}
	need := BodyBytes(c.anUpdate())
	if v.V >= need {
		return pass(size(v.V), source(v, p.at.Source))
	}
	return fail(fmt.Sprintf("%d bytes, an update of %d at most", v.V, UpdateBytes(v.V)), fmt.Sprintf("%d bytes: %s that may not compress, and its form", need, size(c.anUpdate())), source(v, p.at.Source),
		write(v, p.block(), p.at.Source, "client_max_body_size "+megabytes(need)+";", "let updates in"))
}

// megabytes writes a size for nginx, rounded up and with a little room.
func megabytes(n int64) string { return fmt.Sprintf("%dm", (n+n/16)>>20+1) }

func evalBodyDisk(c Case, p place) Judgement {
	streams, buffer, always := p.at.ProxyRequestBuffering, p.at.ClientBodyBufferSize, p.at.ClientBodyInFileOnly
	switch {
	case !always.Known():
		return cantTell("client_body_in_file_only", always)
	case always.V == "on":
		return fail("client_body_in_file_only on: the file of each update stays for ever", "off", source(always, p.at.Source),
			write(always, p.block(), p.at.Source, "client_body_in_file_only off;", "keep no updates in files"))
	}
	if !streams.Known() {
		return cantTell(p.setting("request_buffering"), streams)
	}
	if !buffer.Known() {
		return cantTell("client_body_buffer_size", buffer)
	}
	need := BodyBytes(c.anUpdate())
	if !streams.V && always.V == "off" {
		return notApplicable("updates are passed on as they come (proxy_request_buffering off)")
	}
	if need <= buffer.V && always.V == "off" {
		return notApplicable("updates fit client_body_buffer_size")
	}
	disk := p.n.BodyDisk
	if c.Lint {
		return notApplicable("how much room there is the host tells")
	}
	if !disk.Known() {
		return cantTell("the disk of client_body_temp_path", disk)
	}
	got := fmt.Sprintf("%s free at %s", size(disk.V.FreeBytes), disk.V.Path)
	total := need * int64(c.Demand.Workers)
	if disk.V.FreeBytes >= total {
		return pass(got, disk.Source)
	}
	return fail(got, size(total)+", when all workers upload at once", disk.Source,
		write(streams, p.block(), p.at.Source, p.setting("request_buffering")+" off;", "pass updates on as they come, or give client_body_temp_path a larger disk"))
}

func evalSpool(c Case, p place) Judgement {
	buffering, most, buffers := p.at.ProxyBuffering, p.at.ProxyMaxTempFileSize, p.at.ProxyBuffers
	switch {
	case !buffering.Known():
		return cantTell(p.setting("buffering"), buffering)
	case !most.Known():
		return cantTell(p.setting("max_temp_file_size"), most)
	case !buffers.Known():
		return cantTell(p.setting("buffers"), buffers)
	case !buffering.V:
		return pass(p.setting("buffering")+" off", source(buffering, p.at.Source))
	case most.V == 0:
		return pass("no temporary file", source(most, p.at.Source))
	case buffers.V.Number*buffers.V.Size >= c.Demand.ModelBytes:
		return pass("models fit proxy_buffers", source(buffers, p.at.Source))
	}
	return fail(fmt.Sprintf("up to %s for each slow worker", size(min(most.V, c.Demand.ModelBytes))), "no copies on disk", source(most, p.at.Source),
		write(most, p.block(), p.at.Source, p.setting("max_temp_file_size")+" 0;", "keep models off the disk"))
}

func evalGzip(_ Case, p place) Judgement {
	v := p.at.Gzip
	if !v.Known() {
		return cantTell("gzip", v)
	}
	if !v.V {
		return pass("off", source(v, p.at.Source))
	}
	// Where a server's location is to differ from http's, it is added there.
	return fail("on", "off: models are text/html, and compressed already", source(v, p.at.Source),
		reports.Remedy{Text: fmt.Sprintf("do not compress twice: add to %s of %s: gzip off;", p.block(), p.at.Source), Then: "reload"})
}
