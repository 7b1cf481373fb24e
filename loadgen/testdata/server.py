"""A server of the protocol on what dc_federated's own runs on: bottle, gunicorn
with gevent, PyNaCl, msgpack. What tests need of its behaviour is the same:

- a held poll is a queue that a greenlet fills, which looks at the version every
  INTERVAL seconds: a client that has gone is not noticed, and its place stays
  taken until the next version or the next poll of the same worker
- every refusal has status 200; signatures, challenges and checksums are checked, in
  the same order; a message that can't be read is a 500 or an exception's text

KEYS names the file of public keys; without it any worker is taken, and gets an id
of its own. A round ends with QUORUM updates, by default one of each key: QUORUM
makes the rounds FedAvg's, where a later update of a round replaces the earlier one
and versions begin with 0; without it they are the stress test's, where a second one
is refused. DCF_SERVER_ADMIN_USERNAME and DCF_SERVER_ADMIN_PASSWORD let an admin in.
LEAK keeps so many bytes of every poll, LEAK_FDS a descriptor, BURN spends so many
seconds of processor time on every update, MODEL makes the model so many bytes, which
do not compress.
"""
import hashlib
import json
import os
import time
import zlib

import gevent
import gevent.queue
import msgpack
from bottle import Bottle, auth_basic, request, response
from nacl.encoding import HexEncoder
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

interval = float(os.environ.get("INTERVAL", "0.02"))
quorum = int(os.environ.get("QUORUM", "0"))
leak, leak_fds = int(os.environ.get("LEAK", "0")), os.environ.get("LEAK_FDS")
burn = float(os.environ.get("BURN", "0"))
content = os.urandom(int(os.environ.get("MODEL", "1000")))
keys = None
if "KEYS" in os.environ:
    with open(os.environ["KEYS"]) as f:
        keys = {k: VerifyKey(k.encode(), encoder=HexEncoder) for k in f.read().split()}
members = dict.fromkeys(keys or (), False)  # whether they are registered, by id
challenges, accepted, polls, leaked = {}, set(), {}, []
version = 0 if quorum else 1
app = Bottle()


class Refused(Exception):
    pass


def check(worker, phrase, message=None):
    """Is phrase signed by the worker's key, and is message, if any, what was signed?"""
    if keys is None:
        return
    try:
        signed = keys[worker].verify(phrase.encode(), encoder=HexEncoder)
    except (KeyError, ValueError, AttributeError, BadSignatureError):
        raise Refused("Invalid Worker")
    if message is not None and signed != message:
        raise Refused("Invalid Worker")


def wanted(message, **types):
    """What is wrong with a message that is to have these keys, of these types."""
    message = message if isinstance(message, dict) else {}
    bad = [k for k in types if not (k in message and isinstance(message[k], types[k]))]
    return bad and f"Invalid input: failed to get the following keys from JSON input: {bad}"


def answered(**types):
    """The worker of a request that carries the answer to its challenge."""
    message = request.json
    if bad := wanted(message, worker_id=str, **types, signed_phrase=str):
        raise Refused(json.dumps({"error": bad}))
    worker = message["worker_id"]
    if worker not in members:
        raise Refused("Invalid Worker")
    check(worker, message["signed_phrase"], challenges.pop(worker, b""))
    if not members[worker]:
        raise Refused("Unregistered Worker")
    return worker, message


def route(method, path, *faults):
    """Routes answer with the text of a refusal, and of an exception among these."""
    def wrap(answer):
        def call(*args, **parts):
            try:
                return answer(*args, **parts)
            except (Refused, *faults) as e:
                return str(e)
        app.route(path, method, call)
        return answer
    return wrap


@app.hook("after_request")
def cors():
    response.headers["Access-Control-Allow-Origin"] = "*"


@route("POST", "/register_worker")
def register():
    message = request.json
    if bad := wanted(message, public_key_str=str):
        return bad
    worker = message["public_key_str"]
    check(worker, message.get("signed_phrase", ""))
    if keys is None:
        worker = os.urandom(28).hex() + "_unauthenticated"
    members[worker] = True
    return worker


