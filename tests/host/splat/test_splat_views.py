"""A scene in the host: seen by both eyes, as the host's own splat, and in files that the host reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

WIDE = {"max_disparity": 4.0, "convergence": 0.25, "frames": 1, "width": 200, "height": 160, "background": ""}


@pytest.fixture
def dots(pack: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """Makes a scene of small black dots, at one place each or moving along x."""

    def make(*places: tuple[float, float, float], drift: float = 0.0, frames: int = 1, size: float = 0.02) -> Any:
        ways = torch.linspace(0, drift, frames)[:, None, None] * torch.tensor([1.0, 0, 0])
        positions = torch.tensor(places)[None] + ways
        count = len(places)
        return pack("stereo_core.splat_scene").SplatScene(
            positions,
            torch.tensor([1.0, 0, 0, 0]).expand(frames, count, 4),
            torch.full((count, 3), size),
            torch.full((count, 1), 0.99),
            torch.zeros(count, 3),
        )

    return make


def middle(image: Tensor, rows: slice = slice(None)) -> tuple[float, float]:
    """(column, row) of the middle of what is dark in (H, W, 3)."""
    dark = (1 - image.mean(dim=-1))[rows]
    row, column = (torch.arange(side) + 0.5 for side in dark.shape)
    return float((dark.sum(0) * column).sum() / dark.sum()), float((dark.sum(1) * row).sum() / dark.sum())


def see(host: dict[str, type], scene: Any, **given: Any) -> tuple[Tensor, ...]:
    return host["Stereo_SplatStereo"].execute(scene, **{**WIDE, **given}).args


def test_disparity_is_what_was_asked_for(host: dict[str, type], dots: Callable[..., Any]):
    """4 % of 200 pixels between a near dot above and a far one below, a quarter of the way on the screen."""
    left, right, depth, mask = see(host, dots((0.1, 0.25, 0.5), (-0.1, -0.25, -0.5)))
    for rows, asked in ((slice(0, 80), 8 * 0.75), (slice(80, 160), -8 * 0.25)):
        one, other = middle(left[0], rows), middle(right[0], rows)
        assert one[0] - other[0] == pytest.approx(asked, abs=0.1)
        assert one[1] == pytest.approx(other[1], abs=0.02), "rows match"
    solid = mask[0] > 0.9
    assert depth[0, :80][solid[:80]].min() > 0.99 and depth[0, 80:][solid[80:]].max() < 0.01
    assert depth[0][mask[0] < 0.4].max() == 0, "background is far"


def test_without_disparity_both_eyes_see_the_same(host: dict[str, type], dots: Callable[..., Any]):
    left, right, *_ = see(host, dots((0.1, 0.2, 0.4), (0, 0, -0.3)), max_disparity=0.0)
    torch.testing.assert_close(left, right)


@pytest.mark.parametrize("percent", [0.0, 4.0])
def test_a_flat_scene_is_seen_alike_by_both_eyes(
    host: dict[str, type],
    dots: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[str], ModuleType],
    percent: float,
):
    told: list[str] = []
    monkeypatch.setattr(pack("nodes.splat.splat_stereo"), "show_text", lambda _, text: told.append(text))
    for wall in (dots((0.1, 0.2, 0.3), (-0.3, 0.1, 0.3)), dots((0.1, 0.2, 0.3))):
        left, right, depth, mask = see(host, wall, max_disparity=percent)
        assert torch.equal(left, right) and depth[0][mask[0] > 0.9].min() == 1
    assert all(("no depth" in line) == (percent > 0) for line in told) and len(told) == 2


def test_what_is_thin_or_far_away_is_seen(host: dict[str, type], dots: Callable[..., Any]):
    """Where nothing covers half of a pixel: depths are those of what covers most."""
    smoke = dots((0.1, 0.25, 0.5), (-0.1, -0.25, -0.5), size=0.03)
    smoke = replace(smoke, opacities=torch.full((2, 1), 0.2))
    left, right, *_ = see(host, smoke)
    assert middle(left[0], slice(0, 80))[0] - middle(right[0], slice(0, 80))[0] == pytest.approx(6, abs=0.1)
    away = host["Stereo_SplatPath"].execute(0, 0, 0, 0, 20, 20, 0, 0).args[0]
    assert see(host, dots((0.1, 0.25, 0.5), (-0.1, -0.25, -0.5)), path=away)[0].min() < 0.95


@pytest.mark.parametrize(("width", "height", "way"), [(2048, 16, (1.0, 0.0)), (16, 2048, (0.0, 1.0))])
def test_depths_of_a_strip_are_measured_all_along_it(
    host: dict[str, type], dots: Callable[..., Any], width: int, height: int, way: tuple[float, float]
):
    """Its smaller side shows the usual angle, and its ends are far away."""
    x, y = way
    scene = dots((50 * x, 50 * y, 0.5), (0.0, 0.0, 0.0), (-50 * x, -50 * y, -0.5), size=0.2)
    _, _, depth, mask = see(host, scene, width=width, height=height)
    across = 1 if height > width else 0
    parts = (part[0].amax(dim=across).chunk(3) for part in (depth[..., 0], mask))
    shown = [(float(depth.max()), float(mask.max())) for depth, mask in zip(*parts, strict=True)]
    near, middle, far = shown if height > width else reversed(shown)
    assert near[0] > 0.99 and middle[0] == pytest.approx(0.375, abs=0.02) and far[0] < 0.01 and far[1] > 0.9


def test_the_path_moves_camera_and_time(host: dict[str, type], dots: Callable[..., Any]):
    scene, straight = dots((0.0, 0.0, 0.3), (0.0, -0.3, -0.3), drift=0.2, frames=4), slice(0, 70)
    path = host["Stereo_SplatPath"].execute(0, 20, 0, 0, 1, 1, 0, 0).args[0]
    left, *_ = see(host, scene, frames=3, max_disparity=0.0, path=path)
    columns = [middle(picture, slice(0, 100))[0] for picture in left]
    assert columns[0] > columns[1] > columns[2], "a camera that walks to its right sees what is near go to the left"
    later = host["Stereo_SplatPath"].execute(0, 0, 0, 0, 1, 1, 0, 1).args[0]
    moved, *_ = see(host, scene, frames=2, max_disparity=0.0, path=later)
    assert middle(moved[1], straight)[0] > middle(moved[0], straight)[0] + 5
    nearer = host["Stereo_SplatPath"].execute(0, 0, 0, 0, 0.6, 0.6, 0, 0).args[0]
    close, *_ = see(host, scene, max_disparity=0.0, path=nearer)
    assert (1 - close).sum() > 1.5 * (1 - left[:1]).sum()


def test_one_frame_of_a_path_that_goes_on_is_told(
    host: dict[str, type], dots: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, pack: Callable[[str], ModuleType]
):
    """A still scene has one frame, and 0 frames are as many as it has."""
    told: list[str] = []
    monkeypatch.setattr(pack("nodes.splat.splat_stereo"), "show_text", lambda _, text: told.append(text))
    scene = dots((0.2, 0.0, 0.3), (0.0, 0.1, -0.2))
    around, stands = (host["Stereo_SplatPath"].execute(0, to, 0, 0, 1, 1, 0, 1).args[0] for to in (40, 0))
    for path, frames in ((around, 0), (around, 2), (stands, 0), (None, 0)):
        see(host, scene, path=path, frames=frames)
    assert ["raise frames" in line for line in told] == [True, False, False, False]


def test_without_a_path_the_camera_stands_where_a_picture_was_taken(
    host: dict[str, type], dots: Callable[..., Any], pack: Callable[[str], ModuleType]
):
    """At the view nearest to azimuth 0 and at its elevation, though nothing was seen from there itself."""
    scene = dots((0.2, 0.0, 0.3))
    arc = pack("stereo_core.cameras").Orbit((90.0, 60.0, 30.0), elevation=20.0)
    path = host["Stereo_SplatPath"].execute(30.0, 30.0, 20.0, 20.0, 1.0, 1.0, 0.0, 0.0).args[0]
    assert torch.equal(see(host, replace(scene, orbit=arc))[0], see(host, replace(scene, orbit=arc), path=path)[0])
    around = replace(arc, azimuths=(180.0, 360.0), elevation=0.0)
    assert torch.equal(see(host, replace(scene, orbit=around))[0], see(host, scene)[0])


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0.0, 0.0, 0.0), (35.0, 20.0, 0.0), (-70.0, -15.0, 25.0)])
def test_the_hosts_camera_and_splat_mean_the_same_to_its_own_renderer(
    host: dict[str, type], dots: Callable[..., Any], yaw: float, pitch: float, roll: float
):
    from comfy_extras.nodes_gaussian_splat import CreateCameraInfo, RenderSplat

    scene = dots((0.3, 0.2, 0.1), (-0.2, -0.1, -0.3))
    mode = {"mode": "orbit", "yaw": yaw, "pitch": pitch, "distance": 2.5}
    camera = CreateCameraInfo.execute(mode, 0.05, 0.0, 0.0, roll, 40.0, 1.2, "perspective").args[0]
    (splat,) = host["Stereo_SplatAt"].execute(scene, 0.0, False).args
    theirs = RenderSplat.execute(splat, 200, 160, 1, 1.0, 1.0, 0.0, 0.0, "#ffffff", "color", camera).args[0]
    for given in (scene, splat):
        ours = see(host, given, max_disparity=0.0, convergence=0.0, camera_info=camera)[0]
        # The host's pixels have their middles at whole numbers, half a pixel from ours.
        column, row = middle(theirs[0])
        assert middle(ours[0]) == pytest.approx((column - 0.5, row - 0.5), abs=0.05)


def test_a_splat_of_the_host_is_a_still_scene_that_fits_in(host: dict[str, type], dots: Callable[..., Any]):
    scene = dots((5.0, 7.0, 9.0), (7.0, 7.0, 9.5), (6.0, 8.0, 8.0), size=0.1)
    (splat,) = host["Stereo_SplatAt"].execute(scene, 0.0, False).args
    left, _, _, mask = see(host, splat, max_disparity=1.0)
    edge = torch.cat([mask[0, 0], mask[0, -1], mask[0, :, 0], mask[0, :, -1]])
    assert len(left) == 1 and edge.max() < 0.01 and mask.sum() > 50


def test_a_splat_of_any_kind_fits_in(host: dict[str, type], dots: Callable[..., Any]):
    """A single Gaussian, a small unit, one that flew away, and values that other programs write as well."""
    places = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    (splat,) = host["Stereo_SplatAt"].execute(dots(*places.tolist(), size=0.04), 0.0, False).args
    usual = see(host, splat)[3]
    single = see(host, host["Stereo_SplatAt"].execute(dots((3.0, 1.0, 2.0)), 0.0, False).args[0])[3]
    assert single[0, 80, 100] > 0.9 and single[0, 0].max() < 0.01
    small, flown, odd = (type(splat)(*(getattr(splat, name).clone() for name in PARTS)) for _ in range(3))
    small.positions.mul_(1e-3)
    small.scales.mul_(1e-3)
    torch.testing.assert_close(see(host, small)[3], usual, atol=0.1, rtol=0)
    flown.positions[0, 7] = 1e6
    assert see(host, flown)[3].mean() == pytest.approx(float(usual.mean()), rel=0.1)
    odd.scales.neg_()
    odd.rotations[0, :, 0] = 0  # they were 1, 0, 0, 0
    torch.testing.assert_close(see(host, odd)[3], usual)
    saved = host["Stereo_SplatSave"].execute(odd, "ply_sequence", "splats/odd").ui["files"][0]
    read = read_ply(saved)
    torch.testing.assert_close(read.scales[0], splat.scales[0])
    torch.testing.assert_close(read.rotations[0].abs(), splat.rotations[0])


def test_a_browser_starts_where_the_splat_is_seen(host: dict[str, type], dots: Callable[..., Any]):
    (splat,) = host["Stereo_SplatAt"].execute(dots((5.0, 7.0, 9.0), (7.0, 9.0, 9.0)), 0.0, False).args
    (saved,) = host["Stereo_SplatSave"].execute(splat, "splatv", "splats/away").ui["files"]
    data = output(saved).read_bytes()
    (camera,) = json.loads(data[8 : 8 + struct.unpack_from("<I", data, 4)[0]])[0]["cameras"]
    x, y, z = camera["position"]
    assert (x, y) == pytest.approx((6, -8), abs=1e-4) and z < -9, "it looks along z, where y is down"


PARTS = ("positions", "scales", "rotations", "opacities", "sh")


def output(saved: dict[str, str]) -> Path:
    import folder_paths

    return Path(folder_paths.get_output_directory()) / saved["subfolder"] / saved["filename"]


def read_ply(saved: dict[str, str]) -> Any:
    from comfy_api.latest import Types
    from comfy_extras.nodes_gaussian_splat import File3DToSplat

    return File3DToSplat.execute(Types.File3D(str(output(saved)))).args[0]


def test_one_time_or_all_frames(host: dict[str, type], dots: Callable[..., Any]):
    scene = dots((0.0, 0.1, 0.2), (0.1, 0.2, 0.3), drift=0.3, frames=4)
    (every,) = host["Stereo_SplatAt"].execute(scene, 0.0, True).args
    (half,) = host["Stereo_SplatAt"].execute(scene, 0.5, False).args
    turn = torch.tensor([1.0, -1, -1])
    torch.testing.assert_close(every.positions, scene.positions * turn)
    torch.testing.assert_close(half.positions, (scene.positions[:1] + torch.tensor([0.15, 0, 0])) * turn)
    assert every.scales.shape == (4, 2, 3) and every.opacities.shape == (4, 2, 1) and every.sh.shape == (4, 2, 1, 3)


def test_files_come_back_through_the_hosts_reader(host: dict[str, type], dots: Callable[..., Any]):
    scene = dots((0.0, 0.1, 0.2), (0.1, 0.2, 0.3), drift=0.3, frames=3)
    saved = host["Stereo_SplatSave"].execute(scene, "ply_sequence", "splats/ball").ui["files"]
    assert [file["filename"] for file in saved] == [f"ball_00001_{number:04}.ply" for number in (1, 2, 3)]
    (every,) = host["Stereo_SplatAt"].execute(scene, 0.0, True).args
    for frame, file in enumerate(saved):
        read = read_ply(file)
        for name in PARTS:
            torch.testing.assert_close(getattr(read, name)[0], getattr(every, name)[frame], atol=1e-5, rtol=1e-5)
    again = host["Stereo_SplatSave"].execute(scene, "ply_sequence", "splats/ball").ui["files"]
    assert again[0]["subfolder"] != saved[0]["subfolder"], "nothing is overwritten"
    (moving,) = host["Stereo_SplatSave"].execute(scene, "splatv", "splats/ball").ui["files"]
    data = output(moving).read_bytes()
    assert struct.unpack_from("<I", data) == (0x674B,) and moving["filename"].endswith(".splatv")


def test_a_folder_that_was_not_finished_is_gone(pack: Callable[[str], ModuleType], tmp_path: Path):
    with pytest.raises(RuntimeError), pack("nodes.delivery.output_files").written_folder(tmp_path / "clip") as folder:
        (folder / "one.ply").write_bytes(b"")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_refusals(host: dict[str, type], dots: Callable[..., Any]):
    scene = dots((0.0, 0.1, 0.2), (0.1, 0.2, 0.3), frames=2)
    (both,) = host["Stereo_SplatAt"].execute(scene, 0.0, True).args
    (one,) = host["Stereo_SplatAt"].execute(scene, 0.0, False).args
    path = host["Stereo_SplatPath"].execute(0, 20, 0, 0, 1, 1, 0, 0).args[0]
    camera = {"position": {"x": 0, "y": 0, "z": 3}, "target": {"x": 0, "y": 0, "z": 0}, "cameraType": "perspective"}
    there = {**camera, "position": camera["target"]}
    away = {**camera, "target": {"x": 0, "y": 0, "z": 6}}
    for said, given, more in (
        (r"splat holds 2 splats, and one is a scene\. Connect a single one", both, {}),
        (r"splat is empty\. Connect a splat with at least one", replace_counts(one), {}),
        (r"path and camera_info both say where the camera is\.", scene, {"path": path, "camera_info": camera}),
        (r"camera_info is orthographic", scene, {"camera_info": {**camera, "cameraType": "orthographic"}}),
        (r"camera_info: The camera stands in its target", scene, {"camera_info": there}),
        (r"sees nothing of the scene\. Move it", scene, {"camera_info": away}),
        (r"background: 'green' is no colour\. Give one such as #ffffff", scene, {"background": "green"}),
    ):
        with pytest.raises(ValueError, match=said):
            see(host, given, **more)


def replace_counts(splat: Any) -> Any:
    from comfy_api.latest import Types

    parts = (splat.positions, splat.scales, splat.rotations, splat.opacities, splat.sh)
    return Types.SPLAT(*parts, counts=torch.tensor([0]))


def test_the_background_can_be_chosen(host: dict[str, type], dots: Callable[..., Any]):
    scene = replace(dots((0.0, 0.1, 0.2), (0.1, 0.2, 0.3)), background=(0.0, 1.0, 0.0))
    assert see(host, scene)[0][0, 0, 0].tolist() == [0, 1, 0]
    assert see(host, scene, background="#ff0000")[0][0, 0, 0].tolist() == [1, 0, 0]


CAMERA = {"position": {"x": 0.4, "y": 0.3, "z": 3.0}, "target": {"x": 0.0, "y": 0.1, "z": 0.0}, "fov": 40.0}
NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"position": None}, r"does not say where the camera is"),
        ({"position": {}}, r"does not say where the camera is"),
        ({"position": [0, 0, 3]}, r"its position is \[0, 0, 3\], and x, y, z are needed by name"),
        ({"position": {"x": NAN, "y": 0, "z": 3}}, r"its position\.x is nan, and a finite number"),
        ({"position": {"x": 0, "y": INFINITE, "z": 3}}, r"its position\.y is inf"),
        ({"target": {"x": 0, "y": 0, "z": None}}, r"its target\.z is None"),
        ({"quaternion": {"x": 0, "y": 0, "z": 0, "w": NAN}}, r"its quaternion\.w is nan"),
        ({"fov": NAN}, r"its fov is nan"),
        ({"fov": "wide"}, r"its fov is wide"),
        ({"fov": 200}, r"fov: expected an angle above 0 and below 180 degrees, got 200"),
        ({"zoom": INFINITE}, r"its zoom is inf"),
        ({"zoom": -2}, r"its zoom is -2\. It must be above 0"),
        ({"position": {"y": 3}, "target": {"y": 0}}, r"looks straight along what is up"),
    ],
    ids=str,
)
def test_a_camera_that_makes_no_sense_is_named(
    host: dict[str, type], dots: Callable[..., Any], changed: dict[str, Any], said: str
):
    with pytest.raises(ValueError, match=f"^camera_info.*{said}"):
        see(host, dots((0.1, 0.2, 0.3)), camera_info={**CAMERA, **changed})
    with pytest.raises(ValueError, match="^camera_info does not say where the camera is"):
        see(host, dots((0.1, 0.2, 0.3)), camera_info={})


@pytest.mark.parametrize(
    "left_out",
    [
        {"position": {"z": 3.0}},
        {"target": None},
        {"quaternion": None, "zoom": None, "fov": None},
        {"quaternion": {"x": 0.0, "y": 0.1, "z": 0.0}},
    ],
    ids=str,
)
def test_what_a_camera_leaves_out_is_what_the_host_takes(
    host: dict[str, type], dots: Callable[..., Any], left_out: dict[str, Any]
):
    from comfy_extras.nodes_gaussian_splat import RenderSplat

    # As large as pixels and more: smaller ones weigh differently in the two renderers.
    scene, camera = dots((0.2, 0.2, 0.1), (-0.2, -0.1, -0.3), size=0.04), {**CAMERA, **left_out}
    (splat,) = host["Stereo_SplatAt"].execute(scene, 0.0, False).args
    known = {name: value for name, value in camera.items() if value is not None}  # the host fails at None
    theirs = RenderSplat.execute(splat, 200, 160, 1, 1.0, 1.0, 0.0, 0.0, "#ffffff", "color", known).args[0]
    column, row = middle(theirs[0])
    ours = see(host, scene, max_disparity=0.0, convergence=0.0, camera_info=camera)[0]
    assert middle(ours[0]) == pytest.approx((column - 0.5, row - 0.5), abs=0.05)


def test_a_camera_may_stand_within_the_scene(host: dict[str, type], dots: Callable[..., Any]):
    places = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    scene = dots(*places.tolist(), size=0.03)
    inside = {**CAMERA, "position": {"x": 0.0, "y": 0.0, "z": 0.05}}
    left, right, depth, mask = see(host, scene, camera_info=inside)
    assert all(part.isfinite().all() and part.min() >= 0 and part.max() <= 1 for part in (left, right, depth, mask))
    assert mask.mean() > 0.2 and depth.max() == 1 and not torch.equal(left, right)


def test_the_memory_for_many_gaussians_is_told_before_any_is_drawn(
    host: dict[str, type],
    dots: Callable[..., Any],
    pack: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
):
    import comfy.model_management
    from comfy_api.latest import Types

    def drawn(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(pack("nodes.splat.eyes"), "clip_depths", drawn)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: 2**28)
    count = 10**6
    million = Types.SPLAT(
        torch.rand(1, count, 3, generator=torch.Generator().manual_seed(0)),
        *(torch.ones(1).expand(1, count, *size) for size in ((3,), (4,), (1,), (1, 3))),
    )
    with pytest.raises(ValueError, match=r"Splat 4D Stereo: .* with 1000000 Gaussians needs about .* GiB"):
        see(host, million)
    places = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    inside = {**CAMERA, "position": {"x": 0.0, "y": 0.0, "z": 0.05}}
    near = {"width": 800, "height": 800, "camera_info": inside}
    with pytest.raises(ValueError, match=r"Splat 4D Stereo: drawing 300 Gaussians from this near .* Move the camera"):
        see(host, dots(*places.tolist(), size=0.1), **near)


@pytest.mark.parametrize("name", ["positions", "scales", "rotations", "opacities", "sh"])
@pytest.mark.parametrize("value", [NAN, INFINITE])
def test_a_splat_with_a_value_that_is_none_is_named(
    host: dict[str, type], dots: Callable[..., Any], name: str, value: float
):
    (splat,) = host["Stereo_SplatAt"].execute(dots((0.0, 0.1, 0.2), (0.1, 0.2, 0.3)), 0.0, False).args
    getattr(splat, name)[0, 1] = value
    if name in ("opacities", "sh") and value == INFINITE:  # as opaque, and as bright, as can be
        assert see(host, splat)[0].isfinite().all()
        return
    for run in (lambda: see(host, splat), lambda: host["Stereo_SplatSave"].execute(splat, "splatv", "splats/bad")):
        with pytest.raises(ValueError, match=r"^splat: \w+: holds NaN or infinite values"):
            run()
