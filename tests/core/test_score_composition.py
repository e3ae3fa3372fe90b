"""Score composition: Algorithm 1 to the letter, Theorem 3.1 on Gaussians, repeats on a planted conflict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from stereo_core import score_composition
from stereo_core.composition_weights import PAPER, PUBLISHED_CODE, CompositionSettings, RepeatNoise, ViewWeights
from stereo_core.score_composition import Denoiser, compose, count_evaluations

VIEWS, FRAMES = 3, 4
ONCE = CompositionSettings(repeat_until=0)


def karras(steps: int, high: float = 700.0, low: float = 0.002, rho: float = 7.0) -> Tensor:
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels = (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return torch.cat([levels, levels.new_zeros(1)])


def correlation(size: int, reach: float) -> Tensor:
    place = torch.arange(size, dtype=torch.float64)
    return torch.exp(-(place[:, None] - place).abs() / reach)


ROWS, COLUMNS = correlation(FRAMES, 1.5), correlation(VIEWS, 0.8)
MEAN = torch.randn(VIEWS, FRAMES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gaussian(covariance: Tensor, means: Tensor) -> Denoiser:
    """The posterior mean of strips drawn from N(``means``[strip], ``covariance``)."""

    def denoise(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        eye = torch.eye(len(covariance)).to(covariance)
        gain = (covariance @ torch.linalg.inv(covariance + sigma.to(covariance) ** 2 * eye)).to(strips)
        mean = means[list(indices)].to(strips)[:, :, None, None, None]
        away = strips - mean
        # Place by place instead of a product of matrices: the same bits in a batch as alone.
        return mean + sum(gain[:, at].view(-1, 1, 1, 1) * away[:, at : at + 1] for at in range(len(gain)))

    return denoise


BY_ROWS, BY_COLUMNS = gaussian(ROWS, MEAN), gaussian(COLUMNS, MEAN.T)


def never(*_: object) -> Tensor:
    raise AssertionError("a denoiser without weight was called")


def noise(*inner: int, dtype: torch.dtype = torch.float64, seed: int = 3) -> Tensor:
    shape = (VIEWS, FRAMES, *(inner or (2, 3, 3)))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def algorithm_1(matrix: Tensor, sigmas: Tensor, s: Callable[[int], float], n_r: int, draw: torch.Generator) -> Tensor:
    """The paper's appendix A.2, line by line."""
    for i in range(len(sigmas) - 1):
        repeats = 2 if i in range(n_r) else 1
        for j in range(repeats):
            d = torch.zeros_like(matrix)
            for v in range(len(matrix)):
                row = matrix[v]
                d[v] = d[v] + (1 - s(i)) * (row - BY_ROWS(row[None], sigmas[i], [v])[0]) / sigmas[i]
            for f in range(matrix.shape[1]):
                column = matrix[:, f]
                d[:, f] = d[:, f] + s(i) * (column - BY_COLUMNS(column[None], sigmas[i], [f])[0]) / sigmas[i]
            stepped = matrix + (sigmas[i + 1] - sigmas[i]) * d
            if j < repeats - 1:
                epsilon = torch.randn(stepped.shape, generator=draw).to(stepped)
                matrix = stepped + (sigmas[i] - sigmas[i + 1]) * epsilon
        matrix = stepped
    return matrix


