"""The folder of the set-up inside the clone, and what every step of it uses.

Everything lies in ``<clone>/.host`` (git-ignored; delete it to start afresh):

    venv        Python packages, pinned by version and checksum in requirements.lock
    ComfyUI     the pinned host's source, unless COMFYUI_PATH or the clone's own place names one
    base        the base directory of the servers: input, output, models, user, this pack
    frontend    the headless browser of the tests
    cache, tmp  what Python, the host and libraries would write elsewhere
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Not resolved: a clone linked into custom_nodes belongs to that ComfyUI.
ROOT = Path(os.path.abspath(__file__)).parents[2]
HOME = ROOT / ".host"


class SetupError(Exception):
    """What went wrong and what to do, in words for the person at the terminal."""


def say(text: str) -> None:
    print(text, flush=True)


def run_child(command: list[str], variables: dict[str, str], cwd: Path | None = None) -> int:
    """Run ``command``, hand on SIGTERM, wait for it through Ctrl-C, and return its exit code."""
    child = subprocess.Popen(command, env=variables, cwd=cwd)
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                code = child.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:  # the terminal sent it to the child too, which is stopping
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)


def child_variables() -> dict[str, str]:
    """Environment variables that keep every file a child writes inside the clone."""
    cache, temporary = HOME / "cache", HOME / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    cache.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}}
    return kept | {
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "PYTHONPYCACHEPREFIX": str(cache / "bytecode"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "XDG_CACHE_HOME": str(cache),
        "HF_HOME": str(cache / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "TORCH_HOME": str(cache / "torch"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
    }


def explain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {HOME} is full. Free some space, then run the command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission to write {error.filename or HOME}. Clone into a folder of your own, then run again."
    return f"The set-up failed: {error}. Run the command again."


@contextlib.contextmanager
def only_one_setup() -> Iterator[None]:
    """Hold the set-up lock; the system frees it when the process ends, however it ends."""
    with open(HOME / "setup.lock", "a+b") as file:
        told = False
        while not _try_lock(file.fileno()):
            if not told:
                say("Another command is setting up here; waiting for it.")
                told = True
            time.sleep(1)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def read_stamp(name: str) -> object:
    try:
        return json.loads((HOME / f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_stamp(name: str, content: object) -> None:
    partial = HOME / f"{name}.json.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, HOME / f"{name}.json")


def remove_tree(folder: Path) -> None:
    """Remove a folder if it is there, read-only files on Windows included."""

    def make_writable(remove: Callable[[str], object], path: str, _: object) -> None:
        os.chmod(path, stat.S_IWRITE)
        remove(path)

    if folder.is_dir():
        if sys.platform != "win32":
            shutil.rmtree(folder)
        elif sys.version_info >= (3, 12):
            shutil.rmtree(folder, onexc=make_writable)
        else:
            shutil.rmtree(folder, onerror=make_writable)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
