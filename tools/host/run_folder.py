"""A base folder for each running server, so that two at once share no file."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.setup.home import HOME, locked, remove_tree, try_lock


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Yield a new folder of .host/runs and remove it afterwards.

    After an error it stays until the next run: the message names the log in it.
    """
    runs = HOME / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with locked(HOME / "runs.lock"):
            remove_unused(runs)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
            stack.callback(lock_of(folder).unlink, missing_ok=True)  # only once it is closed, on Windows
            stack.enter_context(locked(lock_of(folder)))
        keep = False
        try:
            yield folder
        except Exception:
            keep = True
            raise
        finally:
            if not keep:
                remove_tree(folder)


def lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def remove_unused(runs: Path) -> None:
    """Remove the folders of runs that failed or were killed; those still running hold their locks."""
    for folder in runs.glob("run-*/"):
        with open(lock_of(folder), "a+b") as lock:
            unused = try_lock(lock.fileno())
        if unused:
            remove_tree(folder)
            lock_of(folder).unlink(missing_ok=True)
