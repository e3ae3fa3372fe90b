"""What an encoder makes of the priority of threads, undone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextmanager
def kept_priority() -> Iterator[None]:
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


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()}
