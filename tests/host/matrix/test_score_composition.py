"""Score Composition Sampler with small SVD and SV3D_p checkpoints, loaded and sampled by the real host."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core.seeds import Stream, make_generator
from tests.host.matrix.runs import SEED, alone, guided, sampler_inputs, schedule, words
from tests.host.matrix.runs import noise as matrix_noise
from tests.host.tiny.families import load
from tools.host.in_process import pack_module

VIEWS, FRAMES, SIZE = 2, 3, 4


@pytest.fixture(scope="module")
def models(host: dict[str, type]) -> tuple[Any, Any]:  # noqa: ARG001
    """SVD and SV3D_p."""
    return load("svd"), load("sv3d_p")


@pytest.fixture(scope="module")
def composed(host: dict[str, type], models: tuple[Any, Any]) -> Tensor:
    """What both models make together, one strip at a time."""
    with torch.inference_mode():
        return run(host, models)


def noise(views: int = VIEWS, frames: int = FRAMES) -> Tensor:
    return matrix_noise(views, frames, (4, SIZE, SIZE))


def conditioning(views: int = VIEWS, frames: int = FRAMES, scales: tuple[float, float] = (2.0, 2.0)) -> Any:
    made = pack_module("nodes.matrix.conditioning")
    size = {"size": (SIZE, SIZE)}
    clip = {**size, "motion_bucket_id": 127, "fps": 6, "augmentation_level": 0.02}
    orbit = {**size, "elevation": [10.0] * views, "azimuth": [360 / views * (view + 1) for view in range(views)]}
    guidance = tuple(torch.linspace(*scales, frames).tolist())
    return made.MatrixConditioning(
        tuple(made.Strip(words(10 + v, **clip), words(20 + v, **clip), guidance) for v in range(views)),
        tuple(made.Strip(words(30 + f, **orbit), words(40 + f, **orbit), (2.5,) * views) for f in range(frames)),
    )


def run(host: dict[str, type], models: Any, given: Any = None, sigmas: Tensor | None = None, **widgets: Any) -> Tensor:
    """The node's matrix, (V, F, C, H, W)."""
    node = host["Stereo_ScoreCompositionSampler"]
    given = given or conditioning()
    latent = node.execute(*models, given, schedule() if sigmas is None else sigmas, SEED, **sampler_inputs(**widgets))
    out = latent.args[0]
    assert out["stereo_matrix"] == (len(given.rows), len(given.rows[0].guidance))
    return out["samples"].unflatten(0, out["stereo_matrix"])


def test_at_weight_0_every_row_is_the_hosts_sampling_to_the_bit(host, models):
    matrix = run(host, models, weight=0.0)
    for view, strip in enumerate(conditioning().rows):
        assert torch.equal(matrix[view], alone(models[0], strip, noise()[view]))


def test_at_weight_1_every_column_is_the_hosts_sampling_to_the_bit(host, models):
    matrix = run(host, models, weight=1.0)
    for frame, strip in enumerate(conditioning().columns):
        assert torch.equal(matrix[:, frame], alone(models[1], strip, noise()[:, frame]))


def test_guidance_along_the_frames_is_the_hosts(host, models):
    from comfy_extras.nodes_video_model import VideoLinearCFGGuidance

    given = conditioning(scales=(1.0, 3.0))
    matrix = run(host, models, given, weight=0.0)
    linear = VideoLinearCFGGuidance().patch(models[0], 1.0)[0]
    assert torch.equal(matrix[1], alone(linear, given.rows[1], noise()[1]))


def test_one_view_and_one_frame_need_one_model(host, models):
    given = conditioning(views=1)
    assert torch.equal(run(host, models, given)[0], alone(models[0], given.rows[0], noise(1, FRAMES)[0]))
    given = conditioning(frames=1)
    expected = alone(models[1], given.columns[0], noise(VIEWS, 1)[:, 0])
    assert torch.equal(run(host, models, given)[:, 0], expected)


