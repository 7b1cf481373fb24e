package fleet

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// odd is what a shell, YAML, Jinja or Kubernetes would take for more than text.
const odd = `--accept=a$(b) $HOME "c" 'd' {{ 7*7 }} #e: [f] \g %h $$`

func sample(keys bool) Fleet {
	f := Fleet{
		Name: "fl-load", Args: []string{"simulate", "--target=https://fl.example.org", "--workers=10", odd}, TLS: true, UpdateBytes: 1 << 10,
		Files: []Input{{Flag: "ca", Name: "ca.file", Content: []byte("a certificate\n")}},
		Image: "ghcr.io/fltool/fltool:v1.0.0", Hosts: []string{"a.example.org", "fl@192.0.2.7"},
	}
	for i := range 3 {
		s := Shard{Workers: 3 + i/2}
		if keys {
			s.Keys = fmt.Appendf(nil, "%d the secret of shard %d\n", 3*i, i)
		}
		f.Shards = append(f.Shards, s)
	}
	return f
}

// TestGolden: .ci/deploy holds the manifests to the definitions of Kubernetes.
func TestGolden(t *testing.T) {
	relative := sample(true)
	relative.Start.After = 30 * time.Second
	at := sample(true)
	at.Start.At = time.Date(2026, 3, 1, 13, 0, 0, 0, time.FixedZone("", 3600))
	bare := sample(false)
	bare.Files, bare.TLS, bare.Claim = nil, false, "reports"
	for name, of := range map[string]struct {
		engine string
		f      Fleet
	}{
		"kubernetes-keys": {"kubernetes", at}, "kubernetes-claim": {"kubernetes", bare},
		"ansible-keys": {"ansible", relative}, "ansible-bare": {"ansible", bare},
		"slurm-keys": {"slurm", relative}, "slurm-bare": {"slurm", bare},
	} {
		files, err := Render(of.engine, of.f)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Render(of.engine, of.f)
		if d := cmp.Diff(files, again); err != nil || d != "" {
			t.Errorf("%s: not the same twice: %v %s", name, err, d)
		}
		var b bytes.Buffer
		for _, file := range files {
			holds := bytes.Contains(file.Content, []byte("the secret of")) || bytes.Contains(file.Content, []byte("dGhlIHNlY3JldCBvZi")) || strings.HasPrefix(file.Path, "secrets")
			if holds != (file.Mode == secret) {
				t.Errorf("%s: %s has mode %o", name, file.Path, file.Mode)
			}
			if of.engine != "kubernetes" {
				fmt.Fprintf(&b, "== %s %o\n", file.Path, file.Mode)
			}
			b.Write(file.Content)
		}
		path := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestShellTakes: what a shell makes of the array's script are the arguments again.
func TestShellTakes(t *testing.T) {
	f := sample(true)
	files, err := Render("slurm", f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "fltool() { printf '%s\\n' \"$@\"; }\n" + strings.Replace(string(files[0].Content), "exec ./fltool", "fltool", 1)
	sh := exec.CommandContext(t.Context(), "sh", "-c", script)
	sh.Dir, sh.Env = dir, []string{"SLURM_ARRAY_TASK_ID=2"}
	out, err := sh.Output()
	want := slices.Concat(f.Args, []string{"--shard=auto", "--keys=keys/2", "--ca=ca.file", "--out=reports/2.json"})
	if d := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

func TestRefused(t *testing.T) {
	later := sample(false)
	later.Start.After = time.Second
	large := sample(true)
	large.Shards[1].Keys = make([]byte, objectBytes+1)
	update := sample(false)
	update.Files[0].Content = make([]byte, objectBytes+1)
	nowhere := sample(false)
	nowhere.Hosts = nil
	for why, of := range map[string]struct {
		engine string
		f      Fleet
	}{
		"has to be a time": {"kubernetes", later}, "want more shards": {"kubernetes", large}, "a ConfigMap holds": {"kubernetes", update},
		"want one at least": {"ansible", nowhere}, "unknown engine": {"nomad", sample(false)},
	} {
		if _, err := Render(of.engine, of.f); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %q", err, why)
		}
	}
}

// TestNeeds: what a pod may have is more than was measured: a generator's peak memory by
// workers, TLS and the size of updates, and its descriptors.
func TestNeeds(t *testing.T) {
	const mb, update = 1e6, 13_000_000
	for _, c := range []struct {
		workers int
		tls     bool
		update  int64
		peak    int64
		fds     int64
	}{
		{500, false, 1 << 10, 30.7 * mb, 511}, {1000, false, 1 << 10, 34.5 * mb, 1011}, {2000, false, 1 << 10, 38 * mb, 2011}, {4000, false, 1 << 10, 46.6 * mb, 4011},
		{500, true, 1 << 10, 38.8 * mb, 511}, {1000, true, 1 << 10, 50.5 * mb, 1011}, {2000, true, 1 << 10, 68.3 * mb, 2011}, {4000, true, 1 << 10, 115.5 * mb, 4012},
		{50, false, update, 63.1 * mb, 61}, {200, false, update, 64.1 * mb, 211}, // and models of that size
	} {
		f := Fleet{Shards: []Shard{{Workers: c.workers}}, TLS: c.tls, UpdateBytes: c.update}
		if memory, fds := f.memory(), f.descriptors(); memory.value < c.peak || fds.value < c.fds {
			t.Errorf("%+v: %d bytes and %d descriptors", c, memory.value, fds.value)
		}
	}
}
