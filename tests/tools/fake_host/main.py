"""A stand-in for ComfyUI's main.py that starts at once and misbehaves as FAKE_HOST asks."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Only the standard library: what else could be imported would take longer than everything here.
behaviour = os.environ.get("FAKE_HOST", "")
answers = [1, 1, 1]
port = int(sys.argv[sys.argv.index("--port") + 1])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/ws"):
            self.events()
        elif self.path.startswith("/history"):
            said = [["execution_error", {"exception_message": "as recorded", "node_id": "7"}]]
            messages = {"recorded": [["execution_success", {}]], "failure recorded": said}
            self.answer({"1": {"status": {"messages": messages[behaviour]}}} if behaviour in messages else {})
        elif behaviour == "another server":
            if not (answers.pop() if answers else 0):
                os._exit(4)  # it has answered three times and was not taken for ours
            self.answer({"system": {"argv": ["someone else"]}})
        else:
            self.answer({"system": {"argv": sys.argv}})

    def do_POST(self) -> None:
        if behaviour == "die while running":
            say("Killed by the fake")
            os._exit(9)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer({"prompt_id": "1"})

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self) -> None:
        """Open a websocket (RFC 6455), send nothing, and close it when the client says its first word: good-bye."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.rfile.read(1)
        self.wfile.write(b"\x88\x00")

    def log_message(self, *_: object) -> None:
        pass


if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "die":
    sys.exit("ImportError: the fake is broken")
if behaviour == "never ready":
    time.sleep(60)
if behaviour == "never ready once" and not os.path.exists("tried"):
    open("tried", "w").close()
    time.sleep(60)
if behaviour == "slow":
    for _ in range(6):
        say("still loading")
        time.sleep(0.5)
if behaviour == "port taken once" and not os.path.exists("tried"):
    open("tried", "w").close()
    say(f"Port {port} is already in use on address 127.0.0.1. Please close the other application")
    sys.exit(1)
if behaviour == "pack fails":
    say("Traceback (most recent call last):\nImportError: a pack's own fault\n 0.0 seconds (IMPORT FAILED): pack")

try:
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
except OSError as error:  # the host's own words
    say(f"Port {port} is already in use on address 127.0.0.1. ({error})")
    sys.exit(1)
server.serve_forever()
