"""Threads that each take a part of the work, in place of threads that share every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")


@contextmanager
def operation_threads(count: int) -> Iterator[int]:
    """Let every operation run in ``count`` threads, also in threads that are started meanwhile.

    An operation that torch shares out ends with its slowest thread. Of hundreds of short ones each waits when the
    machine has other work, and two threads take several times longer than one.

    Yields:
        The threads before, which are set again at the end.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def share_out(work: Callable[[Part], None], parts: Sequence[Part], threads: int) -> None:
    """Call ``work`` on every part, in up to ``threads`` threads.

    Args:
        work: writes its result where no other part's is.
        parts: what it is called with.
        threads: at least 1.
    """
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
        return
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def work_alike(part: Part) -> None:  # both modes are a thread's own
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            work(part)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work_alike, parts))
