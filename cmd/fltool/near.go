package main

import (
	"cmp"
	"slices"
	"strings"
)

// near are the words that a mistyped one may have meant, the likeliest first: those
// that it begins or ends, and those within two edits of it; case is no matter.
func near(word string, words []string) []string {
	type candidate struct {
		word  string
		edits int
	}
	var found []candidate
	word = strings.ToLower(word)
	for _, w := range words {
		small := strings.ToLower(w)
		edits := distance(word, small)
		part := len(word) > 2 && (strings.HasPrefix(small, word) || strings.HasSuffix(small, word))
		if part || edits <= 2 && edits < len(word) {
			found = append(found, candidate{w, edits})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })
	var out []string
	for _, c := range found[:min(len(found), 3)] {
		out = append(out, c.word)
	}
	return out
}

// didYouMean is a hint at words that were perhaps meant, before what helps in any
// case.
func didYouMean(words []string, help string) string {
	if len(words) == 0 {
		return help
	}
	return strings.TrimSpace("did you mean " + listed(words, "or") + "? " + help)
}

// distance is how many letters must be added, dropped, changed or swapped with
// their neighbour to turn a into b.
func distance(a, b string) int {
	row := func(n int) []int { return make([]int, n+1) }
	older, old, now := row(len(b)), row(len(b)), row(len(b))
	for j := range old {
		old[j] = j
	}
	for i := range len(a) {
		now[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			now[j+1] = min(old[j]+change, old[j+1]+1, now[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], older[j-1]+1)
			}
		}
		older, old, now = old, now, older
	}
	return old[len(b)]
}
