package facts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Schema names the format and version of saved facts. A reader refuses any other.
const Schema = "fltool.facts/v2"

// Facts is all that is judged about one host. Every field that was read is a
// Value, so that what is missing is unknown and never zero.
type Facts struct {
	Schema   string `json:"schema"`
	Gathered string `json:"gathered"` // RFC 3339, UTC
	Root     string `json:"root"`     // "/" or where the host's files were found
	Asked    Asked  `json:"asked"`

	Host      Host                     `json:"host"`
	Memory    Value[Memory]            `json:"memory"`
	Sysctls   Sysctls                  `json:"sysctls"`
	Persisted Value[[]Persisted]       `json:"persisted"` // what sysctl.d sets when the host starts
	KubeProxy Value[bool]              `json:"kubeProxy"` // it runs, and sets the size of the conntrack table itself
	Restarts  Value[[]Restart]         `json:"restarts"`  // of services, by certbot's hooks and by cron
	Fixed     Value[bool]              `json:"fixed"`     // whether /proc/sys is mounted read-only, as in most containers: settings are made outside
	Ports     Value[PortRange]         `json:"ports"`
	Files     Value[OpenFiles]         `json:"files"`
	Sockets   Value[Sockstat]          `json:"sockets"`
	Listen    Value[ListenCounters]    `json:"listen"`
	TimeWait  Value[int]               `json:"timeWait"`        // ports of the local range kept by connections just closed
	Conntrack Value[*Conntrack]        `json:"conntrack"`       // nil: the kernel tracks nothing
	IPVS      Value[[]VirtualService]  `json:"ipvs"`            // TCP services that the kernel passes on; none: it has none
	MayRaise  Value[bool]              `json:"mayRaise"`        // whether anything here may raise a hard limit (CAP_SYS_RESOURCE in PID 1's bounding set)
	Ceiling   Value[Limits]            `json:"ceiling"`         // of PID 1: what nothing here exceeds where MayRaise is false
	Systemd   Value[bool]              `json:"systemd"`         // whether the host is managed by it
	Processes Value[[]Process]         `json:"processes"`       // that serve: the application and nginx
	Service   Value[*Unit]             `json:"service"`         // of the application; nil: none was named and none is running
	NginxUnit Value[*Unit]             `json:"nginxUnit"`       // nil: there is none
	HasNginx  Value[bool]              `json:"hasNginx"`        // installed, running or not
	Nginx     Value[*Nginx]            `json:"nginx"`           // its config; nil: there is no nginx. Of several in a row the one next to the application
	Outer     []Value[*Nginx]          `json:"outer,omitempty"` // those before it, outwards
	OS        Value[OS]                `json:"os"`
	Container Value[bool]              `json:"container"` // whether this is a container, seen from within
	SELinux   Value[SELinux]           `json:"selinux"`
	Session   Value[Session]           `json:"session"` // how logins are limited
	Logins    Value[[]LimitLine]       `json:"logins"`  // lines of limits.conf and limits.d
	Login     Value[*Login]            `json:"login"`   // of the user asked for; nil: of nobody
	Shell     Value[*Shell]            `json:"shell"`   // that started fltool; nil: another host's facts
	Own       Value[map[string]string] `json:"own"`     // fltool's own drop-in files by path
	Probe     Value[*Probe]            `json:"probe"`   // of the deployment from outside; nil: it was not asked
}

// Asked is whose limits the facts are about; all zero: whoever looks the part.
type Asked struct {
	PID     int    `json:"pid,omitempty"`
	Service string `json:"service,omitempty"` // "fl.service"
	User    string `json:"user,omitempty"`
	Port    int    `json:"port,omitempty"` // that the application is reached at on its host: asked for, else found, else the first of DefaultPorts

	URL      string `json:"url,omitempty"`      // that workers use, without secrets: picks nginx's server and location
	Upstream string `json:"upstream,omitempty"` // of nginx: "127.0.0.1:5000"; "": the port on loopback

	Balancers []string `json:"balancers,omitempty"` // before the host, in the order that workers meet them: names of the catalogue, or idle timeouts
	Hops      []string `json:"hops,omitempty"`      // what the user states of hops: "haproxy holds=2000 silence=1h"
	Holds     int64    `json:"holds,omitempty"`     // polls that the application holds, as the user states
}

