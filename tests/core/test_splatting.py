"""The renderer against closed forms, and against a plain loop over all Gaussians in float64."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from stereo_core.cameras import orbit_camera, stereo_base, stereo_pair
from stereo_core.splat_scene import SplatScene, still_scene
from stereo_core.splat_tiles import reached_tiles, tile_lists
from stereo_core.splatting import (
    Gaussians,
    clip_depths,
    drawing_bytes,
    rasterize,
    render,
    render_pair,
    rotation_matrices,
)
from tools.benchmarks.splat_plain import draw_plainly

WHITE = (1.0, 1.0, 1.0)
CAMERA = orbit_camera(0, 0, 2, 33.8, 40, 32)


def cloud(count: int = 60, dtype: torch.dtype = torch.float32, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return Gaussians(
        draw(count, 3) - 0.5,
        draw(count, 4) - 0.5,
        0.02 + 0.06 * draw(count, 3),
        0.2 + 0.7 * draw(count, 1),
        draw(count, 3),
    )


def test_what_drawing_takes_is_counted_without_drawing():
    """The pairs of Gaussians and tiles are those that are listed; from within a scene they are many more."""
    generator = torch.Generator().manual_seed(0)
    means, reach = 60 * torch.rand(200, 2, generator=generator) - 10, 12 * torch.rand(200, 2, generator=generator) - 1
    lists = tile_lists(means, reach, torch.arange(200), 40, 29)
    assert reached_tiles(means, reach, 40, 29) == len(lists.tiles) > 200
    positions, rotations, scales, opacities, colors = cloud(40)
    scene = still_scene(positions, torch.nn.functional.normalize(rotations, dim=-1), scales, opacities, colors)
    least, away, within = (
        drawing_bytes(scene, [orbit_camera(0, 0, distance, 33.8, 256, 256) for distance in distances], times)
        for distances, times in (((), ()), ((4.0,), (0.0,)), ((4.0, 0.3), (0.0, 1.0)))
    )
    assert within - least > 5 * (away - least) > 0


def test_one_gaussian_on_the_axis_has_its_closed_form():
    sigma, opacity = 0.05, 0.8
    one = Gaussians(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), sigma),
        torch.tensor([[opacity]]),
        torch.zeros(1, 3),
    )
    seen = rasterize(one, CAMERA, WHITE)
    plain = (sigma * CAMERA.focal / 2) ** 2
    rows, columns = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(40) - 19.5, indexing="ij")
    squared = rows**2 + columns**2
    expected = opacity * plain / (plain + 1 / 12) * (-squared / (2 * (plain + 1 / 12))).exp()
    torch.testing.assert_close(seen.alpha[0], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(seen.color, 1 - seen.alpha.expand(3, -1, -1))
    torch.testing.assert_close(seen.depth[seen.alpha > 0.01], torch.full_like(seen.depth, 2)[seen.alpha > 0.01])


def test_the_nearer_of_two_hides_the_other():
    two = Gaussians(
        torch.tensor([[0.0, 0, -0.3], [0.0, 0, 0.3]]),
        torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4),
        torch.full((2, 3), 0.3),
        torch.tensor([[0.9], [0.6]]),
        torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]),
    )
    camera = orbit_camera(0, 0, 2, 33.8, 33, 33)
    middle = rasterize(two, camera, (0.0, 0.0, 1.0)).color[:, 16, 16]
    torch.testing.assert_close(middle, torch.tensor([0.4 * 0.9, 0.6, 0.4 * 0.1]), atol=4e-3, rtol=0)
    seen = rasterize(two, camera, WHITE)
    assert seen.surface[0, 16, 16] == pytest.approx(1.7) and 1.7 < seen.depth[0, 16, 16] < 2.3


@pytest.mark.parametrize("azimuth, elevation", [(0, 0), (70, 25)])
def test_tiles_are_the_plain_loop_over_all(azimuth, elevation):
    camera = orbit_camera(azimuth, elevation, 2, 33.8, 40, 29)  # no whole tiles
    color, alpha = draw_plainly(cloud(dtype=torch.float64), camera, (0.2, 0.5, 1.0))
    exact = rasterize(cloud(dtype=torch.float64), camera, (0.2, 0.5, 1.0), cut=1e-12)
    torch.testing.assert_close(exact.color, color, atol=1e-7, rtol=0)
    torch.testing.assert_close(exact.alpha, alpha, atol=1e-7, rtol=0)
    cut = rasterize(cloud(), camera, (0.2, 0.5, 1.0))
    torch.testing.assert_close(cut.color.double(), color, atol=4e-3, rtol=0)


def test_gradients_are_those_of_the_plain_loop():
    camera = orbit_camera(30, 10, 2, 33.8, 24, 24)
    weights = torch.rand(4, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for draw in (draw_plainly, lambda *given: rasterize(*given, cut=1e-9)[:2]):
        given = Gaussians(*(tensor.requires_grad_() for tensor in cloud(30, torch.float64)))
        color, alpha = draw(given, camera, WHITE)
        gradients.append(torch.autograd.grad((torch.cat([color, alpha]) * weights).sum(), given))
    for ours, plain in zip(*reversed(gradients), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-6)


def test_gradients_are_those_of_differences():
    camera = orbit_camera(30, 10, 2, 33.8, 9, 7)
    given = [tensor.requires_grad_() for tensor in cloud(3, torch.float64)]

    def draw(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return rasterize(Gaussians(*tensors), camera, WHITE, cut=1e-12)[:2]

    assert torch.autograd.gradcheck(draw, given, atol=1e-5, fast_mode=True)


def test_scene_and_camera_may_move_together():
    turn = rotation_matrices(torch.tensor([0.7, 0.1, -0.5, 0.3]))
    shift = torch.tensor([0.4, -2.0, 1.0])
    given = cloud()
    w, x, y, z = given.rotations.unbind(-1)
    a, b, c, d = torch.nn.functional.normalize(torch.tensor([0.7, 0.1, -0.5, 0.3]), dim=0)
    turned = torch.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        dim=-1,
    )
    moved = given._replace(positions=given.positions @ turn.T + shift, rotations=turned)
    camera = dataclasses.replace(CAMERA, rotation=CAMERA.rotation @ turn.T, position=turn @ CAMERA.position + shift)
    torch.testing.assert_close(
        rasterize(moved, camera, WHITE).color, rasterize(given, CAMERA, WHITE).color, atol=2e-3, rtol=0
    )


def test_nothing_and_what_is_behind_leave_the_background():
    behind = cloud()._replace(positions=cloud().positions + torch.tensor([0.0, 0.0, 4.0]))
    for gaussians in (cloud(0), behind):
        seen = rasterize(gaussians, CAMERA, (0.1, 0.2, 0.3))
        assert torch.equal(seen.color, torch.tensor([0.1, 0.2, 0.3])[:, None, None].expand(3, 32, 40))
        assert not (seen.alpha.any() or seen.depth.any() or seen.surface.any())


def test_what_is_thinner_than_a_pixel_covers_as_much_at_any_zoom():
    thin = cloud(1)._replace(positions=torch.zeros(1, 3), scales=torch.tensor([[0.3, 0.004, 0.004]]))
    areas = [rasterize(thin, orbit_camera(0, 0, 2, 33.8, size, size), WHITE).alpha.mean().item() for size in (64, 512)]
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def moving(count: int = 40) -> SplatScene:
    positions, rotations, scales, opacities, colors = cloud(count)
    rotations = torch.nn.functional.normalize(rotations, dim=-1)
    return SplatScene(
        torch.stack([positions, positions + 0.2]), torch.stack([rotations] * 2), scales, opacities, colors
    )


def test_a_scene_is_drawn_at_its_time_and_on_its_background():
    scene = dataclasses.replace(moving(), background=(0.0, 0.5, 0.0))
    later = cloud(40)._replace(positions=cloud(40).positions + 0.1)
    torch.testing.assert_close(render(scene, CAMERA, 0.5).color, rasterize(later, CAMERA, (0.0, 0.5, 0.0)).color)


def test_dots_of_known_depth_have_the_disparity_of_the_equation():
    """Columns of single small Gaussians in both eyes, by the middle of their mass: to 0.05 pixels, and on one row."""
    camera = orbit_camera(15, 5, 2, 33.8, 128, 64)
    near, far = 1.5, 2.6
    base = stereo_base(camera, 6, 0.4, near, far)
    columns = torch.arange(128) + 0.5
    rows = torch.arange(64) + 0.5
    for depth in (1.5, 2.0, 2.6):
        place = camera.position + camera.rotation.T @ torch.tensor([0.1, -0.1, depth])
        dot = still_scene(
            place[None], torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 0.03), torch.ones(1, 1), torch.zeros(1, 3)
        )
        left, right = (seen.alpha[0] for seen in render_pair(dot, stereo_pair(camera, base)))
        found = [float((eye.sum(0) * columns).sum() / eye.sum()) for eye in (left, right)]
        asked = 0.06 * 128 * ((1 / depth - 1 / far) / (1 / near - 1 / far) - 0.4)
        assert found[0] - found[1] == pytest.approx(asked, abs=0.05)
        levels = [float((eye.sum(1) * rows).sum() / eye.sum()) for eye in (left, right)]
        assert levels[0] == pytest.approx(levels[1], abs=1e-3)


def test_without_disparity_both_eyes_see_the_same():
    eyes = stereo_pair(CAMERA, stereo_base(CAMERA, 0, 0.5, 1, 2))
    left, right = render_pair(moving(), eyes, 0.3)
    assert torch.equal(left.color, right.color)


def test_the_depths_of_a_clip_are_those_of_what_it_shows():
    with pytest.raises(ValueError, match="sees nothing"):
        clip_depths(moving(0), [CAMERA], [0.0])
    dense = Gaussians(
        torch.tensor([[-0.3, 0.0, 0.4], [0.3, 0.0, -0.4]]),
        torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4),
        torch.full((2, 3), 0.06),
        torch.ones(2, 1),
        torch.zeros(2, 3),
    )
    scene = still_scene(*dense)
    assert clip_depths(scene, [CAMERA, CAMERA], [0.0, 1.0]) == pytest.approx((1.6, 2.4))
    assert math.isclose(clip_depths(scene, [CAMERA], [0.5])[0], 1.6, rel_tol=1e-5)
    thin = dataclasses.replace(scene, opacities=torch.full((2, 1), 0.1))
    assert clip_depths(thin, [CAMERA], [0.0]) == pytest.approx((1.6, 2.4), rel=1e-5), "smoke is seen, too"
