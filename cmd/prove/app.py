# Just enough of dc_federated's protocol for held polls: anybody registers, a
# challenge is a constant, the model never changes, and a poll is held until the
# process ends, unless it comes without a version. With STALL it sleeps so many seconds at the first registration
# and takes the whole event loop with it, as a long computation does.
import os
import time
import zlib

import gevent
from gevent import monkey

MODEL = zlib.compress(b"\x82\xacglobal_model\xc4\x01m\xb4global_model_version\x01")
sleep = monkey.get_original("time", "sleep")
registered = 0


def app(environ, start_response):
    global registered
    path = environ["PATH_INFO"]
    message = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = b"Invalid Worker"
    if path == "/register_worker":
        registered += 1
        if registered == 1:
            sleep(float(os.environ.get("STALL", "0")))
        body = b"%d_unauthenticated" % registered
    elif path.startswith("/challenge_phrase/") and path.endswith("_unauthenticated"):
        body = b"phrase"
    elif path == "/return_global_model":
        body = MODEL
    elif path == "/notify_me_if_gm_version_updated":
        body = b"Global model has been updated"
        if b'"last_worker_model_version":null' not in message:
            gevent.sleep(24 * 3600)
    start_response("200 OK", [("Content-Type", "text/html; charset=UTF-8"), ("Content-Length", str(len(body)))])
    return [body]
