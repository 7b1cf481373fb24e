package nginx

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Setting is one directive to render, with what its value came from.
type Setting struct {
	Name string   `json:"name"` // "worker_connections"
	Args []string `json:"args"` // {"2134"}; quoted where nginx needs it
	Why  string   `json:"why"`  // the comment above it
}

// Settings is what Render makes a config of. The values come from outside;
// only the frame is Render's: which block each of them stands in, what is
// passed on, what is closed.
type Settings struct {
	Title string `json:"title,omitempty"` // the comment on top
	// Site leaves out what stands outside of http: the file is one that others
	// include there, and Main and Events become comments.
	Site bool `json:"site,omitempty"`

	Main   []Setting `json:"main,omitempty"`   // outside of all blocks
	Events []Setting `json:"events,omitempty"` // worker_connections…
	HTTP   []Setting `json:"http,omitempty"`   // zones, logs

	Peers    []string  `json:"peers"`              // "127.0.0.1:5000" or "unix:/run/fl.sock"; at least one
	Upstream []Setting `json:"upstream,omitempty"` // keepalive…

	ServerNames []string  `json:"serverNames,omitempty"` // none: any
	Listen      []Setting `json:"listen,omitempty"`      // Args only, "80" and options; none: port 80, or 443 with TLS, IPv4 and IPv6
	Server      []Setting `json:"server,omitempty"`      // in force in every location: sizes, timeouts, proxy_set_header
	Location    []Setting `json:"location,omitempty"`    // for workers but not for admins: limit_conn, limit_req

	TLS      *TLS   `json:"tls,omitempty"`      // nil: plain HTTP
	ACMERoot string `json:"acmeRoot,omitempty"` // directory that certificates are proven from; "": no such path

	Fallback *Fallback `json:"fallback,omitempty"` // nil: none

	// AdminAllow are the addresses and networks that may use /workers;
	// none closes it to everybody.
	AdminAllow []string `json:"adminAllow,omitempty"`
}

// TLS is how a rendered server speaks it.
type TLS struct {
	Certificate    string    `json:"certificate"` // files
	Key            string    `json:"key"`
	RedirectListen []Setting `json:"redirectListen,omitempty"` // as Settings.Listen, of a server that sends http to https; none: there is none
	Settings       []Setting `json:"settings,omitempty"`       // ssl_protocols…
}

