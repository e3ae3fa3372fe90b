"""The turn of a whole: the same as cameras that go around the other way, and found from pictures alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from stereo_core.cameras import Camera, Orbit
from stereo_core.splat_matrix import TargetMatrix
from stereo_core.splat_model import SplatModel
from stereo_core.splat_options import FitOptions
from stereo_core.splat_scene import WHITE
from stereo_core.splat_turning import turned, whole_turn
from stereo_core.splatting import Gaussians, rasterize

SIZE, ORBIT = 24, Orbit(tuple(90.0 * view for view in range(4)), elevation=10.0)


def cloud(count: int = 20) -> Gaussians:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    return Gaussians(
        0.8 * draw(count, 3) - 0.4,
        draw(count, 4) - 0.5,
        0.02 + 0.1 * draw(count, 3),
        0.4 + 0.6 * draw(count, 1),
        draw(count, 3),
    )


def seen(gaussians: Gaussians, azimuth: float) -> Tensor:
    return rasterize(gaussians, ORBIT.camera(azimuth, SIZE, SIZE), WHITE).color


def target(frames: list[Gaussians], reference: int) -> TargetMatrix:
    images = torch.stack([torch.stack([seen(frame, azimuth) for frame in frames]) for azimuth in ORBIT.azimuths])
    return TargetMatrix(images, (images < 1).any(dim=2), ORBIT, WHITE, (0, reference))


def test_a_turned_scene_is_what_cameras_see_that_went_the_other_way():
    torch.testing.assert_close(seen(turned(cloud(), 35), 50), seen(cloud(), 15), atol=1e-3, rtol=0)


@pytest.mark.parametrize("reference", [0, 2])
def test_turns_are_found_from_frame_to_frame(reference: int):
    """25 degrees each, of which the nearest that is tried is 24 or 54."""
    frames = [turned(cloud(), 25 * (frame - reference)) for frame in range(3)]
    matrix = target(frames, reference)
    found = whole_turn(cloud(), matrix, matrix.cells)
    assert found == pytest.approx([25 * (frame - reference) for frame in range(3)], abs=6) and found[reference] == 0


def test_what_moves_in_another_way_is_no_turn():
    moved = [cloud()._replace(positions=cloud().positions + torch.tensor([0, shift, 0])) for shift in (0, 0.1, 0.2)]
    matrix = target(moved, 0)
    assert whole_turn(cloud(), matrix, matrix.cells) == [0, 0, 0]


def test_a_model_turns_at_its_frames_on_top_of_what_it_moves():
    given = cloud()
    options = FitOptions(iterations=2, warm_up=1)
    model = SplatModel(given.positions, given.colors, 0.2, 0.6, options, 2, 0.0)
    model.settle()
    still = model.at(0.5)
    model.turn([0, 30, 60])
    torch.testing.assert_close(model.at(0.5).positions, turned(still, 30).positions)
    torch.testing.assert_close(model.at(None).positions, given.positions)
    positions, rotations = list(model.knots(3))[2]
    torch.testing.assert_close(positions, turned(still, 60).positions)
    torch.testing.assert_close(rotations.norm(dim=-1), torch.ones(len(rotations)))


def test_pictures_that_are_large_are_looked_at_small(monkeypatch: pytest.MonkeyPatch):
    sides = []

    def draw(gaussians: Gaussians, camera: object, background: object) -> object:
        sides.append((camera.width, camera.height))  # type: ignore[attr-defined]
        return rasterize(gaussians, camera, background)  # type: ignore[arg-type]

    monkeypatch.setattr("stereo_core.splat_turning.rasterize", draw)
    matrix = target([cloud(4), cloud(4)], 0)
    wide = dataclasses.replace(matrix, images=matrix.images.repeat_interleave(8, -1).repeat_interleave(4, -2))
    whole_turn(cloud(4), wide, wide.cells)
    assert set(sides) == {(128, 64)}


def test_no_direction_is_drawn_twice(monkeypatch: pytest.MonkeyPatch):
    """Every frame is compared with the same Gaussians; with views 90 degrees apart the angles that are tried meet."""
    drawn = []

    def draw(gaussians: Gaussians, camera: Camera, background: object) -> object:
        drawn.append(tuple(camera.position.tolist()))
        return rasterize(gaussians, camera, background)  # type: ignore[arg-type]

    monkeypatch.setattr("stereo_core.splat_turning.rasterize", draw)
    matrix, waits = target([turned(cloud(4), 20 * frame) for frame in range(4)], 0), []
    whole_turn(cloud(4), matrix, matrix.cells, lambda *wait: waits.append(wait))
    assert len(drawn) == len(set(drawn)) <= 360 / 6
    assert waits == [(done, 3 * 17) for done in range(3 * 17)]
