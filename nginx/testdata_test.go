package nginx

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tree unpacks an archive below a new directory. "a -> b" is a link.
func tree(t testing.TB, a *txtar.Archive) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, f := range a.Files {
		name, target, isLink := strings.Cut(f.Name, " -> ")
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if isLink {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func archive(t testing.TB, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return tree(t, a)
}

// parse reads one file's text.
func parse(t testing.TB, text string, o Reading) *Config {
	t.Helper()
	o.Root = tree(t, &txtar.Archive{Files: []txtar.File{{Name: "nginx.conf", Data: []byte(text)}}})
	o.Path = "/nginx.conf"
	c, err := Read(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var debianBuild = Build{
	Version: "1.22.1", Prefix: "/usr/share/nginx", ConfPath: "/etc/nginx/nginx.conf",
	ErrorLogPath: "/var/log/nginx/error.log", AccessLogPath: "/var/log/nginx/access.log", PIDPath: "/run/nginx.pid",
	User: "www-data", ClientBodyTempPath: "/var/lib/nginx/body", ProxyTempPath: "/var/lib/nginx/proxy",
}

// TestConfigs reads real configs and compares what is not a default, and all
// that is unknown, with a golden file.
func TestConfigs(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, path := range archives {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			build := debianBuild
			switch name {
			case OpenResty, Ingress:
				build.Version, build.Flavour = "1.25.5", name
			}
			c, err := Read(Reading{Root: archive(t, name), Build: build})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".golden"), summary(c))
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update accepts):\n%s", path, diff)
	}
}

// summary prints what a config sets, a line a fact.
func summary(c *Config) string {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	for _, f := range c.Files {
		p("file %s", f)
	}
	for _, x := range c.Problems {
		p("problem %s: %s (refused: %v)", x.Source, x.Text, x.Refused)
	}
	for _, x := range c.Foreign {
		p("foreign %s (%s)", x.Text, x.Source)
	}
	if c.Incomplete != "" {
		p("incomplete %s", c.Incomplete)
	}
	values(&b, "main", reflect.ValueOf(c.Main))
	values(&b, "events", reflect.ValueOf(c.Events))
	for _, x := range c.Sockets {
		p("socket %s %s ssl=%v http2=%v deferred=%v via=%q servers=%v default=%d %v", x.Kind, x.Address, x.SSL, x.HTTP2, x.Deferred, x.Via, x.Servers, x.DefaultServer, x.Sources)
		values(&b, "  ", reflect.ValueOf(x))
	}
	for _, x := range c.Zones {
		p("zone %+v", x)
	}
	for _, x := range c.Upstreams {
		p("upstream %s implicit=%v %s (%s)", x.Name, x.Implicit, x.Method, x.Source)
		for _, y := range x.Peers {
			p("  peer %+v", y)
		}
		values(&b, "  ", reflect.ValueOf(x))
	}
	for _, x := range c.Servers {
		p("server %q (%s)", x.Names, x.Source)
		values(&b, "  ", reflect.ValueOf(x))
		actions(&b, "  ", x.Return, x.Rewrites, x.Blocks)
		locations(&b, x.Locations, "  ")
	}
	for _, x := range c.Others {
		p("other %+v", x)
	}
	return b.String()
}

func locations(b *strings.Builder, all []Location, indent string) {
	for _, l := range all {
		fmt.Fprintf(b, "%slocation %s (%s)\n", indent, l.Name(), l.Source)
		if l.Pass != nil {
			fmt.Fprintf(b, "%s  pass %+v\n", indent, *l.Pass)
		}
		if l.TryFiles != nil {
			fmt.Fprintf(b, "%s  try_files %q\n", indent, l.TryFiles)
		}
		actions(b, indent+"  ", l.Return, l.Rewrites, l.Blocks)
		values(b, indent+"  ", reflect.ValueOf(l.Effective))
		locations(b, l.Locations, indent+"  ")
	}
}

func actions(b *strings.Builder, indent string, r *Return, rewrites []Rewrite, blocks []Block) {
	if r != nil {
		fmt.Fprintf(b, "%sreturn %+v\n", indent, *r)
	}
	for _, x := range rewrites {
		fmt.Fprintf(b, "%srewrite %+v\n", indent, x.Line)
	}
	for _, x := range blocks {
		fmt.Fprintf(b, "%sblock %+v\n", indent, x)
	}
}

// values prints the fields that are Values and not plain defaults, and those
// that are unknown in one line a reason.
func values(b *strings.Builder, indent string, v reflect.Value) {
	var reasons []string
	unknown := map[string][]string{}
	for i := range v.NumField() {
		f := v.Field(i)
		if !strings.HasPrefix(f.Type().Name(), "Value[") {
			continue
		}
		source, err := f.FieldByName("Source").String(), f.FieldByName("Err").String()
		name := v.Type().Field(i).Name
		switch {
		case err != "":
			_, reason, ok := strings.Cut(err, "set is unknown: ")
			if !ok {
				reason = err
			}
			if unknown[reason] == nil {
				reasons = append(reasons, reason)
			}
			unknown[reason] = append(unknown[reason], name)
		case source != Default:
			fmt.Fprintf(b, "%s %s = %+v (%s)\n", indent, name, f.FieldByName("V"), source)
		}
	}
	for _, r := range reasons {
		fmt.Fprintf(b, "%s UNKNOWN %s: %s\n", indent, r, strings.Join(unknown[r], " "))
	}
}
