"""shift_latent: both views of a latent, with every kind of fill."""

from __future__ import annotations

import pytest
import torch

from stereo_core.latent_shift import shift_latent
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from stereo_core.warping import forward_warp


def latent(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def shifted(latent: torch.Tensor, disparity: torch.Tensor, *fill, form: ShiftForm = ShiftForm.ROUNDED):
    return shift_latent(latent, ViewShift(disparity, form), *fill)


def test_left_entries_come_first_and_are_the_input_to_the_bit():
    source = latent(3, 4, 6, 8)
    pair = shifted(source, torch.full((3, 1, 6, 8), 2.0))
    assert torch.equal(pair.samples[:3], source)
    assert torch.equal(pair.samples[3:, ..., :6], source[..., 2:])
    assert pair.holes[..., 6:].all() and not pair.holes[..., :6].any()


@pytest.mark.parametrize("fill", HoleFill)
def test_zero_disparity_gives_two_equal_views_without_holes(fill: HoleFill):
    source = latent(2, 4, 5, 7)
    pair = shifted(source, torch.zeros(2, 1, 5, 7), fill)
    assert torch.equal(pair.samples, torch.cat([source, source]))
    assert not pair.holes.any()


def test_fill_decides_only_what_the_holes_hold():
    source, disparity = latent(2, 4, 16, 16), (torch.rand(2, 1, 16, 16) * 5).round()
    holes = ~forward_warp(source, disparity).filled
    left, zeros, noise, background = (shifted(source, disparity, fill).samples[2:] for fill in HoleFill)
    everywhere = holes.expand_as(source)
    assert torch.equal(left[everywhere], source[everywhere])
    assert not zeros[everywhere].any()
    for other in (zeros, noise, background):
        assert torch.equal(other[~everywhere], left[~everywhere])


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (14.6, 0.0), (0.3, 2.0)])
def test_noise_has_the_scale_of_its_latent(scale: float, shift: float):
    source = latent(1, 4, 64, 64) * scale + shift
    pair = shifted(source, torch.full((1, 1, 64, 64), 32.0), HoleFill.NOISE, torch.Generator().manual_seed(1))
    noise = pair.samples[1:, ..., 32:]
    torch.testing.assert_close(noise.std(), torch.tensor(scale), rtol=0.05, atol=0)
    torch.testing.assert_close(noise.mean(), torch.tensor(shift), rtol=0, atol=0.05 * scale)


def test_noise_repeats_with_its_seed_and_changes_with_it():
    source, disparity = latent(1, 4, 8, 8), torch.full((1, 1, 8, 8), 4.0)
    once, again, other = (
        shifted(source, disparity, HoleFill.NOISE, torch.Generator().manual_seed(seed)).samples for seed in (1, 1, 2)
    )
    assert torch.equal(once, again) and not torch.equal(once, other)


def test_a_video_latent_is_shifted_frame_by_frame():
    source, disparity = latent(2, 3, 5, 6, 8), torch.rand(2, 1, 5, 6, 8) * 3
    pair = shifted(source, disparity, HoleFill.ZEROS)
    assert pair.samples.shape == (4, 3, 5, 6, 8) and pair.holes.shape == (2, 1, 5, 6, 8)
    for entry in range(2):
        for frame in range(5):
            alone = shifted(source[entry, :, frame][None], disparity[entry, :, frame][None], HoleFill.ZEROS)
            assert torch.equal(pair.samples[2 + entry, :, frame], alone.samples[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("fill", HoleFill)
def test_the_dtype_is_kept(dtype: torch.dtype, fill: HoleFill):
    pair = shifted(latent(1, 4, 4, 8).to(dtype), torch.ones(1, 1, 4, 8), fill)
    assert pair.samples.dtype == dtype


def test_a_shape_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"latent: expected \(B, C, H, W\) with B=1, H=4, W=9, got \(1, 4, 4, 8\)"):
        shifted(latent(1, 4, 4, 8), torch.zeros(1, 1, 4, 9))
    with pytest.raises(ValueError, match="disparity: expected"):
        shifted(latent(1, 4, 4, 8), torch.zeros(4, 8))


def test_a_clean_latent_moves_by_parts_of_a_column():
    """A ramp moves exactly: the cubic keeps straight lines."""
    ramp = torch.arange(32.0).expand(1, 4, 3, 32).contiguous()
    pair = shifted(ramp, torch.full((1, 1, 3, 32), 2.4), form=ShiftForm.SUB_COLUMN)
    torch.testing.assert_close(pair.samples[1, ..., 1:28], ramp[0, ..., 1:28] + 2.4)
    assert pair.holes[..., 30:].all() and not pair.holes[..., :29].any()
