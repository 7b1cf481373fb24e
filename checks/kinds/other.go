package kinds

import "github.com/fltool/fltool/checks/facts"

// Other is a program of which nothing is known: it leaves every question open.
var Other = &Kind{Spec: facts.Spec{Kind: facts.KindOther, Role: facts.RoleServer}}
