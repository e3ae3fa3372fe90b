from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from stereo_core import rendering, texture_filling, texture_offsets
from stereo_core.parallel import operation_threads, share_out
from stereo_core.rendering import Quality, render_view


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_threads_of_operations_are_set_back_even_after_an_error():
    with pytest.raises(KeyError), operation_threads(1) as before:
        assert torch.get_num_threads() == 1 and before == 2
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("inference", [False, True])
def test_parts_are_worked_on_by_several_threads_in_the_mode_of_the_caller(inference: bool):
    together = threading.Barrier(2, timeout=10)

    def work(part: int) -> None:
        together.wait()  # breaks unless another thread is there
        assert torch.is_inference_mode_enabled() == inference and not torch.is_grad_enabled()
        done[part] = torch.get_num_threads()

    with torch.inference_mode(inference), torch.no_grad(), operation_threads(1) as threads:
        done = torch.zeros(4)
        share_out(work, range(4), threads)
    assert done.tolist() == [1, 1, 1, 1]


def test_an_error_of_a_part_is_raised():
    with pytest.raises(ZeroDivisionError):
        share_out(lambda part: 1 / part, [1, 0, 2], 2)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("quality", list(Quality))
def test_a_view_does_not_depend_on_the_threads(quality: Quality, monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(0)
    image, disparity = torch.rand(1, 3, 60, 80, generator=generator), torch.rand(1, 1, 60, 80, generator=generator) * 9
    monkeypatch.setattr(rendering, "_BAND", 500)
    monkeypatch.setattr(rendering, "_SHARED", 0)
    with torch.inference_mode():
        shared = render_view(image, disparity, quality)
    torch.set_num_threads(1)
    alone = render_view(image, disparity, quality)
    assert torch.equal(shared.image, alone.image) and torch.equal(shared.hole, alone.hole)


@pytest.mark.parametrize("quality", list(Quality))
def test_small_frames_are_rendered_in_one_thread_and_large_ones_shared(
    quality: Quality, monkeypatch: pytest.MonkeyPatch
):
    used: set[tuple[int, int]] = set()

    def note(work: Callable[[object], None], parts: Sequence[object], threads: int) -> None:
        used.add((threads, torch.get_num_threads()))
        share_out(work, parts, threads)

    for module in (rendering, texture_filling, texture_offsets):
        monkeypatch.setattr(module, "share_out", note)
    image, disparity = torch.rand(1, 3, 60, 80), torch.full((1, 1, 60, 80), 5.0)
    render_view(image, disparity, quality)
    assert used == {(1, 1)}
    assert torch.get_num_threads() == 2
    used.clear()
    monkeypatch.setattr(rendering, "_SHARED", 60 * 80)
    render_view(image, disparity, quality)
    assert used == {(2, 1)}
