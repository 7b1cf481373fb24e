package nginx

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Reading says how a config is to be read.
type Reading struct {
	// Root is the directory that stands for "/": of an image, a container, a
	// test. Empty is the host's own.
	Root string
	// Path is the main file, below Root. Empty is the build's, else
	// /etc/nginx/nginx.conf. A dump knows its own.
	Path string
	// Context is "" for a whole config, or "http" for a file that is meant to
	// be included there, such as one of sites-available. What such a file
	// leaves to others is then unknown.
	Context string
	// Defaults takes what a file of Context "http" leaves to others for
	// nginx's default, instead of unknown. Zones and upstream blocks that it
	// names stay unknown.
	Defaults bool
	// Partial says that the files at hand are a repository's: a file that an
	// absolute include names and that is not there is another host's, and
	// what it may set is taken for nginx's default.
	Partial bool
	// Build decides the defaults; the zero Build makes those unknown that
	// changed with a version or are compiled in.
	Build Build
	// PageSize is the machine's memory page in bytes, which is the unit of
	// default buffers; 0 is 4096.
	PageSize int
}

// DefaultPath is where distributions keep the main file.
const DefaultPath = "/etc/nginx/nginx.conf"

// Read reads the config that begins with a file. The error is that of the main
// file alone; whatever else is wrong is in Config.Problems.
func Read(o Reading) (*Config, error) {
	if o.Context != "" && o.Context != "http" {
		return nil, fmt.Errorf("context %q: want \"\" or \"http\"", o.Context)
	}
	name := o.Path
	if name == "" {
		name = o.Build.ConfPath
	}
	if name == "" {
		name = DefaultPath
	}
	if !path.IsAbs(name) && o.Root != "" {
		name = "/" + name
	}
	return read(disk{o.Root}, name, o, nil)
}

// ReadDump reads what `nginx -T` prints. Where nginx refused its config there
// is no dump but nginx's complaint, which is then the only Problem.
func ReadDump(r io.Reader, o Reading) (*Config, error) {
	d, err := parseDump(r)
	if err != nil {
		return nil, err
	}
	if len(d.order) == 0 {
		nothing := &node{isBlock: true, broken: "nginx refused its config and printed none of it"}
		return decode(nothing, o, &reader{build: o.Build, problems: problems{list: d.refusal}}), nil
	}
	return read(d, d.order[0], o, d.refusal)
}

func read(f files, name string, o Reading, told []Problem) (*Config, error) {
	r := &reader{files: f, build: o.Build, partial: o.Partial, dir: name[:strings.LastIndexByte(name, '/')+1], seen: map[string]*node{}}
	for _, p := range told {
		r.problems.add(p.Refused, p.Source, "%s", p.Text)
	}
	file, err := r.file(name)
	if err != nil {
		return nil, err
	}
	top := &node{file: name, isBlock: true}
	if o.Context == "http" {
		http := &node{name: "http", file: name, isBlock: true}
		r.expand(http, file, "http", []string{name})
		http.broken = cmp.Or(http.broken, onlyHTTP)
		top.block, top.broken = []*node{http}, onlyHTTP
	} else {
		r.expand(top, file, "main", []string{name})
	}

	return decode(top, o, r), nil
}

func decode(top *node, o Reading, r *reader) *Config {
	d := &decoder{
		cfg:      &Config{Path: top.file, Build: r.build, Files: r.names, Absent: r.absent},
		pageSize: o.PageSize,
		problems: &r.problems,
		defaults: o.Defaults && o.Context == "http",
		sockets:  map[socketKey]int{},
	}
	if d.pageSize == 0 {
		d.pageSize = 4096
	}
	d.config(top)
	d.cfg.Problems = r.problems.list
	return d.cfg
}

// decoder turns the tree into a Config.
type decoder struct {
	cfg      *Config
	pageSize int
	defaults bool // as Reading.Defaults
	problems *problems
	http     *level
	sockets  map[socketKey]int // into cfg.Sockets
}

// refuse records that nginx would refuse a statement, and says so.
func (d *decoder) refuse(n *node, format string, a ...any) string {
	return d.problems.add(true, n.file+":"+strconv.Itoa(n.end), format, a...)
}
