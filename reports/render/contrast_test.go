package render

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports/render/plot"
)

var (
	colourRule = regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{3,6});`)
	darkRules  = regexp.MustCompile(`(?s)@media screen and \(prefers-color-scheme: dark\) \{(.*?)\n\}`)
)

// schemes are the colours of pages by name, as the style sheets have them.
func schemes() (light, dark map[string]string) {
	light, dark = map[string]string{}, map[string]string{}
	css := plot.Style + style
	for _, m := range colourRule.FindAllStringSubmatch(darkRules.ReplaceAllString(css, ""), -1) {
		light[m[1]] = m[2]
	}
	for _, block := range darkRules.FindAllString(css, -1) {
		for _, m := range colourRule.FindAllStringSubmatch(block, -1) {
			dark[m[1]] = m[2]
		}
	}
	return light, dark
}

// luminance is WCAG's relative luminance of "#abc" or "#aabbcc".
func luminance(t *testing.T, colour string) float64 {
	hex := strings.TrimPrefix(colour, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatalf("%q is no colour", colour)
		}
		if v := float64(n) / 255; v <= .04045 {
			sum += weight * v / 12.92
		} else {
			sum += weight * math.Pow((v+.055)/1.055, 2.4)
		}
	}
	return sum
}

// All texts stand out from what is behind them, and all that is drawn from the page, in
// both schemes (WCAG 2.2 AA: 4.5 and 3).
func TestContrast(t *testing.T) {
	type pair struct {
		front, back string
		least       float64
	}
	pairs := []pair{
		{"ink", "paper", 4.5}, {"ink", "box", 4.5}, {"soft", "paper", 4.5}, {"soft", "box", 4.5},
		{"link", "paper", 4.5}, {"link", "box", 4.5}, {"axis", "paper", 4.5}, {"rule", "paper", 4.5},
	}
	for _, v := range []string{"pass", "warn", "fail", "refused", "na"} {
		pairs = append(pairs, pair{v, v + "-on", 4.5})
	}
	for c := plot.Blue; c <= plot.Red; c++ {
		pairs = append(pairs, pair{fmt.Sprintf("c%d", c), "paper", 3})
	}
	light, dark := schemes()
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, p := range pairs {
			front, back := scheme[p.front], scheme[p.back]
			if front == "" || back == "" {
				t.Errorf("%s has no %s or no %s", name, p.front, p.back)
				continue
			}
			a, b := luminance(t, front), luminance(t, back)
			if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < p.least {
				t.Errorf("%s: %s %s on %s %s has %.2f, want %g", name, p.front, front, p.back, back, ratio, p.least)
			}
		}
	}
}
