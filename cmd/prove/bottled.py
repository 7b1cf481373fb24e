# The same application as app.py in the form of dc_federated's: routes of bottle,
# and a poll that is a queue which a greenlet is to fill. That is what a held
# poll's memory consists of.
import os
import zlib

import gevent
import gevent.queue
from bottle import Bottle, request

from app import MODEL

app = Bottle()
registered = 0


@app.post("/register_worker")
def register():
    global registered
    registered += 1
    return "%d_unauthenticated" % registered


@app.get("/challenge_phrase/<worker>")
def challenge(worker):
    return "phrase" if worker.endswith("_unauthenticated") else "Invalid Worker"


big = os.urandom(int(os.environ.get("MODEL_BYTES", "0")))


@app.post("/return_global_model")
def model():
    # Each download is compressed anew, as dc_federated does.
    return zlib.compress(big) if big else MODEL


@app.post("/receive_worker_update/<worker>")
def update(worker):
    return "%d" % len(request.body.read())  # bottle spools what is large


@app.post("/notify_me_if_gm_version_updated")
def notify():
    poll, answer = request.json, gevent.queue.Queue()
    if poll["last_worker_model_version"] is None:
        return "Global model has been updated"

    def wait():
        while poll:
            gevent.sleep(24 * 3600)
        answer.put(StopIteration)

    gevent.spawn(wait)
    return answer
