"""The order of two views, told by what only one of them shows: in closed form, and of photographs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.comfort import Matched, seem_exchanged
from stereo_core.eye_order import eye_order, weigh_order
from tools.benchmarks.scenes import load_scenes

HEIGHT, WIDTH, NEAR, FAR = 40, 120, 6, 0
SQUARE = slice(40, 80)
# Those beside the project; Motorcycle comes with scikit-image.
NAMES = ("Art", "Cones", "Dolls", "Laundry", "Teddy", "Tsukuba", "Venus")


def pair(wall: float = 0.2, thing: float = 0.8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A thing before a wall: both views, the flow to the right one, and back."""
    views, flows = torch.full((2, 1, 3, HEIGHT, WIDTH), wall), torch.full((2, 1, 2, HEIGHT, WIDTH), float(FAR))
    for view, flow, shift, way in zip(views, flows, (0, NEAR), (-NEAR, NEAR), strict=True):
        place = slice(SQUARE.start - shift, SQUARE.stop - shift)
        view[..., 10:30, place], flow[:, 0, 10:30, place] = thing, way
    return views[0], views[1], flows[0], flows[1]


def test_what_one_eye_alone_sees_belongs_to_the_wall_behind():
    left, right, there, back = pair()
    votes, weight = weigh_order(left, right, there, back)[0]
    assert votes / weight == pytest.approx(1)
    contrast = 0.6 * 3**0.5
    assert weight == pytest.approx(2 * 20 * NEAR * contrast), "a strip beside the thing in either view"
    assert torch.allclose(weigh_order(right, left, back, there)[0], torch.stack([-votes, weight]))


def test_frames_are_told_apart_and_equal_colors_tell_nothing():
    order, exchanged = pair(), pair()[1::-1] + pair()[:1:-1]
    clip = [torch.cat(both) for both in zip(order, exchanged, pair(0.5, 0.51), strict=True)]
    first, second, third = weigh_order(*clip)
    assert first[0] > 0 > second[0] and third.tolist() == [0, 0]


def test_shapes_are_named():
    left, right, there, back = pair()
    with pytest.raises(ValueError, match="^back"):
        weigh_order(left, right, there, back[..., 1:])


def test_both_signs_are_needed():
    """The ground is near at the bottom, and farther at the top in exchanged views."""
    known = torch.ones(1, 1, 30, 10, dtype=torch.bool)
    ground = torch.linspace(-3, 3, 30).view(1, 1, 30, 1).expand(1, 1, 30, 10)
    against, much = torch.tensor([[-50.0, 200.0]]), torch.zeros_like(ground)
    assert seem_exchanged(Matched(-ground, much, known, against))
    assert not seem_exchanged(Matched(ground, much, known, against))
    assert not seem_exchanged(Matched(-ground, much, known, -against))
    assert not seem_exchanged(Matched(-ground, much, known, against / 4)), "too little to tell"
    assert not seem_exchanged(Matched(-ground, much, ~known, against))


def test_photographs_tell_when_they_are_exchanged():
    scenes = load_scenes(256, NAMES)
    for scene in scenes:
        order, known = eye_order(scene.left, scene.right), torch.ones_like(scene.disparity, dtype=torch.bool)
        assert order[0, 0] / order[0, 1] > 0.06, (scene.name, "twice as much as it takes")
        for way, exchanged in ((1, False), (-1, True)):
            evidence = order * torch.tensor([way, 1])
            assert seem_exchanged(Matched(way * scene.disparity, known, known, evidence)) is exchanged, scene.name
