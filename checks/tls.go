package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var tlsChecks = []Check{
	{
		ID: "tls/protocols", Title: "no broken version of TLS is offered", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads:   []string{"ssl_protocols in force, those of the default server, and nginx's version"},
		Why:     `TLS 1.0 and 1.1 have been withdrawn (RFC 8996). Debian's and Ubuntu's nginx.conf list them to this day.`,
		Symptom: "an audit's finding; no worker is hurt",
		Mend:    "Set ssl_protocols TLSv1.2 TLSv1.3.",
		Eval:    onTLS(evalProtocols),
	},
	{
		ID: "tls/valid", Title: "the certificate is valid now", Severity: reports.SeverityError, On: OnProxy,
		Reads:   []string{"the files of ssl_certificate, at the time of reading"},
		Why:     `Workers refuse a server whose certificate has ended or is not valid yet, all of them at once.`,
		Symptom: "SSLError: certificate verify failed: certificate has expired; dc_federated's workers end",
		Mend:    "Renew the certificate and reload nginx.",
		Eval:    onCertificates(evalValid),
	},
	{
		ID: "tls/expiry", Title: "the certificate is valid for another 30 days", Severity: reports.SeverityWarn, On: OnProxy,
		After:   []string{"tls/valid"},
		Reads:   []string{"the files of ssl_certificate, at the time of reading"},
		Why:     `A certificate of 90 days is renewed 30 days before its end; one with less left was not.`,
		Symptom: "nothing yet; then all workers at once",
		Mend:    "Look why it was not renewed (certbot renew --dry-run), and that nginx is reloaded afterwards.",
		Eval:    onCertificates(evalExpiry),
	},
	{
		ID: "tls/chain", Title: "the certificate comes with its chain", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"the files of ssl_certificate"},
		Why: `A client knows root certificates alone: the intermediate ones must follow the server's in the file.
Browsers fetch what is missing, Python does not. Nobody trusts a self-signed one unless told to.`,
		Symptom: "SSLError: unable to get local issuer certificate, while the browser is content",
		Mend:    "Use fullchain.pem in ssl_certificate, not cert.pem.",
		Eval:    onCertificates(evalTLSChain),
	},
	{
		ID: "tls/key", Title: "the private key is the certificate's", Severity: reports.SeverityError, On: OnProxy,
		Reads:   []string{"the files of ssl_certificate and ssl_certificate_key; of the key only whether it fits is kept"},
		Why:     `nginx does not start, and stays on its old config on a reload, with a key of another certificate.`,
		Symptom: "SSL_CTX_use_PrivateKey failed: key values mismatch",
		Mend:    "Name the key that was made with the certificate.",
		Eval:    onCertificates(evalKey),
	},
	{
		ID: "tls/names", Title: "the certificate is for the server's names", Severity: reports.SeverityError, On: OnProxy,
		Reads:   []string{"the files of ssl_certificate", "server_name, or the host of --fl-url"},
		Why:     `A worker compares the name that it calls with those in the certificate.`,
		Symptom: "SSLError: hostname doesn't match",
		Mend:    "Get a certificate for all the names that workers use.",
		Eval:    onCertificates(evalNames),
	},
}

// onTLS asks about sites that speak TLS.
func onTLS(eval func(Case, *facts.Site) Judgement) func(Case) Judgement {
	return onSites(func(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
		if !slices.ContainsFunc(s.Server.Listen, func(l nginx.Listen) bool { return l.SSL }) {
			return notApplicable("no server that passes polls on speaks TLS")
		}
		return eval(c, s)
	})
}

// onCertificates asks about each certificate of such sites.
func onCertificates(eval func(Case, *facts.Site, facts.Certificate, string) Judgement) func(Case) Judgement {
	return onTLS(func(c Case, s *facts.Site) Judgement {
		if len(s.Certificates) == 0 {
			return unknownFor("the certificates of %s were not read", s.Source)
		}
		var all []Judgement
		for _, v := range s.Certificates {
			if !v.Known() {
				all = append(all, cantTell("the certificate", v))
				continue
			}
			all = append(all, eval(c, s, v.V, v.Source))
		}
		return worst(all)
	})
}

// evalProtocols judges the server's versions, and those of the default servers of
// its sockets: TLS settles the version before it hears of a name.
func evalProtocols(_ Case, s *facts.Site) Judgement {
	all := []Judgement{protocols(s.Server.SSLProtocols, s.Source)}
	for _, d := range s.Defaults {
		if d.SSLProtocols != nil {
			all = append(all, protocols(*d.SSLProtocols, d.Source))
		}
	}
	return worst(all)
}

