"""StereoDiffusion's settings and loop, on a closed-form denoiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.latent_shift import warp_latent
from stereo_core.noise_forms import NoiseForm
from stereo_core.stereo_diffusion import PUBLISHED, ShiftPreset, ShiftSettings, plan_pair, sample_pair
from stereo_core.trajectory import NoiseRecord, Trajectory
from stereo_core.view_pairs import BothShifted, RightShifted
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from tests.core.closed_form import SIGMAS, EulerStepper, euler_step, gaussian_denoiser, normal

SHAPES = [(1, 4, 3, 8), (2, 4, 3, 8), (1, 4, 2, 3, 8)]


@pytest.mark.parametrize(
    ("steps", "shift", "renew"),
    [(50, 10, (20, 30, 40)), (20, 4, (8, 12, 16)), (8, 2, (4, 6)), (4, 1, (2, 3)), (1, 0, ())],
)
def test_presets_are_the_papers_at_any_number_of_steps(steps: int, shift: int, renew: tuple[int, ...]):
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
    with pytest.raises(ValueError, match="shift_both moves both views by whole columns. Set shift to rounded"):
        ShiftSettings(shift_both=True)
    with pytest.raises(ValueError, match="steps: got 0"):
        ShiftSettings().schedule(0)


def disparity_of(shape: tuple[int, ...]) -> Tensor:
    random = torch.Generator().manual_seed(2)
    return torch.randint(-2, 4, (shape[0], 1, *shape[2:]), generator=random).double()


def whole(disparity: Tensor) -> RightShifted:
    return RightShifted(ViewShift(disparity, ShiftForm.TRUNCATED))


def exact(disparity: Tensor) -> RightShifted:
    return RightShifted(ViewShift(disparity, ShiftForm.SUB_COLUMN))


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
    settings = ShiftSettings(0.2, fill, 0.3, shift=ShiftForm.TRUNCATED)
    run = EulerStepper(sigmas, form)
    pair = sample_pair(run, x, sigmas, whole(disparity), form, settings, 0)
    torch.testing.assert_close(pair, literal(x, sigmas, disparity, form, settings), rtol=1e-12, atol=1e-12)
    assert [piece[:2] for piece in run.pieces] == [(0, 2), (2, 5), (5, 8), (8, 10)]
    assert [piece[3] for piece in run.pieces] == [shape[0], *[2 * shape[0]] * 3]
    assert len(run.doubled) == 1


@pytest.mark.parametrize("form", ShiftForm)
def test_without_disparity_both_views_are_the_plain_run(form: ShiftForm):
    x, sigmas = normal(2, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    plain = EulerStepper(sigmas, NoiseForm.VE).run(x, 0, 10)
    run, settings = EulerStepper(sigmas, NoiseForm.VE), ShiftSettings(shift=form)
    pairing = RightShifted(ViewShift(torch.zeros(2, 1, 3, 8), form))
    pair = sample_pair(run, x, sigmas, pairing, NoiseForm.VE, settings, 0)
    assert torch.equal(pair[:2], plain)
    torch.testing.assert_close(pair[2:], plain, rtol=1e-5, atol=1e-6)


def test_both_views_can_be_shifted_by_half():
    x, sigmas = normal(1, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    settings = ShiftSettings(shift_both=True, shift=ShiftForm.ROUNDED)
    plain = EulerStepper(sigmas, NoiseForm.VE).run(x, 0, 10)
    run = EulerStepper(sigmas, NoiseForm.VE)
    pairing = BothShifted(torch.full((1, 1, 3, 8), 2.0))
    pair = sample_pair(run, x, sigmas, pairing, NoiseForm.VE, settings, 0)
    assert torch.equal(pair[:1, ..., 1:], plain[..., :-1]) and torch.equal(pair[1:, ..., :-1], plain[..., 1:])


@pytest.mark.parametrize("fill", HoleFill)
def test_what_is_drawn_comes_from_the_seed_alone(fill: HoleFill):
    x, sigmas = normal(1, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    settings, disparity = ShiftSettings(fill=fill), disparity_of((1, 4, 3, 8)) + 0.3

    def sample(seed: int) -> Tensor:
        run = EulerStepper(sigmas, NoiseForm.VE)
        return sample_pair(run, x, sigmas, exact(disparity), NoiseForm.VE, settings, seed)

    assert torch.equal(sample(1), sample(1)) and not torch.equal(sample(1)[1:], sample(2)[1:])


def test_a_shift_by_parts_of_a_column_asks_the_model_only_where_it_has_no_estimate():
    x, sigmas = normal(1, 4, 3, 8) * 14.6, SIGMAS[NoiseForm.VE]
    for shift_at, asked in ((0.2, []), (0.0, [0])):
        run = EulerStepper(sigmas, NoiseForm.VE)
        settings = ShiftSettings(shift_at=shift_at)
        sample_pair(run, x, sigmas, exact(disparity_of((1, 4, 3, 8))), NoiseForm.VE, settings, 0)
        assert run.asked == asked


@pytest.mark.parametrize("drawn", [False, True])
def test_a_replayed_left_view_follows_its_trajectory(drawn: bool):
    x, sigmas, disparity = normal(1, 4, 3, 8), SIGMAS[NoiseForm.VE], disparity_of((1, 4, 3, 8))
    states = tuple(normal(1, 4, 3, 8, seed=10 + step) for step in range(11))
    noise = (NoiseRecord(0, "sample_euler_ancestral", draws_noise=True),) if drawn else ()
    run = EulerStepper(sigmas, NoiseForm.VE)
    trajectory, settings = (
        Trajectory(sigmas, states, noise),
        ShiftSettings(0.2, HoleFill.LEFT, 0.2, shift=ShiftForm.ROUNDED),
    )
    pair = sample_pair(run, x, sigmas, whole(disparity), NoiseForm.VE, settings, 0, trajectory)
    assert torch.equal(pair[:1], states[-1]) and run.asked == []
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
    # Where noise was drawn on the way, the path does not tell the estimate: the model is asked once for each shift.
    run = EulerStepper(sigmas, NoiseForm.VE)
    sample_pair(run, x, sigmas, exact(disparity), NoiseForm.VE, ShiftSettings(mask_every=0.2), 0, trajectory)
    assert run.asked == ([2, 4, 6, 8] if drawn else [])


def test_the_plan_says_where_the_pair_is_edited():
    assert plan_pair(ShiftSettings(mask_every=0.2), 10, replayed=False) == (2, (4, 6, 8), (2, 4, 6, 8, 10))
    assert plan_pair(ShiftSettings(), 20, replayed=False).renew == (6, 8, 10, 12, 14, 16, 18)
    assert plan_pair(ShiftSettings(mask_every=0), 4, replayed=True).cuts == (1, 2, 3, 4)