def estimate(model: Any, strip: Any, state: Tensor, sigma: Tensor) -> Tensor:
    """The host's denoised estimate of one strip at one noise level."""
    import comfy.samplers

    def look(denoise: Any, _: Tensor, __: Tensor, extra_args: dict[str, Any], **___: Any) -> Tensor:
        return denoise(state, sigma * state.new_ones(len(state)), **extra_args)

    levels = torch.stack([sigma, sigma / 2])
    out = alone(model, strip, torch.zeros_like(state), levels, comfy.samplers.KSAMPLER(look))
    return model.get_model_object("latent_format").process_in(out)


def test_it_is_algorithm_1_on_real_networks(host, models):
    """Line by line, with a repeat of the first of two steps, each estimate from a run of the host's own."""
    sigmas, given = schedule(), conditioning()
    stream = make_generator(SEED, Stream.COMPOSITION)
    matrix = noise() * (1 + sigmas[0] ** 2).sqrt()
    for i in range(2):
        for j in range(2 - i):
            d = torch.zeros_like(matrix)
            for v in range(VIEWS):
                d[v] += 0.5 * (matrix[v] - estimate(models[0], given.rows[v], matrix[v], sigmas[i])) / sigmas[i]
            for f in range(FRAMES):
                column = matrix[:, f].contiguous()
                d[:, f] += 0.5 * (column - estimate(models[1], given.columns[f], column, sigmas[i])) / sigmas[i]
            matrix = matrix + (sigmas[i + 1] - sigmas[i]) * d
            if j < 1 - i:
                matrix = matrix + (sigmas[i] - sigmas[i + 1]) * torch.randn(matrix.shape, generator=stream)
    expected = models[0].get_model_object("latent_format").process_out(matrix)
    actual = run(host, models, repeat_until=0.5)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


