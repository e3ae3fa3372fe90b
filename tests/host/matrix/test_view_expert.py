"""Shift-Coupled View Expert: a stereo clip by score composition, with a small SVD checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.matrix.runs import SEED, guided, noise, sampler_inputs, schedule, words
from tests.host.matrix.runs import alone as host_alone
from tests.host.tiny.families import load
from tools.host.in_process import pack_module
from tools.host.node_inputs import gather

FRAMES, HEIGHT, WIDTH = 2, 4, 8
SIZE = HEIGHT, WIDTH
GEOMETRY = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0}
MOVED = 2  # latent columns


@pytest.fixture(scope="module")
def svd(host: dict[str, type]) -> Any:  # noqa: ARG001
    return load("svd")


def depth() -> Tensor:
    """Near in the middle of the first frame, and one row lower in the second."""
    maps = torch.zeros(FRAMES, 8 * HEIGHT, 8 * WIDTH, 3)
    maps[0, 8:16, 24:48] = 1
    maps[1, 16:24, 24:48] = 1
    return maps


def conditioning(host: dict[str, type], **change: Any) -> Any:
    clip = {"motion_bucket_id": 127, "fps": 6, "augmentation_level": 0.0}
    given = {
        "left_positive": words(1, SIZE, **clip),
        "left_negative": words(2, SIZE, **clip),
        "right_positive": words(3, SIZE, **clip),
        "right_negative": words(4, SIZE, **clip),
        "latent": {"samples": torch.zeros(FRAMES, 4, HEIGHT, WIDTH)},
        "min_guidance": 2.0,
        "max_guidance": 2.0,
        **change,
    }
    return host["Stereo_StereoClipConditioning"].execute(**given).args[0]


def expert(host: dict[str, type], model: Any, attention: str = "left_kv", **change: Any) -> Any:
    flat = {**GEOMETRY, "attention": attention, **change}
    inputs = gather("Stereo_ShiftCoupledViewExpert", flat.pop("depth", depth()), flat)
    return host["Stereo_ShiftCoupledViewExpert"].execute(model, **inputs).args[0]


def run(host: dict[str, type], video: Any, views: Any, **widgets: Any) -> Tensor:
    """(2, F, C, H, W)."""
    node = host["Stereo_ScoreCompositionSampler"]
    given = widgets.pop("given", None) or conditioning(host)
    out = node.execute(video, views, given, schedule(), SEED, **sampler_inputs(**widgets)).args[0]
    assert out["stereo_matrix"] == (2, FRAMES)
    return out["samples"].unflatten(0, (2, FRAMES))


def shifted(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """What the right view should hold, written out cell by cell; and where the left view shows it."""
    out, seen = right.clone(), torch.zeros(FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    for frame in range(FRAMES):
        near = depth()[frame, ::8, ::8, 0] == 1
        near[:, 1:] |= near[:, :-1].clone()  # an object ends within a column, which the renderer moves with it
        for far_then_near in (False, True):
            for y, x in (near == far_then_near).nonzero().tolist():
                target = x - MOVED * far_then_near
                if 0 <= target < WIDTH:
                    out[frame, :, y, target] = left[frame, :, y, x]
                    seen[frame, :, y, target] = True
    return out, seen


def test_the_right_estimate_is_the_shifted_left_one_and_the_models_own_in_the_holes(host, pack, svd):
    strips, pair = pack("nodes.matrix.strip_denoiser"), pack("nodes.matrix.view_expert")
    rows, sigma = conditioning(host).rows, torch.tensor(2.0)
    state = torch.randn(2, FRAMES, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) * sigma
    model = expert(host, svd, "none")
    denoiser = strips.StripDenoiser(model, rows, (4, HEIGHT, WIDTH), strips.Turns(), lambda _: None)
    by_columns = pair.PairDenoiser(denoiser, pair.find_expert(model), state.shape[1:])
    both = denoiser.prepared(
        schedule(),
        SEED,
        lambda: torch.stack(
            [
                by_columns(state.movedim(1, 0), sigma, range(FRAMES)).movedim(0, 1),
                denoiser.together(state, sigma, (0, 1), {"stereo_pair": True}),
            ]
        ),
    )
    estimate, own = both
    expected, seen = shifted(own[0], own[1])
    assert not seen.all() and seen.any()
    assert torch.equal(estimate[0], own[0])
    torch.testing.assert_close(estimate[1], expected)


def test_the_left_clip_stays_the_video_models_own_and_the_right_one_follows_it(host, svd):
    alone = run(host, svd, expert(host, svd), weight=0.0)

    def apart(matrix: Tensor) -> float:
        expected, seen = shifted(matrix[0], matrix[1])
        return float(((matrix[1] - expected)[seen.expand_as(expected)] ** 2).mean())

    composed = run(host, svd, expert(host, svd), weight=0.5)
    scale = float(alone.abs().max())
    by_the_host = host_alone(svd, conditioning(host).rows[0], noise(1, FRAMES, (4, HEIGHT, WIDTH))[0])
    torch.testing.assert_close(composed[0], by_the_host, rtol=0, atol=1e-4 * scale)
    assert apart(composed) < 0.5 * apart(alone)
    expert_alone = run(host, svd, expert(host, svd), weight=1.0)
    expected, _ = shifted(expert_alone[0], expert_alone[1])
    torch.testing.assert_close(expert_alone[1], expected, rtol=0, atol=1e-4 * scale)


def test_the_model_is_not_changed(host, pack, svd):
    made = expert(host, svd)
    assert svd.attachments == {} and made.is_clone(svd)
    assert pack("nodes.matrix.view_expert").find_expert(svd) is None


def test_the_network_that_both_share_knows_which_of_them_is_at_work(host, svd):
    """Else the hooks and callbacks of one model would run at the other's evaluations."""
    from comfy.patcher_extension import CallbacksMP

    prepared: list[str] = []
    evaluated: list[tuple[str, str]] = []

    def noted(model: Any, name: str) -> Any:
        def evaluate(apply: Any, args: dict[str, Any]) -> Tensor:
            evaluated.append((name, prepared[-1]))
            return apply(args["input"], args["timestep"], **args["c"])

        model = model.clone()
        model.add_callback(CallbacksMP.ON_PREPARE_STATE, lambda *_: prepared.append(name))
        model.set_model_unet_function_wrapper(evaluate)
        return model

    run(host, noted(svd, "video"), noted(expert(host, svd), "expert"))
    assert set(evaluated) == {("video", "video"), ("expert", "expert")}


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda host, svd: run(host, svd, svd), "multiview_model: is the same model as video_model"),
        (
            lambda host, svd: run(host, svd, expert(host, svd, depth=torch.zeros(FRAMES + 1, 32, 64, 3))),
            "depth holds 3 maps for 2 pictures",
        ),
        (
            lambda host, _: conditioning(host, right_positive=[[torch.zeros(1, 1, 1024), {}]]),
            "right_positive: holds no picture",
        ),
        (
            lambda host, _: conditioning(host, latent={"samples": torch.zeros(FRAMES, 4, 4, 4)}),
            "left_positive: the latent of its picture is 8x4",
        ),
        (lambda host, svd: run(host, svd, expert(host, guided(svd))), "the expert's model brings its own guidance"),
        (
            lambda host, _: conditioning(host, right_positive=words(3, SIZE, motion_bucket_id=90)),
            "right_positive: its motion_bucket_id is 90, and left_positive's is 127",
        ),
        (
            lambda host, svd: run(host, svd, expert(host, svd), keep_video=True),
            "keep_video: conditioning holds no video of the reference view",
        ),
        (
            lambda host, svd: run(host, svd, expert(host, svd), given=three_views(host)),
            "has 3 views, and a Shift-Coupled",
        ),
        (
            lambda host, svd: run(host, svd, expert(host, svd), given=uneven(host)),
            "that of the left view and that of the right differ in more than their pictures",
        ),
    ],
)
def test_bad_input_is_named(host, svd, attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt(host, svd)


def test_it_is_no_model_to_sample_by_itself(host, svd):
    sampled = (words(1, SIZE), words(2, SIZE), {"samples": torch.zeros(2, 4, HEIGHT, WIDTH)})
    with pytest.raises(ValueError, match="Shift-Coupled View Expert: its model is for multiview_model"):
        host["KSampler"]().sample(expert(host, svd), 5, 1, 1.0, "euler", "simple", *sampled)


def three_views(host: dict[str, type]) -> Any:
    given = conditioning(host)
    return pack_module("nodes.matrix.conditioning").MatrixConditioning((*given.rows, given.rows[0]), ())


def uneven(host: dict[str, type]) -> Any:
    """A right view that counts only in a part of the schedule."""
    positive = words(3, SIZE, motion_bucket_id=127, fps=6, augmentation_level=0.0)
    positive[0][1]["strength"] = 0.5
    return conditioning(host, right_positive=positive)
