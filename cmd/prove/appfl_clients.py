# So many clients of appfl_server.py, each with a connection of its own, that wait for
# each other and give up after so many seconds: prints how many had an answer.
import sys
import threading

import grpc

clients, patience = int(sys.argv[1]), float(sys.argv[2])
answered = []


def call():
    with grpc.insecure_channel("127.0.0.1:5000", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            list(channel.unary_stream("/fl.FL/Stream")(b"%d" % clients, timeout=patience))
            answered.append(1)
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise


threads = [threading.Thread(target=call) for _ in range(clients)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(len(answered))
