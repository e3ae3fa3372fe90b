"""StereoDiffusion's settings and loop, on a closed-form denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.latent_shift import HoleFill, warp_latent
from stereo_core.noise_forms import NoiseForm
from stereo_core.stereo_diffusion import PUBLISHED, ShiftPreset, ShiftSettings, plan_pair, sample_pair
from stereo_core.trajectory import Trajectory
from tests.core.closed_form import SIGMAS, EulerStepper, euler_step, gaussian_denoiser, normal

SHAPES = [(1, 4, 3, 8), (2, 4, 3, 8), (1, 4, 2, 3, 8)]


@pytest.mark.parametrize(
    ("steps", "shift", "renew"),
    [(50, 10, (20, 30, 40)), (20, 4, (8, 12, 16)), (8, 2, (4, 6)), (4, 1, (2, 3)), (1, 0, ())],
)
def test_the_defaults_are_the_papers_at_any_number_of_steps(steps: int, shift: int, renew: tuple[int, ...]):
    assert ShiftSettings().schedule(steps) == (shift, renew)
    assert all(settings.schedule(steps) == (shift, renew) for settings in PUBLISHED.values())


def test_the_last_step_always_sees_the_pair_and_renewal_can_be_off():
    assert ShiftSettings(shift_at=1.0).schedule(8) == (7, ())
    assert ShiftSettings(shift_at=0.0, mask_every=0.0).schedule(8) == (0, ())
    assert ShiftSettings(shift_at=0.0, mask_every=0.001).schedule(4) == (0, (1, 2, 3))


def test_every_preset_but_ones_own_is_published():
    assert set(ShiftPreset) - set(PUBLISHED) == {ShiftPreset.CUSTOM}


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="shift_at: got 20"):
        ShiftSettings(shift_at=20)
    with pytest.raises(ValueError, match="mask_every"):
        ShiftSettings(mask_every=-0.1)
    with pytest.raises(ValueError, match="blur"):
        ShiftSettings(fill="blur")
    with pytest.raises(ValueError, match="steps: got 0"):
        ShiftSettings().schedule(0)


def disparity_of(shape: tuple[int, ...]) -> Tensor:
    random = torch.Generator().manual_seed(2)
    return torch.randint(-2, 4, (shape[0], 1, *shape[2:]), generator=random).double()


def literal(x: Tensor, sigmas: Tensor, disparity: Tensor, form: NoiseForm, settings: ShiftSettings) -> Tensor:
    """Algorithm 1, step by step, with both views in variables of their own."""
    steps = len(sigmas) - 1
    shift, every = round(settings.shift_at * steps), round(settings.mask_every * steps)
    left, right = x, None
    for step in range(steps):
        if step == shift:
            warp = warp_latent(left, disparity)
            right = torch.where(warp.filled, warp.image, left if settings.fill is HoleFill.LEFT else 0.0)
        if right is not None and every and step > shift and (step - shift) % every == 0:
            warp = warp_latent(left, disparity)
            right = torch.where(warp.filled, warp.image, right)
        now, then = sigmas[step], sigmas[step + 1]
        left = euler_step(left, gaussian_denoiser(left, now, form), now, then)
        right = None if right is None else euler_step(right, gaussian_denoiser(right, now, form), now, then)
    return torch.cat([left, right])


@pytest.mark.parametrize("fill", [HoleFill.LEFT, HoleFill.ZEROS])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", NoiseForm)
def test_the_loop_is_algorithm_1(form: NoiseForm, shape: tuple[int, ...], fill: HoleFill):
    x, sigmas, disparity = normal(*shape) * SIGMAS[form][0], SIGMAS[form], disparity_of(shape)
    settings = ShiftSettings(0.2, fill, 0.3)
    run = EulerStepper(sigmas, form)
    pair = sample_pair(run, x, sigmas, disparity, form, settings)
    torch.testing.assert_close(pair, literal(x, sigmas, disparity, form, settings), rtol=1e-12, atol=1e-12)
    assert [piece[:2] for piece in run.pieces] == [(0, 2), (2, 5), (5, 8), (8, 10)]
    assert [piece[3] for piece in run.pieces] == [shape[0], *[2 * shape[0]] * 3]
    assert len(run.doubled) == 1


@pytest.mark.parametrize("shift_both", [False, True])
def test_without_disparity_both_views_are_the_plain_run(shift_both: bool):
    x, sigmas = normal(2, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    plain = EulerStepper(sigmas, NoiseForm.VE).run(x, 0, 10)
    settings = ShiftSettings(shift_both=shift_both)
    run = EulerStepper(sigmas, NoiseForm.VE)
    pair = sample_pair(run, x, sigmas, torch.zeros(2, 1, 3, 8), NoiseForm.VE, settings)
    assert torch.equal(pair, torch.cat([plain, plain]))


def test_noise_in_the_holes_comes_from_the_generator_alone():
    x, sigmas = normal(1, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    settings, disparity = ShiftSettings(fill=HoleFill.NOISE), disparity_of((1, 4, 3, 8))

    def sample(seed: int) -> Tensor:
        run = EulerStepper(sigmas, NoiseForm.VE)
        generator = torch.Generator().manual_seed(seed)
        return sample_pair(run, x, sigmas, disparity, NoiseForm.VE, settings, generator)

    assert torch.equal(sample(1), sample(1)) and not torch.equal(sample(1)[1:], sample(2)[1:])


def test_a_replayed_left_view_follows_its_trajectory():
    x, sigmas, disparity = normal(1, 4, 3, 8), SIGMAS[NoiseForm.VE], disparity_of((1, 4, 3, 8))
    states = tuple(normal(1, 4, 3, 8, seed=10 + step) for step in range(11))
    run = EulerStepper(sigmas, NoiseForm.VE)
    trajectory = Trajectory(sigmas, states)
    pair = sample_pair(run, x, sigmas, disparity, NoiseForm.VE, ShiftSettings(), trajectory=trajectory)
    assert torch.equal(pair[:1], states[-1])
    warp = warp_latent(states[2], disparity)
    right = torch.where(warp.filled, warp.image, states[2])
    for step in range(2, 10):
        if step in (4, 6, 8):
            warp = warp_latent(states[step], disparity)
            right = torch.where(warp.filled, warp.image, right)
        denoised = gaussian_denoiser(right, sigmas[step], NoiseForm.VE)
        right = euler_step(right, denoised, sigmas[step], sigmas[step + 1])
    torch.testing.assert_close(pair[1:], right, rtol=1e-12, atol=1e-12)
    assert [piece[:2] for piece in run.pieces] == [(step, step + 1) for step in range(2, 10)]


def test_the_plan_says_where_a_sampler_starts_afresh():
    assert plan_pair(ShiftSettings(), 10, replayed=False) == (2, (4, 6, 8), (2, 4, 6, 8, 10), (0, 2, 4, 6, 8, 10))
    assert plan_pair(ShiftSettings(shift_at=0), 4, replayed=False).pieces == (0, 1, 2, 3, 4)
    assert plan_pair(ShiftSettings(mask_every=0), 4, replayed=True).pieces == (1, 2, 3, 4)
