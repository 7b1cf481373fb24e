package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestActionDownload has the action take its fltool from a release. What stands for
// fltool there is a script that says what it was asked.
func TestActionDownload(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	archive := tarball(t, "#!/bin/sh\necho \"the release: $*\"\n")
	sum := fmt.Sprintf("%x", sha256.Sum256(archive))
	for name, c := range map[string]struct {
		given     map[string]string
		checksums string
		code      int
		want      string // in the log
	}{
		"a tag":            {map[string]string{"version": "v1.2.3"}, sum + "  fltool_1.2.3_linux_amd64.tar.gz\n", 0, ""},
		"that of the uses": {map[string]string{"github.action_ref": "v1.2.3"}, sum + "  fltool_1.2.3_linux_amd64.tar.gz\n", 0, ""},
		"a candidate":      {map[string]string{"version": "v1.2.3-rc.1"}, sum + "  fltool_1.2.3-rc.1_linux_amd64.tar.gz\n", 0, ""},
		"another machine":  {map[string]string{"version": "v1.2.3", "runner.arch": "ARM64"}, sum + "  fltool_1.2.3_linux_arm64.tar.gz\n", 0, ""},
		"changed":          {map[string]string{"version": "v1.2.3"}, strings.Repeat("0", 64) + "  fltool_1.2.3_linux_amd64.tar.gz\n", 3, "does not have the checksum"},
		"not listed":       {map[string]string{"version": "v1.2.3"}, sum + "  xfltool_1.2.3_linux_amd64.tar.gz\n", 3, "does not have the checksum"},
		"no list":          {map[string]string{"version": "v1.2.3"}, "", 22, "404"},
		"a branch":         {map[string]string{"github.action_ref": "main"}, "", 2, "is no tag of a release"},
		"a way out":        {map[string]string{"version": "v1.2.3/../../x"}, "", 2, "is no tag of a release"},
		"a Mac":            {map[string]string{"version": "v1.2.3", "runner.os": "macOS"}, "", 2, "needs Linux"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				file, below := strings.CutPrefix(r.URL.Path, "/fltool/fltool/releases/download/v1.2.3")
				switch {
				case below && strings.HasSuffix(file, "/checksums.txt") && c.checksums != "":
					fmt.Fprint(w, c.checksums)
				case below && strings.HasSuffix(file, ".tar.gz"):
					_, _ = w.Write(archive)
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			c.given["github.server_url"] = server.URL
			code, _, log := runAction(t, bash, dir, c.given)
			if code != c.code || !strings.Contains(log, c.want) {
				t.Errorf("exit code %d, want %d; log:\n%s", code, c.code, log)
			}
			_, err := os.Stat(filepath.Join(dir, "fltool"))
			if (err == nil) != (c.code == 0) {
				t.Errorf("fltool in its place: %v", err)
			}
			if c.code == 0 && !strings.Contains(log, "the release: regress") {
				t.Errorf("the release was not run; log:\n%s", log)
			}
		})
	}
}

// tarball is a release's archive with this program.
func tarball(t *testing.T, program string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "fltool", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
