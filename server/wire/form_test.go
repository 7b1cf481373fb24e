package wire

import (
	"bytes"
	"strings"
	"testing"
)

// TestPlainForm: what workers write is plain, and what mime/multipart may take for
// something else is not.
func TestPlainForm(t *testing.T) {
	for _, name := range []string{"safe/03-receive_worker_update", "unsafe/03-receive_worker_update"} {
		req, body, _, _ := recorded(t, name, 0)
		if _, _, ok := plainForm(body, req.Header.Get("Content-Type")); !ok {
			t.Errorf("%s is not plain: %q", name, body)
		}
	}
	const phrase = "signed\r\n--other"
	f, err := NewUpdateForm([]byte("\r\n--stream"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Join(f.Segments(phrase), nil)
	stream, signed, ok := plainForm(body, f.ContentType)
	if !ok || string(stream) != "\r\n--stream" || signed != phrase {
		t.Fatalf("%q %q %v", stream, signed, ok)
	}
	boundary := strings.TrimPrefix(f.ContentType, formType)
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(string(body), old) {
			t.Fatalf("no %q in %q", old, body)
		}
		return strings.Replace(string(body), old, new, 1)
	}
	for _, body := range []string{
		"", boundary, "\r\n" + string(body),
		change("--"+boundary, "-"+boundary),
		change("\r\n--stream", "--"+boundary),
		change("\r\n--stream", "\r\n--"+boundary+"x"),
		change(phrase, "--"+boundary),
		change(phrase, strings.Repeat("x", maxPhrase+1)),
		change("\r\n--"+boundary+"--\r\n", ""),
		change("\r\n--"+boundary+"--\r\n", "\r\n--"+boundary+"\r\n"),
		change(partUpdate, partSigned),
		change("Content-D", "content-d"),
		change("form-data; name=\"signed", "form-data;name=\"signed"),
	} {
		if _, _, ok := plainForm([]byte(body), f.ContentType); ok {
			t.Errorf("%q is plain", body)
		}
	}
	for _, contentType := range []string{"", formType, formType + `"` + boundary + `"`, formType + boundary + " ", formType + strings.Repeat("b", 71), "Multipart/form-data; boundary=" + boundary} {
		if _, _, ok := plainForm(body, contentType); ok {
			t.Errorf("%q is plain", contentType)
		}
	}
}