@pytest.mark.parametrize("steps", [10, 50])
def test_it_is_algorithm_1(steps):
    sigmas = karras(steps)
    start = noise() * sigmas[0]
    expected = algorithm_1(start, sigmas, lambda _: 0.5, steps // 10, torch.Generator().manual_seed(7))
    actual = compose(start, sigmas, BY_ROWS, BY_COLUMNS, PAPER, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_the_published_code_weighs_each_view_and_repeats_a_fifth_of_the_steps():
    at = torch.arange(VIEWS, dtype=torch.float64) + 1
    front = 0.5 * (1 + torch.cos(2 * torch.pi * at / (VIEWS / 2)))
    video = ((1 - 0.75 * (1 - front)) * (1 - 0.6))[:, None, None, None, None]
    sigmas, draw = karras(10), torch.Generator().manual_seed(7)
    expected = noise() * sigmas[0]
    for i in range(10):
        for repeat in range(2 if i < 2 else 1):
            rows = BY_ROWS(expected, sigmas[i], range(VIEWS))
            columns = BY_COLUMNS(expected.movedim(1, 0), sigmas[i], range(FRAMES)).movedim(0, 1)
            slope = (expected - video * rows - (1 - video) * columns) / sigmas[i]
            expected = expected + (sigmas[i + 1] - sigmas[i]) * slope
            if i < 2 and repeat == 0:
                unit = torch.randn(expected.shape, generator=draw).to(expected)
                expected = expected + (sigmas[i] - sigmas[i + 1]) * unit
    draw = torch.Generator().manual_seed(7)
    actual = compose(noise() * sigmas[0], sigmas, BY_ROWS, BY_COLUMNS, PUBLISHED_CODE, generator=draw)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def moments(rows: Denoiser, columns: Denoiser, s: float, steps: int) -> tuple[Tensor, Tensor]:
    """Mean (V, F) and covariance (V*F, V*F) of what is composed from N(0, sigma_0²).

    With Gaussian denoisers the whole run is an affine map, so it is run on a basis instead of on samples: exact.
    """
    sigmas, cells = karras(steps), VIEWS * FRAMES
    basis = torch.cat([torch.zeros(1, cells), torch.eye(cells)]).double().T.view(VIEWS, FRAMES, 1, 1, cells + 1)
    result = compose(basis * sigmas[0], sigmas, rows, columns, CompositionSettings(s, repeat_until=0))
    mean, directions = result[..., :1], result[..., 1:] - result[..., :1]
    flat = directions.reshape(cells, cells)
    return mean.reshape(VIEWS, FRAMES), flat @ flat.T


def power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values**exponent) @ vectors.T


def test_theorem_3_1_samples_the_joint_that_its_assumption_describes():
    """Views and frames that are independent given the cell at their crossing: covariance COLUMNS (x) ROWS.

    The theorem's score is the row's and the column's less the cell's. As two denoisers with equal weights: each
    takes twice its own departure and gives half of the cell's back.
    """

    def with_cell(expert: Denoiser, means: Tensor) -> Denoiser:
        cell = gaussian(torch.ones(1, 1, dtype=torch.float64), means.reshape(-1, 1))

        def denoise(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
            length = strips.shape[1]
            cells = [index * length + place for index in indices for place in range(length)]
            alone = cell(strips.reshape(-1, 1, *strips.shape[2:]), sigma, cells).view_as(strips)
            return strips - 2 * (strips - expert(strips, sigma, indices)) + (strips - alone)

        return denoise

    mean, covariance = moments(with_cell(BY_ROWS, MEAN), with_cell(BY_COLUMNS, MEAN.T), 0.5, 800)
    torch.testing.assert_close(covariance, torch.kron(COLUMNS, ROWS), rtol=0, atol=0.02)
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=0.01)


@pytest.mark.parametrize("s", [0.25, 0.5, 0.8])
def test_the_convex_combination_samples_the_geometric_mean_of_both_models(s):
    """Eq. 5: the score of p_rows^(1-s) p_columns^s, whose covariance is COLUMNS^s (x) ROWS^(1-s)."""
    mean, covariance = moments(BY_ROWS, BY_COLUMNS, s, 800)
    expected = torch.kron(power(COLUMNS, s), power(ROWS, 1 - s))
    torch.testing.assert_close(covariance, expected, rtol=0, atol=0.02)
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=0.01)


