"""Colour matching: what a generator did to the colours is undone, and does not flicker over a clip."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from stereo_core.color_matching import ColorCorrection, ColorFit, ColorMatch, fit_colors, steady

HEIGHT, WIDTH = 96, 128
MATCHES = [ColorMatch.GAIN, ColorMatch.LOCAL]


def scene(seed: int = 0) -> torch.Tensor:
    """A picture (1, 3, H, W) in [0.25, 0.65] with structure at several scales."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        functional.interpolate(torch.rand(1, 3, size, size + 1, generator=generator), (HEIGHT, WIDTH), mode="bilinear")
        for size in (3, 9, 40)
    ]
    mixed = sum(layers) / len(layers)
    return 0.25 + 0.4 * (mixed - mixed.min()) / (mixed.max() - mixed.min())


def visible(share: float = 0.85) -> torch.Tensor:
    shown = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    shown[..., int(share * WIDTH) :] = False
    shown[..., 20:60, 40:52] = False
    return shown


def matched(result: torch.Tensor, target: torch.Tensor, shown: torch.Tensor, match: ColorMatch) -> torch.Tensor:
    filled = torch.where(shown, target, 0.9)  # what a hole of the target holds says nothing
    fit = fit_colors(result, filled, shown, match)
    return steady([fit], torch.ones(1, dtype=torch.bool)).apply(result, 0)


PLANTED = {
    "brightness": ([1.0, 1.0, 1.0], [0.12, 0.12, 0.12]),
    "darkness": ([1.0, 1.0, 1.0], [-0.2, -0.2, -0.2]),
    "gain": ([1.3, 1.3, 1.3], [0.0, 0.0, 0.0]),
    "low contrast": ([0.6, 0.6, 0.6], [0.2, 0.2, 0.2]),
    "cast": ([1.15, 1.0, 0.8], [0.05, 0.0, -0.04]),
}


@pytest.mark.parametrize("match", MATCHES)
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_change_is_gone_also_in_the_hole(planted: str, match: ColorMatch):
    target, shown = scene(), visible()
    gain, offset = (torch.tensor(values).view(1, 3, 1, 1) for values in PLANTED[planted])
    result = target * gain + offset
    assert (result - target)[~shown.expand_as(target)].abs().max() > 0.05
    error = (matched(result, target, shown, match) - target).abs()
    assert error.max() < 1e-3


@pytest.mark.parametrize("match", MATCHES)
def test_a_result_that_differs_in_content_does_not_pull(match: ColorMatch):
    target, shown = scene(), visible()
    result = target + 0.1
    result[..., 50:90, 5:38] = scene(9)[..., 50:90, 5:38].flip(1) * 0.5  # another object, a tenth of the picture
    error = (matched(result, target, shown, match) - target)[~shown.expand_as(target)].abs()
    assert error.mean() < (0.004 if match is ColorMatch.GAIN else 0.01)


@pytest.mark.parametrize("match", MATCHES)
def test_a_few_columns_apart_the_contrast_is_kept(match: ColorMatch):
    target, shown = scene(), visible()
    fit = fit_colors(target.roll(4, -1) + 0.1, target, shown, match)
    gain = fit.ends[1] - fit.ends[0]
    assert (gain - 1).abs().max() < 0.05


@pytest.mark.parametrize("match", MATCHES)
def test_values_that_the_generator_cut_off_do_not_pull(match: ColorMatch):
    target, shown = scene() * 1.4, visible()
    result = (target + 0.3).clamp(0, 1)
    cut = (result == 1).float().mean()
    assert 0.05 < cut < 0.5
    right = matched(result, target, shown, match)
    whole = (result < 1) & ~shown
    assert (right - target)[whole].abs().mean() < 0.001


def test_local_follows_what_changes_slowly_and_gain_does_not():
    target, shown = scene(), visible()
    x = torch.linspace(-1, 1, WIDTH)
    result = target + 0.1 * torch.sin(2 * x) * torch.linspace(-1, 1, HEIGHT).unsqueeze(1)
    hole = ~shown.expand_as(target)
    error = {match: (matched(result, target, shown, match) - target)[hole].abs().mean() for match in ColorMatch}
    assert error[ColorMatch.LOCAL] < 0.5 * error[ColorMatch.GAIN]
    assert error[ColorMatch.LOCAL] < 0.5 * error[ColorMatch.NONE]


