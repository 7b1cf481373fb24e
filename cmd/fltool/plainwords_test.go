package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What people say in place of words that are right and yet nobody's.
var plainWords = map[string]*regexp.Regexp{
	"fix": regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`),
}

// TestPlainWords holds what users read, in the manual and in what fltool says, to
// the words that people use.
func TestPlainWords(t *testing.T) {
	pages, literals := 0, 0
	check := func(at, text string) {
		for say, word := range plainWords {
			if m := word.FindString(text); m != "" {
				t.Errorf("%s: %q; people say %s", at, m, say)
			}
		}
	}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata"):
			if err == nil {
				err = fs.SkipDir
			}
			return err
		case strings.HasSuffix(path, ".md"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			pages++
			check(path, string(b))
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					literals++
					check(set.Position(l.Pos()).String(), l.Value)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 50 || literals < 5000 {
		t.Errorf("only %d pages and %d texts were read", pages, literals)
	}
}
