"""The fit on ray-traced truth, small enough for seconds; the full figures are those of tools/bench.py splat."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
import torch
from torch import Tensor

from stereo_core.cameras import Orbit, orbit_camera
from stereo_core.metrics import psnr
from stereo_core.splat_fitting import Progress, Task, Wait, fit
from stereo_core.splat_losses import emphasis, rigidity_loss
from stereo_core.splat_matrix import target_matrix
from stereo_core.splat_memory import fit_bytes
from stereo_core.splat_model import SplatModel
from stereo_core.splat_motion import Curves, DeformationField
from stereo_core.splat_neighbors import neighbors
from stereo_core.splat_options import Emphasis, FitOptions, Motion
from stereo_core.splat_scene import WHITE, SplatScene
from stereo_core.splatting import rasterize, render, rotation_matrices
from stereo_core.visual_hull import hull_points, seen_box, silhouettes
from tools.benchmarks.splat_truth import RED, SCENES, Ball, trace, trace_matrix

SIZE = 32
BALLS = SCENES["sway and orbit"]
STILL = FitOptions(gaussians=250, iterations=150, warm_up=150, reference=(0, 0))
MOVING = dataclasses.replace(STILL, iterations=360, warm_up=100)


def orbit(views: int) -> Orbit:
    return Orbit(tuple(360 * view / views for view in range(views)), elevation=10.0)


@cache
def matrix(views: int, frames: int) -> Tensor:
    return trace_matrix(BALLS, orbit(views), [frame / 8 for frame in range(frames)], SIZE)


@cache
def still() -> SplatScene:
    return fit(matrix(10, 1), orbit(10), STILL)


def seen(scene: SplatScene, azimuth: float, time: float = 0.0, true_time: float = 0.0) -> float:
    camera = orbit(10).camera(azimuth, SIZE, SIZE)
    made, true = render(scene, camera, time).color, trace(BALLS, camera, true_time).color
    return psnr(made.clamp(0, 1)[None], true[None]).item()


def test_a_still_scene_is_right_between_the_views_it_was_fitted_to():
    between = [seen(still(), azimuth) for azimuth in (18, 90, 198, 306)]
    pictures = matrix(10, 1)[:, 0]
    neighbors_mean = [psnr((pictures[i] + pictures[i + 1])[None] / 2, true[None]).item() for i, true in true_between()]
    assert sum(between) / 4 > 24.5
    assert sum(between) / 4 > sum(neighbors_mean) / len(neighbors_mean) + 3


def test_gaussians_lie_at_the_surface():
    """Of a pixel's variance as they are drawn: with the usual 0.3 square pixels they lie 0.055 below it."""
    places = torch.tensor([ball.place(0.0) for ball in BALLS])
    apart = torch.cdist(still().positions[0], places) - torch.tensor([ball.radius for ball in BALLS])
    depths = -apart.gather(1, apart.abs().argmin(dim=1, keepdim=True))[:, 0]
    assert depths[still().opacities[:, 0] > 0.3].median() < 0.049


def true_between() -> list[tuple[int, Tensor]]:
    return [(view, trace(BALLS, orbit(10).camera(36 * view + 18, SIZE, SIZE), 0).color) for view in (0, 2, 5, 8)]


def test_what_is_fitted_says_how_well():
    assert "on the 8 pictures that were fitted" in still().quality and "on the 2 that were held out" in still().quality
    assert still().count == 250 and still().frames == 1 and still().orbit == orbit(10)


@pytest.mark.parametrize(("views", "held_out", "why"), [(10, 0, "none was held out"), (2, 5, "too few views")])
def test_why_nothing_was_held_out_is_told(views: int, held_out: int, why: str):
    short = dataclasses.replace(STILL, iterations=2, warm_up=2, gaussians=20, held_out=held_out)
    assert why in fit(matrix(views, 1), orbit(views), short).quality


