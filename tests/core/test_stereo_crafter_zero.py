"""StereoCrafter-Zero's loop on a closed-form denoiser, against the paper written out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stereo_core.borders import border_columns
from stereo_core.iterative_refinement import RefineForm, RefineSettings
from stereo_core.latent_shift import warp_latent
from stereo_core.noise_forms import NoiseForm, alpha, alpha_bar
from stereo_core.noisy_restart import RestartForm, RestartSettings, filling_latent
from stereo_core.right_view import LeftView
from stereo_core.schedules import noise_to_signal
from stereo_core.seeds import Stream, make_generator
from stereo_core.stereo_crafter_zero import CrafterSettings, plan_crafter, sample_right
from stereo_core.trajectory import Trajectory
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from tests.core.closed_form import SIGMAS, EulerStepper, euler_step, gaussian_denoiser, normal

SHAPE, SEED = (1, 4, 3, 6, 16), 5


def disparity_of(near: int = 3) -> Tensor:
    """A block at ``near`` columns before a background that lies one column behind the screen."""
    disparity = torch.full((1, 1, *SHAPE[2:]), -1.0, dtype=torch.float64)
    disparity[..., 1:4, 5:9] = near
    return disparity


def record(form: NoiseForm) -> Trajectory:
    sigmas, run = SIGMAS[form], EulerStepper(SIGMAS[form], form)
    states = [normal(*SHAPE) * sigmas[0]]
    for step in range(len(sigmas) - 1):
        states.append(run.run(states[-1], step, step + 1))
    return Trajectory(sigmas, tuple(states))


def sample(form: NoiseForm, settings: CrafterSettings, disparity: Tensor, pair: bool = False):
    trajectory, sigmas = record(form), SIGMAS[form]
    left = LeftView(trajectory, sigmas, trajectory.states[0], ViewShift(disparity, settings.shift), form)
    plan = plan_crafter(settings, noise_to_signal(sigmas, form), left.first, [pair] * 10)
    run = EulerStepper(sigmas, form)
    return sample_right(run, left, plan, settings, SEED), run, plan, trajectory


def mirrored(left: Tensor, warped: Tensor, filled: Tensor) -> Tensor:
    """Appendix C.4, column by column: no value twice side by side."""
    out, width = left.clone(), left.shape[-1]
    for t, y, x in torch.cartesian_prod(*(torch.arange(n) for n in left.shape[2:])).tolist():
        own = left[0, :, t, y, x]
        before = x > 0 and filled[0, 0, t, y, x - 1] and torch.equal(warped[0, :, t, y, x - 1], own)
        after = x < width - 1 and filled[0, 0, t, y, x + 1] and torch.equal(warped[0, :, t, y, x + 1], own)
        if before or after:
            out[0, :, t, y, x] = left[0, :, t, y, (x - 1 if before else x + 1) % width]
    return out


def literal(form: NoiseForm, settings: CrafterSettings, disparity: Tensor) -> Tensor:
    """Sections 3.1 and 3.2 with Euler's method: every iteration, warp and repeat in turn."""
    trajectory, sigmas = record(form), SIGMAS[form]
    holes = ~warp_latent(trajectory.states[0], disparity).filled
    border = border_columns(~holes)

    def holes_of(left: Tensor, warp) -> Tensor:
        return mirrored(left, warp.image, warp.filled) if settings.mirror else left

    def composed(step: int, x: Tensor, weight: float) -> Tensor:
        left = trajectory.states[step]
        warp = warp_latent(left, disparity)
        if weight:
            x = torch.where(border, weight * holes_of(left, warp) + (1 - weight) * x, x)
        return torch.where(warp.filled, warp.image, x)

    def stepped(x: Tensor, step: int) -> Tensor:
        return euler_step(x, gaussian_denoiser(x, sigmas[step], form), sigmas[step], sigmas[step + 1])

    first = trajectory.states[0]
    x = holes_of(first, warp_latent(first, disparity))
    restart, refine = settings.restart, settings.refine
    begun = 0
    if restart is not None:
        begun = round(restart.until * 10)
        fillings: list[Tensor | None] = [x, *[None] * (begun - 1)]
        for _ in range(restart.iterations):
            generator = make_generator(SEED, Stream.RESTART)
            for step in range(begun):
                held = fillings[step] if fillings[step] is not None else x
                x = stepped(composed(step, held, restart.border_weight), step)
                noise = torch.randn(x.shape, generator=generator).to(x)
                fillings[step] = filling_latent(x, noise, sigmas, step, form, restart.form)
    else:
        x = composed(0, x, 0.0)
    repeats = {} if refine is None else refine.repeats(noise_to_signal(sigmas, form), begun)
    for step in range(begun, 10):
        if step not in repeats:
            x = stepped(x, step)
            continue
        now, then, generator = sigmas[step], sigmas[step + 1], make_generator(SEED, Stream.REFINE, step)
        start, average = composed(step, x, 0.0), None  # the border is cleaned in the restart alone
        for count in range(repeats[step]):
            denoised = gaussian_denoiser(start, now, form)
            weight = alpha_bar(now, form).sqrt()
            average = (
                denoised if average is None else torch.where(holes, weight * denoised + (1 - weight) * average, average)
            )
            rest = euler_step(start, denoised, now, then) - alpha(then, form) * denoised
            x = alpha(then, form) * average + rest
            if count == repeats[step] - 1:
                break
            # Euler draws no noise, so the holes get DDIM's.
            fresh = (1 - alpha_bar(now, form) / alpha_bar(then, form)) / (1 - alpha_bar(now, form))
            noise = torch.randn(x.shape, generator=generator).to(x)
            own = start - alpha(now, form) * denoised
            again = alpha(now, form) * average + (1 - fresh).sqrt() * own + fresh.sqrt() * now * noise
            start = torch.where(holes, again, start)
    return x


