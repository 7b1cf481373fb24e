package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fltool/fltool/nginx"
)

// testPatience is how long nginx -t may take: it looks up names, which fails at once
// without a network.
const testPatience = 20 * time.Second

var nginxPrograms = []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx", "/usr/bin/nginx", "/usr/local/openresty/nginx/sbin/nginx"}

// testConfig has the host's own nginx judge a config, by nginx -t in private
// namespaces, and takes its word. Where it can't be asked the tables' stands.
func testConfig(r Root, c *nginx.Config, o NginxOptions, args masterArgs) {
	if o.Run == nil || !r.Host() || o.Dump != nil {
		return
	}
	program, err := testProgram(r, o)
	if err != nil || o.Local && runsCode(c) {
		return
	}
	// Whoever can write a config can have root's nginx load a module of theirs, also
	// between our reading it and its.
	if slices.ContainsFunc(c.Files, func(name string) bool { return rootAlone(name) != nil }) {
		return
	}
	conf, err := filepath.Abs(c.Path)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	defer cancel()
	own := o.Conf == "" && !o.Local
	prefix := args.prefix
	if prefix == "" && !own { // relative names of logs are another host's
		prefix = path.Dir(conf)
	}
	line := []string{program, "-t", "-c", conf}
	if prefix != "" {
		line = append(line, "-p", prefix)
	}
	writable, missing := writtenTo(c, prefix)
	if own {
		missing = nil // nginx would miss them, too
	}
	said, ok, err := o.Run(ctx, line, writable, missing)
	if err != nil {
		return
	}
	b, _ := readProgram(r, program) // of one that tells no build every directive is taken for unknown
	takeWord(c, b, said, ok, own, strings.TrimSuffix(conf, c.Path))
}

// testProgram is the nginx to ask: the one that was named, else one of the usual
// places that root alone can have put there, of the version that is asked about.
func testProgram(r Root, o NginxOptions) (string, error) {
	if o.Program != "" {
		return o.Program, nil
	}
	if o.Version != "" || o.Flavour != "" { // perhaps another's
		return "", errors.New("another version is asked about")
	}
	for _, program := range nginxPrograms {
		if r.Exists(program) && rootAlone(program) == nil {
			return program, nil
		}
	}
	return "", fs.ErrNotExist
}

// rootAlone says why others than root could have written a file or put another in
// its place; nil where they could not.
func rootAlone(name string) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	if err := rootsPath(name); err != nil { // a link may be put in another's place, too
		return err
	}
	return rootsPath(target)
}

// rootsPath is rootAlone of a name and of what it stands in, links not followed.
func rootsPath(name string) error {
	for at := name; ; at = path.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		link := info.Mode()&fs.ModeSymlink != 0 // which has no rights of its own
		switch {
		case !ok || st.Uid != 0:
			return fmt.Errorf("%s is not root's", at)
		case !link && info.Mode().Perm()&0o022 != 0 && (at == name || info.Mode()&fs.ModeSticky == 0):
			return fmt.Errorf("%s can be written by others than root", at)
		}
		if at == "/" {
			return nil
		}
	}
}

// runsCode tells a config with which nginx -t runs what the config names: a config
// that is only to be read is not tested then.
func runsCode(c *nginx.Config) bool {
	return len(c.Code) > 0 || slices.ContainsFunc(c.Main.Modules, func(l nginx.Line) bool {
		return !path.IsAbs(l.Text) || rootAlone(l.Text) != nil
	})
}

// writtenTo are the directories in which nginx -t makes or opens files, and those of
// them that are missing, of which the first that is there is meant.
func writtenTo(c *nginx.Config, prefix string) (dirs, missing []string) {
	names := append([]string{c.Build.ErrorLogPath, c.Build.AccessLogPath, c.Build.PIDPath, c.Main.PID.V}, c.Logs...)
	for _, s := range c.Sockets {
		if socket, ok := strings.CutPrefix(s.Address, "unix:"); ok {
			names = append(names, socket)
		}
	}
	for _, temp := range append(c.Temps, c.Build.ClientBodyTempPath, c.Build.ProxyTempPath) {
		names = append(names, temp, temp+"/x")
	}
	for _, name := range names {
		if name != "" && !path.IsAbs(name) {
			name = path.Join(cmp.Or(prefix, c.Build.Prefix), name)
		}
		dir := path.Dir(name)
		for path.IsAbs(dir) && dir != "/" {
			info, err := os.Stat(dir)
			if err == nil && info.IsDir() {
				break
			}
			missing = append(missing, dir)
			dir = path.Dir(dir)
		}
		if path.IsAbs(dir) && dir != "/" && dir != "/dev" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs) // one within another comes after it
	slices.Sort(missing)
	return dirs, slices.Compact(missing)
}

var (
	testComplaint = regexp.MustCompile(`(?m)\[(?:emerg|crit)\] (?:\d+#\d+: )?(.*?)(?: in (\S+:\d+))?$`)
	unknownTo     = regexp.MustCompile(`^unknown directive "(.*)"$`)
	// ofTheHost are complaints about what stands around a config, not in it.
	ofTheHost = regexp.MustCompile(`host not found|getpwnam|getgrnam|cannot load certificate|BIO_new|SSL_CTX|^(open|mkdir|stat|chown|chmod|dlopen|bind|socket|connect|fopen)\(\)|failed \((2|13|30|99): `)
	// ofTheRoom are those of the room that it was asked in: no network, nothing to write to.
	ofTheRoom = regexp.MustCompile(`host not found|^bind\(\)|^socket\(\)|failed \(30: `)
)

// takeWord lets what nginx said of a config decide. own says that the config is the
// host's own, so that what it misses on the host counts, too; dir is what the config's
// relative names stand below.
func takeWord(c *nginx.Config, b nginx.Build, said string, ok, own bool, dir string) {
	if ok {
		c.Problems = slices.DeleteFunc(c.Problems, func(p nginx.Problem) bool { return p.Refused })
		return
	}
	m := testComplaint.FindStringSubmatch(said)
	if m == nil {
		return
	}
	p := nginx.Problem{Text: redactAddress(m[1]), Source: strings.TrimPrefix(m[2], dir), Refused: true, Hint: "nginx -t says so"}
	if ofTheRoom.MatchString(p.Text) || !own && ofTheHost.MatchString(p.Text) {
		return
	}
	if name := unknownTo.FindStringSubmatch(p.Text); name != nil && !own && b.Version != "" && b.Knows(name[1]) {
		return // of a module that this host's nginx has not loaded
	}
	for i, known := range c.Problems {
		if known.Source == p.Source && known.Refused { // of the same line: in nginx's own words
			c.Problems[i].Text = p.Text
			c.Problems[i].Hint = strings.TrimPrefix(known.Hint+"; nginx -t says so", "; ")
			return
		}
	}
	c.Problems = append([]nginx.Problem{p}, c.Problems...)
}
