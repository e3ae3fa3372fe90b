"""The bench of StereoDiffusion's tables, on weights that were never trained and pairs of noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.host.tiny.depth_networks import make_depth_anything
from tests.host.tiny.files import make_sd15
from tools.benchmarks import stereodiffusion as bench
from tools.benchmarks.stereo_folders import find_pairs, load_pair
from tools.benchmarks.stereodiffusion_methods import OF_LEFT, SAMPLED, estimate_depth

HEIGHT, WIDTH, SHIFT = 64, 96, 12


def write_pfm(file: Path, values: np.ndarray) -> None:
    height, width = values.shape
    file.write_bytes(b"Pf\n%d %d\n-1.0\n" % (width, height) + values[::-1].astype("<f4").tobytes())


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth noise, whose lower half lies SHIFT columns nearer than its upper one, and its disparity."""
    rough = np.random.default_rng(seed).integers(0, 255, (HEIGHT // 8, WIDTH // 8 + 3, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(rough).resize((WIDTH + 24, HEIGHT), Image.Resampling.BICUBIC))
    disparity = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    disparity[HEIGHT // 2 :] += SHIFT
    right = np.stack([row[d : d + WIDTH] for row, d in zip(wide, disparity[:, 0].astype(int), strict=True)])
    return wide[:, :WIDTH], right, disparity


def make_folder(kind: str, folder: Path) -> Path:
    left, right, disparity = pair()
    if kind == "middlebury":
        files = [folder / "Scene" / name for name in ("im0.png", "im1.png", "disp0.pfm")]
    elif kind == "kitti":
        files = [folder / "training" / part / "000000_10.png" for part in ("image_2", "image_3", "disp_occ_0")]
    else:
        files = [folder / name for name in ("left/a.png", "right/a.png", "disp/a.npy")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(left).save(files[0])
    Image.fromarray(right).save(files[1])
    if kind == "middlebury":
        disparity[5, 5] = np.inf
        write_pfm(files[2], disparity)
    elif kind == "kitti":
        disparity[5, 5] = 0
        Image.fromarray((disparity * 256).astype(np.uint16)).save(files[2])
    else:
        np.save(files[2], disparity)
    return folder


@pytest.mark.parametrize(("kind", "scale"), [("middlebury", 64 / 96), ("kitti", 1.0), ("pairs", 64 / 96)])
def test_every_layout_is_read_in_columns_of_what_is_shown(kind: str, scale: float, tmp_path: Path):
    found, (files,) = find_pairs(make_folder(kind, tmp_path))
    assert found == kind
    scene = load_pair(files, kind, 64)
    assert scene.left.shape == scene.right.shape == (1, 3, 64, 64)
    assert scene.disparity.shape == (1, 1, 64, 64)
    assert scene.disparity[..., 0, :].numpy() == pytest.approx(2 * scale, abs=0.01)
    assert scene.disparity[..., -1, :].numpy() == pytest.approx((2 + SHIFT) * scale, abs=0.01)
    step = scene.disparity[0, 0, :, 0].diff().abs().max()
    assert (step < SHIFT * scale / 2) == (kind == "middlebury")  # whose disparity alone is blurred
    shifted = bench.forward_warp(scene.left, scene.disparity)
    assert bench.psnr(shifted.image, scene.right, shifted.filled) > bench.psnr(scene.left, scene.right) + 3


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = tmp_path / "sd15.safetensors"
    command = ["--checkpoint", str(weights), "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    assert bench.main(command) == 1
    assert "no file" in (said := capsys.readouterr().out) and "Stable Diffusion 1.5" in said
    weights.touch()
    assert bench.main(command) == 1
    assert "no folder" in (said := capsys.readouterr().out) and "vision.middlebury.edu" in said
    (tmp_path / "photos").mkdir()
    assert bench.main([*command, "--kind", "kitti"]) == 1
    assert "no pair of the layout kitti" in capsys.readouterr().out
    assert bench.main([*command, "--depth-model", str(tmp_path / "dpt")]) == 1
    assert "Intel/dpt" in capsys.readouterr().out


def test_an_estimate_is_brought_to_the_scale_that_is_asked_for(tmp_path: Path):
    _, (files,) = find_pairs(make_folder("pairs", tmp_path))
    scene = load_pair(files, "pairs", 64)
    fitted = bench.given_disparity(scene, lambda _: scene.disparity / 50 + 0.3, None)
    torch.testing.assert_close(fitted, scene.disparity)
    stretched = bench.given_disparity(scene, None, 8.0)
    assert stretched.min() == 0 and float(stretched.max()) == pytest.approx(0.08 * 64)


def test_a_depth_model_is_taken_from_where_it_lies(own_folders: dict[str, type], tmp_path: Path):
    make_depth_anything(tmp_path / "networks" / "tiny_for_bench")
    _, (files,) = find_pairs(make_folder("pairs", tmp_path / "data"))
    depth = estimate_depth(own_folders, tmp_path / "networks" / "tiny_for_bench")(load_pair(files, "pairs", 64).left)
    assert depth.shape == (1, 1, 64, 64)
    assert 0 <= depth.min() < 0.25 and 0.75 < depth.max() <= 1


def test_every_row_is_measured_once(
    own_folders: dict[str, type], host_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights = tmp_path / "sd15.safetensors"
    make_sd15(weights, host_path)
    data, out = make_folder("middlebury", tmp_path / "data"), tmp_path / "out"
    command = ["--checkpoint", str(weights), "--data", str(data), "--out", str(out)]
    command += ["--size", "64", "--steps", "2", "--inner-steps", "1"]
    options = bench._parser().parse_args(command)
    assert bench.run(own_folders, options) == 0
    printed = capsys.readouterr().out
    assert "| published | 15.456 +2.669 -3.313 |" in printed
    kept = out / "scenes" / "Scene.json"
    figures = json.loads(kept.read_text())
    assert set(SAMPLED) | set(OF_LEFT) < figures.keys()
    for name, found in figures.items():
        assert f"| {name} |" in printed
        assert len(found) - ("LPIPS" in found) == (2 if name in OF_LEFT else 6)
        assert all(isinstance(value, float) for value in found.values())
    assert figures["Image Stereo Shift"]["PSNR visible"] > figures["shift alone"]["PSNR visible"] + 3
    with Image.open(out / "sheets" / "Scene.png") as sheet:
        assert sheet.size == (5 * 64, -(-(len(figures) + 2) // 5) * 80)

    figures["stretch"]["PSNR"] = 12.34  # kept, so not measured again
    kept.write_text(json.dumps(figures))
    assert bench.run(own_folders, options) == 0
    assert "| stretch | 12.34 |" in capsys.readouterr().out
    with pytest.raises(ValueError, match="another paper_scale"):
        bench.run(own_folders, bench._parser().parse_args([*command, "--paper-scale"]))