// Render writes a complete config. What it returns was read back: nginx would
// find no fault in it, files and names of hosts excepted. The error says which
// setting is wrong.
func Render(s Settings) (string, error) {
	if len(s.Peers) == 0 {
		return "", errors.New("rendering the config: no upstream address is given")
	}
	if s.TLS != nil && (s.TLS.Certificate == "" || s.TLS.Key == "") {
		return "", errors.New("rendering the config: TLS needs a certificate and its key")
	}
	p := &printer{}
	p.comment(s.Title)
	p.line("")
	if s.Site {
		p.comment("This belongs into http, as a file of conf.d or sites-enabled. The main file is to have at least:")
		for _, setting := range slices.Concat(s.Main, s.Events) {
			p.comment(setting.Name + " " + strings.Join(setting.Args, " ") + ";")
		}
		p.line("")
	} else {
		p.all(s.Main)
		p.line("")
		p.open("events")
		p.all(s.Events)
		p.close()
		p.line("")
		p.open("http")
	}
	p.all(s.HTTP)
	p.charset(s.Fallback)

	p.line("")
	p.comment("The federated-learning server.")
	p.open("upstream fl")
	for _, peer := range s.Peers {
		p.directive("server", peer)
	}
	p.all(s.Upstream)
	p.close()

	names := s.ServerNames
	if len(names) == 0 {
		names = []string{"_"}
	}
	redirects := s.TLS != nil && s.TLS.RedirectListen != nil
	if redirects {
		p.line("")
		p.comment("Plain HTTP is sent on to https.")
		p.open("server")
		p.listen(s.TLS.RedirectListen, "")
		p.directive("server_name", names...)
		p.acme(s.ACMERoot)
		p.open("location /")
		p.directive("return", "301", "https://$host$request_uri")
		p.close()
		p.close()
	}

	p.line("")
	p.open("server")
	if s.TLS != nil {
		p.listen(s.Listen, "443", "ssl")
	} else {
		p.listen(s.Listen, "80")
	}
	p.directive("server_name", names...)
	if s.TLS != nil {
		p.directive("ssl_certificate", s.TLS.Certificate)
		p.directive("ssl_certificate_key", s.TLS.Key)
		p.all(s.TLS.Settings)
	}
	p.all(s.Server)
	if !redirects {
		p.acme(s.ACMERoot)
	}
	p.line("")
	if len(s.AdminAllow) == 0 {
		p.comment("The admin route, which can add and remove workers: closed.")
	} else {
		p.comment("The admin route, which can add and remove workers: closed but for these.")
	}
	p.open("location ^~ /workers")
	for _, who := range s.AdminAllow {
		p.directive("allow", who)
	}
	p.directive("deny", "all")
	p.directive("proxy_pass", "http://fl")
	p.close()
	passed := func() {
		p.all(s.Location)
		p.directive("proxy_pass", "http://fl")
	}
	p.fallback(s.Fallback, passed)
	p.line("")
	p.open("location /")
	passed()
	p.close()
	p.close()
	if !s.Site {
		p.close()
	}

	text := p.b.String()
	if p.err != nil {
		return "", fmt.Errorf("rendering the config: %w", p.err)
	}
	const name = "/nginx.conf"
	o := Reading{}
	if s.Site {
		o.Context, o.Defaults = "http", true
	}
	c, err := read(&dump{order: []string{name}, content: map[string][]byte{name: []byte(text)}}, name, o, nil)
	if err != nil {
		return "", fmt.Errorf("reading the rendered config back: %w", err)
	}
	for _, problem := range c.Problems {
		return "", fmt.Errorf("rendering the config: nginx would refuse it: %s", problem.Text)
	}
	return text, nil
}

// printer writes nginx's syntax. The first error stays.
type printer struct {
	b     strings.Builder
	depth int
	err   error
}

func (p *printer) line(s string) {
	if s != "" {
		p.b.WriteString(strings.Repeat("    ", p.depth))
	}
	p.b.WriteString(s + "\n")
}

// comment wraps to 80 columns.
func (p *printer) comment(text string) {
	width := 80 - 4*p.depth - len("# ")
	for _, paragraph := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len(line)+1+len(word) > width {
				p.line("# " + line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		if line != "" {
			p.line("# " + line)
		}
	}
}

func (p *printer) open(head string) { p.line(head + " {"); p.depth++ }
func (p *printer) close()           { p.depth--; p.line("}") }

func (p *printer) all(settings []Setting) {
	for _, s := range settings {
		p.comment(s.Why)
		p.directive(s.Name, s.Args...)
	}
}

var directiveName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (p *printer) directive(name string, args ...string) {
	if !directiveName.MatchString(name) && p.err == nil {
		p.err = fmt.Errorf("%q is no name of a directive", name)
	}
	words := []string{name}
	for _, a := range args {
		if !utf8.ValidString(a) && p.err == nil {
			p.err = fmt.Errorf("value %q of %s is not UTF-8", a, name)
		}
		words = append(words, quote(a))
	}
	p.line(strings.Join(words, " ") + ";")
}

func (p *printer) listen(given []Setting, port string, options ...string) {
	for _, s := range given {
		p.comment(s.Why)
		p.directive("listen", s.Args...)
	}
	if given == nil {
		p.directive("listen", append([]string{port}, options...)...)
		p.directive("listen", append([]string{"[::]:" + port}, options...)...)
	}
}

func (p *printer) acme(root string) {
	if root == "" {
		return
	}
	p.comment("Where the certificate authority looks for its proof.")
	p.open("location ^~ /.well-known/acme-challenge/")
	p.directive("root", root)
	p.close()
}

// quote writes a word so that nginx reads it back.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\r\n;{}\"'\\#") {
		return s
	}
	if !strings.ContainsAny(s, "'\\\r\n\t") {
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
