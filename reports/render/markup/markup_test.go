package markup

import (
	"errors"
	"testing"
)

type named string

func TestPut(t *testing.T) {
	const hostile = `<b title="x">&'`
	var p Page
	p.Put(`<i class="%s">%s %v %d %.1f</i>`, hostile, named(hostile), errors.New(hostile), 7, 1.25)
	p.Put("%s", HTML("<br>"))
	const escaped = `&lt;b title=&#34;x&#34;&gt;&amp;&#39;`
	if got, want := string(p.HTML()), `<i class="`+escaped+`">`+escaped+" "+escaped+` 7 1.2</i><br>`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
