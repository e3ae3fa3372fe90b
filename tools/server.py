"""Start a real ComfyUI server with this pack in it, run prompts, and stop it surely."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tools import environment
from tools.environment import HOME, ROOT

PACK_NAME = "latent-stereo"  # a dot in the folder's name would break help pages
PACK_FILES = ("__init__.py", "nodes", "stereo_core", "workflows", "pyproject.toml", "LICENSE", "README.md")
START_SECONDS = 300
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


class Server:
    """A ComfyUI server on a free loopback port, as a context manager.

    Args:
        base: its base directory (input, output, models, user, custom_nodes); made if missing.
        host: the folder of ComfyUI, only read; by default COMFYUI_PATH, else the one in .host.
        cpu: compute on the CPU; None: when there is no CUDA.
        packs: further node packs (folders) to load, copied like this one.
        arguments: further arguments for the host's main.py.
        python: the interpreter; by default the running one.
        start_seconds: how long to wait until it answers.
    """

    def __init__(
        self,
        base: Path | None = None,
        *,
        host: Path | None = None,
        cpu: bool | None = None,
        packs: tuple[Path, ...] = (),
        arguments: tuple[str, ...] = (),
        python: str = sys.executable,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.base = Path(os.path.abspath(base or HOME / "base"))
        self.host = host or find_host()
        self.packs = packs
        self.arguments = arguments
        self.python = python
        self.start_seconds = start_seconds
        self.cpu = cpu
        self.port = 0
        self.log = self.base / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._client = uuid.uuid4().hex

    # --- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerError: it did not start; the message ends with its last log lines.
        """
        self._prepare_base()
        for _ in range(5):
            self.port = free_port()
            self._launch()
            try:
                if self._wait_until_ready():
                    return
            except BaseException:
                self.stop()
                raise
            # Another program took the port between choosing and binding it.
        raise ServerError("No free port was found for ComfyUI in five attempts. Run the command again.")

    def stop(self) -> None:
        """Stop the server: ask it, and after ten seconds end it."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _prepare_base(self) -> None:
        for folder in ("input", "output", "models", "user", "custom_nodes"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        mirror_pack(self.base / "custom_nodes" / PACK_NAME)
        for pack in self.packs:
            copy_tree(pack, self.base / "custom_nodes" / pack.name)

    def _launch(self) -> None:
        names = [PACK_NAME, *(pack.name for pack in self.packs)]
        command = [self.python, str(self.host / "main.py"), "--port", str(self.port), "--listen", "127.0.0.1"]
        command += ["--base-directory", str(self.base), "--temp-directory", str(self.base)]
        command += ["--database-url", "sqlite:///:memory:", "--disable-auto-launch", "--disable-api-nodes"]
        # A host's extra_model_paths.yaml may name folders of other packs: load only those asked for.
        command += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", *names]
        models = self._write_model_paths()
        if models is not None:
            command += ["--extra-model-paths-config", str(models)]
        if self.cpu if self.cpu is not None else not cuda_available(self.python):
            command.append("--cpu")
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.base,
                env=environment.child_variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _write_model_paths(self) -> Path | None:
        """List a named host's model folders for the server; the pinned host has none."""
        models = self.host / "models"
        if HOME in self.host.parents or not models.is_dir():
            return None
        folders = {f.name: str(f) for f in sorted(models.iterdir()) if f.is_dir()}
        file = self.base / "extra_model_paths.yaml"
        file.write_text(json.dumps({"host": folders}), encoding="utf-8")  # JSON is YAML
        return file

    def _wait_until_ready(self) -> bool:
        """Return True when it answers, False when its port was taken by another program.

        Raises:
            ServerError: it died, or did not answer in time.
        """
        assert self._process is not None
        end = time.monotonic() + self.start_seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                if f"Port {self.port} is already in use" in self.log_tail(40):
                    return False
                raise ServerError(
                    f"ComfyUI stopped while starting (exit code {self._process.returncode}).{self._last()}"
                )
            with contextlib.suppress(OSError, ServerError, ValueError):
                # Whoever answers on the port must be the server started here.
                if str(self.base) in self.get("/system_stats", timeout=5)["system"]["argv"]:
                    break
            time.sleep(0.2)
        else:
            raise ServerError(f"ComfyUI did not answer within {self.start_seconds:.0f} seconds.{self._last()}")
        if "(IMPORT FAILED)" in (log := self.log_tail(1000)):
            start = max(log.find("Traceback (most recent call last)"), 0)
            raise ServerError(f"ComfyUI could not load the pack ({self.log}):\n{log[start:][:3000]}")
        return True

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the server's log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _last(self) -> str:
        return f" Its last words ({self.log}):\n{self.log_tail()}"

    # --- requests --------------------------------------------------------------------------------

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
            raise ServerError(f"ComfyUI does not answer ({error}).{'' if self.alive else self._last()}") from error

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
        return self.get("/object_info")

    def queue(self, prompt: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Post an API prompt without waiting for it; return the status and the server's answer."""
        status, body = self.request("/prompt", {"prompt": prompt, "client_id": self._client})
        return status, json.loads(body) if body else {}

    def interrupt(self) -> None:
        """Stop what is running."""
        self.request("/interrupt", {}, method="POST")

    def history(self, prompt_id: str) -> dict[str, Any]:
        """Return a finished prompt's record: status and outputs; empty while it runs."""
        return self.get(f"/history/{prompt_id}").get(prompt_id, {})

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

    # --- running a prompt ------------------------------------------------------------------------

    def run(
        self, prompt: Mapping[str, Any], on_progress: Progress | None = None, timeout: float = 3600
    ) -> list[OutputFile]:
        """Run an API prompt to its end and return the files its nodes made.

        Raises:
            PromptError: refused (with each node's errors) or failed while running (with the node's message).
            Interrupted: interrupted.
            ServerError: the server died, or the time limit passed.
        """
        return self.files(asyncio.run(asyncio.wait_for(self._run(prompt, on_progress), timeout)))

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

    async def _run(self, prompt: Mapping[str, Any], on_progress: Progress | None) -> dict[str, Any]:
        import aiohttp

        address = f"{self.url}/ws?clientId={self._client}"
        try:
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as events:
                status, answer = await asyncio.to_thread(self.queue, prompt)
                if status != 200:
                    raise refused(answer, prompt)
                await self._follow(events, answer["prompt_id"], prompt, on_progress)
        except aiohttp.ClientError as error:
            raise ServerError(f"The connection to ComfyUI broke ({error}).{self._last()}") from error
        return (await self._record(answer["prompt_id"])).get("outputs", {})

    async def _record(self, prompt_id: str) -> dict[str, Any]:
        """Return a finished prompt's history, which the server writes a moment after it says that it is done."""
        for _ in range(200):
            if record := await asyncio.to_thread(self.history, prompt_id):
                return record
            await asyncio.sleep(0.05)
        raise ServerError(f"ComfyUI finished the workflow but has no record of it.{self._last()}")

    async def _follow(
        self, events: Any, prompt_id: str, prompt: Mapping[str, Any], on_progress: Progress | None
    ) -> None:
        async for message in events:
            if not isinstance(message.data, str):
                continue  # a preview picture
            event = json.loads(message.data)
            kind, data = event["type"], event.get("data") or {}
            if data.get("prompt_id") != prompt_id:
                continue
            if kind == "execution_success":
                return
            if kind == "execution_interrupted":
                raise Interrupted("The run was interrupted.")
            if kind == "execution_error":
                raise failed(data, prompt)
            if kind == "progress" and on_progress:
                on_progress(str(data["node"]), int(data["value"]), int(data["max"]))
            elif kind == "executing" and data.get("node") and on_progress:
                on_progress(str(data["node"]), 0, 1)
        raise ServerError(f"ComfyUI stopped while running.{self._last()}")


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


def find_host() -> Path:
    """Return the host to use: the named one, else the one set up in .host.

    Raises:
        ServerError: there is none.
    """
    host = environment.named_host() or HOME / "ComfyUI"
    if not (host / "main.py").is_file():
        raise ServerError("There is no ComfyUI here yet. Run python tools/demo.py, or set COMFYUI_PATH.")
    return host


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cuda_available(python: str = sys.executable) -> bool:
    """Whether torch finds a CUDA device; asked once per set of packages."""
    known = environment.read_stamp("cuda")
    packages = [python, environment.read_stamp("packages")]
    if isinstance(known, dict) and known.get("packages") == packages:
        return bool(known["available"])
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    result = subprocess.run([python, "-c", code], env=environment.child_variables(), capture_output=True)
    environment.write_stamp("cuda", {"packages": packages, "available": result.returncode == 0})
    return result.returncode == 0


def mirror_pack(target: Path) -> None:
    """Make ``target`` a fresh copy of the pack's own files, as a clone in custom_nodes would hold them."""
    environment.remove_tree(target)
    for name in PACK_FILES:
        source = ROOT / name
        if source.is_dir():
            copy_tree(source, target / name)
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)


def copy_tree(source: Path, target: Path) -> None:
    environment.remove_tree(target)
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), copy_function=shutil.copyfile
    )


@contextlib.contextmanager
def running(base: Path | None = None, **options: Any) -> Iterator[Server]:
    """Yield a started server; say foreseeable failures on stderr and exit with 1."""
    try:
        with Server(base, **options) as server:
            yield server
    except (ServerError, environment.SetupError) as error:
        print(f"\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