def euler(strips: Tensor, sigmas: Tensor, denoise: Denoiser) -> Tensor:
    """Each strip by itself, by one denoiser."""
    done = []
    for index, strip in enumerate(strips):
        for sigma, following in zip(sigmas, sigmas[1:], strict=False):
            derivative = (strip - denoise(strip[None], sigma, [index])[0]) / sigma
            strip = strip + derivative * (following - sigma)
        done.append(strip)
    return torch.stack(done)


def test_at_weight_0_the_rows_are_the_video_denoiser_alone_to_the_bit():
    sigmas = karras(6).float()
    start = noise(dtype=torch.float32) * sigmas[0]
    composed = compose(start, sigmas, BY_ROWS, never, CompositionSettings(0.0, repeat_until=0), (2, 1))
    assert torch.equal(composed, euler(start, sigmas, BY_ROWS))


def test_at_weight_1_the_columns_are_the_multiview_denoiser_alone_to_the_bit():
    sigmas = karras(6).float()
    start = noise(dtype=torch.float32) * sigmas[0]
    composed = compose(start, sigmas, never, BY_COLUMNS, CompositionSettings(1.0, repeat_until=0), (1, 3))
    assert torch.equal(composed, euler(start.movedim(1, 0), sigmas, BY_COLUMNS).movedim(0, 1))


def test_one_view_is_a_video_and_one_frame_is_an_orbit():
    """Theorem 3.1: across a single view the column's score is the cell's own, and the two cancel."""
    sigmas = karras(6).float()
    start = noise(dtype=torch.float32) * sigmas[0]
    video = compose(start[:1], sigmas, BY_ROWS, never, ONCE)
    assert torch.equal(video, euler(start[:1], sigmas, BY_ROWS))
    orbit = compose(start[:, :1].contiguous(), sigmas, never, BY_COLUMNS, ONCE)
    assert torch.equal(orbit, euler(start[:, :1].movedim(1, 0), sigmas, BY_COLUMNS).movedim(0, 1))


@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (VIEWS, FRAMES), (99, 99)])
@pytest.mark.parametrize("shuffled", [False, True])
def test_chunks_and_order_change_nothing(chunks, shuffled, monkeypatch):
    def run(sizes: tuple[int, int]) -> Tensor:
        sigmas = karras(5).float()
        start = noise(dtype=torch.float32) * sigmas[0]
        draw = torch.Generator().manual_seed(1)
        return compose(start, sigmas, BY_ROWS, BY_COLUMNS, PAPER, sizes, draw)

    expected = run((1, 1))
    if shuffled:
        cut = score_composition._strips

        def backwards(count: int, size: int) -> list[list[int]]:
            return [[count - 1 - place for place in part] for part in cut(count, size)]

        monkeypatch.setattr(score_composition, "_strips", backwards)
    assert torch.equal(run(chunks), expected)


def test_rows_and_columns_take_turns_in_going_first():
    calls: list[str] = []

    def note(name: str, denoise: Denoiser) -> Denoiser:
        def noted(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
            calls.append(name)
            return denoise(strips, sigma, indices)

        return noted

    sigmas = karras(3)
    compose(noise(), sigmas, note("r", BY_ROWS), note("c", BY_COLUMNS), ONCE, (VIEWS, FRAMES))
    assert calls == ["r", "c", "c", "r", "r", "c"]


def modes(strips: Tensor, sigma: Tensor, _: Sequence[int]) -> Tensor:
    """The posterior mean where a clean strip is all 1 or all -1."""
    return torch.tanh(strips.sum(1, keepdim=True) / sigma**2).expand_as(strips)


def conflict_after(settings: CompositionSettings) -> float:
    """How far the two estimates lie apart at the next level where half of the rows have gone the other way."""
    sigmas = torch.tensor([6.0, 3.0])
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0]).view(4, 1, 1, 1, 1)
    samples = torch.randn(4, 4, 1, 1, 4000, generator=torch.Generator().manual_seed(0))
    after = compose(
        sign + sigmas[0] * samples, sigmas, modes, modes, settings, generator=torch.Generator().manual_seed(1)
    )
    by_rows = modes(after, sigmas[1], ())
    by_columns = modes(after.movedim(1, 0), sigmas[1], ()).movedim(0, 1)
    return float(((by_rows - by_columns) ** 2).mean())


