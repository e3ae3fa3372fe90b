"""Recording the left view: every sampler's states lie at their levels, and its result is the same to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.host.tiny import sampling as tiny
from tests.host.tiny.samplers import REFUSED, SAMPLERS

pytestmark = pytest.mark.usefixtures("host")

STEPS = 5
PICTURE = 0.2


NOT_FOR_FLOW = "dpmpp_2s_ancestral_cfg_pp ddpm res_multistep_ancestral res_multistep_ancestral_cfg_pp ipndm_v".split()
"""The host's own states of these are off their levels on flow models: noise of diffusion models, or coefficients."""


def test_no_sampler_of_the_host_is_left_out():
    from comfy.samplers import SAMPLER_NAMES

    assert {*SAMPLERS, *REFUSED} == set(SAMPLER_NAMES)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("family", ["sd15", "sd3"])
def test_states_lie_at_their_levels(name: str, family: str):
    if family == "sd3" and name in NOT_FOR_FLOW:
        pytest.skip("the host's own states are off their levels")
    model = tiny.load_sure(family, PICTURE)
    recorder = tiny.recorder(name)
    out, _ = tiny.sample(family, recorder, tiny.empty(family, 1, (48, 48)), sigmas=STEPS, model=model)
    found = recorder.trajectory
    sigmas = tiny.schedule(family, STEPS)
    assert torch.equal(found.sigmas, sigmas) and len(found.states) == STEPS + 1
    flow = family == "sd3"
    for sigma, state in zip(sigmas[:-1], found.states[:-1], strict=True):
        noise = (state - PICTURE * (1 - sigma if flow else 1)) / sigma
        assert noise.std().item() == pytest.approx(1, abs=0.03), float(sigma)
        assert noise.mean().item() == pytest.approx(0, abs=0.05), float(sigma)
    assert torch.equal(model.model.process_latent_out(found.states[-1]), out)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("family", ["sd15", "sd3"])
def test_the_result_is_the_samplers_own(name: str, family: str):
    given = tiny.empty(family, 2) + 0.5
    plain = tiny.sample(family, name, given, sigmas=STEPS)
    recorder = tiny.recorder(name)
    recorded = tiny.sample(family, recorder, given, sigmas=STEPS)
    assert all(torch.equal(a, b) for a, b in zip(recorded, plain, strict=True))
    assert torch.equal(tiny.load(family).model.process_latent_out(recorder.trajectory.states[-1]), plain[0])


@pytest.mark.parametrize(
    ("name", "draws"), [("euler", ()), ("euler_ancestral", (0, 1, 2, 3, 4)), ("seeds_2", (0, 2, 4, 6, 8))]
)
def test_how_often_noise_was_drawn_is_recorded(name: str, draws: tuple[int, ...]):
    recorder = tiny.recorder(name)
    tiny.sample("sd15", recorder, sigmas=STEPS, seed=7)
    (record,) = recorder.trajectory.noise
    assert (record.seed, record.sampler, record.draws, record.first) == (7, f"sample_{name}", draws, 0)


def test_noise_that_cannot_be_drawn_again_is_left_as_it_is():
    import comfy.samplers

    def own(sigma: Any, sigma_next: Any) -> Any:  # noqa: ARG001
        return torch.full(tiny.empty("sd15").shape, 0.5)

    sampler = comfy.samplers.ksampler("euler_ancestral", {"noise_sampler": own})
    plain = tiny.sample("sd15", sampler, sigmas=STEPS)
    recorder = tiny.recorder(sampler)
    assert torch.equal(tiny.sample("sd15", recorder, sigmas=STEPS)[0], plain[0])
    assert recorder.trajectory.noise[0].draws == ()


