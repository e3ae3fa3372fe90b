"""Set up what the commands need, inside the clone, and run them there.

Only the standard library is imported, here and in ``home``, ``packages`` and ``host_source``: they run before
anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.setup.home import (
    HOME,
    ROOT,
    SetupError,
    child_variables,
    dotted,
    explain_os_error,
    only_one_setup,
    read_stamp,
    remove_tree,
    run_child,
    say,
    stop_on_signals,
    write_stamp,
)
from tools.setup.host_source import install_host_requirements, named_host, pinned_host, requirements_fingerprint
from tools.setup.packages import LOCK, install_packages, venv_python, works

__all__ = [
    "HOME",
    "ROOT",
    "SetupError",
    "child_variables",
    "enter",
    "explain_os_error",
    "prepare",
    "run_child",
    "say",
    "stop_on_signals",
]

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
READY = "LATENT_STEREO_READY"  # set for the commands that already run in a complete environment
DISK_GB = {"Linux": 13}  # twice the packages, for pip unpacks beside what it fetched; elsewhere torch has no CUDA
DISK_GB_ELSEWHERE = 5


@dataclass(frozen=True)
class Environment:
    """A complete environment: the interpreter and the host's folder."""

    python: Path
    host: Path


def enter(script: str) -> None:
    """Return at once inside a complete environment; else set one up and run ``script`` in it.

    Args:
        script: ``__file__`` of the command; its arguments are taken from ``sys.argv``.

    Raises:
        SystemExit: with the command's exit code, or 1 when the set-up failed.
    """
    if os.environ.get(READY):
        return
    sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    stop_on_signals()
    try:
        environment = prepare()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"\nStopped. Run the command again to continue, or delete {HOME}.", file=sys.stderr)
        raise SystemExit(130) from None
    variables = child_variables() | {READY: "1", "COMFYUI_PATH": str(environment.host)}
    raise SystemExit(run_child([str(environment.python), os.path.abspath(script), *sys.argv[1:]], variables))


def prepare() -> Environment:
    """Set up what is missing and return the environment; a finished one is returned at once.

    Raises:
        SetupError: no network, no disk space, wrong Python, a broken host, ...
    """
    check_python()
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        with only_one_setup():
            try:
                return _prepare()
            finally:
                remove_partial()
    except OSError as error:
        raise SetupError(explain_os_error(error)) from error


def remove_partial() -> None:
    """Remove what a step that failed or was stopped left half made."""
    for name in ("ComfyUI.partial", "download"):
        remove_tree(HOME / name)


def _prepare() -> Environment:
    python = venv_python()
    host = named_host()  # a wrong COMFYUI_PATH is told before anything is fetched
    fingerprint = {
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "host": requirements_fingerprint(host),
    }
    if read_stamp("packages") != fingerprint or not works(python):
        check_disk()
        install_packages(python)
        if host is not None:
            install_host_requirements(python, host)
        write_stamp("packages", fingerprint)
    if host is None:
        host = pinned_host(python)
    return Environment(python, host)


def check_python() -> None:
    here = sys.version_info[:2]
    if not OLDEST_PYTHON <= here <= NEWEST_PYTHON:
        raise SetupError(
            f"This is Python {here[0]}.{here[1]}; the commands need Python {dotted(OLDEST_PYTHON)} "
            f"to {dotted(NEWEST_PYTHON)}. Run them with such a Python."
        )
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise SetupError("PyTorch has no packages for Macs with an Intel processor. Use another machine.")


def check_disk() -> None:
    needed: float = DISK_GB.get(platform.system(), DISK_GB_ELSEWHERE)
    with contextlib.suppress(OSError):
        needed -= sum(f.stat().st_size for f in (HOME / "venv").rglob("*") if f.is_file()) / 1e9
    free = shutil.disk_usage(HOME).free / 1e9
    if free < needed:
        raise SetupError(
            f"The disk of {HOME} has {free:.1f} GB free; the set-up needs about {max(needed, 0):.0f} GB while it runs. "
            "Free some space, then run the command again."
        )
