// Package schema has the JSON Schemas of fltool's documents, as they are published here.
// They are generated from the types and flags: go test ./cmd/fltool -run TestSchemas -update
package schema

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// packed is an object of all files here, by name: compressed they are a seventh.
//
//go:embed all.json.gz
var packed []byte

// All are the schemas by name.
func All() (map[string]string, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var all map[string]string
	return all, json.Unmarshal(b, &all)
}

// Names are those of the schemas, sorted.
var Names = []string{"facts", "history", "plan", "report", "waivers"}

// Of is the schema of that name; the error of an unknown one lists the names.
func Of(name string) (string, error) {
	if !slices.Contains(Names, name) {
		return "", fmt.Errorf("%q: want %s", name, strings.Join(Names, ", "))
	}
	all, err := All()
	return all[name], err
}

// Pack is what All reads.
func Pack(all map[string]string) ([]byte, error) {
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, Names) {
		return nil, fmt.Errorf("schemas of %v, want %v", got, Names)
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
