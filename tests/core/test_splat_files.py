"""Files of moving Gaussians, read again by readers that share nothing with what wrote them."""

from __future__ import annotations

import dataclasses
import json
import math
import struct

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core.cameras import Orbit
from stereo_core.splat_files import from_harmonics, ply, splatv, to_harmonics, turned
from stereo_core.splat_scene import SplatScene
from stereo_core.splatting import rotation_matrices


def scene(frames: int = 5, count: int = 7, seed: int = 0) -> SplatScene:
    """Gaussians that each follow a cubic of their own, and turn a little."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.linspace(-0.5, 0.5, frames)[:, None, None] if frames > 1 else torch.zeros(1, 1, 1)
    powers = [torch.randn(count, 3, generator=generator) * times**power / 2 for power in range(4)]
    start, turn = (torch.randn(count, 4, generator=generator) for _ in range(2))
    return SplatScene(
        sum(powers, torch.zeros(frames, count, 3)),
        functional.normalize(functional.normalize(start, dim=-1) + 0.2 * turn * times, dim=-1),
        torch.rand(count, 3, generator=generator) / 10 + 0.001,
        torch.rand(count, 1, generator=generator),
        torch.rand(count, 3, generator=generator),
        Orbit(elevation=20),
    )


def read_ply(data: bytes) -> dict[str, list[float]]:
    head, _, body = data.partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    count = int(next(line.split()[2] for line in lines if line.startswith("element vertex ")))
    assert len(body) == 4 * count * len(names)
    rows = list(struct.iter_unpack(f"<{len(names)}f", body))
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}


def read_splatv(data: bytes, time: float) -> list[dict[str, object]]:
    """What a player draws at a time from 0 to 1."""
    magic, length = struct.unpack_from("<II", data)
    (told,) = json.loads(data[8 : 8 + length])
    texture = data[8 + length :]
    assert magic == 0x674B and told["type"] == "splat"
    assert len(texture) == told["size"] == told["texwidth"] * told["texheight"] * 16
    found = []
    for values in struct.iter_unpack("<3f 4e 3e2x 4B 9e2x 4e 2e", texture):
        x, q, scale, rgba, motion, turn = (
            values[a:b] for a, b in ((0, 3), (3, 7), (7, 10), (10, 14), (14, 23), (23, 27))
        )
        center, width = values[27:]
        if width == 0:
            continue  # what fills the texture's last row
        t = time - center
        place = [x[i] + motion[i] * t + motion[3 + i] * t**2 + motion[6 + i] * t**3 for i in range(3)]
        turned = [a + b * t for a, b in zip(q, turn, strict=True)]
        norm = math.hypot(*turned)
        share = math.exp(-((t / width) ** 2))
        found.append({"place": place, "q": [a / norm for a in turned], "scale": scale, "rgba": rgba, "share": share})
    return found


def matrices(quaternions: Tensor) -> Tensor:
    return rotation_matrices(quaternions.float())


def test_the_turn_is_half_a_turn_about_x_and_undoes_itself():
    given = scene(1)
    positions, rotations = turned(given.positions[0], given.rotations[0])
    half = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(positions, given.positions[0] @ half)
    torch.testing.assert_close(matrices(rotations), half @ matrices(given.rotations[0]))
    again = turned(positions, rotations)
    torch.testing.assert_close(again[0], given.positions[0])
    torch.testing.assert_close(matrices(again[1]), matrices(given.rotations[0]))


def test_colors_go_to_harmonics_and_back():
    colors = torch.rand(9, 3)
    torch.testing.assert_close(from_harmonics(to_harmonics(colors)), colors)


@pytest.mark.parametrize("time", [0.0, 0.4, 1.0])
def test_a_ply_holds_the_scene_of_its_time(time: float):
    given = scene()
    still, read = given.at(time), read_ply(ply(given, time))

    def column(*names: str) -> Tensor:
        return torch.tensor([read[name] for name in names]).T

    positions, rotations = turned(still.positions[0], still.rotations[0])
    torch.testing.assert_close(column("x", "y", "z"), positions)
    torch.testing.assert_close(column("rot_0", "rot_1", "rot_2", "rot_3"), rotations)
    torch.testing.assert_close(column("scale_0", "scale_1", "scale_2").exp(), still.scales)
    torch.testing.assert_close(column("opacity").sigmoid(), still.opacities, atol=2e-6, rtol=0)
    torch.testing.assert_close(0.5 + 0.28209479 * column("f_dc_0", "f_dc_1", "f_dc_2"), still.colors)
    assert not any(map(any, (read["nx"], read["ny"], read["nz"])))


def test_what_is_opaque_or_empty_stays_finite_in_a_ply():
    given = scene(1, 2)
    still = SplatScene(
        given.positions,
        given.rotations,
        given.scales,
        torch.tensor([[0.0], [1.0]]),
        torch.tensor([[0.0] * 3, [1.0] * 3]),
    )
    opacity = torch.tensor(read_ply(ply(still))["opacity"])
    assert opacity.isfinite().all() and opacity.sigmoid().tolist() == pytest.approx([0, 1], abs=2e-6)


@pytest.mark.parametrize(("frames", "count"), [(5, 7), (9, 1500), (3, 4), (2, 4), (1, 4)])
def test_a_splatv_gives_cubics_back(frames: int, count: int):
    """Knots that lie on a cubic (of as few as can tell it, on a parabola, a line, a point)."""
    given = scene(frames, count)
    file = splatv(given)
    assert file.error.worst < 2e-3 and file.error.typical < 1e-3, "a half holds three digits of the motion"
    for frame in range(frames):
        read = read_splatv(file.data, frame / (frames - 1) if frames > 1 else 0.5)
        positions, _ = turned(given.positions[frame], given.rotations[frame])
        assert len(read) == count
        torch.testing.assert_close(torch.tensor([one["place"] for one in read]), positions, atol=2e-3, rtol=0)
        assert all(one["share"] == pytest.approx(1) for one in read)


def test_a_splatv_holds_shape_color_and_rotation():
    given = scene()
    read = read_splatv(splatv(given).data, 0.75)
    torch.testing.assert_close(torch.tensor([one["scale"] for one in read]), given.scales, atol=1e-4, rtol=1e-3)
    rgba = torch.tensor([one["rgba"] for one in read]) / 255
    torch.testing.assert_close(rgba, torch.cat([given.colors, given.opacities], dim=1), atol=0.5 / 255 + 1e-6, rtol=0)
    rotations = turned(given.positions[3], given.rotations[3])[1]
    torch.testing.assert_close(
        matrices(torch.tensor([one["q"] for one in read])), matrices(rotations), atol=2e-2, rtol=0
    )


@pytest.mark.parametrize(("size", "held"), [(1e6, 65504.0), (1e-12, 2.0**-24)])
def test_what_no_half_can_hold_is_the_nearest_that_one_can(size: float, held: float):
    given = dataclasses.replace(scene(), scales=torch.full((7, 3), size))
    assert [one["scale"] for one in read_splatv(splatv(given).data, 0.5)] == [pytest.approx((held,) * 3)] * 7


def test_signs_of_quaternions_do_not_matter():
    given = scene()
    signs = torch.tensor([1.0, -1, -1, 1, -1])[:, None, None]
    flipped = SplatScene(given.positions, signs * given.rotations, given.scales, given.opacities, given.colors)
    assert splatv(flipped).error.degrees < 2
    assert splatv(flipped).error.degrees == pytest.approx(splatv(given).error.degrees, rel=1e-3)


def test_what_no_cubic_follows_is_told():
    """A jump of one at the middle: by symmetry the nearest cubic is odd, and leaves a known rest."""
    frames = 9
    jump = torch.zeros(frames, 1, 3)
    jump[frames // 2 + 1 :, :, 0], jump[frames // 2, :, 0] = 1, 0.5
    given = scene(frames, 1)
    file = splatv(
        SplatScene(jump, given.rotations[:1].expand(frames, 1, 4), given.scales, given.opacities, given.colors)
    )
    times = torch.linspace(-0.5, 0.5, frames).double()
    odd = torch.stack([times, times**3], dim=1)
    rest = jump[:, 0, 0].double() - 0.5 - odd @ torch.linalg.lstsq(odd, jump[:, 0, :1].double() - 0.5).solution[:, 0]
    assert file.error.typical == pytest.approx(float(rest.square().mean().sqrt()), abs=1e-3)
    assert file.error.worst == pytest.approx(float(rest.abs().max()), abs=1e-3)


def test_the_camera_of_a_splatv_sees_what_the_reference_camera_sees():
    given = scene(1)
    data = splatv(given).data
    (told,) = json.loads(data[8 : 8 + struct.unpack_from("<I", data, 4)[0]])
    (camera,) = told["cameras"]
    positions, _ = turned(given.positions[0], given.rotations[0])
    seen = (positions - torch.tensor(camera["position"])) @ torch.tensor(camera["rotation"])
    torch.testing.assert_close(seen, given.orbit.camera(0, 64, 64).seen(given.positions[0]), atol=1e-5, rtol=0)
