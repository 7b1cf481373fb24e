package facts

import (
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"unicode"

	"github.com/fltool/fltool/nginx"
)

// Hidden stands where a secret was, or what may be one.
const Hidden = "…"

// What a text shows of itself to be secret, with what is kept of it.
var secretForms = []struct {
	form *regexp.Regexp
	kept string
}{
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'@]*(?:@[^\s/?#"'@]*)*@`), "${1}" + Hidden + "@"}, // user:password@
	{regexp.MustCompile(`(?i)(--?[a-z-]*(?:password|passwd|passphrase|secret|token|credential|api-?key|access-?key)[ \t]+)\S+`), "${1}" + Hidden},
	{regexp.MustCompile(`([?&][A-Za-z0-9_.~%\[\]-]+=)[^\s&#"'();]+`), "${1}" + Hidden}, // a query's values
	{regexp.MustCompile(`(?i)(authorization["']?(?:[ \t]*[:=][ \t]*|[ \t]+["']))[^\s"';][^"';\r\n]*`), "${1}" + Hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate|token)([ \t]+)[A-Za-z0-9+/_.~-]*[0-9+/=_][A-Za-z0-9+/_.=~-]*`), "${1}${2}" + Hidden},
	{regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|credential|api[-_]?key|access[-_]?key)[A-Za-z0-9_-]*["']?(?:[ \t]*=[ \t]*|:[ \t]+))("[^"\n]*"|'[^'\n]*'|\S+)`), "${1}" + Hidden},
}

// RedactText is a text without the secrets that show themselves to be some: the
// user of a URL and the values of its query, credentials of HTTP, and what is given
// to something called password, token or the like.
func RedactText(s string) string {
	if !strings.ContainsAny(s, "=@: ") {
		return s
	}
	for _, f := range secretForms {
		s = f.form.ReplaceAllString(s, f.kept)
	}
	return s
}

// Redact takes the secrets out of facts: every text in what v points to passes it.
// What is made of a host's or a server's words passes here once, where it is made.
func Redact(v any) { redactWith(v, RedactText) }

func redactWith(v any, text func(string) string) { redactValue(reflect.ValueOf(v), text) }

func redactValue(v reflect.Value, text func(string) string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			redactValue(v.Elem(), text)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			redactValue(v.Index(i), text)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			redactValue(value, text)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				redactValue(v.Field(i), text)
			}
		}
	}
}

// RedactURL is a URL without what may be secret in it: user, query, fragment, and
// parts of the path that look as if nobody had thought them up. secrets lists what
// was taken out, since a config may hold it, too.
func RedactURL(raw string) (shown string, secrets []string) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return RedactText(raw), nil
	}
	if u.User != nil {
		secrets = append(secrets, u.User.String())
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for _, p := range strings.Split(u.Path, "/") {
		if random(p) {
			secrets = append(secrets, p)
		}
	}
	return strings.TrimSuffix(u.Scheme+"://"+u.Host+redactPath(u.Path), "/"), secrets
}

// redactPath is a path of a URL without the parts that look like tokens.
func redactPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if random(p) {
			parts[i] = Hidden
		}
	}
	return strings.Join(parts, "/")
}

// hide is what takes these secrets out of a text.
func hide(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 4 { // shorter ones stand in many words
			pairs = append(pairs, s, Hidden)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// random says whether a word looks like a token: long, of letters and digits in turn.
func random(word string) bool {
	digits, letters := 0, 0
	for _, c := range word {
		switch {
		case unicode.IsDigit(c):
			digits++
		case unicode.IsLetter(c):
			letters++
		}
	}
	return len(word) >= 16 && digits >= 3 && letters >= 3
}

// openHeaders are the fields whose values are no secrets; of others only that they
// are sent is kept.
var openHeaders = regexp.MustCompile(`(?i)^(host|connection|upgrade|keep-alive|te|expect|accept-encoding|content-length|transfer-encoding|forwarded|x-real-ip|x-forwarded-[a-z]+)$`)

// variable is a value that only a request fills.
var variable = regexp.MustCompile(`^\$\{?\w+\}?$`)

// userInfo is what an address whose scheme nginx has cut off names before its host.
var userInfo = regexp.MustCompile(`(^|["\s])[^"/\s]+@`)

// redactAddress takes user and password out of addresses without a scheme.
func redactAddress(s string) string { return userInfo.ReplaceAllString(s, "${1}"+Hidden+"@") }

// condition is a complaint about an if, whose words it tells.
var condition = regexp.MustCompile(`^(?:(invalid condition ").*(")|(unexpected ").*(" in condition))`)

// keepWhatIsJudged leaves out of a config what no check reads and somebody may have
// written a secret into: conditions, rewrites, texts of answers, values of headers.
func (n *Nginx) keepWhatIsJudged() {
	for i := range n.Elsewhere {
		n.Elsewhere[i] = redactAddress(n.Elsewhere[i])
	}
	answer := func(r *nginx.Return) {
		if r != nil {
			r.Text = ""
		}
	}
	headers := func(h *nginx.Value[[]nginx.Header]) {
		h.Raw = ""
		for i := range h.V {
			if one := &h.V[i]; one.Value != "" && !openHeaders.MatchString(one.Name) && !variable.MatchString(one.Value) {
				one.Value = Hidden
			}
		}
	}
	for i := range n.Problems {
		n.Problems[i].Text = condition.ReplaceAllString(n.Problems[i].Text, "${1}${3}"+Hidden+"${2}${4}")
	}
	for i := range n.Sites {
		s := &n.Sites[i]
		s.Base = redactPath(s.Base)
		for name, r := range s.Routes {
			r.Path, r.Arrives = redactPath(r.Path), redactPath(r.Arrives)
			s.Routes[name] = r
		}
		s.Server.Blocks, s.Server.Rewrites = nil, nil
		answer(s.Server.Return)
		for j := range s.Locations {
			l := &s.Locations[j]
			l.Blocks, l.Rewrites, l.TryFiles = nil, nil, nil
			answer(l.Return)
			l.Pattern = redactPath(l.Pattern)
			if l.Pass != nil {
				l.Pass.Raw, l.Pass.URI = redactPath(l.Pass.Raw), redactPath(l.Pass.URI)
				l.Pass.Upstream = redactAddress(l.Pass.Upstream)
			}
			if l.Upstream != nil {
				l.Upstream.Name = redactAddress(l.Upstream.Name)
				for k := range l.Upstream.Peers {
					l.Upstream.Peers[k].Address = redactAddress(l.Upstream.Peers[k].Address)
				}
			}
			headers(&l.ProxySetHeader)
			if realm := &l.AuthBasic; realm.V != "" && realm.V != "off" {
				realm.V, realm.Raw = Hidden, Hidden
			}
		}
	}
}
