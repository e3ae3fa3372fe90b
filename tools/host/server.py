"""Start a real ComfyUI server with this pack in it, and stop it surely."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.host.client import Client, Interrupted, OutputFile, PromptError, ServerError
from tools.host.run_folder import run_folder
from tools.setup.home import HOME, ROOT, SetupError, child_variables, read_stamp, remove_tree, write_stamp
from tools.setup.host_source import named_host

__all__ = ["Interrupted", "OutputFile", "PromptError", "Server", "ServerError", "find_host", "mirror_pack", "running"]

PACK_NAME = "latent-stereo"  # a dot in the folder's name would break help pages
PACK_FILES = (
    "__init__.py",
    "locales",
    "nodes",
    "stereo_core",
    "tools/convert_depth.py",  # a message of Load Depth Model names it
    "web",
    "workflows",
    "pyproject.toml",
    "LICENSE",
    "README.md",
)
QUIET_SECONDS = 300  # that a server may neither answer nor write anything while it starts
ANSWER_SECONDS = 5  # to one question while it starts
STOP_SECONDS = 10


class _StandsStillError(ServerError):
    """It neither answered nor wrote anything while it started."""


class Server(Client):
    """A ComfyUI server on a free loopback port, as a context manager.

    Args:
        base: its base directory (input, output, models, user, custom_nodes), of no other server; made if missing.
        host: the folder of ComfyUI, only read; by default COMFYUI_PATH, else the one in .host.
        cpu: compute on the CPU; None: when there is no CUDA.
        packs: further node packs (folders) to load, copied like this one.
        arguments: further arguments for the host's main.py.
        python: the interpreter; by default the running one.
        quiet_seconds: how long it may write nothing until it answers.
    """

    def __init__(
        self,
        base: Path,
        *,
        host: Path | None = None,
        cpu: bool | None = None,
        packs: tuple[Path, ...] = (),
        arguments: tuple[str, ...] = (),
        python: str = sys.executable,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        super().__init__(Path(os.path.abspath(base)))
        self.host = host or find_host()
        self.packs = packs
        self.arguments = arguments
        self.python = python
        self.quiet_seconds = quiet_seconds
        self.cpu = cpu
        self.log = self.base / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

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
        stood_still = False
        for _ in range(5):
            self.port = free_port()
            self._launch(more=stood_still)
            try:
                if self._wait_until_ready():
                    return
            except _StandsStillError as error:
                self._dump()
                self.stop()
                if stood_still:
                    raise ServerError(f"{error}{self.last_words()}") from None
                stood_still = True  # once may be chance
            except BaseException:
                self.stop()
                raise
            # Another program took the port between choosing and binding it.
        raise ServerError("No free port was found for ComfyUI in five attempts. Run the command again.")

    def stop(self) -> None:
        """Stop the server: ask it, and end it when it does not go."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _prepare_base(self) -> None:
        for folder in ("input", "output", "models", "user", "custom_nodes"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        # To a new user the frontend shows its tour, and clears the graph for it just when something loads one.
        settings = self.base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
        mirror_pack(self.base / "custom_nodes" / PACK_NAME)
        for pack in self.packs:
            copy_tree(pack, self.base / "custom_nodes" / pack.name)

    def _launch(self, more: bool) -> None:
        """Start its process, whose log goes on with ``more``, or begins."""
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
        with open(self.log, "ab" if more else "wb") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.base,
                env=child_variables() | {"PYTHONFAULTHANDLER": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _dump(self) -> None:
        """Have it write to its log where its threads are, as far as the system can ask it; it ends by that."""
        if self._process is not None and hasattr(signal, "SIGABRT") and os.name == "posix":
            self._process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)

    def _write_model_paths(self) -> Path | None:
        """List the model folders in .host/base and of a named host for the server; the pinned host has none."""
        places = {"base": models_folder()}
        if HOME not in self.host.parents:
            places["host"] = self.host / "models"
        folders = {
            name: {f.name: str(f) for f in sorted(place.iterdir()) if f.is_dir()}
            for name, place in places.items()
            if place.is_dir()
        }
        if not any(folders.values()):
            return None
        file = self.base / "extra_model_paths.yaml"
        # JSON is YAML, but for characters that it would write as two escapes.
        file.write_text(json.dumps(folders, ensure_ascii=False), encoding="utf-8")
        return file

    def _wait_until_ready(self) -> bool:
        """Return True when it answers, False when its port was taken by another program.

        Raises:
            ServerError: it died, or neither answered nor wrote anything for too long.
        """
        assert self._process is not None
        written, end = -1, 0.0
        while True:
            if written != (written := self.log.stat().st_size):
                end = time.monotonic() + self.quiet_seconds
            elif time.monotonic() > end:
                raise _StandsStillError(
                    f"ComfyUI neither answered nor wrote anything for {self.quiet_seconds:.0f} seconds while starting, "
                    "twice, so it was stopped. Close other programs that keep the machine busy and run the command "
                    "again; if it stops at the same place, its log says where."
                )
            if self._process.poll() is not None:
                if f"Port {self.port} is already in use" in self.log_tail(40):
                    return False
                raise ServerError(
                    f"ComfyUI stopped while starting (exit code {self._process.returncode}).{self.last_words()}"
                )
            with contextlib.suppress(OSError, ServerError, ValueError):
                # Whoever answers on the port must be the server started here.
                if str(self.base) in self.get("/system_stats", timeout=ANSWER_SECONDS)["system"]["argv"]:
                    break
            time.sleep(0.2)
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

    def last_words(self) -> str:
        return f" Its last words ({self.log}):\n{self.log_tail()}"


def find_host() -> Path:
    """Return the host to use: the named one, else the one set up in .host.

    Raises:
        ServerError: there is none.
    """
    host = named_host() or HOME / "ComfyUI"
    if not (host / "main.py").is_file():
        raise ServerError("There is no ComfyUI here yet. Run python tools/demo.py, or set COMFYUI_PATH.")
    return host


def models_folder() -> Path:
    """Where a person puts models for the servers, in folders as in ComfyUI's own ``models``."""
    return HOME / "base" / "models"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cuda_available(python: str = sys.executable) -> bool:
    """Whether torch finds a CUDA device; asked once per set of packages."""
    known = read_stamp("cuda")
    packages = [python, read_stamp("packages")]
    if isinstance(known, dict) and known.get("packages") == packages:
        return bool(known["available"])
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    result = subprocess.run([python, "-c", code], env=child_variables(), capture_output=True)
    write_stamp("cuda", {"packages": packages, "available": result.returncode == 0})
    return result.returncode == 0


def mirror_pack(target: Path) -> None:
    """Make ``target`` a fresh copy of the pack's own files, as a clone in custom_nodes would hold them."""
    remove_tree(target)
    for name in PACK_FILES:
        source = ROOT / name
        if source.is_dir():
            copy_tree(source, target / name)
        elif source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)


def copy_tree(source: Path, target: Path) -> None:
    remove_tree(target)
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), copy_function=shutil.copyfile
    )


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Server]:
    """Yield a started server; say foreseeable failures on stderr and exit with 1."""
    try:
        with run_folder() as base, Server(base, **options) as server:
            yield server
    except (ServerError, SetupError) as error:
        print(f"\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
