"""The flow without a network: known motions, true disparities, and nothing where nothing moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.registration import optical_flow_tvl1
from torch import Tensor
from torch.nn import functional

from stereo_core.optical_flow import optical_flow, resize_flow, sample_along

STEREO = Path(__file__).resolve().parents[3] / "shared" / "data" / "stereo"
# Grey levels of the maps for one column of disparity.
LEVELS = {"Art": 3, "Cones": 4, "Dolls": 3, "Laundry": 3, "Teddy": 4, "Tsukuba": 16, "Venus": 8}


def photo(height: int = 120, width: int = 160) -> Tensor:
    picture = torch.from_numpy(data.coffee()).movedim(-1, 0)[None] / 255
    return functional.interpolate(picture, size=(height, width), mode="bilinear", antialias=True)


def constant(columns: float, rows: float, height: int = 120, width: int = 160) -> Tensor:
    return torch.tensor([columns, rows]).view(1, 2, 1, 1).expand(-1, -1, height, width)


def end_point_error(flow: Tensor, true: Tensor, border: int = 10) -> Tensor:
    inner = (..., slice(border, -border), slice(border, -border))
    return (flow - true).square().sum(dim=1).sqrt()[inner]


def test_equal_pictures_have_exactly_no_flow():
    picture = photo()
    assert not optical_flow(picture, picture).any()
    flat = torch.full((1, 3, 20, 30), 0.5)
    assert optical_flow(flat, flat + 0.1).abs().max() < 1e-4


@pytest.mark.parametrize("motion", [(1.0, 0.0), (-0.5, 0.25), (6.0, -3.0), (-20.0, 9.5)])
def test_a_shift_is_found(motion: tuple[float, float]):
    second = photo()
    true = constant(*motion)
    first, _ = sample_along(second, true)
    error = end_point_error(optical_flow(first, second), true, border=25)
    assert error.mean() < 0.1 and error.max() < 1


def test_columns_come_before_rows_and_point_from_the_first_picture_to_the_second():
    second = photo().roll((4, 7), dims=(-2, -1))
    middle = optical_flow(photo(), second)[0, :, 40:80, 40:120].mean(dim=(1, 2))
    torch.testing.assert_close(middle, torch.tensor([7.0, 4.0]), rtol=0, atol=0.05)


def test_rotation_and_zoom_are_found():
    height, width = 120, 160
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) - width / 2, indexing="ij")
    angle, zoom = 0.05, 1.04
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    true = torch.stack([cosine * x - sine * y - x, sine * x + cosine * y - y])[None].float()
    second = photo()
    first, _ = sample_along(second, true)
    error = end_point_error(optical_flow(first, second), true)
    assert true.norm(dim=1).max() > 6
    assert error.mean() < 0.1


def test_a_change_of_exposure_and_noise_matter_little():
    generator = torch.Generator().manual_seed(0)
    second = photo()
    true = constant(3.0, -2.0)
    first, _ = sample_along(second, true)
    darker = 0.8 * second + 0.05 + 0.02 * torch.randn(second.shape, generator=generator)
    assert end_point_error(optical_flow(first, darker), true).mean() < 0.3


def motorcycle() -> tuple[Tensor, Tensor, Tensor]:
    left, right, disparity = data.stereo_motorcycle()
    views = [torch.from_numpy(view).movedim(-1, 0)[None] / 255 for view in (left, right)]
    return *views, torch.from_numpy(disparity).nan_to_num(0, 0, 0)[None, None]


def middlebury(name: str) -> tuple[Tensor, Tensor, Tensor]:
    if not STEREO.is_dir():
        pytest.skip("the Middlebury pairs (shared/data/stereo) are not beside the project")
    folder = STEREO / name
    (truth,) = folder.glob("disp_left.*")
    views = [
        torch.from_numpy(np.array(Image.open(folder / file).convert("RGB"))).movedim(-1, 0)[None] / 255
        for file in ("left.png", "right.png")
    ]
    return *views, torch.from_numpy(np.array(Image.open(truth)).astype(np.float32))[None, None] / LEVELS[name]


def smaller(left: Tensor, right: Tensor, disparity: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    height = round(left.shape[-2] * width / left.shape[-1])
    left, right = (functional.interpolate(v, (height, width), mode="bilinear", antialias=True) for v in (left, right))
    scale = width / disparity.shape[-1]
    return left, right, functional.interpolate(disparity, (height, width), mode="nearest-exact") * scale


def seen_by_both(disparity: Tensor) -> Tensor:
    """Known, inside the right view, and not hidden there by a nearer pixel of the row."""
    width = disparity.shape[-1]
    target = torch.arange(width) - disparity
    slot = target.round().clamp(-1, width).long() + 1
    nearest = torch.zeros(*disparity.shape[:-1], width + 2).scatter_reduce(-1, slot, disparity, "amax")
    return (disparity > 0) & (target >= 0) & (nearest.gather(-1, slot) <= disparity + 1)


@pytest.mark.parametrize("name", [*LEVELS, "motorcycle"])
def test_true_disparities_are_found_at_least_as_well_as_by_the_tv_l1_of_scikit_image(name: str):
    """Pairs a quarter as wide, so that they move as much as fast video: the nearest point by 3 to 18 columns."""
    pair = motorcycle() if name == "motorcycle" else middlebury(name)
    left, right, disparity = smaller(*pair, width=round(pair[0].shape[-1] / (8 if name == "motorcycle" else 4)))
    true = torch.cat([-disparity, torch.zeros_like(disparity)], dim=1)
    seen = seen_by_both(disparity)[0]
    ours = end_point_error(optical_flow(left, right), true, border=1)[seen[:, 1:-1, 1:-1]]
    grey = [(v * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)[0].numpy() for v in (left, right)]
    found = torch.from_numpy(optical_flow_tvl1(*grey)[::-1].copy())[None]
    theirs = end_point_error(found, true, border=1)[seen[:, 1:-1, 1:-1]]
    assert ours.mean() < 0.1 * disparity.max()
    assert ours.mean() < 1.1 * theirs.mean()


def test_a_batch_is_its_pairs_one_by_one():
    pictures = torch.cat([photo(40, 60), photo(40, 60).flip(-1), photo(40, 60).roll(2, -1)])
    together = optical_flow(pictures, pictures.roll(1, 0))
    alone = [optical_flow(a[None], b[None]) for a, b in zip(pictures, pictures.roll(1, 0), strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 3), (8, 200)])
def test_odd_sizes_and_half_precision_serve(size: tuple[int, int]):
    first, second = (torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(s)).half() for s in (0, 1))
    flow = optical_flow(first, second)
    assert flow.shape == (2, 2, *size) and flow.dtype == torch.float32 and flow.isfinite().all()


def test_the_same_pictures_give_the_same_flow():
    first, second = photo(60, 80), photo(60, 80).roll(3, -1)
    assert torch.equal(optical_flow(first, second), optical_flow(first, second))


def test_sampling_at_no_flow_is_exact_and_outside_is_told():
    values = torch.rand(1, 2, 30, 41)
    read, inside = sample_along(values, torch.zeros(1, 2, 30, 41))
    assert torch.equal(read, values) and inside.all()
    read, inside = sample_along(values, constant(3.0, -1.0, 30, 41))
    torch.testing.assert_close(read[..., 1:, :-3], values[..., :-1, 3:], rtol=0, atol=1e-4)
    assert not inside[..., -3:].any() and not inside[..., 0, :].any() and inside[..., 1:, :-3].all()


def test_a_flow_on_another_grid_has_its_pixels():
    flow = resize_flow(constant(2.0, 3.0, 10, 20), (30, 40))
    assert torch.equal(flow, constant(4.0, 9.0, 30, 40))


def test_bad_input_is_refused():
    picture = photo(20, 30)
    with pytest.raises(ValueError, match=r"first: expected \(B, 3, H, W\), got \(1, 1, 20, 30\)"):
        optical_flow(picture[:, :1], picture)
    with pytest.raises(ValueError, match=r"second: expected .* got \(1, 3, 19, 30\)"):
        optical_flow(picture, picture[..., 1:, :])
    with pytest.raises(ValueError, match="second: holds NaN"):
        optical_flow(picture, picture * torch.nan)