@pytest.mark.parametrize("motion", [Motion.CURVE, Motion.MLP])
def test_a_moving_scene_moves(motion: Motion):
    """Three frames of a clip; the frozen reference frame is what a fit without motion would show."""
    steps: list[Progress] = []
    options = dataclasses.replace(MOVING, motion=motion)
    scene = fit(matrix(6, 3), orbit(6), options, on_step=steps.append)
    moved = [seen(scene, azimuth, 1.0, 0.25) for azimuth in (30, 150, 270)]
    frozen = [seen(scene, azimuth, 0.0, 0.25) for azimuth in (30, 150, 270)]
    assert sum(moved) > sum(frozen) + 9 and sum(moved) / 3 > 21
    between = [seen(scene, azimuth, 0.25, 0.0625) for azimuth in (60, 180, 300)]
    assert sum(between) / 3 > 21
    assert [progress.step for progress in steps] == list(range(1, 361)) and steps[0].steps == 360
    assert steps[-1].picture().shape == (3, SIZE, SIZE)


def test_the_same_seed_gives_the_same_scene_also_under_inference_mode():
    options = dataclasses.replace(STILL, iterations=5, warm_up=5)
    first = fit(matrix(10, 1), orbit(10), options)
    with torch.inference_mode():
        second = fit((matrix(10, 1) * 1.0), orbit(10), options)
    other = fit(matrix(10, 1), orbit(10), dataclasses.replace(options, seed=1))
    assert torch.equal(first.positions, second.positions) and torch.equal(first.colors, second.colors)
    assert not torch.equal(first.positions, other.positions)


def test_the_same_seed_gives_the_same_network_whatever_was_drawn_before():
    options = dataclasses.replace(STILL, gaussians=20, iterations=4, warm_up=1, motion=Motion.MLP)
    before = torch.get_rng_state()
    first, second = (fit(matrix(6, 3), orbit(6), options) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before), "nobody else's numbers are changed"
    torch.rand(7)
    assert torch.equal(first.positions, second.positions)
    assert torch.equal(first.positions, fit(matrix(6, 3), orbit(6), options).positions)


def test_a_world_ten_times_as_large_is_fitted_alike():
    """By the pictures: where a gradient is nothing but rounding, Adam makes a step of it all the same."""
    options = dataclasses.replace(STILL, iterations=60, warm_up=20)
    views = []
    for radius in (2.0, 20.0):
        cameras = dataclasses.replace(orbit(6), radius=radius)
        scene = fit(matrix(6, 3), cameras, options)
        views.append(render(scene, cameras.camera(30, SIZE, SIZE), 1.0).color[None])
    assert psnr(*views).item() > 35


def test_what_is_held_out_is_never_looked_at():
    """Neither by the steps nor where Gaussians start: other pictures there leave the scene as it was."""
    options = dataclasses.replace(STILL, iterations=4, warm_up=2)
    pictures = matrix(6, 3)
    other = pictures.clone()
    for cell in target_matrix(pictures, orbit(6), options, WHITE, None).held_out(options.held_out):
        other[cell] = other[cell].roll(3, -1)
    first, second = (fit(given, orbit(6), options) for given in (pictures, other))
    assert torch.equal(first.positions, second.positions) and torch.equal(first.colors, second.colors)
    assert first.quality != second.quality


def test_a_fit_ends_when_it_is_told_to():
    class EndedError(Exception):
        pass

    def end(progress: Progress) -> None:
        if progress.step == 3:
            raise EndedError

    with pytest.raises(EndedError):
        fit(matrix(10, 1), orbit(10), STILL, on_step=end)


