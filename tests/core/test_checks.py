"""Checks name the argument, what was expected and what came."""

from __future__ import annotations

import pytest
import torch

from stereo_core.checks import expect_finite, expect_shape


def test_a_fitting_shape_passes():
    expect_shape("map", torch.zeros(2, 1, 3, 4), "B 1 H W", B=2, W=4)


@pytest.mark.parametrize(
    "shape",
    [(2, 1, 3), (2, 2, 3, 4), (3, 1, 3, 4), (2, 1, 0, 4), (0, 1, 3, 4)],
    ids=["axes", "channels", "batch", "no rows", "no frames"],
)
def test_another_shape_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"^map: expected \(B, 1, H, W\) with B=2, got \(" + ", ".join(map(str, shape))
    ):
        expect_shape("map", torch.zeros(shape), "B 1 H W", B=2)


def test_without_sizes_the_message_has_none():
    with pytest.raises(ValueError, match=r"^map: expected \(B, 1, H, W\), got \(3,\)\.$"):
        expect_shape("map", torch.zeros(3), "B 1 H W")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(bad):
    expect_finite("map", torch.zeros(3))
    with pytest.raises(ValueError, match="map: holds NaN or infinite values"):
        expect_finite("map", torch.tensor([0.0, bad]))