// Shell is the process that started fltool: a server started from there gets
// its limits.
type Shell struct {
	PID    int           `json:"pid"`
	Limits Limits        `json:"limits"`
	Cgroup Value[Cgroup] `json:"cgroup"`
}

// Scope says what to gather.
type Scope struct {
	Asked
	Specs  []Spec // the kinds of programs to know
	Nginx  NginxOptions
	Parent int       // process that started fltool, on this host; 0: another host
	Now    time.Time // the moment of gathering
}

// Gather reads the host below r. It fails only where r is no host, or where
// what was asked for by name does not exist; anything else that can't be read
// is unknown.
func Gather(r Root, o Scope) (Facts, error) {
	if err := r.Check(); err != nil {
		return Facts{}, err
	}
	o.Service = serviceName(o.Service)
	asked := o.Asked // before what is found is added
	f := Facts{
		Schema:    Schema,
		Gathered:  o.Now.UTC().Format(time.RFC3339),
		Root:      r.String(),
		Asked:     o.Asked,
		Host:      ReadHost(r),
		Memory:    read(meminfoPath, func() (Memory, error) { return ReadMemory(r) }),
		Files:     read(fileNrPath, func() (OpenFiles, error) { return readFileNr(r) }),
		Sockets:   read("/proc/net/sockstat", func() (Sockstat, error) { return ReadSockstat(r) }),
		Listen:    read(netstatPath, func() (ListenCounters, error) { return ReadListenCounters(r) }),
		Conntrack: readConntrack(r),
		IPVS:      readIPVS(r),
		MayRaise:  read("/proc/1/status", func() (bool, error) { return readMayRaise(r) }),
		Ceiling:   read(limitsPath(1), func() (Limits, error) { return ReadLimits(r, 1) }),
		Systemd:   readSystemd(r),
		OS:        readOS(r),
		SELinux:   readSELinux(r),
		Own:       readOwn(r),
		Probe:     known[*Probe](nil, "not asked"),
	}
	f.Sysctls, f.Ports = readSysctls(r)
	f.Persisted = readPersisted(r)
	f.Container = readContainer(r, f.Systemd)
	f.Fixed = readFixed(r, f.Container)
	units := newServices(r, f.OS, f.Sysctls, f.Ceiling, f.MayRaise)
	if o.Service != "" { // processes belong to its own name
		o.Service, _ = systemManager.names(r, o.Service)
	}

	nets := newNetworks(r)
	running, err := readRunning(r, o.Specs, o.PID, nets)
	if err != nil {
		return Facts{}, err
	}
	procs, port := readProcesses(r, o.Specs, o.Asked, running, nets)
	f.Processes, o.Port = procs, cmp.Or(port, DefaultPorts[0])
	f.Asked.Port = o.Port
	if f.Service, err = units.readService(o.Service, procs); err != nil {
		return Facts{}, err
	}
	if u := f.Service.V; u != nil {
		identify(r, o.Specs, u)
		// A title that hides the arguments leaves those that the unit starts it with.
		for i, p := range f.Processes.V {
			if p.Settings["hidden"].Known() && p.Unit.V == u.Name && p.Kind == u.Kind {
				f.Processes.V[i].Settings = u.Settings
			}
		}
	}
	f.NginxUnit = units.readNginxUnit()
	f.KubeProxy = readKubeProxy(running)
	f.TimeWait = readTimeWait(nets, f.Ports, f.Sockets)
	f.Restarts = readRestarts(r)
	f.HasNginx = readHasNginx(r, procs, f.NginxUnit.V)
	o.Nginx.Unit = f.NginxUnit.V
	if f.Nginx, err = readNginx(r, procs, f.HasNginx, o.Asked, o.Nginx); err != nil {
		return Facts{}, fmt.Errorf("nginx's config: %w", err)
	}
	f.followNginx(asked)
	f.Outer = readOuter(r, procs.V, f.Nginx.V, o)
	f.Session = read(pamDirs[0], func() (Session, error) { return readLoginSession(r, f.Container.V) })
	f.Logins = units.limitLines(f.Session.V.Conf)
	if f.Login, err = units.readLogin(f, o.User); err != nil {
		return Facts{}, err
	}
	f.Shell = known[*Shell](nil, "not this host")
	if o.Parent > 0 {
		f.Shell = read(limitsPath(o.Parent), func() (*Shell, error) {
			l, err := ReadLimits(r, o.Parent)
			cg := read(fmt.Sprintf("/proc/%d/cgroup", o.Parent), func() (Cgroup, error) {
				cg, _, err := readCgroup(r, o.Parent)
				return cg, err
			})
			return &Shell{PID: o.Parent, Limits: l, Cgroup: cg}, err
		})
	}
	f.redact()
	return f, nil
}

