"""invert: against exact answers for a Gaussian picture, against the equation written out, and back by sampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stereo_core.inversion import invert

SPREAD = 0.7
"""Standard deviation of the pictures that the Gaussian model knows."""


def gaussian_ve(state: Tensor, sigma: Tensor) -> Tensor:
    """The exact denoiser of pictures drawn from N(0, SPREAD^2), x = x0 + sigma e."""
    return state * SPREAD**2 / (SPREAD**2 + sigma**2)


def gaussian_flow(state: Tensor, sigma: Tensor) -> Tensor:
    """The same for x = (1 - sigma) x0 + sigma e."""
    kept = 1 - sigma
    return state * kept * SPREAD**2 / (kept**2 * SPREAD**2 + sigma**2)


# For such pictures the exact way scales the picture by the states' own standard deviation.
MODELS = {
    "ve": (gaussian_ve, 14.6, lambda sigma: math.sqrt(SPREAD**2 + sigma**2) / SPREAD),
    "flow": (gaussian_flow, 0.9999, lambda sigma: math.sqrt((1 - sigma) ** 2 * SPREAD**2 + sigma**2) / SPREAD),
}


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * SPREAD


def schedule(largest: float, steps: int) -> Tensor:
    """Karras et al.'s spacing, with a last step to 0."""
    least = 0.002
    ramp = torch.linspace(0, 1, steps)
    return torch.cat([(largest ** (1 / 7) + ramp * (least ** (1 / 7) - largest ** (1 / 7))) ** 7, torch.zeros(1)])


def euler(denoise, state: Tensor, sigmas: Tensor) -> Tensor:
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        state = state + (low - high) * (state - denoise(state, high)) / high
    return state


@pytest.mark.parametrize("name", MODELS)
def test_it_approaches_the_exact_trajectory_with_the_number_of_steps(name: str):
    model, largest, growth = MODELS[name]
    source = picture(2, 3, 4, 5)
    errors = []
    for steps in (50, 100, 200):
        sigmas = schedule(largest, steps)
        found = invert(model, source, sigmas, 0.001)
        exact = [source * growth(float(sigma)) for sigma in sigmas]
        errors.append(max(((a - b).norm() / b.norm()).item() for a, b in zip(found.states, exact, strict=True)))
    assert errors[0] < 0.1
    # First order: half the step, half the error.
    assert errors[1] < 0.6 * errors[0] and errors[2] < 0.6 * errors[1]


@pytest.mark.parametrize("name", MODELS)
def test_euler_sampling_comes_back_and_refining_makes_it_exact(name: str):
    model, largest, _ = MODELS[name]
    source, sigmas = picture(2, 3, 4, 5), schedule(largest, 20)

    def error(refine: int) -> float:
        start = invert(model, source, sigmas, 0.001, refine).states[0]
        return ((euler(model, start, sigmas) - source).norm() / source.norm()).item()

    plain, once, thrice, often = (error(rounds) for rounds in (0, 1, 3, 30))
    assert plain < 0.5
    assert once < plain / 2 and thrice < once / 4
    assert often < 1e-5


def test_it_is_equation_9_in_the_variance_preserving_form():
    """Eq. 9 with its missing factor, on a network of the DDIM kind: eps(z, t) from the VP state."""
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 2

    def network(z: Tensor, time: float) -> Tensor:
        return torch.tanh(torch.einsum("oc,bchw->bohw", weight, z) + time / 1000)

    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
    times = [981, 741, 501, 261, 21]  # the last is the clean end
    sigmas = torch.stack([(1 / alphas[t] - 1).sqrt() for t in times])

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        time = times[int((sigmas - sigma).abs().argmin())]
        return x - sigma * network(x / (1 + sigma**2).sqrt(), time)

    z = [picture(2, 4, 3, 3).double()]
    for level, then in zip(reversed(times[1:]), reversed(times[:-1]), strict=True):
        noise = network(z[-1], level)
        ratio = (alphas[then] / alphas[level]).sqrt()
        slope = (1 / alphas[then] - 1).sqrt() - (1 / alphas[level] - 1).sqrt()
        z.append(ratio * z[-1] + alphas[then].sqrt() * slope * noise)

    found = invert(denoise, z[0] * (1 + sigmas[-1] ** 2).sqrt(), sigmas, 0.0)
    for state, sigma, expected in zip(found.states, sigmas, reversed(z), strict=True):
        torch.testing.assert_close(state / (1 + sigma**2).sqrt(), expected, rtol=1e-12, atol=1e-12)


