"""What SVT-AV1 does to the process that it runs in, undone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")
_LOG, _ERRORS = "SVT_LOG", "1"  # as the encoder reads them


@contextmanager
def contained() -> Iterator[None]:
    """Open an encoder so that the process stays as it is: priorities of its threads, and what it prints."""
    with _kept_priority(), _silent():
        yield


@contextmanager
def _kept_priority() -> Iterator[None]:
    """Give this thread, and those that are made meanwhile, the scheduling that this thread has now.

    Where ComfyUI runs as root, as in most containers, SVT-AV1 makes its threads and its caller's real-time threads of
    the highest priority, for good: programs that they start inherit it, and nothing else on the machine has its turn.
    """
    if not hasattr(os, "sched_getscheduler") or not _TASKS.is_dir():  # only on Linux is a thread asked by its number
        yield
        return
    before = _threads()
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in {0, *_threads()} - before:
            with suppress(OSError):  # it has ended
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, priority)


@contextmanager
def _silent() -> Iterator[None]:
    """Print errors alone: it writes twenty lines of its settings for each stream, and a film has one for each piece."""
    if _LOG in os.environ:  # somebody wants to read them
        yield
        return
    os.environ[_LOG] = _ERRORS
    try:
        yield
    finally:
        del os.environ[_LOG]


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()}