class Counted:
    """Both models, with every call of either network counted, and interrupted at one of them."""

    def __init__(
        self, models: tuple[Any, Any], interrupt_at: int = 0, at_each: Callable[[], None] = lambda: None
    ) -> None:
        self.entries: list[tuple[str, int]] = []
        self.at_each = at_each
        self.models = tuple(self._clone(name, model, interrupt_at) for name, model in zip("vm", models, strict=True))

    def _clone(self, name: str, model: Any, interrupt_at: int) -> Any:
        import comfy.model_management

        def wrapper(apply: Any, args: dict[str, Any]) -> Tensor:
            self.entries.append((name, len(args["input"]) // len(args["cond_or_uncond"])))
            self.at_each()
            if len(self.entries) == interrupt_at:
                comfy.model_management.interrupt_current_processing()
            return apply(args["input"], args["timestep"], **args["c"])

        model = model.clone()
        model.set_model_unet_function_wrapper(wrapper)
        return model


@pytest.mark.parametrize("chunk", [0, 3])
def test_chunks_change_nothing_on_the_cpu_and_the_cost_is_the_papers(host, models, composed, chunk):
    counted = Counted(models)
    assert torch.equal(run(host, counted.models, chunk=chunk), composed)
    # A strip is one clip to its network, alone; rows and columns take turns in going first.
    rows, columns = [("v", FRAMES)] * VIEWS, [("m", VIEWS)] * FRAMES
    assert counted.entries == [*rows, *columns, *columns, *rows]


def test_several_strips_in_one_evaluation_are_the_same_as_each_alone(pack, models):
    """What a GPU does with chunks."""
    denoiser = pack("nodes.matrix.strip_denoiser")
    given, sigma, calls = conditioning(scales=(1.0, 3.0)), torch.tensor(3.0), []
    for model, strips, length in ((models[0], given.rows, FRAMES), (models[1], given.columns, VIEWS)):
        state = torch.randn(len(strips), length, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * sigma
        one = denoiser.StripDenoiser(model, strips, (4, SIZE, SIZE), denoiser.Turns(), calls.append)
        indices = list(range(len(strips)))
        both = one.prepared(
            schedule(),
            SEED,
            lambda one=one, state=state, indices=indices: torch.stack(
                [one.together(state, sigma, indices), one(state, sigma, indices)]
            ),
        )
        torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-4 * float(both[1].abs().max()))
        assert not torch.allclose(both[1][0], both[1][1], rtol=0.1)  # the strips are told apart
    assert calls == [VIEWS, *[1] * VIEWS, FRAMES, *[1] * FRAMES]


def test_the_host_is_asked_for_a_model_only_when_its_turn_comes(host, models, monkeypatch):
    import comfy.sampler_helpers

    asked: list[Any] = []
    prepare = comfy.sampler_helpers.prepare_sampling

    def noted(model: Any, *args: Any, **rest: Any) -> Any:
        asked.append(model)
        return prepare(model, *args, **rest)

    monkeypatch.setattr(comfy.sampler_helpers, "prepare_sampling", noted)
    run(host, models)
    video, multiview = models
    # Once each for the run; rows and columns take turns in going first.
    assert asked == [video, multiview, video, multiview, video]


def test_an_interrupted_run_leaves_both_models_as_they_were(host, models, composed):
    import comfy.model_management

    before = [(dict(model.model_options), dict(model.patches), dict(model.object_patches)) for model in models]
    counted = Counted(models, interrupt_at=4)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(host, counted.models)
    assert len(counted.entries) == 4
    after = [(model.model_options, model.patches, model.object_patches) for model in models]
    assert before == after
    assert all(model.model.current_patcher is None for model in models)
    assert torch.equal(run(host, models), composed)


def test_progress_counts_every_evaluation_and_shows_the_matrix(host, models, monkeypatch):
    import comfy.utils
    import latent_preview

    # As where the user asked for TAESD, which would make gigabytes of a sheet: it is asked for nothing.
    monkeypatch.setattr(latent_preview, "get_previewer", lambda *_: object())
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda *report, **_: seen.append(report[:3]))
    run(host, models, sigmas=schedule(1), weight=0.0)
    assert seen[:2] == [(1, 2, None), (2, 2, None)]
    (done, total, (_, picture, _)) = seen[2]
    # A contact sheet: views below each other, frames side by side.
    assert (done, total, picture.size) == (2, 2, (FRAMES * SIZE, VIEWS * SIZE))


def test_beside_an_evaluation_the_matrix_is_held_twice(host, models):
    """As it is and as the step changes it: nothing of the noise, the start or the level before."""
    views, frames = 3, 5
    size = views * frames * 4 * SIZE * SIZE

    def held() -> int:
        return len({x.data_ptr() for x in gc.get_objects() if type(x) is Tensor and x.numel() == size})

    seen: list[int] = []
    counted = Counted(models, at_each=lambda: seen.append(held()))
    before = held()
    run(host, counted.models, conditioning(views, frames), repeat_until=0.5)
    assert [now - before for now in seen] == [2] * 3 * (views + frames)


def test_without_previews_nothing_is_shown(host, models, monkeypatch):
    import comfy.utils
    import latent_preview

    monkeypatch.setattr(latent_preview, "get_previewer", lambda *_: None)
    seen: list[Any] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda *report, **_: seen.append(report[2]))
    run(host, models, sigmas=schedule(1), weight=0.0)
    assert seen == [None, None]


def test_presets_stand_in_for_the_settings(host, pack, models, monkeypatch):
    taken: list[Any] = []

    def take(*args: Any) -> Tensor:
        taken.append(args[4])
        return noise()

    monkeypatch.setattr(pack("nodes.matrix.score_composition_sampler"), "sample_matrix", take)
    run(host, models, weight=0.1, repeat_until=0.3)
    run(host, models, preset="paper", weight=0.1)
    run(host, models, preset="code", weight=0.1)
    settings = [(float(s.weight), str(s.view_weights.value), s.repeat_until) for s in taken]
    assert settings == [(0.1, "uniform", 0.3), (0.5, "uniform", 0.1), (0.6, "code", 0.2)]


