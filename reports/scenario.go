package reports

// Scenario is what befell a fleet beside plain rounds and holds. A storm's figures are
// those of a drill.
type Scenario struct {
	Name string `json:"name"` // "storm"
	Plan string `json:"plan"` // as --scenario takes it, with all numbers
}

// addScenario adds up what befell the parts of a fleet.
func addScenario(a, b Scenario) Scenario {
	return Scenario{Name: common(a.Name, b.Name), Plan: common(a.Plan, b.Plan)}
}

// scenarioPlan is what a run's scenario was; "" where it had none.
func scenarioPlan(r Report) string {
	if r.Scenario == nil {
		return ""
	}
	return r.Scenario.Plan
}
