"""A server of the protocol on Python's own libraries, as dc_federated's is one:
gunicorn with gevent, PyNaCl, msgpack. KEYS names the file of public keys; a round
ends when each of them has sent its update.

Signatures, challenges and checksums are checked; every refusal has status 200.
"""
import hashlib
import json
import os
import zlib

import gevent
import msgpack
from nacl.encoding import HexEncoder
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

with open(os.environ["KEYS"]) as f:
    keys = {k: VerifyKey(k.encode(), encoder=HexEncoder) for k in f.read().split()}
registered, challenges, accepted = set(), {}, set()
version = 1


class Refused(Exception):
    pass


def check(worker, phrase, message=None):
    """Is phrase signed by the worker's key, and is message, if any, what was signed?"""
    try:
        signed = keys[worker].verify(bytes.fromhex(phrase))
    except (KeyError, ValueError, BadSignatureError):
        raise Refused("Invalid Worker")
    if message is not None and signed != message:
        raise Refused("Invalid Worker")


def answered(body):
    """The worker of a request that carries the answer to its challenge."""
    message = json.loads(body)
    worker = message["worker_id"]
    if worker not in registered:
        raise Refused("Invalid Worker")
    check(worker, message["signed_phrase"], challenges.pop(worker, b""))
    return message


def poll(message):
    while message["last_worker_model_version"] == version:
        gevent.sleep(0.02)
    yield b"Global model has been updated"


def parts(content_type, body):
    """The contents of a form's parts by their names."""
    boundary = b"--" + content_type.split("boundary=")[1].encode()
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        yield head.split(b'name="')[1].split(b'"')[0].decode(), content[:-2]


def update(worker, content_type, body):
    global version
    if worker not in registered:
        raise Refused("Invalid Worker")
    form = dict(parts(content_type, body))
    content = zlib.decompress(form["worker_model_update"])
    check(worker, form["signed_phrase"].decode(), hashlib.sha256(content).digest())
    if worker in accepted:
        raise Refused("Update not accepted.")
    accepted.add(worker)
    if len(accepted) == len(keys):
        accepted.clear()
        version += 1
    return f"Update received for worker {worker[:8]}.".encode()


def answer(path, content_type, body):
    _, route, *rest = path.split("/")
    if route == "register_worker":
        message = json.loads(body)
        check(message["public_key_str"], message["signed_phrase"])
        registered.add(message["public_key_str"])
        return message["public_key_str"].encode()
    if route == "challenge_phrase":
        if rest[0] not in registered:
            raise Refused("Invalid Worker")
        challenges[rest[0]] = os.urandom(28).hex().encode()
        return challenges[rest[0]]
    if route == "notify_me_if_gm_version_updated":
        return poll(answered(body))
    if route == "return_global_model":
        answered(body)
        return zlib.compress(msgpack.packb({"global_model": b"m" * 1000, "global_model_version": version}))
    return update(rest[0], content_type, body)


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        content = answer(environ["PATH_INFO"], environ.get("CONTENT_TYPE", ""), body)
    except Refused as refused:
        content = str(refused).encode()
    headers = [("Content-Type", "text/html; charset=UTF-8")]
    if isinstance(content, bytes):
        headers.append(("Content-Length", str(len(content))))
        content = [content]
    start_response("200 OK", headers)
    return content  # in chunks, if nobody knows its length
