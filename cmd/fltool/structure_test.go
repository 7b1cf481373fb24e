package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fltool/fltool"

// mayImport says which of our own packages a package may import; "*" is all. The
// arrows follow the stages: facts and load come in, judgement is pure, reports
// go out.
var mayImport = map[string][]string{
	"cmd/fltool":    {"*"},
	"cmd/prove":     {"*"},
	"cmd/bench":     {"*"},
	"server":        {"server/wire", "server/lot"},
	"server/wire":   {},
	"server/lot":    {},
	"loadgen":       {"server/wire", "server/lot", "reports", "checks/facts"},
	"loadgen/fleet": {"server/wire"},
	"nginx":         {},
	"checks/facts":  {"nginx"},
	"checks/probe":  {"server/wire", "checks/facts"},
	"checks/kinds":  {"checks/facts", "nginx"},
	"checks":        {"checks/kinds", "checks/facts", "checks/symptoms", "nginx", "reports", "server/wire"},

	"checks/symptoms":           {},
	"checks/facts/factstest":    {}, // fake hosts and certificates, for tests and experiments
	"checks/remedy":             {"checks", "nginx", "reports"},
	"reports/follow":            {"reports", "reports/render"},
	"reports":                   {},
	"reports/trend":             {"reports"},
	"docs/schema":               {},
	"reports/render":            {"reports", "reports/trend", "reports/render/markup", "reports/render/plot"},
	"reports/render/plot":       {"reports/render/markup"},
	"reports/render/markup":     {},
	"reports/render/rendertest": {}, // a browser, for tests
}

// atHome says in which packages alone a library may be imported.
var atHome = map[string][]string{
	"github.com/tsenart/vegeta/":              {"loadgen"},
	"github.com/gorilla/mux":                  {"server"},
	"github.com/nginxinc/nginx-go-crossplane": {"nginx"},
	"github.com/spf13/cobra":                  {"cmd/fltool", "cmd/prove"},
	"charm.land/":                             {"cmd/fltool"},
	"github.com/prometheus/client_golang/":    {"server", "reports/follow"},
	"github.com/prometheus/procfs":            {"checks/facts"},
	"github.com/vmihailenco/msgpack/":         {"server/wire"},
	"go.yaml.in/yaml/":                        {"checks/kinds", "cmd/fltool"},
	"github.com/BurntSushi/toml":              {"checks/kinds"},
	"github.com/HdrHistogram/hdrhistogram-go": {"reports"},
	"golang.org/x/perf/":                      {"reports"},
	"github.com/aclements/go-moremath/":       {"reports", "reports/trend"},
	"github.com/jstemmer/go-junit-report/":    {"reports/render"},
	"github.com/santhosh-tekuri/jsonschema/":  {}, // it tests what is written
	"github.com/invopop/jsonschema":           {}, // it writes docs/schema, from a test
	// A template finds methods by their names, and so the linker would keep them all.
	"text/template": {},
	"html/template": {},
	// Root asks, and what is asked about is anybody's: what reads a host runs nothing.
	"os/exec": {"cmd/fltool", "cmd/prove", "cmd/bench", "loadgen", "reports/render/rendertest"},
}

func TestImportDirections(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %v: %s", cmd, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s: a package that the design does not name", name)
		}
		for _, i := range p.Imports {
			if own, ok := strings.CutPrefix(i, module+"/"); ok {
				if !slices.Contains(allowed, "*") && !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s", name, own)
				}
			}
			for library, homes := range atHome {
				if (i == strings.TrimSuffix(library, "/") || strings.HasPrefix(i, library)) && !slices.Contains(homes, name) {
					t.Errorf("%s imports %s, which belongs into %v", name, i, homes)
				}
			}
		}
	}
	if seen < 8 {
		t.Fatalf("only %d packages listed", seen)
	}
}

// TestPure: what the Makefile tests without the race detector starts no goroutine.
func TestPure(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^PURE := (.*)$`).FindSubmatch(makefile)
	if line == nil {
		t.Fatal("the Makefile names no PURE packages")
	}
	for _, pkg := range strings.Fields(string(line[1])) {
		files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files: %v", pkg, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				_, starts := n.(*ast.GoStmt)
				if call, ok := n.(*ast.CallExpr); ok {
					method, ok := call.Fun.(*ast.SelectorExpr)
					starts = ok && slices.Contains([]string{"Go", "AfterFunc"}, method.Sel.Name)
				}
				if starts {
					t.Errorf("%s starts a goroutine", name)
				}
				return true
			})
		}
	}
}
