"""A stand-in for ComfyUI's main.py that starts at once and misbehaves as FAKE_HOST asks."""

from __future__ import annotations

import os
import signal
import sys
import time

from aiohttp import WSMsgType, web

behaviour = os.environ.get("FAKE_HOST", "")
answers = [1, 1, 1]
port = int(sys.argv[sys.argv.index("--port") + 1])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def system_stats(_: web.Request) -> web.Response:
    if behaviour == "another server" and not (answers.pop() if answers else 0):
        os._exit(4)  # it has answered three times and was not taken for ours
    argv = ["someone else"] if behaviour == "another server" else sys.argv
    return web.json_response({"system": {"argv": argv}})


async def prompt(_: web.Request) -> web.Response:
    if behaviour == "die while running":
        say("Killed by the fake")
        os._exit(9)
    return web.json_response({"prompt_id": "1"})


async def events(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.CLOSE:
            break
    return socket


if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "die":
    sys.exit("ImportError: the fake is broken")
if behaviour == "never ready":
    time.sleep(60)
if behaviour == "port taken once" and not os.path.exists("tried"):
    open("tried", "w").close()
    say(f"Port {port} is already in use on address 127.0.0.1. Please close the other application")
    sys.exit(1)
if behaviour == "pack fails":
    say("Traceback (most recent call last):\nImportError: a pack's own fault\n 0.0 seconds (IMPORT FAILED): pack")

application = web.Application()
application.add_routes([web.get("/system_stats", system_stats), web.post("/prompt", prompt), web.get("/ws", events)])
try:
    web.run_app(application, host="127.0.0.1", port=port, print=None, handle_signals=behaviour != "stubborn")
except OSError as error:  # the host's own words
    say(f"Port {port} is already in use on address 127.0.0.1. ({error})")
    sys.exit(1)
