"""Reading, computing and writing at the same time, each in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_T = TypeVar("_T")


def ahead(items: Iterable[_T], most: int = 4) -> Iterator[_T]:
    """Take items in a thread of its own while others are worked on.

    Args:
        items: to take; errors of theirs are raised here.
        most: how many may be made before they are wanted: what they hold in memory is bounded by it.

    Yields:
        The items, in their order. Once nobody wants more, ``items`` is closed, if it is a generator, and its thread
        has ended.
    """
    taken, inference, end = iter(items), torch.is_inference_mode_enabled(), object()

    def take() -> _T | object:
        with torch.inference_mode(inference):  # which each thread has for itself
            return next(taken, end)

    with ThreadPoolExecutor(1, "film") as thread:
        waiting = deque(thread.submit(take) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(take))
                yield item
        finally:
            for each in waiting:
                each.cancel()
            thread.submit(getattr(taken, "close", lambda: None)).result()