def test_a_mask_and_a_part_of_a_schedule_are_recorded_too():
    sigmas = tiny.schedule("sd3", STEPS)[:4]
    given, mask = tiny.empty("sd3") + 0.5, torch.ones(1, 1, 4, 8)
    mask[..., :4] = 0
    plain = tiny.sample("sd3", "euler", given, sigmas=sigmas, noise_mask=mask)
    recorder = tiny.recorder("euler")
    recorded = tiny.sample("sd3", recorder, given, sigmas=sigmas, noise_mask=mask)
    assert all(torch.equal(a, b) for a, b in zip(recorded, plain, strict=True))
    found = recorder.trajectory
    ended = found.states[-1] / (1 - sigmas[-1])  # as the host hands a flow model's state on
    assert torch.equal(tiny.load("sd3").model.process_latent_out(ended), plain[0])


def in_place(model: Any, x: Any, sigmas: Any, *, callback: Any, extra_args: Any, disable: bool) -> Any:  # noqa: ARG001
    """Euler in one tensor."""
    for step in range(len(sigmas) - 1):
        denoised = model(x, sigmas[step].expand(len(x)), **extra_args)
        callback({"x": x, "i": step, "sigma": sigmas[step], "sigma_hat": sigmas[step], "denoised": denoised})
        x.add_((x - denoised) / sigmas[step] * (sigmas[step + 1] - sigmas[step]))
    return x


@pytest.mark.parametrize("function", ["euler", "in_place"])
def test_states_are_copies_on_the_cpu_in_the_order_of_the_levels(function: str):
    import comfy.samplers

    recorder = tiny.recorder(comfy.samplers.KSAMPLER(in_place) if function == "in_place" else function)
    tiny.sample("sd15", recorder, sigmas=STEPS)
    found = recorder.trajectory
    assert {state.device.type for state in found.states} == {"cpu"}
    assert len({state.data_ptr() for state in found.states}) == STEPS + 1
    assert [found.index(float(sigma)) for sigma in found.sigmas] == list(range(STEPS + 1))


def test_a_sampler_without_states_at_the_levels_is_refused():
    import comfy.samplers
    from comfy.k_diffusion.sampling import sample_euler

    for name in REFUSED:
        with pytest.raises(ValueError, match=f"sampler: {name} chooses its own steps"):
            tiny.recorder(name)
    churning = comfy.samplers.ksampler("euler", {"s_churn": 2.0})
    with pytest.raises(ValueError, match=r"sampler: evaluates step 1 at noise level .* Set s_churn to 0"):
        tiny.sample("sd15", tiny.recorder(churning))

    def by_halves(model: Any, x: Any, sigmas: Any, **rest: Any) -> Any:
        return torch.cat([sample_euler(model, half, sigmas, **rest) for half in x.chunk(2)])

    with pytest.raises(ValueError, match="sampler: works on a part of the latent at a time"):
        tiny.sample("sd15", tiny.recorder(comfy.samplers.KSAMPLER(by_halves)), tiny.empty("sd15", 2))

    def twice(model: Any, x: Any, sigmas: Any, **rest: Any) -> Any:
        return sample_euler(model, sample_euler(model, x, sigmas, **rest), sigmas, **rest)

    with pytest.raises(ValueError, match="sampler: reported step 1 where step 5 was due"):
        tiny.sample("sd15", tiny.recorder(comfy.samplers.KSAMPLER(twice)))

    def silent(model: Any, x: Any, sigmas: Any, *, callback: Any, **rest: Any) -> Any:  # noqa: ARG001
        return sample_euler(model, x, sigmas, **rest)

    with pytest.raises(ValueError, match="sampler: reported 0 of 4 steps"):
        tiny.sample("sd15", tiny.recorder(comfy.samplers.KSAMPLER(silent)))


@pytest.mark.parametrize("sigmas", [[1.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
def test_a_schedule_must_descend(sigmas: list[float]):
    with pytest.raises(ValueError, match="sigmas: every noise level must be finite and lie below"):
        tiny.sample("sd15", tiny.recorder("euler"), sigmas=torch.tensor(sigmas))
