package server

// line is connections that wait for their turn. Within an address they are served
// in their order, and the addresses take turns: who comes with thousands does not
// hold up who comes alone.
type line struct {
	waiting int
	turns   []string
	by      map[string][]*visit
}

func newLine() line { return line{by: map[string][]*visit{}} }

func (l *line) push(v *visit) {
	l.waiting++
	queue := l.by[v.from]
	if len(queue) == 0 {
		l.turns = append(l.turns, v.from)
	}
	l.by[v.from] = append(queue, v)
}

// pop gives the next; there must be one.
func (l *line) pop() *visit {
	l.waiting--
	from := l.turns[0]
	l.turns = l.turns[1:]
	queue := l.by[from]
	v := queue[0]
	queue[0] = nil
	if len(queue) == 1 {
		delete(l.by, from)
		return v
	}
	l.by[from] = queue[1:]
	l.turns = append(l.turns, from)
	return v
}
