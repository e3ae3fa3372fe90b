"""The left view keeps the samples of the source where these mean the same in the film."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch

Pack = Callable[[str], ModuleType]
HEIGHT, WIDTH = 24, 36
# The axis on which the views lie side by side, and which comes first.
PLACES = {"full_sbs": (1, "left"), "cross_eyed": (1, "right"), "full_tb": (0, "left")}


def decoded(pixels: str = "yuv420p", matrix: int = 1, span: int = 1) -> av.VideoFrame:
    """A frame of soft colours; ``matrix`` and ``span`` number what its samples mean, as codecs do."""
    frame = av.VideoFrame(WIDTH, HEIGHT, pixels)
    wide = pixels.endswith("10le")
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.int16 if wide else np.uint8).reshape(plane.height, -1)
        y, x = np.mgrid[: plane.height, : rows.shape[1]]
        rows[:] = (90 + 10 * number + y + x) * (4 if wide else 1)
    frame.colorspace, frame.color_range, frame.time_base = matrix, span, Fraction(1, 25)
    return frame


def encoding(pack: Pack, codec: str = "h264", full_color: bool = False, transfer: int = 1) -> Any:
    codecs = pack("nodes.delivery.video_encoding")
    return codecs.Encoding(codecs.Codec(codec), codecs.Quality.HIGH, full_color, transfer=transfer)


def views(pack: Pack, frame: av.VideoFrame, form: str, how: Any, shown: bool = True) -> dict[str, list[np.ndarray]]:
    """The planes of both views as the encoder gets them, where the left one is this frame, and the right one noise."""
    formats = pack("stereo_core.formats")
    left, right = pack("nodes.film.frames")._Pictures().of(frame), noise()
    picture = formats.combine(left, right, formats.StereoFormat(form))[0]
    packed = pack("nodes.film.left_planes").PackedPicture(picture, formats.StereoFormat(form), frame if shown else None)
    axis, first = PLACES.get(form, (1, "left"))
    samples = pack("nodes.delivery.video_encoding").samples
    halves = zip(*(np.split(samples(plane, how.bits), 2, axis) for plane in packed.frame(how).planes), strict=True)
    return dict(zip((first, "right" if first == "left" else "left"), map(list, halves), strict=True))


def noise() -> torch.Tensor:
    return torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("form", PLACES)
@pytest.mark.parametrize(
    ("pixels", "how", "matrix"),
    [
        ("yuv420p", {}, 1),
        ("yuv420p10le", {"codec": "hevc_10bit"}, 1),
        ("yuv420p10le", {"codec": "hevc_10bit", "transfer": 16}, 9),
        ("yuv444p", {"full_color": True}, 1),
    ],
    ids=["8 bits", "10 bits", "HDR", "4:4:4"],
)
def test_the_left_view_is_the_sources_to_the_bit(pack: Pack, form: str, pixels: str, how: Any, matrix: int):
    frame, how = decoded(pixels, matrix), encoding(pack, **how)
    found, drawn = views(pack, frame, form, how), views(pack, frame, form, how, shown=False)
    source = [pack("nodes.delivery.video_encoding").samples(plane, how.bits) for plane in frame.planes]
    right = pack("stereo_core.ycbcr").to_ycbcr(noise()[0], how.bits, how.subsampled, how.wide)
    assert all(map(np.array_equal, found["left"], source))
    assert all(map(np.array_equal, found["right"], (plane.numpy() for plane in right)))
    for one, other in zip(found["left"], drawn["left"], strict=True):  # both eyes see the same colours
        assert abs(one.astype(int) - other)[2:-2, 2:-2].max() <= 2 ** (how.bits - 8)


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({"matrix": 2}, "full_sbs"),
        ({"matrix": 5}, "full_sbs"),
        ({"span": 2}, "full_sbs"),
        ({"pixels": "yuv444p"}, "full_sbs"),
        ({"pixels": "yuv420p10le"}, "full_sbs"),
        ({}, "half_sbs"),
    ],
    ids=str,
)
def test_other_samples_are_made_from_the_picture(pack: Pack, changes: dict[str, Any], form: str):
    frame, how = decoded(**changes), encoding(pack)
    one, other = views(pack, frame, form, how), views(pack, frame, form, how, shown=False)
    assert all(map(np.array_equal, one["left"], other["left"]))
