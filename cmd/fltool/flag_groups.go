package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup is flags that --help shows below one title, in this order. A command of
// the family need not have all of them.
type flagGroup struct{ title, flags string }

// flagGroups are those of the commands with many flags. What is in no group comes
// last.
var flagGroups = map[string][]flagGroup{
	"simulate":     loadGroups,
	"capacity":     loadGroups,
	"drill":        loadGroups,
	"fleet render": fleetGroups,
	"preflight":    judgeGroups,
	"fix":          judgeGroups,
	"watch":        judgeGroups,
	"nginx lint":   judgeGroups,
	"nginx render": renderGroups,
	"regress":      regressGroups,
	"serve":        serveGroups,
}

var loadGroups = []flagGroup{
	{"Search", "from to step within confirm hold-level rounds-per-level settle"},
	{"Search by shards", "levels level-every"},
	{"Prediction", "plan facts"},
	{"Numbers to deploy", "replicas-for spare measured shared-state emit name image port metric prometheus"},
	{"Acts", "act act-timeout patience"},
	{"Load", "scenario stages workers rounds hold ramp ramp-open shard start-at procs source-ip seed"},
	{"Workers", "first think worker-behaviour update update-size compressible accept request-timeout poll-timeout round-timeout"},
	{"Server", "target keys unsafe ca insecure yes quorum"},
	{"Server that fltool starts or measures", "server-binary model-size server-command ready server-output server-pid server-log"},
	{"Verdict and output", "slo max-lag format out results"},
	{"While it runs", "progress quiet metrics-listen web"},
}

var fleetGroups = []flagGroup{
	{"Fleet", "engine shards name dir"},
	{"Kubernetes", "image claim"},
	{"Ansible and Slurm", "hosts binary"},
}

var judgeGroups = []flagGroup{
	{"Demand", "workers hold model-size"},
	{"Application", "port service pid user holds"},
	{"Way to it", "fl-url upstream lb hop"},
	{"nginx", "nginx-conf nginx-version nginx-flavour nginx-bin no-nginx-t"},
	{"Host", "root facts save-facts drift"},
	{"Probe", "url probe-only probe-key probe-hold probe-body-max upstream-port ca insecure"},
	{"Load through the URL", "then-simulate simulate-hold keys yes"},
	{"Verdict and output", "ignore ignore-file fail-on format out verbose diff dir"},
	{"Metrics", "listen every"},
}

var renderGroups = []flagGroup{
	{"Demand", "workers hold model-size"},
	{"Site", "server-name listen tls-cert tls-key acme-root admin-allow"},
	{"Application", "upstream upstream-keepalive"},
	{"nginx", "nginx-version user site"},
}

var regressGroups = []flagGroup{
	{"Base", "baseline baseline-binary baseline-command store"},
	{"Runs", "runs max-runs server-command ready"},
	{"Verdict", "gate limit strict allow-inconclusive"},
	{"Output", "format out history commit"},
	{"While it runs", "progress quiet metrics-listen"},
}

var serveGroups = []flagGroup{
	{"Workers", "listen keys unsafe unsafe-public tls-cert tls-key client-ca"},
	{"Model and rounds", "model model-size first-version update-policy round round-timeout"},
	{"Limits", "max-workers max-connections max-memory address-rate worker-rate max-hold max-update-size max-inflation max-uploads max-strangers stranger-idle"},
	{"State", "state keep-updates keep-free"},
	{"Operation", "admin-listen ops-listen drain-timeout log-level log-format"},
}

// titledFlags are flags of a command below a title.
type titledFlags struct {
	title string
	flags *pflag.FlagSet
}

// grouped are all flags of a command as --help shows them.
func grouped(cmd *cobra.Command) []titledFlags {
	local := cmd.LocalFlags()
	groups := flagGroups[strings.TrimPrefix(cmd.CommandPath(), "fltool ")]
	var all []titledFlags
	shown := map[string]bool{}
	for _, g := range groups {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		for _, name := range strings.Fields(g.flags) {
			if f := local.Lookup(name); f != nil {
				set.AddFlag(f)
				shown[name] = true
			}
		}
		all = append(all, titledFlags{g.title, set})
	}
	rest := pflag.NewFlagSet("", pflag.ContinueOnError)
	rest.SortFlags = local.SortFlags
	local.VisitAll(func(f *pflag.Flag) {
		if !shown[f.Name] {
			rest.AddFlag(f)
		}
	})
	title := "Flags"
	if len(groups) > 0 {
		title = "Other flags"
	}
	return append(all, titledFlags{title, rest}, titledFlags{"Global flags", cmd.InheritedFlags()})
}