def test_a_fit_also_asks_whether_to_end_before_between_and_after_its_iterations():
    """While the object and the turn of the whole are looked for, and while the finished scene is compared with all
    pictures; each time it tells how far it is.
    """
    happened: list[str | Wait] = []
    options = dataclasses.replace(STILL, iterations=2, warm_up=1, gaussians=20)
    fit(
        matrix(6, 3),
        orbit(6),
        options,
        on_step=lambda progress: happened.append(f"step {progress.step}"),
        on_wait=happened.append,
    )
    first, second = happened.index("step 1"), happened.index("step 2")
    assert happened[:6] == [Wait(Task.PICTURES, view, 6) for view in range(6)]
    assert first > 6 and happened[6:first] == [Wait(Task.START, done, 60) for done in range(first - 6)]
    looked = second - first - 1
    assert looked > 10 and happened[first + 1 : second] == [Wait(Task.TURN, done, looked) for done in range(looked)]
    outlines, pictures = happened[second + 1 : second + 7], happened[second + 7 :]
    assert outlines == [Wait(Task.OUTLINES, view, 6) for view in range(6)]
    assert pictures == [Wait(Task.CHECK, done, 6 * 3) for done in range(6 * 3)]


def test_masks_put_the_object_on_the_background():
    """On a room that is not white, with the true masks, the fit starts as on white."""
    pictures = matrix(10, 1)
    masks = silhouettes(pictures, WHITE).float()
    room = torch.where(masks[:, :, None] > 0, pictures, torch.tensor(0.4))
    target = target_matrix(room, orbit(10), STILL, WHITE, masks)
    torch.testing.assert_close(target.images, pictures, atol=0.04, rtol=0)
    as_bytes = target_matrix((room * 255).round().byte(), orbit(10), STILL, WHITE, masks)
    torch.testing.assert_close(as_bytes.image((3, 0)), target.image((3, 0)), atol=0.01, rtol=0)


def test_what_cannot_be_one_object_is_refused():
    pictures = matrix(10, 1)
    grey = pictures.clone()
    grey[3] = torch.where(grey[3] == 1, 0.8, grey[3])
    above_and_below = torch.cat([pictures[::2].roll(-10, -2), pictures[1::2].roll(10, -2)])
    cases = [
        (pictures[:1], orbit(1), "cannot be made from one view"),
        (pictures, orbit(9), "10 views need 10 azimuths; got 9"),
        (pictures, Orbit((0.0, 360.0) * 5), "All azimuths are the same"),
        (1 - pictures, orbit(10), "do not have the background colour"),
        (torch.rand(10, 1, 3, SIZE, SIZE), orbit(10), "do not have the background colour"),
        (grey, orbit(10), "edges of 1 of the 10 pictures do not have the background colour"),
        (torch.ones(10, 1, 3, SIZE, SIZE), orbit(10), "nothing but its background"),
        (pictures[..., :12, :], orbit(10), "at least 16 pixels"),
        (above_and_below, orbit(10), "no place lies inside the object's outline in all of them"),
    ]
    for images, cameras, message in cases:
        with pytest.raises(ValueError, match=message):
            fit(images, cameras, dataclasses.replace(STILL, iterations=1, warm_up=1))


def test_an_empty_mask_is_refused():
    masks = silhouettes(matrix(10, 1), WHITE).float()
    masks[3] = 0
    with pytest.raises(ValueError, match="One of the masks is empty"):
        target_matrix(matrix(10, 1), orbit(10), STILL, WHITE, masks)


def test_azimuths_that_contradict_the_pictures_are_refused():
    """The outlines of noise on a disc agree from everywhere, and so do those of balls in the wrong order, nearly."""
    backwards = Orbit(tuple(-azimuth for azimuth in orbit(10).azimuths), elevation=10.0)
    with pytest.raises(ValueError, match="do not agree with these azimuths"):
        fit(matrix(10, 1), backwards, STILL)
    steps = torch.arange(SIZE) - SIZE / 2 + 0.5
    disc = (steps[:, None] ** 2 + steps**2) < 10**2
    noise = torch.where(disc, torch.rand(10, 1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)), 1.0)
    with pytest.raises(ValueError, match=r"do not agree with these azimuths.*hold none out \(held_out 0 of"):
        fit(noise, orbit(10), STILL)  # which from right views looks the same as a pattern too fine for them


