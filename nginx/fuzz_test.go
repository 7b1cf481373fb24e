package nginx

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzRead reads any text: nothing crashes, every problem stands at a line that
// exists, and the document survives JSON.
func FuzzRead(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if len(file.Data) < 4000 {
				f.Add(file.Data)
			}
		}
	}
	for _, seed := range []string{
		"events {} http { server { listen 80; location ~ ^/a { proxy_pass http://u/; location = / { return 1; } } } upstream u { server a b=c; keepalive 1; } }",
		"events { worker_connections 1 } #\n{", "if () {} x { if () {} }", "a \"b\\\"c\" '${x' {", "content_by_lua_block { if x then } ' }", "set_by_lua_block $x { a }",
		"events{}http{server{listen [::1]:1-2;listen unix:;listen *:;server_name ~( *.a .b c.*;if ($a){return;}}}", "include /nginx.conf; include *; include [;",
		"events{}http{limit_req_zone a zone=b:c rate=1;limit_req zone=b;limit_conn a;proxy_buffers;error_page;add_header_inherit merge;add_header a b;}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const name = "/nginx.conf"
		if len(text) > 1<<16 {
			return
		}
		d := &dump{order: []string{name}, content: map[string][]byte{name: text}}
		c, err := read(d, name, Reading{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range c.Problems {
			if p.Source == "" {
				continue
			}
			n, err := strconv.Atoi(strings.TrimPrefix(p.Source, name+":"))
			if err != nil || n < 1 || n > lines {
				t.Errorf("problem at %q of %d lines: %s", p.Source, lines, p.Text)
			}
		}
		saved, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Config
		if err := json.Unmarshal(saved, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(saved) {
			t.Errorf("JSON changes it:\n%s\n%s", saved, again)
		}
		for i := range c.Sockets {
			q := Request{Address: c.Sockets[i].Address, Host: "a.example.org", Path: "/a/b.php", TLS: c.Sockets[i].SSL}
			one, two := c.Route(q), back.Route(q)
			if one.Err != two.Err || (one.Location == nil) != (two.Location == nil) {
				t.Errorf("%+v: the saved form routes otherwise: %+v %+v", q, one, two)
			}
		}
		c.ProxiesTo("127.0.0.1:5000")
	})
}

func FuzzDump(f *testing.F) {
	f.Add([]byte(bigDump(2)))
	f.Add([]byte("nginx: [emerg] x in /a:1\n"))
	f.Add([]byte("# configuration file /a:\n# configuration file /a:\r\nevents {}\n"))
	f.Add([]byte("# configuration file a*:\ninclude a*;"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		c, err := ReadDump(strings.NewReader(string(text)), Reading{})
		if (c == nil) == (err == nil) {
			t.Errorf("%v and %v", c, err)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"", "1", "60s", "1d 12h", "1y2M3w4d5h6m7s", "250ms", "90 ", "1hm", "99999999999999999999s", "106751991167d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ms, errMS := ParseTime(s)
		sec, errSec := ParseSeconds(s)
		if ms < 0 || sec < 0 {
			t.Fatalf("%q: %v %v", s, ms, sec)
		}
		if (errMS == nil || errSec == nil) && strings.Trim(s, "0123456789yMwdhms ") != "" {
			t.Fatalf("%q is taken", s)
		}
		// Where both readings take it they agree.
		if errMS == nil && errSec == nil && ms != sec {
			t.Fatalf("%q: %v in milliseconds, %v in seconds", s, ms, sec)
		}
		// A sum of parts is the parts' sum.
		if head, tail, ok := strings.Cut(s, "h"); ok && errMS == nil && head != "" && tail != "" && ms < math.MaxInt64 {
			a, err1 := ParseTime(head + "h")
			b, err2 := ParseTime(tail)
			if err1 == nil && err2 == nil && a+b != ms {
				t.Fatalf("%q is %v, its parts are %v and %v", s, ms, a, b)
			}
		}
		if n, err := strconv.ParseInt(s, 10, 32); err == nil && n >= 0 && s[0] != '+' && s[0] != '-' && ms != time.Duration(n)*time.Second {
			t.Fatalf("%q is %v", s, ms)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"", "0", "1k", "20M", "1g", "8g8", "-1", "9223372036854775807", "9007199254740992k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		size, err := ParseSize(s)
		offset, errOffset := ParseOffset(s)
		if size < 0 || offset < 0 || err == nil && (errOffset != nil || size != offset) {
			t.Fatalf("%q: %d %v, %d %v", s, size, err, offset, errOffset)
		}
		if errOffset != nil {
			return
		}
		digits := strings.TrimRight(s, "kKmMgG")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || len(s)-len(digits) > 1 || offset%max(n, 1) != 0 {
			t.Fatalf("%q is %d", s, offset)
		}
	})
}

// FuzzRender: whatever is given, what comes out reads back as it was.
func FuzzRender(f *testing.F) {
	f.Add("a b", "why")
	f.Add(`\"`, "two\nlines")
	f.Add("x;}", "} #")
	f.Fuzz(func(t *testing.T, value, why string) {
		s := example()
		s.Server = []Setting{set(why, "proxy_set_header", "X", value)}
		text, err := Render(s)
		if err != nil {
			return // refused is fine; wrong is not
		}
		c := parse(t, text, Reading{})
		h := c.Servers[0].Effective.ProxySetHeader.V[0]
		if h.Value != value {
			t.Errorf("%q is read back as %q", value, h.Value)
		}
		if !reflect.DeepEqual(c.Problems, []Problem(nil)) {
			t.Errorf("%+v", c.Problems)
		}
	})
}

// FuzzNormalize: a path that was normalized stays as it is, but for escapes.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"/", "//a/../b/.", "/a%2e%2e/", "/%00", "/..", "/a?b#c", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := normalize(s, true)
		if err != nil {
			return
		}
		if !strings.HasPrefix(once, "/") || strings.Contains(once, "//") || strings.Contains(once+"/", "/../") || strings.Contains(once+"/", "/./") {
			t.Fatalf("%q becomes %q", s, once)
		}
		if strings.ContainsAny(once, "%?#") {
			return
		}
		if twice, err := normalize(once, true); err != nil || twice != once {
			t.Fatalf("%q becomes %q, then %q (%v)", s, once, twice, err)
		}
	})
}

// FuzzLoosen: nothing that an expression matches is lost by loosening it.
func FuzzLoosen(f *testing.F) {
	f.Add(`/\.(?!well-known)`, "/.git")
	f.Add(`(?>a[]()]\))(?<=x)`, "a)")
	f.Fuzz(func(t *testing.T, text, s string) {
		loose := loosen(text)
		exact, err := regexp.Compile(text)
		if err != nil {
			return
		}
		again, err := regexp.Compile(loose)
		if err != nil || exact.MatchString(s) && !again.MatchString(s) {
			t.Fatalf("%q becomes %q (%v), which %q does not match", text, loose, err, s)
		}
	})
}

// FuzzGlob: root and dump find by the same rules.
func FuzzGlob(f *testing.F) {
	f.Add("/a/*", "/a/b")
	f.Add("/a/[!b]?", "/a/cd")
	f.Add("/*/.x", "/a/.x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if matchGlob(pattern, name) && !hasMagic(pattern) && !strings.Contains(pattern, `\`) && pattern != name {
			t.Fatalf("%q matches %q", pattern, name)
		}
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := (disk{root}).glob(pattern); err != nil {
			t.Fatal(err)
		}
	})
}
