"""A server of the protocol on what dc_federated's own runs on: bottle, gunicorn
with gevent, PyNaCl, msgpack. What tests need of its behaviour is the same:

- a held poll is a queue that a greenlet fills, which looks at the version every
  INTERVAL seconds: a client that has gone is not noticed, and its place stays
  taken until the next version or the next poll of the same worker
- every refusal has status 200; signatures, challenges and checksums are checked

KEYS names the file of public keys; without it any worker is taken, and gets an id
of its own. A round ends with QUORUM updates, by default one of each key: QUORUM
makes the rounds FedAvg's, where a later update of a round replaces the earlier one
and versions begin with 0; without it they are the stress test's, where a second one
is refused. LEAK keeps so many bytes of every poll, LEAK_FDS a descriptor, BURN
spends so many seconds of processor time on every update, MODEL makes the model so
many bytes, which do not compress.
"""
import hashlib
import os
import time
import zlib

import gevent
import gevent.queue
import msgpack
from bottle import Bottle, request, response
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
registered, challenges, accepted, polls, leaked = set(), {}, set(), {}, []
version = 0 if quorum else 1
app = Bottle()


class Refused(Exception):
    pass


def check(worker, phrase, message=None):
    """Is phrase signed by the worker's key, and is message, if any, what was signed?"""
    if keys is None:
        return
    try:
        signed = keys[worker].verify(bytes.fromhex(phrase))
    except (KeyError, ValueError, BadSignatureError):
        raise Refused("Invalid Worker")
    if message is not None and signed != message:
        raise Refused("Invalid Worker")


def answered():
    """The worker of a request that carries the answer to its challenge."""
    message = request.json
    worker = message["worker_id"]
    if worker not in registered:
        raise Refused("Invalid Worker")
    check(worker, message["signed_phrase"], challenges.pop(worker, b""))
    return worker, message


def route(method, path):
    def wrap(answer):
        def call(*args, **parts):
            response.content_type = "text/html; charset=UTF-8"
            try:
                return answer(*args, **parts)
            except Refused as refused:
                return str(refused)
        app.route(path, method, call)
        return answer
    return wrap


@route("POST", "/register_worker")
def register():
    message = request.json
    worker = message["public_key_str"]
    check(worker, message["signed_phrase"])
    if keys is None:
        worker = os.urandom(28).hex() + "_unauthenticated"
    registered.add(worker)
    return worker


@route("GET", "/challenge_phrase/<worker>")
def challenge(worker):
    if worker not in registered:
        raise Refused("Invalid Worker")
    phrase = os.urandom(28).hex()
    challenges[worker] = phrase.encode()
    return phrase


@route("POST", "/notify_me_if_gm_version_updated")
def poll():
    worker, message = answered()
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
        leaked.append(bytearray(os.urandom(leak)))
    if leak_fds:
        leaked.append(os.dup(0))
    greenlet = gevent.Greenlet(wait)
    polls[worker] = greenlet, body
    greenlet.start()
    return body


@route("POST", "/return_global_model")
def model():
    answered()
    return zlib.compress(msgpack.packb({"global_model": content, "global_model_version": version}))


@route("POST", "/receive_worker_update/<worker>")
def update(worker):
    global version
    if worker not in registered:
        raise Refused("Unregistered Worker")
    try:
        sent = zlib.decompress(request.files["worker_model_update"].file.read())
    except zlib.error as e:
        return str(e)
    check(worker, request.files["signed_phrase"].file.read().decode(), hashlib.sha256(sent).digest())
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
