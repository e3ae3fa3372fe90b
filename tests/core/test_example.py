"""The example that the pack ships: its files agree with each other, and with the scene that they were rendered from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stereo_core.metrics import psnr
from stereo_core.rendering import Quality, render_view
from tools.benchmarks.middlebury import Pair
from tools.example.camera import Camera, right_camera
from tools.example.files import SHIPPED, still_life
from tools.example.still_life import scene
from tools.example.tracing import surfaces


@pytest.fixture(scope="module")
def pair() -> Pair:
    return still_life()


def tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).movedim(-1, 0)[None] / 255


@pytest.mark.parametrize(("quality", "visible", "whole"), [(Quality.FAST, 32.0, 29.5), (Quality.BEST, 32.3, 30.0)])
def test_the_view_made_from_picture_and_depth_is_the_true_one(
    pair: Pair, quality: Quality, visible: float, whole: float
):
    """In dB; the bounds lie 0.5 below what was measured."""
    left, right = tensor(pair.left), tensor(pair.right)
    made = render_view(left, torch.from_numpy(pair.disparity)[None, None], quality)
    seen = psnr(made.image, right, ~made.hole).item()
    assert seen > visible and psnr(made.image, right).item() > whole
    moved = render_view(left, torch.from_numpy(pair.disparity)[None, None] + 1, quality)
    assert psnr(moved.image, right, ~moved.hole).item() < seen - 3, "a shift of one column would be noticed"


def test_the_files_are_those_of_the_scene(pair: Pair):
    """What the camera meets at some pixels is what the depth map says there, in columns."""
    height, width = pair.disparity.shape
    camera, world = Camera(width, height), scene()
    pixel = np.random.default_rng(0).integers(0, width * height, 3000)
    origin, direction = camera.rays(pixel, 0.5, 0.5)
    met = camera.inverse_depth(direction, surfaces(world, origin, direction)[0])
    asked = pair.disparity.ravel()[pixel]
    (scale, offset), *_ = np.linalg.lstsq(np.stack([met, np.ones_like(met)], 1), asked, rcond=None)
    difference = np.abs(scale * met + offset - asked)
    # Processors round differently: a few rays pass the other side of an edge.
    assert np.quantile(difference, 0.99) < 0.02
    second = right_camera(camera, np.array([0.0, np.ptp(pair.disparity) / scale]))
    assert second.focal * (second.eye - camera.eye)[0] == pytest.approx(scale, rel=1e-3), "focal length times baseline"


def test_the_pack_says_whose_the_pictures_are():
    assert "CC0" in (SHIPPED / "LICENSE.txt").read_text(encoding="utf-8")
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 1_000_000
