"""The pair that the host samples with an exact denoiser is the one that the benchmark's tables are made of."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from stereo_core.noise_forms import NoiseForm
from stereo_core.stereo_diffusion import ShiftSettings, sample_pair
from stereo_core.trajectory import Trajectory
from stereo_core.view_pairs import RightShifted
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from tests.host.tiny import sampling as tiny
from tools.benchmarks.exact_denoisers import GaussianPrior, one_over_f
from tools.benchmarks.exact_stepper import ExactStepper

pytestmark = pytest.mark.usefixtures("host")

SIZE, STEPS, SEED = (4, 8), 10, 5
PRIOR = GaussianPrior(one_over_f(SIZE, 1.0))


@pytest.mark.parametrize("fill", HoleFill)
@pytest.mark.parametrize(("family", "form"), [("sd15", NoiseForm.VE), ("sd3", NoiseForm.FLOW)], ids=["sd15", "sd3"])
def test_the_host_makes_the_pair_of_the_benchmark(family: str, form: NoiseForm, fill: HoleFill):
    from comfy.patcher_extension import WrappersMP

    shown: list[Tensor] = []

    def exact(_: Any, x: Tensor, sigma: Tensor, *__: Any, **___: Any) -> Tensor:
        shown.append(x[:1])
        return PRIOR.denoise(x, sigma[0], form)

    model = tiny.load(family).clone()
    model.add_wrapper(WrappersMP.APPLY_MODEL, exact)
    depth = tiny.depth_step(1, *SIZE)
    sampler = tiny.stereo("euler", depth, max_disparity=20.0, convergence=0.0, fill=fill.value, shift="sub_column")
    pair, _ = tiny.sample(family, sampler, sigmas=STEPS, seed=SEED, model=model)

    sigmas = tiny.schedule(family, STEPS)
    run = ExactStepper(PRIOR.denoise, sigmas, form)
    shift = ViewShift(1.6 * depth[..., :1].movedim(-1, 1), ShiftForm.SUB_COLUMN)
    settings = ShiftSettings(tiny.WIDGETS["shift_at"], fill, tiny.WIDGETS["mask_every"])
    states = [shown[0]]
    for step in range(STEPS):
        states.append(run.run(states[-1], step, step + 1))
    left = Trajectory(sigmas, tuple(states))
    expected = sample_pair(run, states[0], sigmas, RightShifted(shift), form, settings, SEED, left, by_step=False)
    assert tiny.error(model.model.process_latent_in(pair), expected) <= 2e-5
    assert tiny.error(*expected.chunk(2)) > 0.1
