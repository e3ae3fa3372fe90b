"""The default shift, by parts of a column, in the real host: both methods, both noise forms, with and without noise."""

from __future__ import annotations

import pytest
import torch

from tests.host.tiny import sampling as tiny
from tests.host.tiny import stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

DEFAULTS = {"fill": "background", "shift": "sub_column"}
# What taking x apart and putting it together again leaves, relative to the largest value.
ROUNDING = 2e-5


@pytest.mark.parametrize("inner", ["euler", "euler_ancestral", "dpmpp_2m", "uni_pc"])
@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_a_picture_without_disparity_is_the_same_for_both_eyes(name: str, inner: str):
    pair, _ = tiny.sample(name, tiny.stereo(inner, max_disparity=0.0, **DEFAULTS), sigmas=6)
    plain, _ = tiny.sample(name, inner, sigmas=6)
    assert tiny.error(pair[:1], plain) <= ROUNDING and tiny.error(*pair.chunk(2)) <= ROUNDING


@pytest.mark.parametrize("inner", ["euler", "euler_ancestral"])
@pytest.mark.parametrize("name", ["sd15", "svd", "clip"])
def test_a_clip_without_disparity_is_the_same_for_both_eyes(name: str, inner: str):
    trajectory, plain = video.record(name, inner, sigmas=10)
    sampler = video.both(trajectory, inner, max_disparity=0.0, **DEFAULTS)
    pair, _ = tiny.sample(video.family(name), sampler, video.zeros(name), sigmas=10)
    left, right = pair.chunk(2)
    assert torch.equal(left, plain) and tiny.error(right, left) <= 10 * ROUNDING


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_a_disparity_below_one_column_moves_the_right_view(name: str):
    """What whole columns refuse: half a column of eight."""
    pairs = []
    for percent in (0.0, 5.0):
        sampler = tiny.stereo(max_disparity=percent, convergence=0.0, **DEFAULTS)
        pairs.append(tiny.sample(name, sampler)[0])
    assert torch.equal(pairs[0][:1], pairs[1][:1]) and tiny.error(pairs[0][1:], pairs[1][1:]) > 1e-2
    with pytest.raises(ValueError, match="max_disparity: 5 % moves nothing here"):
        tiny.sample(name, tiny.stereo(max_disparity=5.0, convergence=0.0, fill="background", shift="truncated"))
