package checks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// notApplied are the remedies that change no config of nginx, by how they begin.
var notApplied = map[string]bool{
	"nginx/config":         true, // what nginx refuses is named, and no line is proposed
	"fix it, run nginx -t": true,

	"no process here may raise its hard limit":             true, // of the host and its units
	"reload nginx, between rounds":                         true,
	"SELinux forbids":                                      true,
	"let web servers connect":                              true,
	"set worker_shutdown_timeout in nginx.conf, or reload": true,
	"move what is in it":                                   true,
	"raise the timeout of":                                 true, // told of each hop by a check of its own

	"let the application make it":       true, // of the application
	"start the application with":        true,
	"if that is the application say so": true,

	"renew the certificate":             true, // an authority's part
	"let ssl_certificate name":          true,
	"get a certificate of an authority": true,
	"name the key":                      true,
	"get a certificate that is for":     true,
}

// TestRemedyRows holds that each text of a fix in the sources of nginx's checks is one
// that a fault above brings out, and each check of a config alone has a fault.
func TestRemedyRows(t *testing.T) {
	var told []string
	rows := map[string]bool{}
	for _, of := range remedied {
		for _, fault := range of.faults {
			for id := range strings.FieldsSeq(fault.checks) {
				t.Run(id, func(t *testing.T) {
					rows[id] = true
					_, remedies := fix(t, fault, fault.in(t, of.config), id)
					told = append(told, remedies...)
				})
			}
		}
	}
	unused := map[string]bool{}
	for begins := range notApplied {
		unused[begins] = true
	}
	exempt := func(text string) bool {
		for begins := range notApplied {
			if strings.HasPrefix(text, begins) {
				delete(unused, begins)
				return true
			}
		}
		return false
	}
	for _, check := range lints {
		if check.On == OnProxy && !rows[check.ID] && !exempt(check.ID) {
			t.Errorf("%s has no row", check.ID)
		}
	}
	for _, text := range remedyTexts(t, "nginx.go", "nginx_*.go", "limits_nginx.go", "tls.go") {
		expression := regexp.MustCompile(verb.ReplaceAllString(regexp.QuoteMeta(text), ".*"))
		if !slices.ContainsFunc(told, expression.MatchString) && !exempt(text) {
			t.Errorf("no row brings out: %s", text)
		}
	}
	for begins := range unused {
		t.Errorf("no such remedy: %s", begins)
	}
}

// verb is one of a format.
var verb = regexp.MustCompile(`%[a-z]`)

// remedyTexts are the formats of all remedies in some of this package's files.
func remedyTexts(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				all = append(all, formats{d}.ofRemedies()...)
			}
		}
	}
	return all
}

// formats reads texts in one declaration.
type formats struct{ in ast.Decl }

func (f formats) ofRemedies() (all []string) {
	ast.Inspect(f.in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Remedy" {
				for _, e := range n.Elts {
					if kv := e.(*ast.KeyValueExpr); kv.Key.(*ast.Ident).Name == "Text" {
						all = append(all, f.of(kv.Value)...)
					}
				}
			}
		case *ast.AssignStmt:
			if s, ok := n.Lhs[0].(*ast.SelectorExpr); ok && s.Sel.Name == "Text" {
				all = append(all, f.of(n.Rhs[0])...)
			}
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "write" {
				all = append(all, joined(f.of(n.Args[4]), joined([]string{": %s"}, f.of(n.Args[3])))...)
			}
		}
		return true
	})
	return slices.DeleteFunc(all, func(s string) bool { return strings.Trim(s, "%s:; ") == "" })
}

// of are the formats that an expression may be; what is no text of the declaration's is
// a verb.
func (f formats) of(e ast.Expr) (all []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return []string{s}
		}
	case *ast.BinaryExpr:
		return joined(f.of(e.X), f.of(e.Y))
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" {
			return f.of(e.Args[0])
		}
	case *ast.Ident:
		ast.Inspect(f.in, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
				for i := range a.Lhs {
					if name, ok := a.Lhs[i].(*ast.Ident); ok && name.Name == e.Name {
						all = append(all, f.of(a.Rhs[i])...)
					}
				}
			}
			return true
		})
		if len(all) > 0 {
			return all
		}
	}
	return []string{"%s"}
}

// joined is each of some texts before each of others.
func joined(a, b []string) (all []string) {
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return all
}
