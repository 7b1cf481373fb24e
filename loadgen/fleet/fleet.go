// Package fleet writes what an engine takes that runs the shards of a load on several
// machines: Kubernetes, Ansible or Slurm. It is text from data: the same fleet gives the
// same files, byte for byte.
package fleet

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// Fleet is a load with all that its shards need.
type Fleet struct {
	Name   string   // of the job and of what belongs to it: a DNS label
	Args   []string // fltool's, from the command on, without those that differ by shard or engine
	Shards []Shard  // in their order
	Files  []Input  // that all shards read
	Start  Start
	Levels bool // each shard makes several reports: --out is their folder
	TLS    bool // the target's is an https URL

	UpdateBytes int64 // size of an update

	Image string   // of the container; Kubernetes'
	Claim string   // PersistentVolumeClaim for the reports; "": they are printed into the logs
	Hosts []string // [USER@]HOST, at least one; Ansible's. Shards take turns
}

// Shard is one part of the load.
type Shard struct {
	Workers int
	Keys    []byte // a wire.KeyBundleFile of its own workers alone; nil: they have none
}

// Input is a file that a flag names.
type Input struct {
	Flag, Name string // "ca", "ca.pem"
	Content    []byte
}

// Start is when all shards begin: at a moment, or so long after the engine has begun. The
// zero value is at once.
type Start struct {
	At    time.Time
	After time.Duration
}

// File is one to write, by its path in the fleet's folder.
type File struct {
	Path    string
	Mode    fs.FileMode
	Content []byte
}

// Modes of files: what others may read, what is a secret, what is run.
const (
	open   fs.FileMode = 0o644
	secret fs.FileMode = 0o600
	run    fs.FileMode = 0o755
)

type engine func(Fleet) ([]File, error)

var engines = map[string]engine{"kubernetes": kubernetes, "ansible": ansible, "slurm": slurm}

// Engines are the names that Render knows, sorted.
func Engines() []string { return slices.Sorted(maps.Keys(engines)) }

// Render makes the files of an engine. The error says what it can't take.
func Render(name string, f Fleet) ([]File, error) {
	of, ok := engines[name]
	if !ok {
		return nil, fmt.Errorf("unknown engine %q: want %s", name, strings.Join(Engines(), ", "))
	}
	return of(f)
}

// keyed says whether the workers have keys.
func (f Fleet) keyed() bool { return f.Shards[0].Keys != nil }

// most is how many workers the largest shard has.
func (f Fleet) most() (workers int) {
	for _, s := range f.Shards {
		workers = max(workers, s.Workers)
	}
	return workers
}

// onDisk are a fleet's inputs and keys as files, those of shard k in keys/k.
func (f Fleet) onDisk() (files []File) {
	for _, in := range f.Files {
		files = append(files, File{in.Name, open, in.Content})
	}
	if f.keyed() {
		for i, s := range f.Shards {
			files = append(files, File{fmt.Sprintf("keys/%d/%s", i+1, wire.KeyBundleFile), secret, s.Keys})
		}
	}
	return files
}

// startVariable is where a shell finds when all shards begin.
const startVariable = "FLTOOL_START_AT"

// out is where a shard puts its reports: a folder, or a file in it.
func (f Fleet) out(dir, name string) string {
	if f.Levels {
		return "--out=" + dir
	}
	return "--out=" + dir + "/" + name
}

// shell is the command of a shard, which finds in its environment which one it is. The
// folder of its keys and where its reports go are as a shell reads them.
func (f Fleet) shell(fltool, keys, out string) string {
	words := []string{"exec " + fltool}
	for _, arg := range f.Args {
		words = append(words, shellWord(arg))
	}
	words = append(words, "--shard=auto")
	if f.keyed() {
		words = append(words, "--keys="+keys)
	}
	for _, in := range f.Files {
		words = append(words, fmt.Sprintf("--%s=%s", in.Flag, in.Name))
	}
	if f.Start != (Start{}) {
		words = append(words, fmt.Sprintf(`--start-at="$%s"`, startVariable))
	}
	return strings.Join(append(words, out), " ")
}

// seconds is how long after the engine's own begin the shards begin, in whole seconds.
func (s Start) seconds() int64 { return int64((s.After + time.Second - 1) / time.Second) }

// moment is a time as --start-at takes it.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
