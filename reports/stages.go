package reports

// Stage is a part of a run in which so many workers were asked for. Times are in seconds
// since the start of the run.
type Stage struct {
	Number    int     `json:"number"`             // of the stages that were asked for, from 1; steps and waves have several parts
	Shape     string  `json:"shape"`              // "hold"
	Asked     int     `json:"asked"`              // workers
	From      float64 `json:"from"`               // when it began, and workers came or left
	HeldFrom  float64 `json:"heldFrom,omitempty"` // when all were where they should be; 0: never
	To        float64 `json:"to"`                 // when it was over
	Held      int     `json:"held"`               // at its end
	Fewest    int     `json:"fewest"`             // held at any moment since heldFrom
	NeverHeld int     `json:"neverHeld"`          // of those asked for: had not polled by its end
	LostWhile int     `json:"lostWhileHeld"`      // workers that lost a held poll in it for the first time
	Places    int     `json:"places,omitempty"`   // as of held polls of the whole run
}
