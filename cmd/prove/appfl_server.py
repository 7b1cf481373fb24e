# A gRPC server of APPFL's form: a pool of as many threads as its configuration says,
# and streams that wait. Each waits until as many are there as its request says.
import re
import sys
import threading
from concurrent import futures

import grpc

config = open(sys.argv[sys.argv.index("--config") + 1]).read()
threads = int(re.search(r"max_workers: (\d+)", config)[1])
barriers = {}


def stream(request, context):
    barriers.setdefault(request, threading.Barrier(int(request))).wait()
    yield b"done"


handlers = {"Stream": grpc.unary_stream_rpc_method_handler(stream)}
server = grpc.server(futures.ThreadPoolExecutor(threads))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fl.FL", handlers),))
server.add_insecure_port("127.0.0.1:5000")
server.start()
server.wait_for_termination()