def test_a_repeated_step_lowers_the_conflict_at_the_next_level():
    """Measured: 0.64 of it is left with the paper's noise, 0.98 with exact noise: the smaller variance does it."""
    once = conflict_after(ONCE)
    assert conflict_after(CompositionSettings(repeat_until=1)) / once == pytest.approx(0.64, abs=0.04)
    exact = CompositionSettings(repeat_until=1, repeat_noise=RepeatNoise.EXACT)
    assert conflict_after(exact) / once == pytest.approx(0.98, abs=0.03)


def test_the_cost_is_the_papers():
    counted = {"rows": 0, "columns": 0}

    def count(name: str, denoise: Denoiser) -> Denoiser:
        def counting(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
            counted[name] += len(indices)
            return denoise(strips, sigma, indices)

        return counting

    sigmas = karras(20)
    compose(noise(), sigmas, count("rows", BY_ROWS), count("columns", BY_COLUMNS), PAPER, (2, 3))
    expected = count_evaluations(VIEWS, FRAMES, 20)
    assert counted == expected._asdict() == {"rows": (20 + 2) * VIEWS, "columns": (20 + 2) * FRAMES}
    assert count_evaluations(21, 25, 50) == (55 * 21, 55 * 25)
    assert count_evaluations(21, 25, 50, known=1) == (55 * 20, 55 * 25)
    assert count_evaluations(21, 25, 50, CompositionSettings(0.0)) == (55 * 21, 0)
    late = CompositionSettings(repeat_until=0, video_alone_from=0.8)
    assert count_evaluations(21, 25, 50, late) == (50 * 21, 40 * 25)


def test_each_step_is_reported_once_with_the_composed_estimate():
    sigmas, seen = karras(10), []
    start = noise() * sigmas[0]
    result = compose(start, sigmas, BY_ROWS, BY_COLUMNS, PAPER, report=lambda *r: seen.append(r))
    assert [step for step, _, _ in seen] == list(range(10))
    torch.testing.assert_close(seen[-1][1], result)  # the last level is 0: the estimate is the result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigmas": torch.tensor([1.0, 2.0, 0.0])}, "lie below the one before, got 1, 2, 0, ..."),
        ({"sigmas": torch.tensor([1.0, 1.0])}, "lie below the one before"),
        ({"sigmas": torch.tensor([1.0, float("nan")])}, "lie below the one before"),
        ({"sigmas": torch.tensor([1.0])}, "the schedule has no step"),
        ({"matrix": torch.zeros(2, 3, 4, 4)}, r"matrix: expected \(V, F, C, H, W\)"),
        ({"chunks": (0, 1)}, "at least one strip"),
        ({"azimuths": [0.0, 360.0]}, "azimuths: got 2 for 3 views"),
        ({"known": {3: noise()[0]}}, "known: row 3 is .* the matrix holds 3 rows"),
        ({"known": {0: noise()[0, :2]}}, r"known: row 0 is \(2, 2, 3, 3\)"),
        ({"rows": lambda strips, *_: strips[:, :1]}, "estimate of the same shape"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"matrix": noise(), "sigmas": karras(2), "rows": BY_ROWS, "columns": BY_COLUMNS, **change}
    with pytest.raises(ValueError, match=message):
        compose(**given)


def test_what_was_given_is_not_changed():
    start = noise()
    kept = start.clone()
    compose(start, karras(10), BY_ROWS, BY_COLUMNS, PAPER)
    assert torch.equal(start, kept)


def test_the_codes_weights_follow_the_azimuths():
    """Three views of the front, where the code has its 0.6 for all, in place of three around."""
    draws = [torch.Generator().manual_seed(7) for _ in range(2)]
    front = CompositionSettings(0.6, repeat_until=0.2)
    expected = compose(noise(), karras(5), BY_ROWS, BY_COLUMNS, front, generator=draws[0])
    code = compose(
        noise(), karras(5), BY_ROWS, BY_COLUMNS, PUBLISHED_CODE, generator=draws[1], azimuths=[180.0, 0.0, 360.0]
    )
    torch.testing.assert_close(code, expected, rtol=1e-12, atol=1e-12)
    around = compose(noise(), karras(5), BY_ROWS, BY_COLUMNS, PUBLISHED_CODE, generator=draws[1].manual_seed(7))
    assert not torch.allclose(around, expected, rtol=0.01)


class Watched:
    """The columns' denoiser, which notes what it sees of one row."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.seen: list[tuple[float, Tensor]] = []

    def __call__(self, strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        self.seen.append((float(sigma), strips[:, self.row].clone()))
        return BY_COLUMNS(strips, sigma, indices)


@pytest.mark.parametrize("settings", [ONCE, PAPER, PUBLISHED_CODE, CompositionSettings(repeat_until=1)])
def test_a_known_row_is_what_was_given_and_is_seen_at_the_noise_of_every_step(settings: CompositionSettings):
    """Also when steps are repeated."""
    row, sigmas = VIEWS - 1, karras(10)
    start, clean = noise() * sigmas[0], noise(seed=5)[0]
    columns = Watched(row)
    asked: list[int] = []

    def rows(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        asked.extend(indices)
        return BY_ROWS(strips, sigma, indices)

    result = compose(start, sigmas, rows, columns, settings, (1, FRAMES), known={row: clean})
    assert torch.equal(result[row], clean)
    assert row not in asked
    count = count_evaluations(VIEWS, FRAMES, 10, settings, known=1)
    assert (len(asked), len(columns.seen) * FRAMES) == count
    for sigma, seen in columns.seen:
        torch.testing.assert_close(seen, clean + sigma / sigmas[0] * (start[row] - clean), rtol=1e-9, atol=1e-9)


def test_a_known_row_is_where_a_denoiser_that_knows_it_leads():
    sigmas, clean = karras(10), noise(seed=5)[0]

    def knows(strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        by_rows = BY_ROWS(strips, sigma, indices)
        return torch.stack([clean if view == 1 else own for view, own in zip(indices, by_rows, strict=True)])

    given = compose(
        noise() * sigmas[0], sigmas, BY_ROWS, never, CompositionSettings(0.0, repeat_until=0), known={1: clean}
    )
    led = compose(noise() * sigmas[0], sigmas, knows, never, CompositionSettings(0.0, repeat_until=0))
    torch.testing.assert_close(given, led, rtol=1e-9, atol=1e-9)


def test_a_known_row_draws_the_others_after_it():
    """The columns carry it to the views beside it."""
    clean = 50 + noise(seed=5)[0]
    runs = [compose(noise() * 700, karras(20), BY_ROWS, BY_COLUMNS, ONCE, known=known) for known in ({1: clean}, None)]
    assert float((runs[0] - runs[1])[0].mean()) > 1


def test_a_known_row_is_reported_as_it_is():
    clean, seen = noise(seed=5)[0], []
    compose(noise() * 700, karras(5), BY_ROWS, BY_COLUMNS, PAPER, report=lambda *r: seen.append(r[1]), known={0: clean})
    for estimate in seen:
        torch.testing.assert_close(estimate[0], clean, rtol=1e-9, atol=1e-9)


def test_views_keep_their_weights_where_only_some_have_one():
    """A row without video weight is not denoised by the video model."""
    settings = CompositionSettings(1.0, view_weights=ViewWeights.CODE, repeat_until=0)
    compose(noise(), karras(2), never, BY_COLUMNS, settings)
