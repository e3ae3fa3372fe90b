"""Stereo Example in the real host: the pack's own files, and its true right view through Image Stereo Shift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stereo_core.metrics import psnr
from tools.example.files import still_life


def test_gives_the_picture_and_its_depth_as_they_lie_in_the_pack(host: dict[str, type]):
    image, depth = host["Stereo_ExampleScene"].execute("still_life").result
    pair = still_life()
    assert image.dtype == depth.dtype == torch.float32
    torch.testing.assert_close(image, torch.from_numpy(pair.left.copy())[None] / 255)
    assert depth.shape == image.shape == (1, 768, 1152, 3)
    assert depth.amin() == 0 and depth.amax() == 1, "white is the nearest point, black the farthest"
    assert len(depth.unique()) > 5000, "16 bits"
    assert depth[0, -100:].mean() > 2 * depth[0, :100].mean(), "the table's front is nearer than the wall"


def test_through_image_stereo_shift_at_its_defaults_it_gives_the_true_right_view(host: dict[str, type]):
    image, depth = host["Stereo_ExampleScene"].execute("still_life").result
    right = host["Stereo_ImageStereoShift"].execute(image, depth, 0.0, "fast", 0).result[1]
    truth = torch.from_numpy(still_life().right.copy())[None] / 255
    made, given, true = (view.movedim(-1, 1) for view in (right, image, truth))
    assert psnr(made, true).item() > psnr(given, true).item() + 6


def test_a_missing_or_damaged_file_is_told_by_name(
    host: dict[str, type], pack: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(pack("nodes.example_scene"), "EXAMPLES", tmp_path)
    told = (
        r"cannot read its file nodes/examples/still_life\.jpg: it is missing or damaged\. Install Latent Stereo again"
    )
    with pytest.raises(ValueError, match=told):
        host["Stereo_ExampleScene"].execute("still_life")
    (tmp_path / "still_life.jpg").write_bytes(b"half a pict")
    with pytest.raises(ValueError, match=told):
        host["Stereo_ExampleScene"].execute("still_life")