@pytest.mark.parametrize("match", list(ColorMatch))
def test_nothing_to_measure_changes_nothing(match: ColorMatch):
    target = scene()
    result = 1 - target
    for shown in (torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.bool), visible()):
        if match is ColorMatch.NONE or not shown.any():
            assert torch.equal(matched(result, target, shown, match), result)


@pytest.mark.parametrize("match", MATCHES)
def test_a_flat_picture_is_matched_in_brightness(match: ColorMatch):
    target, result = torch.full((1, 3, HEIGHT, WIDTH), 0.5), torch.full((1, 3, HEIGHT, WIDTH), 0.3)
    torch.testing.assert_close(matched(result, target, visible(), match), target, atol=2e-3, rtol=0)
    ends = fit_colors(result, target, visible(), match).ends
    torch.testing.assert_close(ends[1] - ends[0], torch.ones(3))


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (200, 3)])
def test_any_size_is_matched(size: tuple[int, int]):
    target = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.2
    right = matched(target + 0.1, target, torch.ones(1, 1, *size, dtype=torch.bool), ColorMatch.LOCAL)
    assert right.isfinite().all() and (right - target).abs().max() < 0.02


def corrections(ends: list[float], starts: list[int]) -> ColorCorrection:
    fits = [ColorFit(torch.tensor([[end] * 3, [end + 1] * 3]), torch.full((3, 2, 2), end)) for end in ends]
    scene_starts = torch.zeros(len(ends), dtype=torch.bool)
    scene_starts[starts] = True
    return steady(fits, scene_starts)


def test_a_chunk_keeps_its_own_correction():
    ends = [0.0] * 5 + [0.1] * 5
    correction = corrections(ends, [0])
    torch.testing.assert_close(correction.ends[:, 0, 0], torch.tensor(ends))
    torch.testing.assert_close(correction.residual[:, 0, 0, 0], torch.tensor(ends))


def test_a_stray_frame_is_dropped():
    correction = corrections([0.0] * 4 + [0.3] + [0.0] * 4, [0])
    assert not correction.ends[:, 0].any() and not correction.residual.any()


def test_unrelated_pictures_keep_their_own_correction():
    ends = [0.0, 0.2, -0.1, 0.3, 0.1]
    correction = corrections(ends, [0, 1, 2, 3, 4])
    torch.testing.assert_close(correction.ends[:, 0, 0], torch.tensor(ends))


@pytest.mark.parametrize("match", MATCHES)
def test_a_clip_does_not_flash_between_chunks_nor_shimmer(match: ColorMatch):
    """A still clip, its result in two chunks of other brightness, with new detail in every frame."""
    target, shown, frames = scene(), visible(), 10
    generator = torch.Generator().manual_seed(5)
    planted = [0.1 if frame < 5 else -0.08 for frame in range(frames)]
    results = [target + offset + 0.03 * torch.randn(target.shape, generator=generator) for offset in planted]
    starts = torch.zeros(frames, dtype=torch.bool)
    starts[0] = True
    correction = steady([fit_colors(result, target, shown, match) for result in results], starts)
    plain = [correction.apply(target + offset, frame) for frame, offset in enumerate(planted)]
    steps = torch.stack([(after - before).abs().mean() for before, after in zip(plain, plain[1:], strict=False)])
    assert steps.max() < 0.002, steps  # half a step of an 8-bit picture; the planted flash is 0.18
    assert max((frame - target).abs().max() for frame in plain) < 0.03


def test_bad_input_is_refused():
    target, shown = scene(), visible()
    with pytest.raises(ValueError, match=r"target: expected"):
        fit_colors(target, target[..., 1:], shown)
    with pytest.raises(ValueError, match=r"visible: expected"):
        fit_colors(target, target, shown[..., 1:])
    with pytest.raises(ValueError, match="'most' is not a valid ColorMatch"):
        fit_colors(target, target, shown, "most")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scene_starts: expected .*T=1, got \(2,\)"):
        steady([fit_colors(target, target, shown)], torch.ones(2, dtype=torch.bool))