RESTART = RestartSettings(3, 0.3)
REFINE = RefineSettings(0.2, 0.8, 3, 2)
PAPER = {"fill": HoleFill.LEFT, "shift": ShiftForm.TRUNCATED}


@pytest.mark.parametrize(
    "settings",
    [
        CrafterSettings(restart=RESTART, **PAPER),
        CrafterSettings(refine=REFINE, **PAPER),
        CrafterSettings(RESTART, REFINE, **PAPER),
        CrafterSettings(RESTART, REFINE, **PAPER, mirror=False),
        CrafterSettings(RestartSettings(2, 0.3, RestartForm.CODE), **PAPER),
    ],
    ids=["restart", "refine", "both", "no mirror", "code"],
)
@pytest.mark.parametrize("form", NoiseForm)
def test_the_loop_is_the_papers(form: NoiseForm, settings: CrafterSettings):
    right, *_ = sample(form, settings, disparity_of())
    torch.testing.assert_close(right, literal(form, settings, disparity_of()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shift", ShiftForm)
@pytest.mark.parametrize("form", NoiseForm)
def test_without_disparity_the_right_view_is_the_left_one(form: NoiseForm, shift: ShiftForm):
    settings = CrafterSettings(RESTART, REFINE, shift=shift)
    right, run, _, trajectory = sample(form, settings, torch.zeros(1, 1, *SHAPE[2:]))
    torch.testing.assert_close(right, trajectory.states[-1], rtol=1e-5, atol=1e-5)
    assert run.asked == []  # Euler's path tells the estimates


@pytest.mark.parametrize("pair", [False, True])
def test_the_steps_taken_are_the_plan(pair: bool):
    settings = CrafterSettings(RESTART, REFINE)
    right, run, plan, _ = sample(NoiseForm.VE, settings, disparity_of(), pair)
    assert (plan.restarted, plan.repeats) == (3, {4: 3, 6: 3, 8: 2})
    assert plan.again == run.again == 2 * 3 + 2 + 2 + 1
    assert sum(last - first for first, last, *_ in run.pieces) == 10 + plan.again
    assert {entries for *_, entries in run.pieces} == {2 if pair else 1}
    # Every take that goes on draws as the plain run does; the others have noise of their own.
    assert [repeat for first, _, repeat, _ in run.pieces if first == 4] == [1, 2, 0]
    alone, *_ = sample(NoiseForm.VE, settings, disparity_of())
    torch.testing.assert_close(right, alone, rtol=1e-12, atol=1e-12)


def test_the_code_form_of_a_repeat_differs_and_stays_finite():
    forms = [CrafterSettings(refine=RefineSettings(0.2, 0.8, 3, 2, form)) for form in RefineForm]
    paper, code = (sample(NoiseForm.FLOW, settings, disparity_of())[0] for settings in forms)
    assert code.isfinite().all() and not torch.equal(paper, code)


def test_noise_is_a_fill_by_the_seed():
    settings = CrafterSettings(RESTART, fill=HoleFill.NOISE, shift=ShiftForm.ROUNDED)
    left = CrafterSettings(RESTART, fill=HoleFill.LEFT, shift=ShiftForm.ROUNDED)
    left, noise = (sample(NoiseForm.VE, each, disparity_of())[0] for each in (left, settings))
    assert not torch.equal(left, noise)
    assert torch.equal(noise, sample(NoiseForm.VE, settings, disparity_of())[0])


def test_a_run_on_a_part_of_the_schedule_goes_by_the_whole():
    form, settings = NoiseForm.VE, CrafterSettings(refine=REFINE)
    trajectory, sigmas, disparity = record(form), SIGMAS[form], disparity_of()
    whole, *_ = sample(form, settings, disparity)
    x = None
    for first, last in ((0, 5), (5, 10)):
        part = sigmas[first : last + 1]
        left = LeftView(trajectory, part, trajectory.states[0], ViewShift(disparity, settings.shift), form)
        plan = plan_crafter(settings, noise_to_signal(sigmas, form), left.first, [False] * (last - first))
        x = sample_right(EulerStepper(part, form), left, plan, settings, SEED, x)
    torch.testing.assert_close(x, whole)


def test_every_part_takes_the_warps_that_lie_in_it():
    settings, levels = CrafterSettings(RESTART, RefineSettings()), [float(20 - step) for step in range(21)]
    whole = plan_crafter(settings, levels, 0, [False] * 20)
    assert list(whole.repeats) == [6, 8, 10, 12, 14]
    first = plan_crafter(settings, levels, 0, [False] * 10)
    alone = CrafterSettings(refine=RefineSettings(restart_until=RESTART.until))
    second = plan_crafter(alone, levels, 10, [False] * 10)
    assert first.repeats | {10 + step: times for step, times in second.repeats.items()} == whole.repeats
    with pytest.raises(ValueError, match=r"last_warp of Stereo Refine.*: .*\[7, 9, 11, 13, 15\].* hold steps 16 to 20"):
        plan_crafter(alone, levels, 15, [False] * 5)
    assert plan_crafter(replace(settings, refine=None), levels, 0, [False] * 20).repeats == {}


def test_a_schedule_that_skips_recorded_levels_is_refused():
    trajectory, shift = record(NoiseForm.VE), ViewShift(disparity_of(), ShiftForm.ROUNDED)
    with pytest.raises(ValueError, match="sigmas: skip noise levels that trajectory holds"):
        LeftView(trajectory, trajectory.sigmas[::2], trajectory.states[0], shift, NoiseForm.VE)
