"""Stereo Combine and Stereo Split in the real host; fixed frames of a clip left out before the views are packed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.host.tiny.sampling import depth_step

KEPT = {"none": slice(None), "first": slice(1, None), "last": slice(None, -1), "first_and_last": slice(1, -1)}


@pytest.fixture
def combine(host):
    return lambda *args, **inputs: host["Stereo_SBSCombine"].execute(*args, **inputs).result[0]


def views(frames: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(frames, 8, 10, 3, generator=generator) for _ in range(2))
    return left, right


def test_both_views_come_out_of_one_batch(host: dict[str, type], combine) -> None:
    left, right = views()
    apart = combine(left, "full_sbs", False, right=right)
    assert torch.equal(apart, torch.cat([left, right], dim=2))
    assert torch.equal(apart, combine(torch.cat([left, right]), "full_sbs", False))
    assert torch.equal(apart, combine(left, "cross_eyed", True, right=right))
    assert all(map(torch.equal, host["Stereo_SBSSplit"].execute(apart, "full_sbs").result, (left, right)))


@pytest.mark.parametrize("frames", [1, 3])
def test_views_of_odd_size_become_a_video_and_come_back(
    host: dict[str, type], pack, combine, frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the host's own Save Video, which refuses odd sizes."""
    from comfy_api.latest import InputImpl, Types

    told: list[str] = []
    monkeypatch.setattr(pack("nodes.delivery.sbs_combine"), "show_text", lambda _, text: told.append(text))
    left, right = (torch.rand(frames, 75, 101, 3) for _ in range(2))
    for form in host["Stereo_SBSCombine"].define_schema().inputs[1].options:
        packed = combine(left, form, False, right=right, depth=depth_step(frames, 75, 101))
        video = InputImpl.VideoFromComponents(Types.VideoComponents(images=packed, frame_rate=Fraction(8)))
        video.save_to(str(tmp_path / f"{form}.mp4"))
        assert InputImpl.VideoFromFile(str(tmp_path / f"{form}.mp4")).get_dimensions() == packed.shape[2:0:-1]
    assert (
        told[0]
        == "204x76: video needs even sizes, so the views are 102x76 instead of 101x75, their last column and row twice"
    )
    split = host["Stereo_SBSSplit"].execute
    assert all(
        map(
            torch.equal,
            split(combine(left, "full_sbs", False, right=right), "full_sbs", "column_and_row").result,
            (left, right),
        )
    )


def test_nothing_is_told_of_even_sizes(pack, combine, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pack("nodes.delivery.sbs_combine"), "show_text", lambda _, text: told.append(text))
    left, right = views()
    combine(left, "half_sbs", False, right=right)
    assert not told


def test_a_depth_map_comes_beside_the_picture(combine) -> None:
    left, _ = views()
    depth = depth_step(1, 8, 10)
    image = combine(left, "rgb_depth", False, depth=depth)
    assert torch.equal(image, torch.cat([left, depth.expand(4, -1, -1, -1)], dim=2))


def test_half_precision_intermediates_are_kept(combine, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "intermediate_dtype", lambda: torch.float16)
    left, right = (view.half() for view in views())
    image = combine(left, "anaglyph_dubois", False, right=right)
    assert image.dtype == torch.float16 and image.isfinite().all()


@pytest.mark.parametrize("form", ["full_sbs", "half_tb", "anaglyph_dubois", "wiggle", "cross_eyed"])
@pytest.mark.parametrize("drop", KEPT)
def test_both_views_lose_the_same_frames(combine, drop: str, form: str) -> None:
    left, right = views()
    expected = combine(left[KEPT[drop]], form, False, right=right[KEPT[drop]])
    assert torch.equal(combine(left, form, False, right=right, drop_frames=drop), expected)
    assert torch.equal(combine(torch.cat([left, right]), form, False, drop_frames=drop), expected)
    swapped = combine(right, form, True, right=left, drop_frames=drop)
    assert torch.equal(swapped, expected)


@pytest.mark.parametrize("maps", [1, 4])
def test_the_depth_beside_a_picture_loses_them_too(combine, maps: int) -> None:
    left, _ = views()
    depth = torch.rand(maps, 8, 10, 1).expand(-1, -1, -1, 3)
    packed = combine(left, "rgb_depth", False, depth=depth, drop_frames="first")
    assert torch.equal(packed, combine(left, "rgb_depth", False, depth=depth)[1:])


def test_nothing_is_dropped_where_nothing_is_asked_for(combine) -> None:
    left, right = views()
    assert torch.equal(combine(left, "full_sbs", False, right=right), torch.cat([left, right], dim=2))


def test_a_clip_of_which_nothing_would_be_left_is_refused(combine) -> None:
    left, right = views(2)
    with pytest.raises(ValueError, match="drop_frames first_and_last would drop both of 2 frames. Set it to none"):
        combine(left, "full_sbs", False, right=right, drop_frames="first_and_last")
    for drop in ("first", "last", "first_and_last"):
        with pytest.raises(ValueError, match=f"drop_frames {drop} would drop the only frame"):
            combine(left, "full_sbs", False, drop_frames=drop)
    with pytest.raises(ValueError, match="middle"):
        combine(left, "full_sbs", False, right=right, drop_frames="middle")


@pytest.mark.parametrize("swap", [False, True])
def test_a_floating_window_masks_what_one_eye_sees_more_of(combine, swap: bool) -> None:
    left, right = views()
    given = (right, left) if swap else (left, right)
    before = [view.clone() for view in given]
    packed = combine(given[0], "full_sbs", swap, right=given[1], floating_window=10.0)
    one, other = packed.chunk(2, dim=2)
    assert not one[:, :, :1].any() and torch.equal(one[:, :, 1:], left[:, :, 1:])
    assert not other[:, :, -1:].any() and torch.equal(other[:, :, :-1], right[:, :, :-1])
    assert all(map(torch.equal, given, before)), "what came in is untouched"
    with pytest.raises(ValueError, match="floating_window needs two views"):
        combine(left, "rgb_depth", False, depth=depth_step(4, 8, 10), floating_window=1.0)