def test_states_lie_at_their_own_levels_from_noise_to_picture():
    source, sigmas = picture(1, 3, 2, 2), schedule(14.6, 10)
    found = invert(gaussian_ve, source, sigmas, 0.001)
    assert torch.equal(found.sigmas, sigmas) and torch.equal(found.at(0.0), source)
    sizes = [state.norm() for state in found.states]
    assert sizes == sorted(sizes, reverse=True)


def test_the_network_is_asked_at_the_states_own_level_and_never_below_its_least():
    asked = []

    def denoise(state: Tensor, sigma: Tensor) -> Tensor:
        asked.append(float(sigma))
        return gaussian_ve(state, sigma)

    invert(denoise, picture(1, 3, 2, 2), torch.tensor([8.0, 4.0, 2.0, 0.0]), 0.5)
    assert asked == [0.5, 2.0, 4.0]
    asked.clear()
    invert(denoise, picture(1, 3, 2, 2), torch.tensor([8.0, 4.0, 0.0]), 0.5, refine=2)
    assert asked == [0.5, 4.0, 4.0, 4.0, 8.0, 8.0]


def test_entries_of_a_batch_are_independent_and_video_passes():
    source, sigmas = picture(3, 4, 2, 5, 6), schedule(14.6, 6)
    source[1] *= 30
    together = invert(gaussian_ve, source, sigmas, 0.001, refine=2)
    for entry in range(3):
        alone = invert(gaussian_ve, source[entry : entry + 1], sigmas, 0.001, refine=2)
        torch.testing.assert_close(together.states[0][entry : entry + 1], alone.states[0])


def test_refining_goes_back_where_the_iteration_diverges():
    """An entry whose iteration grows sixfold each round beside one whose iteration converges."""
    slope = torch.tensor([3.0, 0.1]).view(2, 1, 1, 1)

    def rough(state: Tensor, sigma: Tensor) -> Tensor:
        return state - sigma * slope * state

    source, sigmas = picture(2, 3, 4, 4), torch.tensor([2.0, 0.0])
    plain = invert(rough, source, sigmas, 0.1).states[0]
    for rounds in (2, 5, 20):
        refined = invert(rough, source, sigmas, 0.1, rounds).states[0]
        assert torch.equal(refined[0], plain[0])
    torch.testing.assert_close(euler(rough, refined, sigmas)[1], source[1])


def test_progress_counts_every_step_with_its_state():
    seen = []
    found = invert(gaussian_ve, picture(1, 1, 2, 2), schedule(14.6, 4), 0.001, 0, lambda *step: seen.append(step))
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[-1][1], found.states[0])


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        ([], "the schedule has no step"),
        ([1.0], "the schedule has no step"),
        ([0.0, 1.0, 2.0], "must be finite and lie below"),
        ([2.0, 2.0, 0.0], "must be finite and lie below"),
        ([2.0, 1.0, -1.0], "must be finite and lie below"),
        ([2.0, math.nan, 0.0], "must be finite and lie below"),
    ],
)
def test_a_schedule_that_is_none_is_refused(sigmas: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        invert(gaussian_ve, picture(1, 1, 2, 2), torch.tensor(sigmas), 0.001)


def test_a_latent_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="latent: holds NaN"):
        invert(gaussian_ve, torch.full((1, 1, 2, 2), math.nan), torch.tensor([1.0, 0.0]), 0.001)