func protocols(v nginx.Value[[]string], place string) Judgement {
	if !v.Known() {
		return cantTell("ssl_protocols", v)
	}
	for _, old := range []string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"} {
		if slices.Contains(v.V, old) {
			return fail(strings.Join(v.V, " "), "TLSv1.2 TLSv1.3", source(v, place),
				write(v, "the server", place, "ssl_protocols TLSv1.2 TLSv1.3;", "offer no broken versions"))
		}
	}
	return pass(strings.Join(v.V, " "), source(v, place))
}

// times are those of a certificate and of the reading of the facts.
func (c Case) times(cert facts.Certificate) (from, to, read time.Time, o Judgement) {
	var err error
	for at, text := range map[*time.Time]string{&from: cert.NotBefore, &to: cert.NotAfter, &read: c.Gathered} {
		if *at, err = time.Parse(time.RFC3339, text); err != nil {
			return from, to, read, unknownFor("%q is no time", text)
		}
	}
	return from, to, read, o
}

func renew(cert facts.Certificate) reports.Remedy {
	return reports.Remedy{Text: "renew the certificate of " + cert.Path, Then: "reload"}
}

func evalValid(c Case, _ *facts.Site, cert facts.Certificate, source string) Judgement {
	from, to, read, o := c.times(cert)
	if o.Status != "" {
		return o
	}
	switch {
	case read.After(to):
		return fail("ended on "+to.Format(time.DateOnly), "a valid one", source, renew(cert))
	case read.Before(from):
		return fail("not valid before "+from.Format(time.DateOnly), "a valid one", source, renew(cert))
	}
	return pass("until "+to.Format(time.DateOnly), source)
}

// daysLeft is when an ACME client renews a certificate of 90 days.
const daysLeft = 30

func evalExpiry(c Case, _ *facts.Site, cert facts.Certificate, source string) Judgement {
	_, to, read, o := c.times(cert)
	if o.Status != "" {
		return o
	}
	days := int(to.Sub(read).Hours() / 24)
	if days < daysLeft {
		return fail(fmt.Sprintf("%d days left", max(days, 0)), fmt.Sprintf("%d at least", daysLeft), source, renew(cert))
	}
	return pass(fmt.Sprintf("%d days left", days), source)
}

func evalTLSChain(_ Case, _ *facts.Site, cert facts.Certificate, source string) Judgement {
	fix := reports.Remedy{Text: "let ssl_certificate name a file of the server's certificate followed by the intermediate ones: certbot's fullchain.pem", Then: "reload"}
	switch {
	case cert.Chain != "":
		return fail(cert.Chain, "the chain without the root, in order", source, fix)
	case cert.SelfSigned:
		return fail("self-signed", "one that workers trust", source,
			reports.Remedy{Text: "get a certificate of an authority that workers know, or give them this one by REQUESTS_CA_BUNDLE and waive this check", Then: "reload"})
	}
	return pass(fmt.Sprintf("%d certificates in order", cert.Others+1), source)
}

func evalKey(_ Case, _ *facts.Site, cert facts.Certificate, source string) Judgement {
	if !cert.KeyMatches.Known() {
		return cantTell("the private key", cert.KeyMatches)
	}
	if !cert.KeyMatches.V {
		return fail("another certificate's key", "the key of "+cert.Path, cert.KeyMatches.Source,
			reports.Remedy{Text: "name the key in ssl_certificate_key that was made with " + cert.Path, Then: "reload"})
	}
	return pass("fits", source)
}

func evalNames(c Case, s *facts.Site, cert facts.Certificate, source string) Judgement {
	wanted := slices.DeleteFunc(slices.Clone(s.Names), func(n string) bool {
		return n == "" || n == "_" || strings.HasPrefix(n, "~") || strings.Contains(n, "*") || strings.HasPrefix(n, ".")
	})
	if c.Asked.URL != "" {
		if host := hostOf(c.Asked.URL); host != "" {
			wanted = []string{host}
		}
	}
	if len(wanted) == 0 {
		return notApplicable("the server has no name to compare with: give --fl-url")
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(cert.Names, func(of string) bool { return covers(of, name) }) {
			return fail("for "+cut(strings.Join(cert.Names, ", "), 60), name+" among them", source,
				reports.Remedy{Text: "get a certificate that is for " + name + ", too", Then: "reload"})
		}
	}
	return pass(strings.Join(wanted, ", "), source)
}

// covers says whether a name of a certificate is good for a host.
func covers(of, host string) bool {
	of, host = strings.ToLower(of), strings.ToLower(host)
	if rest, ok := strings.CutPrefix(of, "*."); ok {
		_, parent, found := strings.Cut(host, ".")
		return found && parent == rest
	}
	return of == host
}

// cut shortens a text.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func hostOf(rawURL string) string {
	q, err := nginx.RequestFor(rawURL)
	if err != nil {
		return ""
	}
	return q.Host
}