def test_the_memory_of_a_fit_grows_with_what_it_holds():
    told = fit_bytes(FitOptions(), 21, 25, 288, 288)
    assert told > 21 * 25 * 288**2 + 20000 * 4 * 300
    assert fit_bytes(FitOptions(gaussians=40000), 21, 25, 288, 288) > told
    assert fit_bytes(FitOptions(), 21, 25, 576, 576) > told > fit_bytes(FitOptions(), 21, 1, 288, 288)


def test_options_that_make_no_sense_are_refused():
    for wrong, message in [
        ({"gaussians": 0}, "at least 1 Gaussian"),
        ({"warm_up": 6000}, "do not fit into the 5000"),
        ({"held_out": 1}, "every second cell"),
    ]:
        with pytest.raises(ValueError, match=message):
            FitOptions(**wrong)


def test_the_hull_holds_the_object_and_little_else():
    masks = silhouettes(matrix(10, 1)[:, 0], WHITE)
    cameras = [orbit(10).camera(azimuth, SIZE, SIZE) for azimuth in orbit(10).azimuths]
    generator = torch.Generator().manual_seed(0)
    points, colors, volume = hull_points(masks, matrix(10, 1)[:, 0], cameras, 500, (0.6,) * 3, generator)
    outside = torch.stack([(points - torch.tensor(ball.place(0.0))).norm(dim=-1) - ball.radius for ball in BALLS]).amin(
        dim=0
    )
    assert outside.max() < 0.12 and (outside < 0.03).float().mean() > 0.8
    truth = sum(4 / 3 * torch.pi * ball.radius**3 for ball in BALLS)
    assert truth < volume < 1.6 * truth
    assert colors.shape == (500, 3) and colors.max() < 0.97


@pytest.mark.parametrize(("width", "height", "axis"), [(32, 64, 1), (64, 32, 0)])
def test_what_fills_a_tall_or_wide_picture_starts_from_end_to_end(width: int, height: int, axis: int):
    ends = [tuple(0.9 * side if place == axis else 0.0 for place in range(3)) for side in (-1, 1)]
    balls = [Ball(0.2, lambda _, end=end: end, RED, (3, (0.0, 1.0, 0.0))) for end in ends]
    cameras = [orbit(6).camera(azimuth, width, height) for azimuth in orbit(6).azimuths]
    images = torch.stack([trace(balls, camera, 0.0).color for camera in cameras])
    box, generator = seen_box(orbit(6), width, height), torch.Generator().manual_seed(0)
    points = hull_points(silhouettes(images, WHITE), images, cameras, 300, box, generator)[0]
    assert points[:, axis].min() < -0.95 and points[:, axis].max() > 0.95


@pytest.mark.parametrize(("radius", "count"), [(0.015, 400), (0.2, 40_000)])
def test_many_gaussians_start_at_places_of_their_own(radius: float, count: int):
    """Also in what is so small that hardly a point of the whole box lies in it: there it is not refused, either."""
    ball = [Ball(radius, lambda _: (0.35, 0.2, -0.1), RED, (3, (0.0, 1.0, 0.0)))]
    images = trace_matrix(ball, orbit(6), [0.0], 64)[:, 0]
    cameras = [orbit(6).camera(azimuth, 64, 64) for azimuth in orbit(6).azimuths]
    generator = torch.Generator().manual_seed(0)
    masks = silhouettes(images, WHITE)
    points, colors, volume = hull_points(masks, images, cameras, count, (0.6,) * 3, generator)
    away = (points - torch.tensor([0.35, 0.2, -0.1])).norm(dim=-1)
    assert len(points.unique(dim=0)) == count and away.median() < radius + 0.01 and away.max() < radius + 0.1
    assert 0.8 * radius**3 < volume / (4 / 3 * torch.pi) < (radius + 0.02) ** 3 and colors.min() < 0.5