@route("GET", "/challenge_phrase/<worker>")
def challenge(worker):
    if worker not in members:
        raise Refused("Invalid Worker")
    phrase = os.urandom(28).hex()
    challenges[worker] = phrase.encode()
    return phrase


@route("POST", "/notify_me_if_gm_version_updated", Exception)
def poll():
    worker, message = answered(last_worker_model_version=object)
    if worker in polls:
        waiting, old = polls.pop(worker)
        waiting.kill()
        old.put(f"New request for global model version change notification received from {worker[:8]} - existing request terminated.")
        old.put(StopIteration)
    body = gevent.queue.Queue()

    def wait():
        while message["last_worker_model_version"] == version:
            gevent.sleep(interval)
        body.put("Global model has been updated")
        body.put(StopIteration)
        polls.pop(worker, None)

    if leak:
        leaked.append(bytearray(leak))
    if leak_fds:
        leaked.append(os.dup(0))
    greenlet = gevent.Greenlet(wait)
    polls[worker] = greenlet, body
    greenlet.start()
    return body


@route("POST", "/return_global_model", Exception)
def model():
    answered()
    return zlib.compress(msgpack.packb({"global_model": content, "global_model_version": version}))


@route("POST", "/receive_worker_update/<worker>", Exception)
def update(worker):
    global version
    if "signed_phrase" not in request.files:
        return json.dumps({"error": "signed_phrase not found in worker update payload."})
    sent = zlib.decompress(request.files["worker_model_update"].file.read())
    check(worker, request.files["signed_phrase"].file.read().decode(), hashlib.sha256(sent).digest())
    if worker not in members:
        raise Refused("Invalid Worker")
    if not members[worker]:
        raise Refused("Unregistered Worker")
    started = time.process_time()
    while time.process_time() - started < burn:
        pass
    if worker in accepted and not quorum:
        raise Refused("Update not accepted.")
    accepted.add(worker)
    if len(accepted) >= (quorum or len(keys or ())):
        accepted.clear()
        version += 1
    return f"Update received for worker {worker[:8]}" + ("" if quorum else ".")


def is_admin(name, password):
    given = os.environ.get("DCF_SERVER_ADMIN_USERNAME"), os.environ.get("DCF_SERVER_ADMIN_PASSWORD")
    return None not in given and (name, password) == given


def admin(method, path):
    return lambda answer: app.route(path, method, auth_basic(is_admin)(lambda *a, **parts: json.dumps(answer(*a, **parts))))


@admin("GET", "/workers")
def listed():
    return [{"worker_id": worker, "registered": is_in} for worker, is_in in members.items()]


@admin("POST", "/workers")
def add():
    message = request.json
    if bad := wanted(message, public_key_str=str, registered=bool):
        return {"error": bad}
    worker = message["public_key_str"]
    try:
        keys.setdefault(worker, VerifyKey(worker.encode(), encoder=HexEncoder))
    except Exception:
        return {"error": f"Unable to validate public key (short) {worker[:8]} - worker not added."}
    if worker in members:
        return {"error": f"Worker {worker[:8]} already exists."}
    members[worker] = message["registered"]
    return {"success": f"Successfully added worker {worker[:8]}.", "worker_id": worker, "registered": members[worker]}


@admin("PUT", "/workers/<worker>")
def set_status(worker):
    message = request.json
    if bad := wanted(message, registered=bool):
        return {"error": bad}
    if worker not in members:
        return {"error": "Attempt at changing worker status failed - please ensure this worker was added: Invalid ."}
    members[worker] = message["registered"]
    return {"success": f"Successfully changed status for worker {worker[:8]}.", "worker_id": worker, "registered": members[worker]}


@admin("DELETE", "/workers/<worker>")
def remove(worker):
    if members.pop(worker, None) is None:
        return {"error": "Attempt to remove unknown worker Invalid ."}
    del keys[worker]
    return {"worker_id": worker, "success": f"Successfully removed worker {worker[:8]}."}
