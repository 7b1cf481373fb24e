// Package wire is the dc_federated protocol: routes, messages, signatures, key
// files and the codec of models and updates. It is all that the two ends share
// and holds nothing about how either end works. Models and updates stream:
// nothing here keeps a whole body in memory unless its name says so.
//
// The protocol is that of the Python package dc_federated (backend/dcf_server.py
// and dcf_worker.py); recordings of it are the test vectors in testdata.
package wire

// The routes. A worker's id follows PathChallenge, PathUpdate and, for PUT and
// DELETE, PathWorkers after a slash.
const (
	PathRegister  = "/register_worker"
	PathChallenge = "/challenge_phrase"
	PathPoll      = "/notify_me_if_gm_version_updated"
	PathModel     = "/return_global_model"
	PathUpdate    = "/receive_worker_update"
	PathWorkers   = "/workers"
)

// HeaderPublished is a response header of our own on an answered poll: the
// moment at which the version that the answer tells of was published, in
// nanoseconds since the Unix epoch by the server's clock. Workers ignore it.
const HeaderPublished = "X-Fl-Published"

// The texts that workers and servers exchange with status 200. A client must
// judge an answer by them: the status tells nothing.
const (
	TextUpdated      = "Global model has been updated"
	TextInvalid      = "Invalid Worker"
	TextUnregistered = "Unregistered Worker"
	TextAccepted     = "Update received for worker " // and 8 characters of an id, not always the sender's
	TextNotAccepted  = "Update not accepted."
)

// What workers without keys send in place of a key and a signature.
const (
	NoPublicKey  = "No public key was provided when worker was started."
	NoPrivateKey = "No private key was provided when worker was started."
)

// RegisterPhrase is what a worker signs to register.
const RegisterPhrase = "Please authenticate me"

// UnauthenticatedSuffix ends the id of a worker that a server without key list
// registered.
const UnauthenticatedSuffix = "_unauthenticated"

// Short is the start of a worker's id by which texts and logs name it.
func Short(id string) string { return id[:min(8, len(id))] }

// SupersededStart is how a TextSuperseded of any worker starts.
const SupersededStart = "New request for global model version change notification received from "

// TextSuperseded answers a held poll whose worker has sent another.
func TextSuperseded(id string) string {
	return SupersededStart + Short(id) + " - existing request terminated."
}
