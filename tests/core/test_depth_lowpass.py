"""Low-passes of depth maps: what they take, what they leave, and what they are in the literature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stereo_core.depth_lowpass import EDGE, edge_aware, gaussian, resample

METHODS = {
    "gaussian": (gaussian, 0.0, (0.5, 1.0, 2.0, 4.0)),
    "resample": (resample, 1.0, (0.5, 0.25, 0.125)),
    "edge_aware": (edge_aware, 0.0, (1.0, 2.0, 4.0)),
}


def step(texture: float = 0.03, contrast: float = 0.5) -> Tensor:
    """(1, 1, 60, 100): near on the right of column 50, with fine texture on both sides."""
    noise = torch.randn(1, 1, 60, 100, generator=torch.Generator().manual_seed(3))
    depth = torch.full_like(noise, 0.25)
    depth[..., 50:] += contrast
    return (depth + texture * noise).clamp(0, 1)


def high_frequency_energy(depth: Tensor) -> float:
    mirrored = torch.cat([depth, depth.flip(-1)], dim=-1).double()  # without a step from the last column to the first
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], dim=-2)
    rows, columns = (torch.fft.fftfreq(size) for size in mirrored.shape[-2:])
    high = (rows[:, None] ** 2 + columns**2).sqrt() > 0.2
    return (torch.fft.fft2(mirrored, norm="ortho").abs().square() * high).mean().item()


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_the_map_itself(name: str):
    low_pass, nothing, _ = METHODS[name]
    depth = step()
    assert low_pass(depth, nothing) is depth


@pytest.mark.parametrize("name", METHODS)
def test_more_takes_more_and_the_mean_stays(name: str):
    low_pass, _, amounts = METHODS[name]
    depth = step()
    smooth = [low_pass(depth, amount) for amount in amounts]
    energy = [high_frequency_energy(each) for each in (depth, *smooth)]
    if name == "edge_aware":  # what stays is the edge: measured where there is none
        energy = [high_frequency_energy(each[..., :36]) for each in (depth, *smooth)]
    assert all(after < before for before, after in zip(energy[:-1], energy[1:], strict=True))
    assert energy[-1] < 0.1 * energy[0]
    for each in smooth:
        assert each.shape == depth.shape and each.dtype == depth.dtype
        assert 0 <= each.min() and each.max() <= 1
        assert abs(each.mean() - depth.mean()) < 2e-3


@pytest.mark.parametrize("name", METHODS)
def test_frames_are_alone_and_a_flat_map_stays_flat(name: str):
    low_pass, _, amounts = METHODS[name]
    depth = torch.cat([step(), step(0.1), torch.full((1, 1, 60, 100), 0.3)])
    smooth = low_pass(depth, amounts[1])
    torch.testing.assert_close(smooth[:1], low_pass(depth[:1], amounts[1]))
    torch.testing.assert_close(smooth[2], depth[2])


def test_gaussian_blurs_an_impulse_to_the_bell():
    depth = torch.zeros(1, 1, 41, 200)
    depth[0, 0, 20, 100] = 1
    row = gaussian(depth, 1.5)[0, 0, 20]
    distance = torch.arange(200.0) - 100
    bell = (-(distance**2) / (2 * 3.0**2)).exp() / (2 * math.pi * 3.0**2)
    torch.testing.assert_close(row, bell, atol=1e-4, rtol=0)  # cut off at three stds


def test_edge_aware_is_the_guided_filter_of_the_library():
    filters = pytest.importorskip("kornia.filters")
    depth = step().double()
    expected = filters.guided_blur(depth, depth, (7, 7), EDGE**2, border_type="replicate")
    torch.testing.assert_close(edge_aware(depth, 3.0), expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_edge_aware_keeps_an_edge_that_gaussian_blurs():
    depth = step()
    for radius in (1.0, 2.0, 4.0):
        kept, blurred = (
            (each[..., 51].mean() - each[..., 48].mean()).item()
            for each in (edge_aware(depth, radius), gaussian(depth, radius))
        )
        assert kept > 0.95 * 0.5
        assert blurred < (0.95, 0.7, 0.4)[(1.0, 2.0, 4.0).index(radius)] * 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", METHODS)
def test_the_type_stays(name: str, dtype: torch.dtype):
    low_pass, _, amounts = METHODS[name]
    smooth = low_pass(step().to(dtype), amounts[1])
    assert smooth.dtype == dtype
    torch.testing.assert_close(smooth.double(), low_pass(step().double(), amounts[1]), atol=2e-2, rtol=0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gaussian(step(), -1), "radius: got -1. Give percent"),
        (lambda: edge_aware(step(), float("nan")), "radius: got nan"),
        (lambda: resample(step(), 0), "scale: got 0"),
        (lambda: resample(step(), 1.5), "scale: got 1.5"),
        (lambda: gaussian(step()[0], 1), r"depth: expected \(B, 1, H, W\)"),
        (lambda: resample(step()[0], 0.5), r"depth: expected \(B, 1, H, W\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_window_larger_than_the_map_does_no_harm():
    depth = step()[..., :5, :7]
    for radius in (50.0, 200.0):
        assert gaussian(depth, radius).isfinite().all() and edge_aware(depth, radius).isfinite().all()
    assert resample(depth, 0.01).std() < 1e-6
