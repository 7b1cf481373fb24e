package loadgen

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const published = 20 * time.Second
	looking := func(every time.Duration, n int) (told []toldOf) {
		for range n {
			sent := time.Duration(rng.Int64N(int64(5 * time.Second)))
			looks := (published-sent)/every + 1
			told = append(told, toldOf{sent: sent, answered: sent + looks*every + time.Duration(rng.Int64N(int64(every/20)))})
		}
		return told
	}
	var slow, atOnce []toldOf
	for i := range 50 {
		sent := time.Duration(rng.Int64N(int64(5 * time.Second)))
		slow = append(slow, toldOf{sent: sent, answered: published + time.Duration(i)*20*time.Millisecond})
		atOnce = append(atOnce, toldOf{sent: sent, answered: published + time.Duration(i)*time.Millisecond})
	}
	for name, c := range map[string]struct {
		told []toldOf
		want time.Duration
	}{
		"every second": {looking(time.Second, 50), time.Second}, "every ten": {looking(10*time.Second, 50), 10 * time.Second},
		"twice a second": {looking(time.Second/2, 50), time.Second / 2}, "few polls": {looking(time.Second, 5), 0},
		"a slow server": {slow, 0}, "a fast one": {atOnce, 0}, "none": {nil, 0},
	} {
		if got := intervalOf(c.told); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
