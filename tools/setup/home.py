"""The folder of the set-up inside the clone, and what every step of it uses.

Everything lies in ``<clone>/.host`` (git-ignored; delete it to start afresh), or where LATENT_STEREO_HOME says:

    venv        Python packages, pinned by version and checksum in requirements.lock
    ComfyUI     the pinned host's source, unless COMFYUI_PATH or the clone's own place names one
    base        models: those that the servers find beside a named ComfyUI's
    runs        a base directory for each running server: input, output, user, this pack
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
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Not resolved: a clone linked into custom_nodes belongs to that ComfyUI.
ROOT = Path(os.path.abspath(__file__)).parents[2]
HOME = Path(os.path.abspath(os.environ.get("LATENT_STEREO_HOME") or ROOT / ".host"))
END_SECONDS = 10  # for a child to go when it is asked


class SetupError(Exception):
    """What went wrong and what to do, in words for the person at the terminal."""


def say(text: str) -> None:
    print(text, flush=True)


def stop_on_signals() -> None:
    """End as after an error on SIGTERM and when the terminal is closed, so that children are stopped then, too."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, lambda caught, _: sys.exit(128 + caught))


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


def run_watched(command: list[str], watch: Callable[[str], object], cwd: Path | None = None) -> int:
    """Run ``command``, give each line that it prints to ``watch``, and return its exit code.

    However this ends, the command and what it has started end, too.
    """
    process = subprocess.Popen(
        command,
        env=child_variables(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=sys.platform != "win32",  # a group of its own, which can be ended as a whole
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                watch(line)
        return process.wait()
    finally:
        if process.poll() is None:
            end_group(process)


def end_group(process: subprocess.Popen[str]) -> None:
    """End a child and its own children, and wait for it, through Ctrl-C as well."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError):  # nobody is left
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


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
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and error.filename:
        return f"{error.filename} is in the way of a folder. Move or delete it, then run the command again."
    return f"It did not work: {error}. Run the command again."


@contextlib.contextmanager
def only_one_setup() -> Iterator[None]:
    """Hold the set-up lock."""
    with locked(HOME / "setup.lock", "Another command is setting up here; waiting for it."):
        yield


@contextlib.contextmanager
def locked(file: Path, waiting: str = "") -> Iterator[None]:
    """Hold a lock on ``file``; the system frees it when the process ends, however it ends.

    Args:
        file: made if missing, and left there.
        waiting: what to say when another process holds it.
    """
    with open(file, "a+b") as handle:
        told = not waiting
        while not try_lock(handle.fileno()):
            if not told:
                say(waiting)
                told = True
            time.sleep(0.2)
        yield


def try_lock(descriptor: int) -> bool:
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
    text = json.dumps(content, indent=1) + "\n"
    # A name of its own: two commands may write the same stamp at once.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=HOME, suffix=".json.new", delete=False) as partial:
        partial.write(text)
    os.replace(partial.name, HOME / f"{name}.json")


def remove_tree(folder: Path) -> None:
    """Remove a folder if it is there, read-only files on Windows included; or the file or link in its place."""

    def make_writable(remove: Callable[[str], object], path: str, _: object) -> None:
        os.chmod(path, stat.S_IWRITE)
        remove(path)

    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.is_dir():
        if sys.platform != "win32":
            shutil.rmtree(folder)
        elif sys.version_info >= (3, 12):
            shutil.rmtree(folder, onexc=make_writable)
        else:
            shutil.rmtree(folder, onerror=make_writable)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
