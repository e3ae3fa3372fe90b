"""Threads that work ahead: order, bounds, errors, and an end."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch

Pack = Callable[[str], ModuleType]


@pytest.fixture
def ahead(pack: Pack) -> Callable:
    return pack("nodes.film.working_ahead").ahead


def test_items_come_in_their_order_and_from_another_thread(ahead: Callable):
    def items() -> Iterator[tuple[int, str, bool]]:
        for number in range(50):
            yield number, threading.current_thread().name, torch.is_inference_mode_enabled()

    assert list(ahead(items())) == [(number, "film_0", True) for number in range(50)]


def test_no_more_than_so_many_wait(ahead: Callable):
    taken = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for number in ahead(items(), most=3):
        assert len(taken) <= number + 1 + 3


def test_an_error_is_raised_where_the_items_are_used(ahead: Callable):
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert all(not thread.name.startswith("film") for thread in threading.enumerate())


def test_items_are_closed_once_nobody_wants_more(ahead: Callable):
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    stream = ahead(items(), most=2)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    stream.close()
    assert closed == ["film_0"] and all(not thread.name.startswith("film") for thread in threading.enumerate())
