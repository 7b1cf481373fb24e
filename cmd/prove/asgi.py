# The same protocol as app.py's as an ASGI application, for servers of that kind.
import asyncio

from app import MODEL

registered = 0


async def app(scope, receive, send):
    global registered
    if scope["type"] != "http":
        return
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    path, body = scope["path"], b"Invalid Worker"
    if path == "/register_worker":
        registered += 1
        body = b"%d_unauthenticated" % registered
    elif path.startswith("/challenge_phrase/") and path.endswith("_unauthenticated"):
        body = b"phrase"
    elif path == "/return_global_model":
        body = MODEL
    elif path == "/notify_me_if_gm_version_updated":
        await asyncio.sleep(24 * 3600)
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
