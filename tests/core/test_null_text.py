"""optimize_null_text: on a guided Gaussian model whose unconditional mean the embedding sets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.inversion import invert
from stereo_core.noise_forms import NoiseForm
from stereo_core.null_text import NullTextSettings, optimize_null_text
from stereo_core.trajectory import Trajectory

CFG = 7.5
TEXT = torch.tensor([0.5, -0.4, 0.3])
"""The mean of the pictures that the prompt describes."""


def towards(mean: Tensor, state: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """The exact denoiser of pictures drawn from N(mean, 0.7^2); mean (B, C) or (C,)."""
    kept = 1 - sigma if form is NoiseForm.FLOW else torch.ones_like(sigma)
    mean = mean.view(*mean.shape, 1, 1)
    gain = kept * 0.49 / (kept**2 * 0.49 + sigma**2)
    return mean + gain * (state - kept * mean)


class Guided:
    """Guidance between the text's mean and the one that an embedding (B, N, 3) spells."""

    def __init__(self, form: NoiseForm = NoiseForm.VE) -> None:
        self.form = form
        self.runs = 0

    def __call__(self, state: Tensor, sigma: Tensor):
        def denoise(embedding: Tensor) -> Tensor:
            self.runs += 1
            blank = towards(torch.tanh(embedding).mean(dim=1), state, sigma, self.form)
            return blank + CFG * (towards(TEXT, state, sigma, self.form) - blank)

        return denoise


def inverted(form: NoiseForm = NoiseForm.VE, steps: int = 8, batch: int = 1) -> Trajectory:
    largest = 0.9999 if form is NoiseForm.FLOW else 14.6
    sigmas = torch.cat([torch.linspace(largest**0.2, 0.05**0.2, steps) ** 5, torch.zeros(1)])
    source = torch.randn(batch, 3, 4, 5, generator=torch.Generator().manual_seed(batch)) * 0.7
    return invert(lambda x, sigma: towards(TEXT, x, sigma, form), source, sigmas, 0.001, refine=30)


def sample(trajectory: Trajectory, embeddings: tuple[Tensor, ...], form: NoiseForm = NoiseForm.VE) -> Tensor:
    state, sigmas = trajectory.states[0], trajectory.sigmas
    for high, low, embedding in zip(sigmas[:-1], sigmas[1:], embeddings, strict=True):
        state = state + (low - high) * (state - Guided(form)(state, high)(embedding)) / high
    return state


@pytest.mark.parametrize("form", NoiseForm)
def test_guided_sampling_comes_back_to_the_picture(form: NoiseForm):
    trajectory, blank = inverted(form), torch.zeros(1, 2, 3)
    found = optimize_null_text(Guided(form), blank, trajectory, form, NullTextSettings(60, 0.1, 0.0))

    def error(embeddings: tuple[Tensor, ...]) -> float:
        return (sample(trajectory, embeddings, form) - trajectory.states[-1]).square().mean().item()

    assert error(found.embeddings) < error((blank,) * 8) / 100
    assert found.losses[0].end < found.losses[0].start / 100
    assert all(loss.end <= loss.start for loss in found.losses)


def test_it_is_the_published_loop_in_the_variance_preserving_form():
    """50 steps, DDIM written in alpha, Adam at 1e-2 (1 - i / 100), 10 inner steps."""
    # In double precision: rounding grows along the optimisation, differently on every number of threads.
    single = inverted(steps=50)
    trajectory = Trajectory(single.sigmas.double(), tuple(state.double() for state in single.states))
    alphas = 1 / (1 + trajectory.sigmas**2)
    goal = [state * alpha.sqrt() for state, alpha in zip(trajectory.states, alphas, strict=True)]

    blank, z, expected = torch.full((1, 2, 3), 0.1).double(), goal[0], []
    for i in range(50):
        now, then = alphas[i], alphas[i + 1]
        guided = Guided()(z / now.sqrt(), trajectory.sigmas[i])
        blank = blank.clone().requires_grad_()
        adam = torch.optim.Adam([blank], lr=1e-2 * (1 - i / 100))

        def step(embedding: Tensor, z=z, now=now, then=then, guided=guided) -> Tensor:
            clean = guided(embedding)
            noise = (z - now.sqrt() * clean) / (1 - now).sqrt()
            return then.sqrt() * clean + (1 - then).sqrt() * noise

        tried = []
        for _ in range(10):
            loss = torch.nn.functional.mse_loss(step(blank), goal[i + 1])
            tried.append((loss.item(), blank.detach().clone()))
            adam.zero_grad()
            loss.backward()
            adam.step()
            if loss.item() < 1e-5 + 2e-5 * i:
                break
        tried.append((torch.nn.functional.mse_loss(step(blank.detach()), goal[i + 1]).item(), blank.detach()))
        blank = min(tried, key=lambda pair: pair[0])[1]  # the published code: tried[-1][1]
        z = step(blank)
        expected.append(z)

    reached = []
    start = torch.full((1, 2, 3), 0.1).double()
    optimize_null_text(Guided(), start, trajectory, NoiseForm.VE, on_step=lambda *step: reached.append(step))
    for i, (step, _, state) in enumerate(reached):
        assert step == i
        torch.testing.assert_close(state * alphas[i + 1].sqrt(), expected[i], rtol=1e-4, atol=1e-6)


