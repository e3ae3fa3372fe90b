"""Windows of a film: which frames each has, and what becomes of those that two of them have."""

from __future__ import annotations

import pytest
import torch

from stereo_core.film_windows import plan_film_windows, windows_before
from stereo_core.seeds import Stream, derive_seed
from stereo_core.windows import blend_windows, fade


def test_windows_begin_anew_with_each_scene():
    windows = plan_film_windows((0, 10), 22, 5, 2)
    assert [window.frames for window in windows] == [
        range(5),
        range(3, 8),
        range(5, 10),  # moved back
        range(10, 15),
        range(13, 18),
        range(16, 21),
        range(17, 22),
    ]
    assert [window.shared for window in windows] == [0, 2, 3, 0, 2, 2, 4]
    assert [len(window.kept) for window in windows] == [2, 3, 0, 2, 2, 4, 0]
    assert [list(windows_before(windows, number)) for number in (2, 3, 5)] == [[0, 1], [], [3, 4]]


def test_a_short_scene_is_one_window():
    windows = plan_film_windows((0, 3, 4), 9, 5, 4)
    assert [(window.frames, window.piece) for window in windows] == [
        (range(3), range(3)),
        (range(3, 4), range(3, 4)),
        (range(4, 9), range(4, 9)),
    ]


@pytest.mark.parametrize(("frames", "starts"), [(1, (0,)), (47, (0,)), (47, (0, 1, 30)), (60, (0, 20, 40))])
@pytest.mark.parametrize(("length", "overlap"), [(1, 0), (8, 0), (8, 7), (25, 8)])
def test_each_frame_is_in_one_piece(frames: int, starts: tuple[int, ...], length: int, overlap: int):
    windows = plan_film_windows(starts, frames, length, overlap)
    assert [frame for window in windows for frame in window.piece] == list(range(frames))
    for window, after in zip(windows, windows[1:], strict=False):
        assert len(window.kept) == after.shared
        assert len(window.frames) in {length, *(len(each.frames) for each in windows if not each.shared)}
        assert not any(window.frames.start < cut < window.frames.stop for cut in starts)


def test_fading_from_window_to_window_is_blending_all_at_once():
    windows = plan_film_windows((0,), 23, 8, 5)
    pieces = [torch.rand(8, 3, 2) for _ in windows]
    whole = blend_windows(pieces, [slice(window.frames.start, window.frames.stop) for window in windows])
    kept, made = torch.empty(0, 3, 2), []
    for window, piece in zip(windows, pieces, strict=True):
        frames = torch.cat([fade(kept, piece[: window.shared]), piece[window.shared :]])
        made.append(frames[: len(window.piece)])
        kept = frames[len(window.piece) :]
    assert torch.equal(torch.cat(made), whole)


@pytest.mark.parametrize(("length", "overlap", "name"), [(0, 0, "length"), (5, 5, "overlap"), (5, -1, "overlap")])
def test_what_is_no_window_is_told(length: int, overlap: int, name: str):
    with pytest.raises(ValueError, match=name):
        plan_film_windows((0,), 9, length, overlap)


def test_no_two_windows_have_the_same_noise():
    """Streams of one seed lie within 2**47 of it, for any schedule: so far seeds are apart, of a film of 20,000."""
    seeds = sorted(derive_seed(1, Stream.WINDOW, number) for number in range(20_000))
    gaps = [after - before for before, after in zip(seeds, [*seeds[1:], seeds[0] + 2**63], strict=True)]
    assert min(gaps) > 2**47 and max(seeds) < 2**63
    assert derive_seed(1, Stream.WINDOW, 7) == derive_seed(1, Stream.WINDOW, 7)
