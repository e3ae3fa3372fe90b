"""Talk to a running ComfyUI: requests, prompts, progress, errors."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ASK_SECONDS = 20  # of silence, after which the server is asked whether the run is over
Progress = Callable[[str, int, int], None]  # node id, value, maximum


class ServerError(Exception):
    """The server could not be started, died, or was asked for something it does not have."""


class PromptError(ServerError):
    """A prompt was refused or failed while it ran.

    Attributes:
        node_errors: what the server said of each node, by node id; empty for a failure while running.
        details: the server's whole answer or event.
    """

    def __init__(self, message: str, node_errors: Mapping[str, Any], details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.node_errors = dict(node_errors)
        self.details = dict(details)


class Interrupted(ServerError):
    """The prompt was interrupted."""


@dataclass(frozen=True)
class OutputFile:
    """One file a node reported: its node, the kind of list it came in (images, ...), and where it lies."""

    node: str
    kind: str
    path: Path


class Client:
    """Requests to a ComfyUI server on this machine whose base directory is known.

    Args:
        base: the server's base directory.
        port: its loopback port.
    """

    def __init__(self, base: Path, port: int = 0) -> None:
        self.base = base
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def last_words(self) -> str:
        """What to add to the message when the server is gone."""
        return ""

    def request(
        self, path: str, body: Any = None, *, method: str | None = None, timeout: float = 60
    ) -> tuple[int, bytes]:
        """Send one request and return its status and raw body; ``body`` is sent as JSON.

        Raises:
            ServerError: no answer.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError as error:
            raise ServerError(f"ComfyUI does not answer ({error}).{self.last_words()}") from error

    def get(self, path: str, timeout: float = 60) -> Any:
        """Return the JSON that ``path`` answers with.

        Raises:
            ServerError: no answer, or another status than 200.
        """
        status, body = self.request(path, timeout=timeout)
        if status != 200:
            raise ServerError(f"ComfyUI answered {path} with status {status}.")
        return json.loads(body)

    def object_info(self) -> dict[str, Any]:
        """Return the descriptions of all nodes the server knows, by class type."""
        info: dict[str, Any] = self.get("/object_info")
        return info

    def queue(self, prompt: Mapping[str, Any], listener: str = "") -> tuple[int, dict[str, Any]]:
        """Post an API prompt without waiting for it; return the status and the server's answer.

        Args:
            listener: the clientId of the websocket that is told of its events.
        """
        status, body = self.request("/prompt", {"prompt": prompt, "client_id": listener or uuid.uuid4().hex})
        return status, json.loads(body) if body else {}

    def interrupt(self) -> None:
        """Stop what is running."""
        self.request("/interrupt", {}, method="POST")

    def history(self, prompt_id: str) -> dict[str, Any]:
        """Return a finished prompt's record: status and outputs; empty while it runs."""
        record: dict[str, Any] = self.get(f"/history/{prompt_id}").get(prompt_id, {})
        return record

    def view(self, name: str, subfolder: str = "", kind: str = "output") -> bytes:
        """Return the content of a file of the server's output, temp or input folder."""
        query = urllib.parse.urlencode({"filename": name, "subfolder": subfolder, "type": kind})
        status, body = self.request(f"/view?{query}")
        if status != 200:
            raise ServerError(f"The server has no {kind} file {subfolder}/{name} (status {status}).")
        return body

    def place(self, file: Path, name: str | None = None) -> str:
        """Copy a file into the server's input folder; return the name loader nodes use for it."""
        name = name or file.name
        shutil.copyfile(file, self.base / "input" / name)
        return name

    def run(
        self, prompt: Mapping[str, Any], on_progress: Progress | None = None, timeout: float = 3600
    ) -> list[OutputFile]:
        """Run an API prompt to its end and return the files its nodes made.

        Args:
            on_progress: called with a node's id, its steps done and their number.
            timeout: how many seconds the server may report nothing.

        Raises:
            PromptError: refused (with each node's errors) or failed while running (with the node's message).
            Interrupted: interrupted.
            ServerError: the server died, or reported nothing for too long.
        """
        try:
            return self.files(asyncio.run(self._run(prompt, on_progress, timeout)))
        except asyncio.TimeoutError:
            self.interrupt()
            raise ServerError(
                f"The run was stopped: ComfyUI reported nothing for {timeout:.0f} seconds. "
                f"Try a smaller picture or fewer frames.{self.last_words()}"
            ) from None

    def files(self, outputs: Mapping[str, Any]) -> list[OutputFile]:
        """Return the files in a prompt's outputs, saved ones and previews."""
        found = []
        for node, kinds in outputs.items():
            for kind, items in kinds.items():
                for item in items if isinstance(items, list) else []:
                    if isinstance(item, dict) and "filename" in item:
                        folder = self.base / item.get("type", "output") / item.get("subfolder", "")
                        found.append(OutputFile(node, kind, folder / item["filename"]))
        return found

    async def _run(self, prompt: Mapping[str, Any], on_progress: Progress | None, quiet: float) -> dict[str, Any]:
        import aiohttp

        # A new one for each run: the server forgets a clientId when its websocket ends, even if another has it by then.
        listener = uuid.uuid4().hex
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self.url}/ws?clientId={listener}", max_msg_size=0) as messages,
            ):
                status, answer = await asyncio.to_thread(self.queue, prompt, listener)
                if status != 200:
                    raise refused(answer, prompt)
                async for kind, data in self._events(messages, answer["prompt_id"], quiet):
                    if kind == "execution_success":
                        break
                    tell(kind, data, prompt, on_progress)
                else:
                    raise ServerError(f"ComfyUI stopped while running.{self.last_words()}")
        except aiohttp.ClientError as error:
            raise ServerError(f"The connection to ComfyUI broke ({error}).{self.last_words()}") from error
        outputs: dict[str, Any] = (await self._record(answer["prompt_id"])).get("outputs", {})
        return outputs

    async def _record(self, prompt_id: str) -> dict[str, Any]:
        """Return a finished prompt's history, which the server writes a moment after it says that it is done."""
        for _ in range(200):
            if record := await asyncio.to_thread(self.history, prompt_id):
                return record
            await asyncio.sleep(0.05)
        raise ServerError(f"ComfyUI finished the workflow but has no record of it.{self.last_words()}")

    async def _events(self, messages: Any, prompt_id: str, quiet: float) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """A prompt's events, from the websocket, or from the server's record of it where that stays silent."""
        heard = time.monotonic()
        while True:
            try:
                message = await messages.receive(timeout=min(quiet, ASK_SECONDS))
            except asyncio.TimeoutError:
                record = await asyncio.to_thread(self.history, prompt_id)
                for kind, data in record.get("status", {}).get("messages", []):
                    yield kind, data
                if time.monotonic() - heard >= quiet:
                    raise
                continue
            heard = time.monotonic()
            if message.type.name in ("CLOSE", "CLOSING", "CLOSED", "ERROR"):
                return
            if isinstance(message.data, str):  # else a preview picture
                event = json.loads(message.data)
                data = event.get("data") or {}
                if data.get("prompt_id") == prompt_id:
                    yield event["type"], data