def test_every_fifth_cell_is_held_out_and_never_the_reference():
    options = dataclasses.replace(STILL, reference=(-1, 0))
    target = target_matrix(matrix(10, 3), orbit(10), options, WHITE, None)
    held = target.held_out(5)
    assert len(held) == 6 and (9, 0) not in held
    assert all(sum(cell[1] == frame for cell in held) == 2 for frame in range(3))
    assert target.held_out(0) == set()
    few = target_matrix(matrix(10, 1)[:4], Orbit(orbit(10).azimuths[:4]), options, WHITE, None)
    assert few.held_out(5) == set()


def test_the_reference_teaches_colors_most():
    assert emphasis(0, 0, 5) == 1
    assert emphasis(180, 0, 5) == pytest.approx(0.3)
    assert emphasis(90, 5, 5) == pytest.approx(0.3 + 0.7 * 0.5 / 2.718281828)
    target = target_matrix(matrix(10, 3), orbit(10), STILL, WHITE, None)
    assert target.share((5, 2), Emphasis.EVEN) == 1 > target.share((5, 0), Emphasis.REFERENCE)


def test_rigid_motion_costs_nothing_and_stretching_its_part():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    near = neighbors(points)
    assert near.shape == (60, 8) and not (near == torch.arange(60)[:, None]).any()
    moved = points @ rotation_matrices(torch.tensor([0.8, 0.1, 0.5, -0.2])).T + 2
    assert rigidity_loss(points, moved, near) == pytest.approx(0, abs=1e-6)
    mean = (points[:, None] - points[near]).norm(dim=-1).mean().item()
    assert rigidity_loss(points, 1.1 * points, near) == pytest.approx(0.1 * mean, rel=1e-4)


def test_no_form_moves_anything_at_the_reference_time():
    points = torch.rand(20, 3)
    curves = Curves(20, 4, 0.25, torch.device("cpu"))
    curves.settle(points)
    field = DeformationField(3, 32, 0.25, 0.6)
    with torch.no_grad():
        for tensor in (curves.moves, curves.turns, curves.common):
            tensor.normal_()
        for form in (curves, field):
            assert not form(points, 0.25).positions.any() and not form(points, 0.25).rotations.any()
            assert form(points, 0.75).positions.abs().max() > 0


def test_the_share_of_colors_scales_their_gradients_alone():
    model = SplatModel(torch.rand(9, 3) - 0.5, torch.rand(9, 3), 0.2, 0.6, STILL, 0, 0.0)
    camera = orbit_camera(0, 0, 2, 33.8, 16, 16)
    gradients = []
    for share in (1.0, 0.25):
        given = model.at(None, share)
        for tensor in given:
            tensor.retain_grad()
        rasterize(given, camera, WHITE).color.square().sum().backward()
        gradients.append([tensor.grad.clone() for tensor in model._own.values()])
        for tensor in model._own.values():
            tensor.grad = None
    whole, part = (dict(zip(model._own, found, strict=True)) for found in gradients)
    torch.testing.assert_close(part["color"], 0.25 * whole["color"])
    torch.testing.assert_close(part["position"], whole["position"])


def test_relocating_what_has_faded_leaves_the_picture():
    generator = torch.Generator().manual_seed(0)
    points = (torch.rand(120, 3, generator=generator) - 0.5) * 0.6
    model = SplatModel(points, torch.rand(120, 3, generator=generator), 0.25, 0.6, STILL, 0, 0.0)
    with torch.no_grad():
        model._own["opacity"][:40] = 2.2  # of 0.9: the copies of what is nearly opaque have to shrink
        model._own["opacity"][40:] = -8.0
    camera = orbit_camera(20, 10, 2, 33.8, SIZE, SIZE)
    before = rasterize(model.at(None), camera, WHITE).color
    assert model.relocate(generator) == 80
    after = rasterize(model.at(None), camera, WHITE).color
    assert model.at(None).opacities.min() > 0.005 and len(model.positions) == 120
    assert psnr(after[None], before[None]).item() > 29
    assert model.relocate(generator) == 0