@pytest.mark.parametrize("repeat_until", [0.0, 0.5])
def test_the_given_video_is_kept_as_the_reference_views(host, models, repeat_until):
    """What the columns are shown, in the scale of a LATENT; the video model is asked about the others only."""
    given = conditioning(views=3)
    video = torch.cat([column.positive[0][1]["concat_latent_image"] for column in given.columns])
    counted = Counted(models)
    kept = run(host, counted.models, given, keep_video=True, repeat_until=repeat_until)
    torch.testing.assert_close(kept[2], video, rtol=1e-6, atol=1e-6)
    assert counted.entries.count(("v", FRAMES)) == (2 + 2 * repeat_until) * 2
    sampled = run(host, models, given, repeat_until=repeat_until)
    assert not torch.allclose(kept[:2], sampled[:2], rtol=0.01), "the other views follow it"


def test_the_codes_weights_follow_the_azimuths_of_the_conditioning(host, models):
    code = {"view_weights": "code", "weight": 0.6}
    front = run(host, models, weight=0.6)
    around = run(host, models, conditioning(), **code)  # two views all around: front and back
    torch.testing.assert_close(around, front)
    aside = run(host, models, replace(conditioning(), azimuths=(270.0, 360.0)), **code)
    assert not torch.allclose(aside, front, rtol=0.01)


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        (lambda: schedule(10)[1:], "starts at .* for video_model is 700.* sigma_max of KarrasScheduler to 700"),
        (lambda: schedule(2) * 14.6146 / 700, "starts at 14.61"),
    ],
)
def test_a_schedule_from_less_than_the_highest_noise_is_refused(host, models, sigmas, message):
    """The matrix starts as noise alone, which at that level it is not."""
    with pytest.raises(ValueError, match=message):
        run(host, models, sigmas=sigmas())


def test_only_a_model_that_is_used_needs_its_highest_noise(host, models):
    from comfy_extras.nodes_model_advanced import ModelSamplingContinuousEDM

    higher = ModelSamplingContinuousEDM().patch(models[1], "v_prediction", 900.0, 0.002)[0]
    with pytest.raises(ValueError, match="for multiview_model is 900"):
        run(host, (models[0], higher))
    run(host, (models[0], higher), weight=0.0, sigmas=schedule(1) * (699.99 / 700))  # a rounded one is the same


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (lambda *_: {"keep_video": True, "given": conditioning(views=1)}, "keep_video: the reference view is the only"),
        (lambda *given: {"models": (given[0], given[0].clone())}, "multiview_model: is the same model as video_model"),
        (lambda *given: {"models": (given[1], given[0])}, "video_model: SV3D_p makes orbits"),
        (lambda *_: {"sigmas": torch.tensor([1.0, 2.0])}, "sigmas: every noise level must .* got 1, 2, ..."),
        (lambda *_: {"given": fewer_columns()}, "conditioning: has 2 columns for rows of 3 frames"),
        (lambda *_: {"given": short_orbit()}, "column 0 is for 4 entries, and the matrix has 2"),
        (lambda *_: {"given": uneven_rows()}, "row 1 is for 2 entries, and the matrix has 3"),
        (lambda *given: {"models": (given[0], other_space(given[1]))}, "video_model works in the latent space SD15"),
        (
            lambda *given: {"models": (guided(given[0]), given[1]), "given": conditioning(scales=(1, 3))},
            "brings its own",
        ),
    ],
)
def test_bad_input_is_named(host, models, arrange, message):
    given = {"models": models, **arrange(*models)}
    with pytest.raises(ValueError, match=message):
        run(host, given.pop("models"), **given)


def test_an_orbit_of_its_own_takes_no_azimuths(host, models):
    unposed = load("sv3d_u")
    with pytest.raises(ValueError, match="multiview_model: is SV3D_u"):
        run(host, (models[0], unposed), replace(conditioning(), azimuths=(270.0, 360.0)))


def fewer_columns() -> Any:
    given = conditioning()
    return replace(given, columns=given.columns[:2])


def short_orbit() -> Any:
    return replace(conditioning(), columns=conditioning(views=4).columns)


def uneven_rows() -> Any:
    given = conditioning()
    return replace(given, rows=(given.rows[0], replace(given.rows[1], guidance=(2.0, 2.0))))


def other_space(model: Any) -> Any:
    from comfy.latent_formats import SDXL

    model = model.clone()
    model.add_object_patch("latent_format", SDXL())
    return model
