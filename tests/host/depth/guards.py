"""What a folder with a depth network may not do: reach for a network, for packages that fetch or run, or for files."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType, TracebackType

import pytest
from transformers.utils import import_utils

# Packages that transformers uses when they are there.
PACKAGES = ("timm", "kernels", "flash_attn", "bitsandbytes", "peft")


class Guard:
    """Context in which a connection, a call into a stub package and a file outside ``folder`` are faults.

    Python's own audit events tell of connections, imports and files, whoever makes them; files of the installation may
    be read. The fault is raised at the end, since what makes it might swallow an error.
    """

    _active: Guard | None = None
    _hooked = False

    def __init__(self, folder: Path) -> None:
        """Take the folder within which files may be opened."""
        self.folder = os.path.realpath(folder)
        paths = [sys.prefix, sys.base_prefix, *filter(None, sys.path), "/proc", "/sys", "/dev"]
        self.allowed = [os.path.realpath(path) for path in paths]
        self.faults: list[str] = []

    def call(self, name: str = "a pickled call") -> None:
        """Note a call that must not be made."""
        self.faults.append(name)

    def __enter__(self) -> Guard:
        if not Guard._hooked:
            sys.addaudithook(_audit)
            Guard._hooked = True
        self.faults.clear()
        Guard._active = self
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        Guard._active = None
        assert not self.faults, self.faults

    def audit(self, event: str, arguments: tuple) -> None:
        """Judge one of Python's audit events."""
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system"):
            self.faults.append(f"a connection or program: {event} {arguments[1:]}")
            raise PermissionError(f"{event} is not allowed here")
        elif event == "pickle.find_class":
            self.faults.append(f"unpickled: {arguments}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            beside = _within(path, os.path.dirname(self.folder))  # temporary folders may lie within an allowed one
            installed = not beside and any(_within(path, allowed) for allowed in self.allowed)
            if not installed and not _within(path, self.folder):
                self.faults.append(f"a file outside: {path}")


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _audit(event: str, arguments: tuple) -> None:
    if Guard._active is not None:
        Guard._active.audit(event, arguments)


def forget_packages() -> None:
    """Let transformers look anew which packages are there; it remembers the answers."""
    for check in vars(import_utils).values():
        if hasattr(check, "cache_clear"):
            check.cache_clear()


def stub_packages(monkeypatch: pytest.MonkeyPatch, guard: Guard) -> None:
    """Put packages in place that note whatever is called in them."""
    for name in PACKAGES:
        if name not in sys.modules:
            monkeypatch.setitem(sys.modules, name, _stub(name, guard))
    forget_packages()


def _stub(name: str, guard: Guard) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__version__ = getattr(import_utils, "KERNELS_MIN_VERSION", "99.0") if name == "kernels" else "99.0"

    def attribute(wanted: str) -> object:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return lambda *_, **__: guard.call(f"{name}.{wanted}")

    module.__getattr__ = attribute
    return module