// redact takes out of facts what may be secret.
func (f *Facts) redact() {
	if f.Asked.URL != "" {
		f.Asked.URL, _ = RedactURL(f.Asked.URL)
	}
	for file, text := range f.Own.V {
		f.Own.V[file] = redactOwn(text)
	}
	if f.Nginx.V != nil {
		f.Nginx.V.keepWhatIsJudged()
	}
	Redact(f)
}

// Write saves facts as JSON.
func (f Facts) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(f)
}

// maxFactsBytes bounds a facts file; one of a busy host is some 20 KB, with nginx's locations 10 KB more for each.
const maxFactsBytes = 64 << 20

// Read loads saved facts.
func Read(rd io.Reader) (Facts, error) {
	b, err := io.ReadAll(io.LimitReader(rd, maxFactsBytes+1))
	if err != nil {
		return Facts{}, err
	}
	if len(b) > maxFactsBytes {
		return Facts{}, fmt.Errorf("longer than %d bytes", maxFactsBytes)
	}
	if len(b) == 0 {
		return Facts{}, errors.New("it is empty")
	}
	b = bytes.TrimSpace(b) // or a file cut within a text would end in a newline, which no text may hold
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Facts{}, explainJSON(err, len(b))
	}
	if head.Schema != Schema {
		if head.Schema == "" {
			return Facts{}, errors.New("not a facts file: it names no schema")
		}
		return Facts{}, fmt.Errorf("schema %q, and this fltool reads %q", head.Schema, Schema)
	}
	var f Facts
	if err := json.Unmarshal(b, &f); err != nil {
		return Facts{}, explainJSON(err, len(b))
	}
	if err := f.checkNames(); err != nil {
		return f, err
	}
	f.redact() // those of an older fltool
	return f, validate(reflect.ValueOf(f), "facts")
}

// validate refuses counts and times that no host has: negative ones, but for
// Unlimited, and those so large that sums of them overflow.
func validate(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		least := int64(0)
		if v.Type() == reflect.TypeFor[Limit]() {
			least = int64(Unlimited)
		}
		if n := v.Int(); n < least || n > 1<<62 {
			return fmt.Errorf("%s is %d", path, n)
		}
	case reflect.Float64:
		if n := v.Float(); n < 0 || n > 1<<31 {
			return fmt.Errorf("%s is %g", path, n)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return validate(v.Elem(), path)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := validate(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if err := validate(v.Field(i), path+"."+f.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// explainJSON says where a JSON text is wrong, and tells a half-written one.
func explainJSON(err error, size int) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		if syntax.Offset >= int64(size) && strings.Contains(syntax.Error(), "unexpected end") {
			return fmt.Errorf("ends in the middle, after %d bytes", size)
		}
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	}
	return err
}