def test_a_step_that_is_near_enough_is_improved_once():
    trajectory, guided = inverted(steps=4), Guided()
    start = torch.zeros(1, 2, 3)
    found = optimize_null_text(guided, start, trajectory, NoiseForm.VE, NullTextSettings(epsilon=1e9))
    assert guided.runs == 8 and [loss.inner_steps for loss in found.losses] == [1] * 4

    guided = Guided()
    found = optimize_null_text(guided, start, trajectory, NoiseForm.VE, NullTextSettings(3, epsilon=0.0))
    assert guided.runs == 16 and [loss.inner_steps for loss in found.losses] == [3] * 4


def test_the_threshold_grows_with_the_schedule_as_published():
    trajectory = inverted(steps=50)
    found = optimize_null_text(Guided(), torch.zeros(1, 2, 3), trajectory, NoiseForm.VE, NullTextSettings(200))
    for i, loss in enumerate(found.losses):
        assert loss.end < 1e-5 + 2e-5 * i
        assert (loss.inner_steps == 1) == (loss.start < 1e-5 + 2e-5 * i)


def test_entries_of_a_batch_get_embeddings_of_their_own():
    trajectory = inverted(batch=2)
    settings = NullTextSettings(5, 0.1, 0.0)
    together = optimize_null_text(Guided(), torch.zeros(1, 2, 3), trajectory, NoiseForm.VE, settings)
    assert together.embeddings[0].shape == (2, 2, 3)
    for entry in range(2):
        alone = Trajectory(trajectory.sigmas, tuple(state[entry : entry + 1] for state in trajectory.states))
        expected = optimize_null_text(Guided(), torch.zeros(1, 2, 3), alone, NoiseForm.VE, settings)
        for a, b in zip(together.embeddings, expected.embeddings, strict=True):
            torch.testing.assert_close(a[entry : entry + 1], b, rtol=1e-3, atol=1e-4)


def test_the_embedding_given_is_left_as_it_was():
    start = torch.zeros(1, 2, 3)
    optimize_null_text(Guided(), start, inverted(steps=2), NoiseForm.VE, NullTextSettings(2, 0.1, 0.0))
    assert not start.any() and not start.requires_grad


def test_gradients_survive_half_precision():
    """As a half-precision network would: every gradient that passes is rounded to float16."""
    plain = Guided()

    class Half(torch.autograd.Function):
        @staticmethod
        def forward(_, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(_, gradient: Tensor) -> Tensor:
            return gradient.half().float()

    def half(state: Tensor, sigma: Tensor):
        denoise = plain(state, sigma)
        return lambda embedding: Half.apply(denoise(embedding))

    trajectory = inverted(steps=6)
    near = Trajectory(trajectory.sigmas, trajectory.states)
    start = torch.atanh(TEXT).expand(1, 2, 3) + 1e-4  # guided is nearly the text's own: losses around 1e-8
    settings = NullTextSettings(10, 1e-5, 0.0)
    exact = optimize_null_text(plain, start, near, NoiseForm.VE, settings)
    rounded = optimize_null_text(half, start, near, NoiseForm.VE, settings)
    assert exact.losses[0].end < 0.6 * exact.losses[0].start < 1e-7
    for a, b in zip(exact.embeddings, rounded.embeddings, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5)


def test_a_gradient_that_is_not_finite_is_refused():
    def broken(state: Tensor, sigma: Tensor):
        return lambda embedding: Guided()(state, sigma)(embedding) + (embedding - embedding).sqrt().sum()

    with pytest.raises(ValueError, match="gradient through the model is not finite"):
        optimize_null_text(broken, torch.zeros(1, 2, 3), inverted(steps=2), NoiseForm.VE)


@pytest.mark.parametrize("shape", [(3, 2, 3), (2, 3), (1, 1, 2, 3)])
def test_an_embedding_for_another_number_of_entries_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="trajectory of 2 pictures"):
        optimize_null_text(Guided(), torch.zeros(shape), inverted(steps=2, batch=2), NoiseForm.VE)
