"""Splat 4D Reconstruct in the host: what it reads and refuses, and how it is interrupted; a few iterations each."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core.metrics import psnr
from tests.host.tiny.inputs import BallVAE, balls
from tools.benchmarks.splat_truth import trace_matrix
from tools.example.moving_scene import BALLS, ORBIT, SIZE, times

INVERTED_LAST = torch.cat([(balls(7) < 1).any(dim=-1), (balls(1) == 1).all(dim=-1)]).float()
FIT = {"views": 4, "azimuths": "", "elevation": 0.0, "size": 32, "gaussians": 64, "iterations": 6, "seed": 0}


def run(host: dict[str, type], **given: Any) -> tuple[Any, Tensor, str]:
    return host["Stereo_SplatReconstruct"].execute(**{**FIT, **given}).args


def test_makes_a_scene_in_inference_mode(host: dict[str, type]):
    """Which the tests run in, as the host does; what it gives has left it."""
    assert torch.is_inference_mode_enabled()
    scene, sheet, quality = run(host, images=balls(12))
    assert (scene.frames, scene.count, scene.orbit.azimuths) == (3, 64, (90.0, 180.0, 270.0, 360.0))
    assert scene.background == (1.0, 1.0, 1.0) and not scene.positions.requires_grad
    assert sheet.shape == (1, 8 * 36 - 4, 3 * 36 - 4, 3), "four views of three frames, given and made"
    torch.testing.assert_close(sheet[0, :32, :32], balls(1)[0], atol=1 / 255, rtol=0)
    assert "dB" in quality and "held out" in quality


def test_the_same_seed_makes_the_same_scene(host: dict[str, type]):
    first, second, other = (run(host, images=balls(8), seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.positions, second.positions) and not torch.equal(first.positions, other.positions)


def test_pictures_are_scaled_down_and_never_up(host: dict[str, type]):
    for size, made in ((16, 16), (288, 32)):
        sheet = run(host, images=balls(4), size=size, iterations=2)[1]
        assert sheet.shape[2] == made


def test_without_views_each_picture_is_one(host: dict[str, type]):
    scene = run(host, images=balls(5), views=0, azimuths="-40, -20, 0, 20, 40", elevation=10.0)[0]
    assert (scene.frames, scene.orbit.azimuths, scene.orbit.elevation) == (1, (-40, -20, 0, 20, 40), 10)


def test_a_matrix_knows_its_views_and_cameras(host: dict[str, type], pack: Callable[[str], ModuleType]):
    make = pack("nodes.matrix.latents").make_matrix_latent
    matrix = make(torch.ones(3, 2, 4, 4, 4), (120.0, 240.0, 360.0), (15.0,) * 3)
    scene = run(host, matrix=matrix, vae=BallVAE(), views=0, azimuths="", elevation=0.0)[0]
    assert (scene.frames, scene.orbit.azimuths, scene.orbit.elevation) == (2, (120, 240, 360), 15)
    unmarked = {"samples": matrix["samples"]}
    unknown = run(host, matrix=unmarked, vae=BallVAE(), views=2, azimuths="30", elevation=5.0)[0]
    assert (unknown.frames, unknown.orbit.azimuths, unknown.orbit.elevation) == (3, (330, 360), 5)
    tilted = make(torch.ones(3, 2, 4, 4, 4), (120.0, 240.0, 360.0), (0.0, 5.0, 0.0))
    with pytest.raises(ValueError, match=r"matrix was sampled with views from 0 to 5 degrees of elevation"):
        run(host, matrix=tilted, vae=BallVAE(), views=0)


def test_the_background_is_the_color_along_the_edges(host: dict[str, type]):
    grey = torch.where(balls(4) == 1, torch.tensor(0.5), balls(4))
    assert run(host, images=grey)[0].background == pytest.approx((0.5, 0.5, 0.5), abs=1 / 255)
    named = host["Stereo_SplatOptions"].execute("curve", "even", 0.5, 5, 33.8, "#808080").args[0]
    assert run(host, images=grey, options=named)[0].background == (128 / 255,) * 3


def test_masks_say_what_the_object_is(host: dict[str, type]):
    noise = torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    masks = (balls(4) < 1).any(dim=-1).float()
    with pytest.raises(ValueError, match="background"):
        run(host, images=noise)
    scene = run(host, images=noise, masks=masks)[0]
    assert scene.background == (1.0, 1.0, 1.0) and scene.count == 64


def test_masks_may_be_soft_and_of_another_size(host: dict[str, type]):
    """And in any precision; what they do not cover of a pixel is the background's."""
    pictures, masks = balls(8), (balls(8) < 1).any(dim=-1).float()
    plain, *_ = run(host, images=pictures, masks=masks)
    larger = masks.repeat_interleave(3, -1).repeat_interleave(3, -2)
    for same in (larger, masks.half(), masks.bool()):
        assert torch.equal(run(host, images=pictures, masks=same)[0].positions, plain.positions)
    soft = functional.avg_pool2d(masks[:, None], 5, 1, 2)[:, 0]
    sheet = run(host, images=torch.zeros_like(pictures), masks=soft)[1]
    torch.testing.assert_close(sheet[0, :32, :32], 1 - soft[0, :, :, None].expand(-1, -1, 3), atol=1 / 255, rtol=0)


