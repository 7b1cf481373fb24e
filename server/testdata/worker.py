"""A worker of the protocol on Python's own libraries: requests, PyNaCl, msgpack.

worker.py URL ROUNDS KEY...   a KEY is a private-key file, or "-" for none

Runs one worker a KEY, each in a thread with a session of its own: register,
fetch, then ROUNDS times update, poll, fetch. Prints the final model and version
of each worker as a line of JSON, or fails.

With FEDAVG in the environment it does as FedAvg's worker: it trains and updates
before it has asked for anything, polls with version 0, and then ROUNDS times
fetches, trains, updates. It prints the versions that it fetched, too.
"""
import hashlib
import json
import os
import sys
import threading
import zlib

import msgpack
import requests
from nacl.encoding import HexEncoder
from nacl.signing import SigningKey


class Worker:
    def __init__(self, url, key_file):
        self.url, self.key, public = url, None, "No public key was provided when worker was started."
        if key_file != "-":
            with open(key_file) as f:
                self.key = SigningKey(f.read().encode(), encoder=HexEncoder)
            with open(key_file + ".pub") as f:
                public = f.read()
        self.session = requests.Session()
        self.session.trust_env = False
        self.id = self.post("register_worker", public_key_str=public, signed_phrase=self.sign(b"Please authenticate me")).decode()
        if self.key:
            assert self.id == public, self.id
        else:
            assert self.id.endswith("_unauthenticated"), self.id

    def sign(self, message):
        if self.key is None:
            return "No private key was provided when worker was started."
        return self.key.sign(message).hex()

    def post(self, route, **message):
        return self.session.post(f"{self.url}/{route}", json=message).content

    def challenge(self):
        return self.sign(self.session.get(f"{self.url}/challenge_phrase/{self.id}").content)

    def poll(self, version):
        answer = self.post("notify_me_if_gm_version_updated", worker_id=self.id,
                           last_worker_model_version=version, signed_phrase=self.challenge())
        assert answer == b"Global model has been updated", answer

    def fetch(self):
        answer = self.post("return_global_model", worker_id=self.id, signed_phrase=self.challenge())
        model = msgpack.unpackb(zlib.decompress(answer))
        assert list(model) == ["global_model", "global_model_version"], list(model)
        return model["global_model"], model["global_model_version"]

    def update(self, update):
        files = {"worker_model_update": zlib.compress(update), "signed_phrase": self.sign(hashlib.sha256(update).digest())}
        return self.session.post(f"{self.url}/receive_worker_update/{self.id}", files=files).content.decode()


def fedavg(url, key_file, rounds, done):
    worker = Worker(url, key_file)
    version, versions = 0, []
    for _ in range(rounds):
        worker.update(b"trained " * 1000)
        worker.poll(version)
        model, version = worker.fetch()
        versions.append(version)
    done.append({"id": worker.id, "model": model.decode(), "version": version, "versions": versions})


def run(url, key_file, rounds, done):
    worker = Worker(url, key_file)
    worker.poll(None)
    model, version = worker.fetch()
    for _ in range(rounds):
        answer = worker.update(b"an update " * 1000)
        assert answer == f"Update received for worker {worker.id[:8]}.", answer
        worker.poll(version)
        before, (model, version) = version, worker.fetch()
        assert version == before + 1, (before, version)
    done.append({"id": worker.id, "model": model.decode(), "version": version})


url, rounds, keys = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
done = []
threads = [threading.Thread(target=fedavg if "FEDAVG" in os.environ else run, args=(url, key, rounds, done), daemon=True) for key in keys]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert len(done) == len(keys), f"{len(done)} of {len(keys)} workers finished"
for d in done:
    print(json.dumps(d))
