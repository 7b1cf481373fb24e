package render

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fltool/fltool/reports/render/rendertest"
)

// inPage looks at a page as a reader does: does it scroll sideways, is every
// plot drawn, does all text stand out (WCAG AA: 4.5, large text 3).
const inPage = `(() => {
  const lum = c => { const f = v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
    return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]) };
  const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
  const background = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c } return [255, 255, 255] };
  const faint = [], small = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let n; n = walk.nextNode();) {
    if (!n.textContent.trim() || n.parentElement.localName === 'title') continue;
    texts++;
    const e = n.parentElement, s = getComputedStyle(e), inSVG = e instanceof SVGElement;
    const a = lum(rgb(inSVG ? s.fill : s.color)), b = lum(background(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && s.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) faint.push(n.textContent.trim() + ' ' + ratio.toFixed(2));
    if (e.getBoundingClientRect().height < 9) small.push(n.textContent.trim() + ' ' + e.getBoundingClientRect().height.toFixed(1));
  }
  const plots = [...document.querySelectorAll('.plot')], box = e => e.getBoundingClientRect();
  const beside = (p, t) => box(t).right > Math.min(box(p).right + 32, innerWidth) || box(t).left < box(p).left - 1;
  return {
    texts, faint, small, plots: plots.length,
    undrawn: plots.filter(p => box(p.querySelector('svg')).width < 150 || box(p.querySelector('svg')).height < 20
      || p.querySelectorAll('path[d^=M]').length < 3 || p.querySelectorAll('span').length < 3).length,
    sideways: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    clipped: plots.filter(p => [...p.querySelectorAll('span')].some(t => beside(p, t))).length,
    over: plots.flatMap(p => ['.x', '.y'].flatMap(axis => [...p.querySelectorAll(axis + ' span')].flatMap((t, i, all) => i && axis === '.x' && box(t).left < box(all[i - 1]).right
      ? [all[i - 1].textContent + ' ' + t.textContent] : []))),
    heading: document.querySelector('h1').textContent,
    width: innerWidth, dark: matchMedia('(prefers-color-scheme: dark)').matches,
  };
})()`

type seen struct {
	Texts    int      `json:"texts"`
	Faint    []string `json:"faint"`
	Small    []string `json:"small"`
	Plots    int      `json:"plots"`
	Undrawn  int      `json:"undrawn"`
	Sideways bool     `json:"sideways"`
	Clipped  int      `json:"clipped"`
	Over     []string `json:"over"` // texts of an axis that lie on each other
	Heading  string   `json:"heading"`
	Width    int64    `json:"width"`
	Dark     bool     `json:"dark"`
}

var shots = flag.String("shots", "", "keep what the browser shows and prints in this `folder`, to be looked at")

// onePage is a page that is opened, and what must be on it.
type onePage struct {
	html    bytes.Buffer
	heading string // begins with this
	plots   int
}

// browserPages are all kinds of pages, by name.
func browserPages(t *testing.T) map[string]*onePage {
	pages := map[string]*onePage{}
	for name, r := range samples() {
		p := &onePage{heading: newDocument(r).word + ": ", plots: len(figures(r))}
		if err := HTML(&p.html, r); err != nil {
			t.Fatal(err)
		}
		pages[name] = p
	}
	show, err := Comparisons.For("html", Style{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range comparisons(t) {
		p := &onePage{heading: strings.ToUpper(string(c.Trend)) + ": "}
		if err := show(&p.html, c); err != nil {
			t.Fatal(err)
		}
		pages[name] = p
	}
	return pages
}

func TestHTMLInBrowser(t *testing.T) {
	pages := browserPages(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page, ok := pages[strings.TrimPrefix(req.URL.Path, "/")]
		if !ok {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.html.Bytes()) // a browser that hangs up fails the test by what it shows
	}))
	defer server.Close()

	var mu sync.Mutex
	var requests, complaints []string
	ctx := rendertest.Browser(t, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, "data:") {
				requests = append(requests, ev.Request.URL)
			}
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint(ev.Type))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, ev.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complaints = append(complaints, ev.Entry.Text)
		}
	})

	for name, page := range pages {
		mu.Lock()
		requests, complaints = nil, nil
		mu.Unlock()
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/"+name)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, size := range []struct {
			name          string
			width, height int64
			scheme        string
		}{
			{"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}, {"desktop", 1280, 900, "light"},
			{"desktop-dark", 1280, 900, "dark"}, {"wall", 1920, 1080, "light"},
		} {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: size.scheme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(size.width, size.height)); err != nil {
				t.Fatal(err)
			}
			got, err := chromedp.Run(ctx, chromedp.Evaluate[seen](inPage))
			if err != nil {
				t.Fatalf("%s, %s: %v", size.name, name, err)
			}
			if got.Width != size.width || got.Dark != (size.scheme == "dark") {
				t.Errorf("%s, %s: it is %d wide, dark: %t", size.name, name, got.Width, got.Dark)
			}
			if got.Plots != page.plots || got.Undrawn > 0 || got.Clipped > 0 || len(got.Over) > 0 {
				t.Errorf("%s, %s: %d plots of %d, %d not drawn, %d clipped, one upon the other %q", size.name, name, got.Plots, page.plots, got.Undrawn, got.Clipped, got.Over)
			}
			if got.Sideways {
				t.Errorf("%s, %s: the page scrolls sideways", size.name, name)
			}
			if got.Texts < 10 || len(got.Faint) > 0 || len(got.Small) > 0 {
				t.Errorf("%s, %s: of %d texts faint are %q, small %q", size.name, name, got.Texts, got.Faint, got.Small)
			}
			if !strings.HasPrefix(got.Heading, page.heading) {
				t.Errorf("%s, %s: the heading is %q", size.name, name, got.Heading)
			}
			if *shots != "" {
				keepShots(t, ctx, filepath.Join(*shots, name+"-"+size.name))
			}
		}
		mu.Lock()
		if len(requests) != 1 {
			t.Errorf("%s: it asks for %q", name, requests)
		}
		if len(complaints) > 0 {
			t.Errorf("%s: the console says %q", name, complaints)
		}
		mu.Unlock()
	}
}

// keepShots writes what the browser shows, and what it would print.
func keepShots(t *testing.T, ctx context.Context, base string) {
	for suffix, take := range map[string]chromedp.Action[[]byte]{
		".png": chromedp.FullScreenshot(100), ".pdf": chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)),
	} {
		b, err := chromedp.Run(ctx, take)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(base+suffix, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What a hostile server answered is text on the page, nothing else.
func TestHTMLEscapes(t *testing.T) {
	r := lostSample()
	hostile := `<script>alert(1)</script><img src=x onerror=alert(1)>`
	r.Errors[0].Class, r.Errors[0].Example, r.Env.Tool, r.Reasons[0] = hostile, hostile, hostile, hostile
	r.Timeline[2].Classes = map[string]int{hostile: 1}
	r.Series[0].Name = hostile
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"<script", "<img"} {
		if strings.Contains(b.String(), tag) {
			t.Errorf("%s got into the page", tag)
		}
	}
	if n := strings.Count(b.String(), "&lt;script&gt;"); n < 5 {
		t.Errorf("the text stands %d times", n)
	}
}
