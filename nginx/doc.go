// Package nginx reads an nginx configuration as nginx does and tells what is
// in force where. It holds no opinions: whether a value is good is for others
// to say. It also renders a configuration from settings that it is given.
//
// # Reading
//
// [Read] starts at a file, which may lie below another root, and follows
// includes and links; [ReadDump] takes what `nginx -T` prints. [ParseBuild]
// reads `nginx -V`, which decides the built-in defaults. All three give plain
// data, so a [Config] can be saved as JSON and be judged elsewhere.
//
// A config that nginx would refuse is no error but a list of [Problem], in
// nginx's own words with file and line. Directives of unknown modules are in
// Config.Foreign.
//
// # What is in force
//
// Every setting is a field of the block it belongs to, called as the directive
// is: Config.Main.WorkerRlimitNofile, Config.Events.WorkerConnections,
// Socket.Backlog, Server.SSLProtocols, Upstream.Keepalive. What a location may
// set is in [Effective], after inheritance; a list such as ProxySetHeader
// replaces the inherited one as a whole, as it does in nginx. Times are
// time.Duration, sizes bytes.
//
// A [Value] has the file and line it was read from, or [Default]. Where it
// can't be known (a variable, a file that could not be read, a default that
// hangs on an unknown version) Err says why, and V must not be used.
//
// # Where a request goes
//
// [Config.Route] chooses socket, server and location for a [Request];
// [Config.ProxiesTo] finds the places that pass requests to an address.
//
// # Limits
//
// Regular expressions are tried with Go's engine: where only PCRE can tell
// whether one matches, the route is unknown, never a miss, and so it is where a
// rewrite matches. What an if does to a request is shown ([Block]), not followed; of
// try_files its last resort is. Statements inside an if are not settings in
// force.
package nginx
