"""Soft depth edges and the strips at the borders, through the nodes that take them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tools.host.node_inputs import gather

HEIGHT, WIDTH = 33, 96
NEAR = {"max_disparity": 10.0, "convergence": 0.0, "quality": "fast", "balance": 0.0, "edge_growth": 0}


def picture(frames: int = 1) -> Tensor:
    return 0.3 + 0.5 * torch.rand(frames, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(frames))


def plane(depth: float, frames: int = 1) -> Tensor:
    return torch.full((frames, HEIGHT, WIDTH, 3), depth)


def shift(host: dict[str, type], image: Tensor, depth: Tensor, **widgets: Any) -> tuple[Tensor, ...]:
    inputs = gather("Stereo_ImageStereoShift", depth, {**NEAR, **widgets})
    return host["Stereo_ImageStereoShift"].execute(image, **inputs).result


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A bright block before a dark wall: picture, true depth, and the same depth with soft edges."""
    true, image = plane(0.1), torch.full((1, HEIGHT, WIDTH, 3), 0.2)
    true[:, 8:26, 40:70], image[:, 8:26, 40:70] = 0.9, 0.8
    soft = functional.avg_pool2d(functional.pad(true.movedim(-1, 1), (4, 4, 4, 4), mode="replicate"), 9, 1)
    return image, true, soft.movedim(1, -1)


def test_soft_edges_are_sharpened_and_sharp_ones_are_not_touched(host: dict[str, type]):
    image, true, soft = scene()
    truth = shift(host, image, true, depth_edges="as_given")[1]
    assert torch.equal(shift(host, image, true)[1], truth)
    error = {
        edges: (shift(host, image, soft, depth_edges=edges)[1] - truth).abs().mean()
        for edges in ("as_given", "sharpened")
    }
    assert error["sharpened"] < 0.3 * error["as_given"]
    assert torch.equal(shift(host, image, soft)[1], shift(host, image, soft, depth_edges="sharpened")[1])


def test_a_small_map_takes_its_edges_from_the_picture(host: dict[str, type]):
    image, true, _ = scene()
    image, true = (functional.interpolate(it.movedim(-1, 1), scale_factor=4).movedim(1, -1) for it in (image, true))
    true, image = true.roll((2, 1), (1, 2)), image.roll((2, 1), (1, 2))  # within a cell of the small map
    small = functional.avg_pool2d(true.movedim(-1, 1), 4).movedim(1, -1)
    truth = shift(host, image, true)[1]
    error = {
        edges: (shift(host, image, small, depth_edges=edges)[1] - truth).abs().mean()
        for edges in ("as_given", "sharpened")
    }
    assert error["sharpened"] < 0.5 * error["as_given"]


def test_composite_and_shift_show_the_same_pixels_of_a_soft_map(host: dict[str, type]):
    image, _, soft = scene()
    _, right, holes, _ = shift(host, image, soft)
    inputs = {**NEAR, "feather": 0.0, "color_match": "none"}
    del inputs["balance"], inputs["edge_growth"]
    inputs = gather("Stereo_StereoComposite", soft, inputs)
    _, finished, same, *_ = host["Stereo_StereoComposite"].execute(image, diffusion=image, **inputs).args
    assert torch.equal(same, holes) and torch.equal(finished[holes == 0], right[holes == 0])


def test_depth_estimate_sharpens_by_the_picture_where_asked(host: dict[str, type]):
    image, true, soft = scene()
    geometry = {"depth": 1 / soft[..., 0]}  # metres
    options = {"range": "clip", "stabilize": False, "resolution": 0, "batch_size": 1, "percentile": 0.0}
    estimate = host["Stereo_DepthEstimate"].execute
    as_given = estimate(image, geometry, **options).args[0]
    assert torch.equal(estimate(image, geometry, **options, depth_edges="as_given").args[0], as_given)
    sharp = estimate(image, geometry, **options, depth_edges="sharpened").args[0]
    wanted = (true - 0.1) / 0.8
    assert ((sharp - wanted).abs() > 0.1).float().mean() < 0.5 * ((as_given - wanted).abs() > 0.1).float().mean()


def test_a_crop_cuts_both_eyes_to_one_even_size(host: dict[str, type]):
    """Ten columns enter at the right in frame 0, five in frame 1; no one in between."""
    image = picture(2)
    depth = torch.cat([plane(1.0), plane(0.5)])
    left, right, holes, left_holes = shift(host, image, depth, borders="crop")
    assert left.shape == right.shape == (2, HEIGHT - 1, 86, 3)
    assert holes.shape == left_holes.shape == (2, HEIGHT - 1, 86) and not holes.any()
    assert torch.equal(left, image[:, : HEIGHT - 1, :86])


def test_a_crop_with_balance_cuts_at_both_sides(host: dict[str, type]):
    left, right, holes, left_holes = shift(host, picture(), plane(1.0), balance=0.5, borders="crop")
    assert left.shape == right.shape == (1, HEIGHT - 1, 86, 3) and not holes.any() and not left_holes.any()


def test_a_crop_that_leaves_nothing_is_refused(host: dict[str, type]):
    with pytest.raises(ValueError, match="borders: .*crop leaves nothing"):
        shift(host, picture(), plane(1.0), max_disparity=100.0, borders="crop")


def test_a_floating_window_hides_what_one_eye_alone_sees(host: dict[str, type]):
    image = picture()
    left, right, holes, _ = shift(host, image, plane(1.0), borders="floating_window")
    assert not left[:, :, :10].any() and torch.equal(left[:, :, 10:], image[:, :, 10:])
    assert not right[:, :, 86:].any() and right[:, :, :86].all() and not holes.any()
    assert image.all()  # the node's input is not written to


def test_behind_the_screen_nothing_is_masked(host: dict[str, type]):
    image = picture()
    widgets = {"convergence": 1.0}
    filled = shift(host, image, plane(0.5), **widgets)
    masked = shift(host, image, plane(0.5), **widgets, borders="floating_window")
    assert all(torch.equal(one, other) for one, other in zip(filled, masked, strict=True))


def test_with_the_screen_at_the_border_nothing_enters_at_the_right(host: dict[str, type]):
    image, depth = picture(), plane(0.8)
    depth[..., :40, :] = 0.2
    _, filled, holes, _ = shift(host, image, depth)
    _, right, less, _ = shift(host, image, depth, borders="screen")
    assert holes[..., -1].any() and not less[..., -40:].any()
    assert torch.equal(right[:, :, 41:], image[:, :, 41:])


def test_the_node_tells_how_wide_the_strips_are(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    package = host["Stereo_ImageStereoShift"].__module__.rpartition(".")[0]
    monkeypatch.setattr(sys.modules[f"{package}.widgets.geometry"], "show_text", lambda _, text: told.append(text))
    shift(host, picture(), plane(1.0))
    assert told[-1].splitlines()[-1] == "strips that enter the right view: left 0.0 ‰ (0 px), right 104.2 ‰ (10 px)"
    shift(host, picture(), plane(1.0), balance=0.5)
    strips = [line.split(":")[0] for line in told[-1].splitlines() if line.startswith("strips")]
    assert strips == ["strips that enter the left view", "strips that enter the right view"]
