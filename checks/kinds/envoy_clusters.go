package kinds

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// envoyBreaker are the settings of a circuit breaker.
var envoyBreaker = []string{"max_requests", "max_connections", "max_pending_requests"}

// envoyMaxWays bounds what a config may make by aliases.
const envoyMaxWays = 10000

// to adds the ways to the clusters that an action names. Where a header of the request
// names it any may be meant.
func (c *envoyConfig) to(action envoyNode, way facts.Pass, rank int, priority string) error {
	var names []string
	one, weighted := action.get("cluster"), action.get("weighted_clusters", "clusters").list()
	switch {
	case one.set():
		names = []string{one.text()}
	case len(weighted) > 0:
		for _, w := range weighted {
			names = append(names, w.get("name").text())
		}
	case action.get("cluster_header").set():
		for _, cluster := range c.clusters {
			names = append(names, cluster.get("name").text())
		}
		rank = max(rank, envoyPerhaps)
	default:
		return action.errorf("the cluster that it chooses is not read")
	}
	for _, name := range names {
		i := slices.IndexFunc(c.clusters, func(e envoyNode) bool { return e.get("name").text() == name })
		if i < 0 {
			return action.errorf("cluster %q is not in the file", name)
		}
		way.Settings = over(way.Settings, envoyPeers(c.clusters[i], action))
		if len(weighted) > 1 {
			way.Settings["peers"] = unread(action.errorf("weighted_clusters: over which of them polls are spread is not read"))
		}
		if err := c.endpoints(c.clusters[i], way, rank, priority); err != nil {
			return err
		}
	}
	return nil
}

// endpoints adds the ways to those of a cluster; priority "" leaves its settings alone.
func (c *envoyConfig) endpoints(cluster envoyNode, way facts.Pass, rank int, priority string) error {
	if priority != "" {
		way.Settings = over(way.Settings, c.breakers(cluster, priority), envoyUpstream(cluster))
	}
	n := 0
	for _, group := range cluster.get("load_assignment", "endpoints").list() {
		for _, e := range group.get("lb_endpoints").list() {
			to, err := e.get("endpoint", "address").address()
			if err != nil {
				return err
			}
			way.To, way.Source = to, e.at()
			c.passes = append(c.passes, envoyWay{way, rank})
			n++
		}
	}
	switch {
	case n == 0:
		return cluster.errorf("the endpoints of cluster %q are not in the file", cluster.get("name").text())
	case len(c.passes) > envoyMaxWays:
		return cluster.errorf("there are more than %d ways", envoyMaxWays)
	}
	return nil
}

// envoyPeers are the endpoints of a cluster that requests are spread over: those of
// priority 0. A hash of what the action names binds a worker to one.
func envoyPeers(cluster, action envoyNode) layer {
	var addresses []string
	for _, group := range cluster.get("load_assignment", "endpoints").list() {
		if cmp.Or(group.get("priority").text(), "0") != "0" {
			continue
		}
		for _, e := range group.get("lb_endpoints").list() {
			if to, err := e.get("endpoint", "address").address(); err == nil {
				addresses = append(addresses, to)
			}
		}
	}
	sticky := known("", envoyDefault)
	if policy := cluster.get("lb_policy"); slices.Contains([]string{"RING_HASH", "MAGLEV"}, policy.text()) && action.get("hash_policy").set() {
		sticky = known("lb_policy "+policy.text(), policy.at())
	}
	if other := cluster.get("load_balancing_policy"); other.set() {
		sticky = unread(other.errorf("load_balancing_policy is not read"))
	}
	return peersOf(addresses, sticky, cluster.at())
}

// breakers are the circuit breaker of a cluster for a priority: the first that names it.
func (c *envoyConfig) breakers(cluster envoyNode, priority string) layer {
	of := func(list string) envoyNode {
		for _, t := range cluster.get("circuit_breakers", list).list() {
			if strings.ToLower(cmp.Or(t.get("priority").text(), "default")) == priority {
				return t
			}
		}
		return envoyNode{}
	}
	s := layer{}
	for _, name := range envoyBreaker {
		key := fmt.Sprintf("circuit_breakers.%s.%s.%s", cluster.get("name").text(), priority, name)
		s[name] = c.ofRuntime(key, envoyValue("1024", of("thresholds").get(name)))
	}
	if host := of("per_host_thresholds"); host.set() {
		s["max_connections"] = unread(host.errorf("per_host_thresholds is not read"))
	}
	return s
}

// envoyUpstream is how a cluster speaks to its endpoints.
func envoyUpstream(cluster envoyNode) layer {
	options := cluster.get("typed_extension_protocol_options", "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
	s := layer{
		"upstream":                           known("http1", envoyDefault),
		"max_stream_duration of the cluster": envoyValue("", options.get("common_http_protocol_options", "max_stream_duration")),
	}
	for _, two := range []envoyNode{options.get("explicit_http_config", "http2_protocol_options"), cluster.get("http2_protocol_options")} {
		if two.set() {
			s["upstream"] = known("http2", two.at())
		}
	}
	for _, other := range []envoyNode{options.get("auto_config"), options.get("use_downstream_protocol_config"), options.get("explicit_http_config", "http3_protocol_options")} {
		if other.set() {
			s["upstream"] = unread(other.errorf("the protocol is not settled by the file"))
		}
	}
	return s
}
