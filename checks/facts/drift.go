package facts

import (
	"cmp"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Drift is one fact that differs between two readings of a host. A text that is empty
// was not there.
type Drift struct {
	What     string // "sysctls.net.core.somaxconn", "processes.nginx master.limits.nofile.soft"
	Old, New string
	Source   string // where the new one was read; where it is gone, the old one
}

// passing are the facts that change by themselves, or name what does: counts of
// what is in use, ids of processes, and what says when, how and of whom was read.
var passing = regexp.MustCompile(`^(schema|gathered|root|host\.hostname|memory\.availableBytes|files|sockets|listen|timeWait|conntrack\.count|probe|` +
	`shell\.pid|nginx\.master|(processes|persisted|shell|outer)(\..*)?\.(pid|ppid|netns|fds|rssBytes|threads|established|queued|inUse|hits|running|draining|master)|` +
	`(service|nginxUnit)\.mainPid|(nginx|outer)(\..*)?\.(freeBytes|location|onward|servers|default))$`)

// Compare lists what lasts and differs, in the order of the paths. Where a whole is new or
// gone, as a process or a location of nginx's, its parts are not listed.
func Compare(was, is Facts) (out []Drift) {
	a, b := was.Lasting(), is.Lasting()
	told := map[Drift]bool{}
	paths := maps.Clone(a)
	maps.Copy(paths, b)
	whole := ""
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if whole != "" && strings.HasPrefix(path, whole) {
			continue
		}
		x, before := a[path]
		y, after := b[path]
		if x.Text == y.Text && before == after {
			continue
		}
		if before != after {
			whole = path + "."
		}
		d := Drift{What: path, Old: x.Text, New: y.Text, Source: cmp.Or(y.Source, x.Source)}
		same := Drift{What: numbered.ReplaceAllString(path, ""), Old: d.Old, New: d.New}
		if told[same] { // of several alike, such as nginx's workers, one tells
			continue
		}
		told[same] = true
		if before == after {
			d = Drift{What: same.What, Old: d.Old, New: d.New, Source: d.Source}
		}
		out = append(out, d)
	}
	return out
}

var processID = regexp.MustCompile(`/proc/\d+`)

var numbered = regexp.MustCompile(` #\d+`)

// Stated is a fact in words, and where it was read.
type Stated struct{ Text, Source string }

// Lasting are the facts that stay as they are until somebody changes them, by their
// path in the JSON. Elements of lists go by their names.
func (f Facts) Lasting() map[string]Stated {
	l := lasting{}
	l.walk(reflect.ValueOf(f), "", "")
	for path, s := range l { // why something is unknown may name a process
		if strings.Contains(s.Text, "/proc/") {
			l[path] = Stated{processID.ReplaceAllString(s.Text, "/proc/PID"), s.Source}
		}
	}
	return l
}

type lasting map[string]Stated

func (l lasting) walk(v reflect.Value, path, source string) {
	if passing.MatchString(numbered.ReplaceAllString(path, "")) {
		return
	}
	if text, ok := inWords(v); ok {
		l[path] = Stated{text, source}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			l[path] = Stated{"there", source}
			l.walk(v.Elem(), path, source)
		}
	case reflect.Struct:
		l.walkStruct(v, path, source)
	case reflect.Map:
		for _, key := range v.MapKeys() {
			l.walk(v.MapIndex(key), join(path, key.String()), source)
		}
	case reflect.Slice, reflect.Array:
		l.walkList(v, path, source)
	default:
		l[path] = Stated{fmt.Sprint(v), source}
	}
}

// inWords is what is a fact as it stands.
func inWords(v reflect.Value) (string, bool) {
	if v.CanInterface() && v.Kind() != reflect.Pointer {
		switch x := v.Interface().(type) {
		case time.Duration:
			return x.String(), true
		case encoding.TextMarshaler: // an address
			if b, err := x.MarshalText(); err == nil {
				return string(b), true
			}
		}
	}
	return "", false
}

func (l lasting) walkStruct(v reflect.Value, path, source string) {
	if value, why, from, ok := asValue(v); ok {
		switch {
		case why != "":
			l[path] = Stated{"unknown: " + why, source}
		case from != "":
			l.walk(value, path, from)
		}
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case f.Anonymous && name == "":
			l.walk(v.Field(i), path, source)
		case name == "source": // a line that moved is no change
		default:
			at := source
			if from := v.FieldByName("Source"); from.IsValid() && from.Kind() == reflect.String {
				at = cmp.Or(from.String(), source)
			}
			l.walk(v.Field(i), join(path, cmp.Or(name, f.Name)), at)
		}
	}
}

// asValue takes a Value apart, of whatever type.
func asValue(v reflect.Value) (value reflect.Value, why, source string, ok bool) {
	value, e, s := v.FieldByName("V"), v.FieldByName("Err"), v.FieldByName("Source")
	if !value.IsValid() || !e.IsValid() || !s.IsValid() {
		return value, "", "", false
	}
	return value, e.String(), s.String(), true
}

func (l lasting) walkList(v reflect.Value, path, source string) {
	var plain []string
	times := map[string]int{}
	for i := range v.Len() {
		e := v.Index(i)
		for e.Kind() == reflect.Pointer && !e.IsNil() {
			e = e.Elem()
		}
		text, ok := inWords(e)
		switch {
		case ok:
			plain = append(plain, text)
			continue
		case e.Kind() != reflect.Struct:
			plain = append(plain, fmt.Sprint(e))
			continue
		}
		if value, _, _, ok := asValue(e); ok && value.Kind() != reflect.Struct && value.Kind() != reflect.Pointer {
			plain = append(plain, fmt.Sprint(value))
			continue
		}
		name := join(path, cmp.Or(elementName(e), "one"))
		if times[name]++; times[name] > 1 {
			name += fmt.Sprintf(" #%d", times[name])
		}
		l[name] = Stated{"there", source}
		l.walk(e, name, source)
	}
	if len(plain) > 0 {
		l[path] = Stated{strings.Join(plain, ", "), source}
	}
}

// naming are the fields that tell an element of a list from the others.
var naming = []string{"Kind", "Part", "Name", "Key", "Path", "Pattern", "Addr", "Address", "Names", "Service", "To", "Domain", "Type", "Item", "Directive", "Zone", "Who", "Text"}

// elementName is what an element of a list goes by.
func elementName(v reflect.Value) string {
	if value, _, _, ok := asValue(v); ok {
		for value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		if value.Kind() != reflect.Struct {
			return ""
		}
		v = value
	}
	var parts []string
	for _, field := range naming {
		f := v.FieldByName(field)
		if !f.IsValid() {
			continue
		}
		text, ok := inWords(f)
		if !ok {
			switch f.Kind() {
			case reflect.String:
				text = f.String()
			case reflect.Slice:
				text = strings.Trim(fmt.Sprint(f), "[]")
			}
		}
		if text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