def tell(kind: str, data: Mapping[str, Any], prompt: Mapping[str, Any], on_progress: Progress | None) -> None:
    """Tell of progress, and raise what an event says of a run that did not succeed."""
    if kind == "execution_interrupted":
        raise Interrupted("The run was interrupted.")
    if kind == "execution_error":
        raise failed(data, prompt)
    if kind == "progress" and on_progress:
        on_progress(str(data["node"]), int(data["value"]), int(data["max"]))
    elif kind == "executing" and data.get("node") and on_progress:
        on_progress(str(data["node"]), 0, 1)


def refused(answer: Mapping[str, Any], prompt: Mapping[str, Any]) -> PromptError:
    """Put a refused prompt's node errors into one message."""
    node_errors = answer.get("node_errors") or {}
    said = []
    for node, entry in node_errors.items():
        for error in entry.get("errors", []):
            text = f"{error.get('message', '')}: {error.get('details', '')}".strip(": ")
            said.append(f"{_title(prompt, node)}: {text}")
    error = answer.get("error") or {}
    if not said:
        said = [
            f"{error.get('message', '')} {error.get('details', '')}".strip() if isinstance(error, dict) else str(error)
        ]
    return PromptError("ComfyUI refused the workflow. " + " | ".join(said), node_errors, answer)


def failed(event: Mapping[str, Any], prompt: Mapping[str, Any]) -> PromptError:
    """Put an execution error into one message."""
    message = str(event.get("exception_message", "")).strip()
    return PromptError(f"{_title(prompt, str(event.get('node_id')))}: {message}", {}, event)


def _title(prompt: Mapping[str, Any], node: str) -> str:
    entry = prompt.get(node) or {}
    return f"{entry.get('_meta', {}).get('title') or entry.get('class_type', 'node')} (node {node})"
