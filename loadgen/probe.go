package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// probeTimeout bounds the one request that asks whether a target speaks the
// protocol.
const probeTimeout = 10 * time.Second

// TargetError is a target that can't be driven.
type TargetError struct {
	What string
	Hint string
}

func (e *TargetError) Error() string { return e.What }

// stays is the CheckRedirect of all clients: load and keys go where the user said, and
// nowhere else that a server names.
func stays(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// CheckTarget asks the target, by one request, whether it is a server of the
// protocol: every one of them knows no worker of the name that is asked for. The
// error is a *TargetError.
func CheckTarget(ctx context.Context, target *url.URL, cfg *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	u := target.Scheme + "://" + target.Host
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u+wire.PathChallenge+"/fltool-probe", nil)
	if err != nil {
		return &TargetError{fmt.Sprintf("target %s: %v", u, err), "give a URL such as http://127.0.0.1:5000"}
	}
	tr := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, CheckRedirect: stays}).Do(req)
	if err != nil {
		return unreachable(u, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, longestText))
	if err != nil {
		return unreachable(u, err)
	}
	if resp.StatusCode == http.StatusOK && strings.TrimSpace(string(text)) == wire.TextInvalid {
		return nil
	}
	hint := "it is no dc_federated server, or something in front of it answers"
	if resp.StatusCode >= 502 && resp.StatusCode <= 504 {
		hint = "a proxy answers, and the server behind it does not"
	}
	return &TargetError{fmt.Sprintf("target %s: answered HTTP %d %q to %s", u, resp.StatusCode, clip(string(text)), wire.PathChallenge), hint}
}

// unreachable is the error of a target that gave no answer that could be read.
func unreachable(target string, err error) *TargetError {
	f := judgeConn(err)
	hint := "is the server running, and is this its address?"
	var name *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case f.class == classStopped:
		return &TargetError{fmt.Sprintf("target %s: interrupted before it answered", target), ""}
	case errors.As(err, &name):
		f.detail = fmt.Sprintf("no address is known for %s", name.Name)
		hint = "is the name spelled right? getent hosts " + name.Name + " asks as fltool does"
	case errors.As(err, &cert):
		hint = "--ca FILE trusts a private authority, --insecure takes any certificate"
	case f.class == classUnexpected:
		hint = "what listens there speaks something else: http in place of https, or the other way round?"
	}
	return &TargetError{fmt.Sprintf("target %s: %s", target, f.detail), hint}
}
