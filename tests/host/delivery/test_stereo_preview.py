"""Stereo Preview: what it writes for the viewer. The viewer itself: test_viewer.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor


def pictures(count: int = 1, height: int = 24, width: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


def smooth(count: int, height: int, width: int, seed: int) -> Tensor:
    """Pictures that a codec keeps nearly as they are."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    frames = [torch.stack([x, y, 0.5 + 0.5 * torch.sin(3 * x + frame + seed)], -1) for frame in range(count)]
    return torch.stack(frames)


@pytest.fixture
def show(host: dict[str, type]) -> Callable[..., list[dict[str, Any]]]:
    def run(left: Tensor, right: Tensor | None = None, depth: Any = None, fps: float = 24.0) -> list[dict[str, Any]]:
        return host["Stereo_StereoPreview"].execute(left=left, fps=fps, right=right, depth=depth).ui["stereo_views"]

    return run


@pytest.fixture
def read(host: dict[str, type]) -> Callable[[dict[str, str]], Path]:  # noqa: ARG001  # it starts the host
    import folder_paths

    return lambda file: Path(folder_paths.get_temp_directory()) / file["filename"]


def pixels(path: Path) -> Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).astype(np.float32)) / 255


def frames(path: Path) -> tuple[Tensor, av.VideoStream]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
        return torch.stack(shown).float() / 255, stream


def test_pictures_arrive_without_loss(show, read):
    left, right = pictures(seed=1), pictures(seed=2)
    (item,) = show(left, right)
    for name, view in (("left", left), ("right", right)):
        assert (pixels(read(item[name])) - view[0]).abs().max() <= 0.5 / 255 + 1e-6
    assert (item["width"], item["height"], item["of"]) == (32, 24, [32, 24]) and "geometry" not in item


def test_both_views_may_come_in_one_batch(show, read):
    both = pictures(4)
    items = show(both, fps=0.0)
    assert len(items) == 2
    for index, item in enumerate(items):
        torch.testing.assert_close(pixels(read(item["right"])), both[2 + index], atol=0.51 / 255, rtol=0)


def test_depth_comes_in_the_values_of_convergence(host, show, read):
    depth = torch.linspace(0, 1, 32).view(1, 1, 32, 1).expand(1, 24, 32, 3)
    strength = host["Stereo_StereoStrength"].execute(
        depth=depth, max_disparity=4.0, screen="percentile", convergence=0.25, exponent=2.0, invert=True
    )
    (item,) = show(pictures(), pictures(), strength.args[0])
    shown = pixels(read(item["depth"]))
    torch.testing.assert_close(shown, (1 - depth[0, ..., 0]) ** 2, atol=0.51 / 255, rtol=0)
    assert item["geometry"]["strength"] == pytest.approx(0.04) and not item["geometry"]["plain"]
    # A quarter of the picture lies behind what is on the screen.
    assert (shown < item["geometry"]["screens"][0]).float().mean() == pytest.approx(0.25, abs=0.04)


def test_a_plain_map_has_the_usual_strength(show):
    (item,) = show(pictures(), pictures(), pictures())
    assert item["geometry"] == {"strength": 0.03, "screens": [0.5], "plain": True}


def test_a_clip_is_one_film_of_both_views_and_depth(show, read):
    left, right, depth = (smooth(5, 96, 128, seed) for seed in (0, 1, 2))
    (item,) = show(left, right, depth, fps=24000 / 1001)
    shown, stream = frames(read(item["clip"]))
    assert shown.shape == (5, 96, 384, 3) and item["frames"] == 5
    assert stream.codec_context.name == "h264" and float(stream.average_rate) == pytest.approx(24000 / 1001)
    grey = depth.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    for index, view in enumerate((left, right, grey)):
        inside = slice(128 * index + 4, 128 * index + 124)  # colours are coarse beside a seam
        off = shown[:, :, inside] - view[:, :, 4:124]
        assert off.abs().mean() < 2 / 255
        assert off.mean((0, 1, 2)).abs().max() < 2 / 255  # of each channel, where another colour matrix would show


def test_a_clip_of_odd_size_becomes_even(show, read):
    (item,) = show(smooth(2, 25, 33, 0), smooth(2, 25, 33, 1))
    assert frames(read(item["clip"]))[0].shape == (2, item["height"], 2 * item["width"], 3)
    assert item["of"] == [33, 25] and item["width"] % 2 == item["height"] % 2 == 0


@pytest.mark.parametrize("size", [(63, 121), (121, 63), (563, 1001)])
def test_depth_of_an_odd_size_fits_the_even_clip(show, size: tuple[int, int]):
    views = torch.zeros(2, *size, 3)
    (item,) = show(views, views, views)
    assert item["height"] % 2 == item["width"] % 2 == 0 and "geometry" in item


def test_large_views_are_shown_smaller(show, read):
    (item,) = show(torch.zeros(1, 10, 5000, 3), torch.ones(1, 10, 5000, 3))
    assert pixels(read(item["right"])).shape[:2] == (item["height"], item["width"]) == (8, 4096)
    assert item["of"] == [5000, 10]


def test_one_frame_is_a_picture(show):
    assert "clip" not in show(pictures(), pictures(), fps=24.0)[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"left": pictures(3)}, "left holds 3 pictures and right is not connected"),
        ({"left": pictures(), "right": pictures(width=40)}, "left is one picture of 32x24 and right is one .* 40x24"),
        ({"left": pictures(2), "right": pictures(2), "depth": pictures(3)}, "depth holds 3 maps for 2 pictures"),
        ({"left": pictures(), "right": pictures(), "depth": pictures(width=64)}, "depth is 64x24, of another shape"),
        ({"left": pictures(), "right": pictures(), "fps": float("nan")}, "fps: got nan. Give the frames per second"),
        ({"left": pictures(202, 2, 2), "fps": 0.0}, "fps: 0 shows 101 pictures one at a time, and 100 is the most"),
    ],
)
def test_bad_input_is_refused_by_name(show, given, said):
    with pytest.raises(ValueError, match=said):
        show(**given)


@pytest.mark.parametrize("count", [1, 3])
def test_a_temporary_folder_that_takes_no_file_is_told_of(
    show, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import folder_paths

    (tmp_path / "temp").write_text("no folder")
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    with pytest.raises(ValueError, match=r"^Stereo Preview: ComfyUI's temporary folder cannot be written: File exists"):
        show(pictures(count), pictures(count))


def test_an_interrupt_leaves_no_part_of_a_clip(show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management as management
    import folder_paths

    seen: list[int] = []

    def stop() -> None:
        seen.append(len(list(tmp_path.iterdir())))
        if len(seen) == 90:
            raise management.InterruptProcessingException

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", stop)
    with pytest.raises(management.InterruptProcessingException):
        show(pictures(100), pictures(100))
    assert seen[-1] == 1, "the film has begun"
    assert list(tmp_path.iterdir()) == []
