"""Frames of a file against the host's own Get Video Components, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tests.host.film.films import damaged, film, turned

Pack = Callable[[str], ModuleType]


def hosts(path: Path, start: float = 0.0, duration: float = 0.0) -> Tensor:
    """(T, 3, H, W), as the host decodes them."""
    from comfy_api.latest import InputImpl

    components = InputImpl.VideoFromFile(str(path), start_time=start, duration=duration).get_components()
    return components.images.movedim(-1, 1)


def ours(
    pack: Pack, path: Path, first: int = 0, last: int | None = None, start: float = 0.0, duration: float = 0.0
) -> Tensor:
    """The same frames, one by one."""
    from comfy_api.latest import InputImpl

    source = InputImpl.VideoFromFile(str(path), start_time=start, duration=duration)
    clip = pack("nodes.delivery.source_clip").SourceClip.read(source)
    times = [time + round(clip.origin / clip.timing.time_base) for time in clip.timing.starts]
    return torch.cat([frame.picture for frame in pack("nodes.film.frames").read_frames(str(path), times, first, last)])


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"pixels": "yuv420p10le", "codec": "libx265"},
        {"pixels": "yuvj420p", "codec": "mjpeg", "suffix": ".mov"},
        {"pixels": "yuva444p10le", "codec": "prores_ks", "suffix": ".mov"},
        {"size": (18, 22)},
        {"size": (24, 33), "pixels": "yuv444p"},
        {"codec": "mpeg4", "suffix": ".avi"},
        {"codec": "mpeg2video", "suffix": ".ts"},
        {"suffix": ".mkv"},
        {"times": [0, 3, 4, 9, 11, 12, 20, 21, 29, 30, 31, 40]},
        {"start": 7},
    ],
    ids=lambda kind: "-".join(map(str, kind.values())).replace(" ", "") or "plain",
)
def test_frames_are_the_hosts_from_any_place_on(pack: Pack, tmp_path: Path, kind: dict):
    path = film(tmp_path, **kind)
    expected = hosts(path)
    assert len(expected) == 12
    assert torch.equal(ours(pack, path), expected)
    for first, last in ((1, 3), (5, 6), (7, 12), (11, 12)):
        assert torch.equal(ours(pack, path, first, last), expected[first:last]), (first, last)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_are_turned_back(pack: Pack, tmp_path: Path, degrees: int):
    path = turned(film(tmp_path, size=(24, 40)), degrees)
    expected = hosts(path)
    assert expected.shape[-2:] == ((24, 40) if degrees == 180 else (40, 24))
    assert torch.equal(ours(pack, path), expected)


@pytest.mark.parametrize("window", [(0.2, 0.0), (0.0, 0.24), (0.13, 0.2)])
def test_a_part_of_a_video_is_that_part(pack: Pack, tmp_path: Path, window: tuple[float, float]):
    path = film(tmp_path)
    expected = hosts(path, *window)
    assert 0 < len(expected) < 12
    assert torch.equal(ours(pack, path, start=window[0], duration=window[1]), expected)


def test_a_damaged_frame_is_shown_as_the_one_before_and_the_others_keep_their_time(pack: Pack, tmp_path: Path):
    whole = film(tmp_path, codec="mjpeg", pixels="yuvj420p", suffix=".avi")
    broken = damaged(whole, [4])
    expected, found = hosts(whole), ours(pack, broken)
    assert len(hosts(broken)) == 11
    assert torch.equal(found[4], expected[3]) and torch.equal(found[5:], expected[5:])
    assert torch.equal(ours(pack, broken, 4, 6), expected[[3, 5]])  # the same, wherever one begins to read
    assert torch.equal(ours(pack, damaged(whole, [0, 1]), 0, 3), expected[[2, 2, 2]])  # nothing came before


def test_a_file_without_a_picture_that_can_be_decoded_is_told(pack: Pack, tmp_path: Path):
    broken = damaged(film(tmp_path, codec="mjpeg", pixels="yuvj420p", suffix=".avi"), range(12))
    with pytest.raises(ValueError, match="video: none of its pictures can be decoded"):
        ours(pack, broken)
