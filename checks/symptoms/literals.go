package symptoms

// A finder finds all of many literals in one pass over a text: the automaton of Aho
// and Corasick (CACM 18:6, 1975) as a table, over classes of bytes so that it stays
// in the cache. Regular expressions are asked only about lines in which it found
// something.
type finder struct {
	class [256]uint16 // of each byte; 0: in no literal
	width int         // classes
	next  []int32     // state × class → state
	found [][]int     // by state, the literals that end there
	any   []bool      // by state, whether found has any
}

func newFinder(literals []string) *finder {
	f := &finder{width: 1}
	for _, l := range literals {
		for _, b := range []byte(l) {
			if f.class[b] == 0 {
				f.class[b] = uint16(f.width)
				f.width++
			}
		}
	}
	// The tree of the literals; 0 is its root and, until all are in it, no child.
	f.grow()
	for i, l := range literals {
		at := 0
		for _, b := range []byte(l) {
			edge := at*f.width + int(f.class[b])
			if f.next[edge] == 0 {
				child := int32(len(f.found)) // grow moves next: it must not be indexed before
				f.grow()
				f.next[edge] = child
			}
			at = int(f.next[edge])
		}
		f.found[at] = append(f.found[at], i)
	}
	// By growing depth, what is missing leads where the longest proper suffix leads.
	suffix := make([]int32, len(f.found))
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for c := range f.width {
			edge := int(at)*f.width + c
			child, fallback := f.next[edge], int32(0)
			if at != 0 {
				fallback = f.next[int(suffix[at])*f.width+c]
			}
			if child == 0 {
				f.next[edge] = fallback
				continue
			}
			suffix[child] = fallback
			f.found[child] = append(f.found[child], f.found[fallback]...)
			queue = append(queue, child)
		}
	}
	f.any = make([]bool, len(f.found))
	for i := range f.found {
		f.any[i] = len(f.found[i]) > 0
	}
	return f
}

// grow adds a state.
func (f *finder) grow() {
	f.next = append(f.next, make([]int32, f.width)...)
	f.found = append(f.found, nil)
}

// in calls hit for each place where a literal ends in the text.
func (f *finder) in(text []byte, hit func(literal int)) {
	at := int32(0)
	for _, b := range text {
		at = f.next[int(at)*f.width+int(f.class[b])]
		if f.any[at] {
			for _, l := range f.found[at] {
				hit(l)
			}
		}
	}
}