@pytest.mark.parametrize("marked", [True, False])
def test_a_matrix_of_one_frame_is_a_still_scene(host: dict[str, type], pack: Callable[[str], ModuleType], marked: bool):
    make, azimuths = pack("nodes.matrix.latents").make_matrix_latent, tuple(60.0 * view for view in range(1, 7))
    matrix = make(torch.ones(6, 1, 4, 4, 4), azimuths, (5.0,) * 6)
    matrix = matrix if marked else {"samples": matrix["samples"]}
    scene, sheet, quality = run(host, matrix=matrix, vae=BallVAE(), views=0 if marked else 6, azimuths="60")
    assert (scene.frames, scene.orbit.azimuths) == (1, azimuths)
    assert sheet.shape == (1, 8 * 36 - 4, 32, 3) and "1 that were held out" in quality


def test_alpha_says_what_the_object_is(host: dict[str, type]):
    """Straight alpha, 1 where a picture can be seen, as the host's Join Image with Alpha makes it."""
    noise = torch.rand(8, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    masks = (balls(8) < 1).any(dim=-1).float()
    object_alone = torch.where(masks[..., None] > 0, balls(8), noise)
    by_mask = run(host, images=object_alone, masks=masks)
    by_alpha = run(host, images=torch.cat([object_alone, masks[..., None]], dim=-1))
    assert torch.equal(by_alpha[0].positions, by_mask[0].positions)
    torch.testing.assert_close(by_alpha[1][0, :32, :32], balls(1)[0], atol=1 / 255, rtol=0)
    opaque = run(host, images=torch.cat([balls(8), torch.ones(8, 32, 32, 1)], dim=-1))
    assert torch.equal(opaque[0].positions, run(host, images=balls(8))[0].positions)
    both = run(host, images=torch.cat([object_alone, 1 - masks[..., None]], dim=-1), masks=masks)
    assert torch.equal(both[0].positions, by_mask[0].positions), "masks go before alpha"


def test_what_lies_behind_the_object_does_not_reach_its_rim(pack: Callable[[str], ModuleType]):
    """A red disc before black, scaled to half: its colors stay red, and the rim is in what it covers."""
    pictures = pack("nodes.splat.matrix_pictures")
    masks = (balls(2) < 1).any(dim=-1).float()
    red = masks[..., None] * torch.tensor([1.0, 0, 0])
    seen, cover = pictures.with_masks(pictures.read_images(red, 2, "0, 90", 0.0), masks).read(16)
    assert cover.shape == (2, 1, 16, 16) and 0 < cover[(cover > 0) & (cover < 1)].numel()
    assert seen[:, :, 0][cover > 0].min() == 255 and seen[:, :, 1:].max() == 0


def test_options_reach_the_fit(
    host: dict[str, type], monkeypatch: pytest.MonkeyPatch, pack: Callable[[str], ModuleType]
):
    taken = {}

    def fit(_: Tensor, orbit: Any, options: Any, *__: Any) -> None:
        taken.update(orbit=orbit, options=options)
        raise InterruptedError

    monkeypatch.setattr(pack("nodes.splat.reconstruction"), "fit", fit)
    options = host["Stereo_SplatOptions"].execute("mlp", "even", 0.25, 7, 50.0, "").args[0]
    with pytest.raises(InterruptedError):
        run(host, images=balls(8), options=options, azimuths="5, 90, 180, 270", iterations=40, seed=9)
    fitting = taken["options"]
    assert (fitting.motion.value, fitting.emphasis.value, fitting.held_out, fitting.seed) == ("mlp", "even", 7, 9)
    assert (fitting.warm_up, fitting.iterations, fitting.gaussians, fitting.reference) == (10, 40, 64, (0, 0))
    assert taken["orbit"].fov == 50


@pytest.mark.parametrize(("side", "threads"), [(64, 1), (160, 2)])
def test_small_pictures_are_fitted_in_one_thread(
    host: dict[str, type], monkeypatch: pytest.MonkeyPatch, pack: Callable[[str], ModuleType], side: int, threads: int
):
    seen = []

    def fit(*_: Any) -> None:
        seen.append(torch.get_num_threads())
        raise InterruptedError

    monkeypatch.setattr(pack("nodes.splat.reconstruction"), "fit", fit)
    with pack("stereo_core.parallel").operation_threads(2):
        with pytest.raises(InterruptedError):
            run(host, images=balls(8, side), size=side)
        assert seen == [threads] and torch.get_num_threads() == 2


def test_shows_what_comes_along_and_stops_within_an_iteration(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management
    import comfy.utils

    told: list[Any] = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda done, of, picture, **_: told.append((done, of, picture))
    )
    sheet = run(host, images=balls(8))[1]
    fit = [(done, picture) for done, of, picture in told if of == 6]
    assert fit[-1][0] == 6 and fit[-1][1][0] == "JPEG" and fit[-1][1][1].size == (32, 32)
    bars = [of for done, of, _ in told if done == of]
    told_of = "views, read and looked at; angles of a frame; iterations; outlines; comparison; sheet"
    assert bars == [4, 4, 17, 6, 4, 8, 1], told_of
    last = [picture for *_, picture in told if picture is not None][-1]
    assert last[1].size == tuple(sheet.shape[2:0:-1]), "the classic canvas keeps showing what came last"

    class Stop(Exception):
        pass

    calls = []

    def interrupted() -> None:
        calls.append(None)
        if len(calls) == 4 + 4 + 3:  # after the views were read and looked at
            raise Stop

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", interrupted)
    told.clear()
    with pytest.raises(Stop):
        run(host, images=balls(8), iterations=1000)
    assert max(done for done, of, _ in told if of == 1000) <= 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"got neither images nor matrix"),
        ({"images": balls(4), "matrix": {"samples": torch.ones(4, 4, 4, 4)}}, r"got both images and matrix"),
        ({"matrix": {"samples": torch.ones(4, 4, 4, 4)}}, r"matrix needs vae"),
        ({"images": balls(1), "views": 0}, r"images is one picture, and one view .* as one batch: .* Rebatch Images"),
        ({"images": balls(4), "views": 1}, r"views is 1, and one view alone has no depth"),
        ({"images": balls(7)}, r"views is 4 and images holds 7 pictures, which is not a whole number"),
        ({"images": balls(8), "azimuths": "0, 90"}, r"azimuths names 2 views for 4\."),
        ({"images": balls(8), "azimuths": "0, 90, nan, 3"}, r"azimuths: 'nan' is a number that is not finite"),
        ({"images": balls(8), "azimuths": "0, 360, 0, 0"}, r"azimuths are the same"),
        ({"images": balls(8), "masks": torch.ones(3, 32, 32)}, r"masks holds 3 masks for 8 pictures\."),
        ({"images": balls(8), "masks": (balls(8) == 1).all(-1).float()}, r"masks are white along .* edges.* invert"),
        ({"images": balls(8), "masks": torch.zeros(8, 32, 32)}, r"masks is empty"),
        ({"images": balls(8), "masks": torch.full((8, 32, 32), 0.4)}, r"masks is empty: nowhere .* above one half"),
        ({"images": balls(8), "masks": INVERTED_LAST}, r"1 of the 8 masks are white along"),
        ({"images": balls(8), "masks": torch.ones(1, 32, 32)}, r"masks holds 1 mask for 8 pictures\."),
        ({"images": balls(8), "masks": torch.ones(8, 64, 96)}, r"masks are 96x64 and the pictures 32x32, .* Crop"),
        ({"images": balls(8)[:, ::4, ::4]}, r"pictures are 8x8, and a fit needs at least 16 .* Give larger"),
        ({"images": torch.ones(8, 32, 32, 3)}, r"nothing but its background"),
        ({"images": torch.cat([balls(8), torch.zeros(8, 32, 32, 1)], -1)}, r"images: the alpha channel of 8 of the 8"),
        ({"images": balls(8) * float("nan")}, r"images: holds NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(host: dict[str, type], given: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        run(host, **given)


def test_pictures_that_contradict_their_azimuths_are_refused(host: dict[str, type]):
    images, views, _ = host["Stereo_SplatExample"].execute().args
    first = images.unflatten(0, (views, -1))[:, 0]  # of each view
    shuffled = first[torch.randperm(views, generator=torch.Generator().manual_seed(1))]
    with pytest.raises(ValueError, match="views do not agree with these azimuths"):
        run(host, images=shuffled, views=0, iterations=200)


def test_holding_out_every_picture_is_refused(host: dict[str, type]):
    with pytest.raises(ValueError, match=r"held_out is 1, which leaves nothing"):
        host["Stereo_SplatOptions"].execute("curve", "even", 0.5, 1, 33.8, "")


def test_the_example_is_what_its_tool_renders(host: dict[str, type]):
    images, views, azimuths = host["Stereo_SplatExample"].execute().args
    assert images.shape == (views * len(times()), SIZE, SIZE, 3)
    assert [float(angle) for angle in azimuths.split(",")] == pytest.approx(ORBIT.azimuths)
    orbit = type(ORBIT)(ORBIT.azimuths[2:3])
    true = trace_matrix(BALLS, orbit, times()[5:6], SIZE)[0]
    shown = images.unflatten(0, (views, -1))[2, 5].movedim(-1, 0)[None]
    assert psnr(shown, true).item() > 35, "256 colors tell it well"


def test_a_missing_example_is_told_by_name(
    host: dict[str, type], pack: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    monkeypatch.setattr(pack("nodes.splat.splat_example"), "SHEET", tmp_path / "moving_scene.png")
    with pytest.raises(ValueError, match=r"cannot read its file nodes/examples/moving_scene\.png: it is missing"):
        host["Stereo_SplatExample"].execute()
