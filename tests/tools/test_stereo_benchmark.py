"""What the stereo benchmark measures with: the stepper, the truth that it compares with, and matching."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm
from stereo_core.stereo_diffusion import ShiftSettings, sample_pair
from stereo_core.trajectory import Trajectory
from stereo_core.view_pairs import RightShifted
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from tests.core.closed_form import EulerStepper, gaussian_denoiser
from tools.benchmarks import stereo_gaussian
from tools.benchmarks.disparity_matching import made_disparity
from tools.benchmarks.exact_denoisers import ObjectPrior, cosines_at, object_rows, one_over_f
from tools.benchmarks.exact_stepper import ExactStepper, karras
from tools.benchmarks.linear_latents import COLOURS, HAAR
from tools.benchmarks.photograph_cases import SIZE, make_case
from tools.benchmarks.scenes import Scene
from tools.benchmarks.stereo_photos import mean_rows, quality
from tools.benchmarks.stereo_variants import Variant, make_right


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step_disparity() -> Tensor:
    disparity = torch.full((2, 1, 4, 16), -1.0, dtype=torch.float64)
    disparity[..., 5:10] = 2
    return disparity


SIGMAS = karras(8)
DENOISE = gaussian_denoiser


def test_the_schedule_is_karras():
    assert SIGMAS[[0, -2, -1]].tolist() == pytest.approx([14.6, 0.03, 0.0])
    third = 14.6 ** (1 / 7) + 2 / 7 * (0.03 ** (1 / 7) - 14.6 ** (1 / 7))
    assert SIGMAS[2].item() == pytest.approx(third**7)


def test_a_pair_is_what_another_stepper_makes():
    x, pairing = normal(2, 3, 4, 16) * SIGMAS[0], RightShifted(ViewShift(step_disparity(), ShiftForm.SUB_COLUMN))
    pairs = [
        sample_pair(run, x, SIGMAS, pairing, NoiseForm.VE, ShiftSettings(), 3)
        for run in (ExactStepper(DENOISE, SIGMAS), EulerStepper(SIGMAS, NoiseForm.VE))
    ]
    torch.testing.assert_close(*pairs)


@pytest.mark.parametrize("ancestral", [False, True])
def test_beside_a_known_left_view_the_right_one_is_the_same_and_costs_half(ancestral: bool):
    pairing = RightShifted(ViewShift(step_disparity(), ShiftForm.ROUNDED))
    settings = ShiftSettings(shift=ShiftForm.ROUNDED)
    left = ExactStepper(DENOISE, SIGMAS, ancestral=ancestral).record(normal(2, 3, 4, 16) * SIGMAS[0])
    alone, both = (ExactStepper(DENOISE, SIGMAS, ancestral=ancestral, known=path) for path in (left, None))
    pairs = [
        sample_pair(run, left.states[0], SIGMAS, pairing, NoiseForm.VE, settings, 0, left) for run in (alone, both)
    ]
    torch.testing.assert_close(*pairs)
    assert 2 * alone.evaluations == both.evaluations
    assert torch.equal(pairs[0][:2], left.states[-1])


def test_ancestral_steps_keep_the_distribution():
    start, sigmas = normal(1, 1, 100, 100) * 14.6, karras(200)
    end = ExactStepper(DENOISE, sigmas, ancestral=True).record(start).states[-1]
    assert end.mean().item() == pytest.approx(0.3, abs=0.05)
    assert end.std().item() == pytest.approx(0.8, abs=0.05)
    assert (end - ExactStepper(DENOISE, sigmas).run(start, 0, 200)).std() > 0.5


def test_ancestral_steps_in_the_flow_form_are_refused():
    with pytest.raises(ValueError, match="ancestral"):
        ExactStepper(DENOISE, SIGMAS, NoiseForm.FLOW, ancestral=True)


def test_the_true_right_view_moves_object_and_texture():
    width, edges = 64, torch.tensor([[20.0, 36.0]], dtype=torch.float64)
    wave = 0.2 * cosines_at(torch.arange(width), width)[9]
    left = (object_rows(edges, width) + wave).view(1, 1, 1, width).expand(1, 1, 3, width)
    truth = stereo_gaussian.true_right(left, edges)
    assert truth.edges.tolist() == [[18.25, 34.25]]
    right = truth.right[0, 0, 1]
    front = 1 + 0.2 * cosines_at(torch.arange(19, 34) + 1.75, width)[9]
    torch.testing.assert_close(right[19:34], front)
    assert right[34].item() == pytest.approx(-0.5, abs=0.1)  # a quarter of the column is object
    behind = -1 + 0.2 * cosines_at(torch.arange(40, width) - 1.75, width)[9]
    torch.testing.assert_close(right[40:], behind)
    assert truth.hole[0, 0, 0].nonzero().flatten().tolist() == [35, 36, 37]
    assert not (truth.hole & truth.visible).any()


def test_a_perfect_right_view_measures_perfect(monkeypatch: pytest.MonkeyPatch):
    prior = ObjectPrior(one_over_f((8, 64), 0.1))
    left = stereo_gaussian.inverted_left(prior, 1, (8, 64))
    monkeypatch.setattr(stereo_gaussian, "make_right", lambda *_, **__: left.truth.right)
    hole, begin, end, visible = map(float, stereo_gaussian.measure(prior, left, Variant()))
    assert (begin, end, visible) == (pytest.approx(0, abs=0.1), pytest.approx(0, abs=0.1), 0)
    assert hole == pytest.approx(-1, abs=0.1)


def test_lost_parts_of_a_column_and_a_bad_fill_are_seen():
    prior = ObjectPrior(one_over_f((8, 64), 0.25), step=0.5)
    left = stereo_gaussian.inverted_left(prior, 8, (8, 64))
    ways = (Variant(), Variant(shift=ShiftForm.TRUNCATED), Variant(fill=HoleFill.NOISE))
    exact, truncated, noise = (stereo_gaussian.measure(prior, left, way) for way in ways)
    assert float(exact[1]) == pytest.approx(0, abs=0.15)
    assert float(truncated[1]) == pytest.approx(-0.75, abs=0.15)  # 1 column where 1.75 were asked
    assert float(exact[3]) < float(truncated[3])
    assert float(exact[0]) < float(noise[0]) - 0.2


@pytest.mark.parametrize("moved", [-0.8, 0.4, 1.3])
def test_matching_finds_parts_of_a_column(moved: float):
    columns = torch.arange(48, dtype=torch.float64)
    modes = normal(20, 16) @ torch.eye(16, 48, dtype=torch.float64)  # nothing finer than three columns

    def view(at: Tensor) -> Tensor:
        return (modes @ cosines_at(at, 48)).view(1, 1, 20, 48).float()

    made = made_disparity(view(columns), view(columns + moved), -2, 3)
    assert (made - moved)[..., 8:-8].abs().max() < 0.03


@pytest.mark.parametrize("latent", [COLOURS, HAAR], ids=["colours", "haar"])
def test_a_linear_latent_is_the_picture(latent):
    picture = torch.rand(2, latent.channels, 8, 12)
    code = latent.encode(picture)
    torch.testing.assert_close(latent.decode(code), picture)
    moved = latent.decode(code.roll(1, -1))
    torch.testing.assert_close(moved, picture.roll(latent.square, -1))


def scene(seed: int) -> Scene:
    views = torch.rand(2, 1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return Scene(str(seed), *views, torch.full((1, 1, SIZE, SIZE), 16.0))


def test_a_pair_is_never_denoised_by_what_it_taught():
    scenes, taught = [scene(seed) for seed in range(3)], []

    class Learner:
        def denoise(self, x: Tensor, *_: object) -> Tensor:
            return x

    def learn(latents: list[Tensor]) -> Learner:
        taught.extend(latents)
        return Learner()

    case = make_case(scenes, 1, COLOURS, 64, learn)
    assert len(taught) == 4 and case.left.shape == (1, 3, 40, 64)
    own = case.latent.encode(torch.cat([case.picture, case.right]))
    assert not any(torch.allclose(view[..., 12:52, :], mine) for view in taught for mine in own)
    torch.testing.assert_close(case.disparity, torch.full((1, 1, 40, 64), 2.0))  # of 64 columns, not of 512


def test_the_true_right_view_has_no_error():
    case = make_case([scene(0), scene(1)], 0, COLOURS, 64, lambda _: gaussian())
    visible, _, border, _, detail = quality(case, case.latent.encode(case.right))
    assert min(visible, border) > 80 and detail == pytest.approx(1)
    assert quality(case, torch.zeros_like(case.left))[-1] == 0
    case = case._replace(right=case.picture.roll(-2, -1))  # what two columns of disparity make of it
    path = Trajectory(SIGMAS, tuple(case.left + sigma * torch.ones_like(case.left) for sigma in SIGMAS.float()))
    visible, _, border, *_ = quality(case, make_right(Variant(), case.denoise, path, case.disparity))
    assert visible > 30 > border


def gaussian():
    class Sure:
        def denoise(self, x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
            return gaussian_denoiser(x, sigma, form, 0.0, 1.0)

    return Sure()


def test_a_mean_is_of_the_pairs_that_have_the_figure():
    rows = [("table", ("way", "3"), (1.0, float("nan"))), ("table", ("way", "3"), (2.0, 4.0))]
    assert mean_rows(rows) == [["way", "3", "1.50", "4.00"]]
    assert mean_rows(rows[:1]) == [["way", "3", "1.00", "nan"]]
