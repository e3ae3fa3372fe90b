"""The bench of StereoDiffusion's tables, on weights that were never trained and pairs of noise."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from tests.host.bench.replaced import replace_in_place
from tests.host.tiny.depth_networks import make_depth_anything
from tests.host.tiny.files import make_sd15
from tests.host.tiny.weights import save
from tools.benchmarks import own_models
from tools.benchmarks import stereodiffusion as bench
from tools.benchmarks.kept_figures import describe_network, keep_settings
from tools.benchmarks.stereo_folders import find_pairs, load_pair
from tools.benchmarks.stereodiffusion_methods import OF_LEFT, SAMPLED, estimate_depth, load_network

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


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("left/a.png", b"\x89PNG\r\n\x1a\n\0", "a.png cannot be read: .* Download it again"),
        ("right/a.png", b"", "a.png cannot be read"),
        ("disp/a.pfm", b"Pf\n96 64\n-1.0\n123", "a.pfm is cut short"),
        ("disp/a.pfm", b"PF\n96 64\n-1.0\n", "a.pfm is a PFM of three colours"),
        ("disp/a.pfm", b"Pf\n96\n", "a.pfm is damaged: its head"),
        ("disp/a.npy", b"\x93NUMPY", "a.npy cannot be read"),
        ("disp/a.npy", np.zeros(96 * 64), r"a.npy holds float64 of \(6144,\). Save an array of numbers \(H, W\)"),
        ("disp/a.npy", np.array([None]), "a.npy cannot be read: Object arrays"),
        ("disp/a.npy", np.ones((64, 90)), "are 96x64, 96x64, 90x64. All three need the same size"),
        ("disp/a.npy", np.full((64, 96), -np.inf), "holds no known disparity"),
        ("disp/a.png", Image.new("L", (96, 64), 9), "a.png is no grey PNG of 16 bits"),
        ("disp/a.exr", b"v/1\1", "a.exr is not read as a disparity. Save a PFM"),
    ],
)
def test_a_damaged_file_is_named(file: str, content: bytes | np.ndarray | Image.Image, said: str, tmp_path: Path):
    folder = make_folder("pairs", tmp_path)
    if file.startswith("disp"):
        (folder / "disp" / "a.npy").unlink()
    if isinstance(content, bytes):
        (folder / file).write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(folder / file, content)
    else:
        content.save(folder / file)
    _, (files,) = find_pairs(folder)
    with pytest.raises(ValueError, match=said):
        load_pair(files, "pairs", 64)


def test_pairs_are_found_by_their_stems_and_what_lacks_a_file_is_told(tmp_path: Path):
    folder = make_folder("pairs", tmp_path / "own")
    (folder / "right" / "a.png").rename(folder / "right" / "a.PNG")
    Image.open(folder / "left" / "a.png").convert("L").save(folder / "left" / "b ü.jpg")
    Image.open(folder / "right" / "a.PNG").save(folder / "right" / "b ü.webp")
    write_pfm(folder / "disp" / "b ü.PFM", pair()[2])
    Image.open(folder / "left" / "a.png").save(folder / "left" / "c.png")
    kind, (a, b, c) = find_pairs(folder)
    assert kind == "pairs" and a.right.name == "a.PNG" and b.right.name == "b ü.webp"
    assert load_pair(b, kind, 64).left.shape == (1, 3, 64, 64)
    with pytest.raises(ValueError, match="there is no .*right.c.png"):
        load_pair(c, kind, 64)

    scenes = make_folder("middlebury", tmp_path / "all" / "of" / "them")
    assert [files.name for files in find_pairs(scenes / "Scene")[1]] == ["Scene"]  # a scene by itself
    with pytest.raises(FileNotFoundError, match=f"Pairs lie in {scenes}: name that folder"):
        find_pairs(tmp_path / "all")
    (scenes / "Scene" / "disp0.pfm").unlink()
    with pytest.raises(FileNotFoundError, match="Scene has no .*disp0.pfm"):
        find_pairs(scenes)


def test_folders_as_they_unpack(tmp_path: Path):
    kitti = make_folder("kitti", tmp_path / "kitti") / "training"
    for year, older in (("image_2", "colored_0"), ("image_3", "colored_1"), ("disp_occ_0", "disp_occ")):
        shutil.copy(kitti / year / "000000_10.png", kitti / year / "000000_11.png")
        shutil.copytree(kitti / year, kitti / older)
    (kitti / "disp_occ" / "000000_10.png").rename(kitti / "disp_occ" / "000003_10.png")
    shutil.copy(kitti / "disp_occ" / "000003_10.png", kitti / "disp_occ" / "000000_10.png")
    names = [files.name for files in find_pairs(tmp_path / "kitti")[1]]
    assert names == ["image_2 000000_10", "colored_0 000000_10", "000003_10"]  # both years count from 0

    scene = make_folder("middlebury", tmp_path / "2014") / "Scene"
    scene.rename(tmp_path / "Scene")
    shutil.copytree(tmp_path / "Scene", scene / "Scene")  # Windows unpacks Scene.zip into Scene
    (scene / "Scene" / "disp0.pfm").rename(scene / "Scene" / "disp0GT.pfm")  # of the evaluation's training sets
    with pytest.raises(
        FileNotFoundError, match="no pair of the layout kitti .* Its layout is middlebury: leave --kind"
    ):
        find_pairs(tmp_path / "2014", "kitti")
    (files,) = find_pairs(tmp_path / "2014")[1]
    assert files.name == "Scene" and load_pair(files, "middlebury", 64).name == "Scene"
    assert [each.name for each in find_pairs(scene)[1]] == ["Scene"]


@pytest.mark.parametrize(
    ("kind", "left"), [("middlebury", "im0.png"), ("kitti", "image_2/000000_10.png"), ("pairs", "left/a.png")]
)
def test_a_pair_whose_left_view_is_missing_is_told(kind: str, left: str, tmp_path: Path):
    next(iter(make_folder(kind, tmp_path).rglob(left))).unlink()
    with pytest.raises(FileNotFoundError, match=rf"has no .*{Path(left).name}\."):
        find_pairs(tmp_path, kind)


def test_pictures_of_16_bits_or_on_their_side_are_shown_as_they_are(tmp_path: Path):
    folder = make_folder("pairs", tmp_path)
    with Image.open(folder / "left" / "a.png") as left:
        grey = left.convert("L")
    grey.save(folder / "left" / "a.png")
    seen = load_pair(find_pairs(folder)[1][0], "pairs", 64).left
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "left" / "a.png")
    assert load_pair(find_pairs(folder)[1][0], "pairs", 64).left.equal(seen)
    (folder / "left" / "a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone held upright says that the picture is to be turned
    grey.rotate(90, expand=True).save(folder / "left" / "a.jpg", quality=100, subsampling=0, exif=exif)
    assert (load_pair(find_pairs(folder)[1][0], "pairs", 64).left - seen).abs().max() < 0.05


def test_figures_of_other_weights_or_settings_are_refused(tmp_path: Path):
    for folder, byte in (("one", b"1"), ("two", b"2")):  # fine-tuned, so of one name and size
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_bytes(b"\0" * 100_000 + byte + b"\0" * 100_000)
    one, two = (describe_network(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one != two and one.split(",")[:2] == two.split(",")[:2]
    assert one in describe_network(tmp_path / "one")
    for name, vae in (("one", b"1"), ("two", b"2")):  # one VAE or another within a checkpoint
        (tmp_path / name / "whole.ckpt").write_bytes(b"\0" * 3_000_000 + vae * 80_000 + b"\0" * 1_000_000)
    assert len({describe_network(tmp_path / name / "whole.ckpt") for name in ("one", "two")}) == 2
    for model in (two, one):  # without figures nothing is mixed
        keep_settings(tmp_path, {"model": model, "more": None}, ["more"])
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "a.json").touch()
    with pytest.raises(ValueError, match="another model"):
        keep_settings(tmp_path, {"model": two, "more": None}, ["more"])
    for more in ("a", None, "a"):  # which may come later
        keep_settings(tmp_path, {"model": one, "more": more}, ["more"])
    with pytest.raises(ValueError, match="another more"):
        keep_settings(tmp_path, {"model": one, "more": "b"}, ["more"])
    keep_settings(tmp_path, {"model": one, "further": {"dpt": "1"}}, ["further"])
    keep_settings(tmp_path, {"model": one, "further": {"zoe": "1"}}, ["further"])
    with pytest.raises(ValueError, match="another further"):
        keep_settings(tmp_path, {"model": one, "further": {"dpt": "2"}}, ["further"])
    for machine in ("CPU", "GPU", "CPU"):
        keep_settings(tmp_path, {"model": one}, surroundings=machine)
    assert json.loads((tmp_path / "settings.json").read_text()) == {"model": one, "run with": ["GPU", "CPU"]}
    with pytest.raises(ValueError, match="--out: .*model.safetensors is a file. Name a folder"):
        keep_settings(tmp_path / "one" / "model.safetensors", {"model": one})
    with pytest.raises(ValueError, match=r"--out: .*below cannot be written to \(.*\). Name another folder"):
        keep_settings(tmp_path / "one" / "model.safetensors" / "below", {"model": one})
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="--out: .*settings.json is damaged: .* Name another folder"):
        keep_settings(tmp_path, {"model": one}, [])
    for other in ('{"editor.fontSize": 12}', "[1]"):  # of an editor, with nothing of ours beside it
        alone = tmp_path / "mine" / "settings.json"
        alone.parent.mkdir(exist_ok=True)
        alone.write_text(other)
        with pytest.raises(ValueError, match="--out: .*settings.json is of something else. Name another folder"):
            keep_settings(alone.parent, {"model": one}, [])
        assert alone.read_text() == other


def test_files_of_one_name_are_told_apart_and_what_the_host_cannot_load_is_named(
    own_folders: dict[str, type], tmp_path: Path
):
    import folder_paths

    for name in ("one", "two", "one"):
        file = tmp_path / name / "model.safetensors"
        save({name: torch.zeros(3)}, file)
        given = own_models.admit("checkpoints", file)
        assert Path(folder_paths.get_full_path("checkpoints", given)) == file
    page, text, empty = tmp_path / "model.ckpt", tmp_path / "text.ckpt", tmp_path / "empty.safetensors"
    page.write_text("<html>not what you asked for</html>")
    text.write_text("text")
    empty.touch()
    for broken in (file, page, text, empty):
        with pytest.raises(
            ValueError, match=rf"--picture-model: ComfyUI cannot load {broken}: .*[^.]\. Give .*SD 1.5"
        ) as caught:
            load_network(own_folders, broken, "", "--picture-model")
        assert "weights_only" not in str(caught.value)


def test_what_a_node_says_of_its_widget_names_the_option(own_folders: dict[str, type], tmp_path: Path, pack: Any):
    page = tmp_path / "page.safetensors"
    page.write_text("<html>")
    (tmp_path / "dpt").mkdir()
    (tmp_path / "dpt" / "config.json").write_text("{}")
    crafter = tmp_path / "crafter.safetensors"
    save({pack("nodes.depth.depthcrafter_weights").MARK: torch.zeros(1)}, crafter)
    for file, said in ((page, "cannot be read"), (tmp_path / "dpt", "has no "), (crafter, "is DepthCrafter")):
        with pytest.raises(ValueError, match=f"^--depth-model: {file} {said}"):
            estimate_depth(own_folders, file)
    with (
        pytest.raises(ValueError, match="^--svd: of another kind"),
        own_models.naming("--depth", page, "", {"vae": "--svd"}),
    ):
        raise ValueError("vae: of another kind")
    with (
        pytest.raises(ValueError, match="--a: ComfyUI cannot load .*: bad value. Give b."),
        own_models.naming("--a", page, "Give b."),
    ):
        raise ValueError("bad value")
    options = SimpleNamespace(max_disparity=1, sampler="euler")
    for said, shown in (
        ("max_disparity: too large. Lower it.", "--max-disparity: too large. Lower it."),
        ("sampler_name: draws noise.", "--sampler: draws noise."),
        ("reach: is no option here.", "reach: is no option here."),
        ("--out: is named already.", "--out: is named already."),
    ):
        assert own_models.told(ValueError(said), options) == shown


def test_a_run_that_is_stopped_says_that_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(own_models, "load_host", stopped)
    (tmp_path / "sd15.safetensors").touch()
    command = ["--checkpoint", str(tmp_path / "sd15.safetensors"), "--data", str(make_folder("kitti", tmp_path / "k"))]
    assert bench.main(command) == 130
    assert "Type the same command again" in capsys.readouterr().out
    for error, said in (
        (OSError(errno.ENOSPC, "No space left"), "The disk is full: free some of it, then type the same command"),
        (torch.OutOfMemoryError("out of memory.\nand more"), "The memory of the GPU is too small: out of memory"),
        (own_models.UnfitError("--model: not these"), "--model: not these"),
    ):
        monkeypatch.setattr(own_models, "load_host", Mock(side_effect=error))
        assert bench.main(command) == 1
        assert said in capsys.readouterr().out
    for wrong in (["--limit", "0"], ["--size", "100"], ["--steps", "x"], ["--paper-scale", "0"]):
        with pytest.raises(SystemExit):
            bench.main([*command, *wrong])
        assert f"argument {wrong[0]}: " in capsys.readouterr().err


def test_what_lpips_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(own_models, "find_spec", lambda _: None)
    assert "-m pip install lpips" in own_models.missing_lpips(None)
    monkeypatch.setattr(own_models, "find_spec", lambda name: name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    said = own_models.missing_lpips(None)
    assert own_models.ALEXNET in said and str(tmp_path / "hub" / "checkpoints") in said and "--alexnet" in said
    (tmp_path / "mine.pth").touch()
    assert own_models.missing_lpips(tmp_path / "mine.pth") is None
    monkeypatch.setattr(bench, "load_lpips", Mock(side_effect=ValueError("mine.pth does not hold them.")))
    with pytest.raises(ValueError, match="--alexnet: mine.pth does not"):
        bench.load_judge(tmp_path / "mine.pth")
    with pytest.raises(FileNotFoundError, match="--alexnet: there is no file"):
        (tmp_path / "sd15.safetensors").touch()
        command = ["--checkpoint", str(tmp_path / "sd15.safetensors"), "--data", str(tmp_path), "--alexnet", "other"]
        bench._expect_files(bench._parser().parse_args(command))


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = tmp_path / "sd15.safetensors"
    command = ["--checkpoint", str(weights), "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    assert bench.main(command) == 1
    assert "no file" in (said := capsys.readouterr().out) and "Stable Diffusion 1.5" in said
    weights.mkdir()
    assert bench.main(command) == 1
    assert f"--checkpoint: {weights} is a folder. Name the file in it" in capsys.readouterr().out
    weights.rmdir()
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
    with pytest.raises(ValueError, match="at most 5.1 columns of the picture, and 8 are .* larger --size"):
        bench.expect_shift(stretched)
    bench.expect_shift(fitted)
    pole = torch.full((1, 1, 64, 64), 2.0)
    pole[..., 30] = 9  # between the cells' centers, so that the latent does not have it
    with pytest.raises(ValueError, match="there it is at most 2.0 columns"):
        bench.expect_shift(pole)


def test_names_of_a_sheet_do_not_overlap(tmp_path: Path):
    names = ["left", "everything: + renewals, left_kv, Deblur", "depth by ein_sehr_langer_Name_ohne_Leerzeichen"]
    bench.draw_sheet({name: torch.zeros(1, 3, 8, 64) for name in names}, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        across = sheet.width // 5
        ink = np.asarray(sheet.convert("L"))[:-8, : 3 * across].reshape(-1, 3, across)
    assert across > 64 and (ink.min(axis=(0, 2)) < 128).all()  # all are there
    assert (ink[:, :, -3:] == 255).all() and (ink[:2] == 255).all()  # within their own column, and from the top on


def test_a_depth_model_is_taken_from_where_it_lies(own_folders: dict[str, type], tmp_path: Path):
    make_depth_anything(tmp_path / "networks" / "tiny_for_bench")
    _, (files,) = find_pairs(make_folder("pairs", tmp_path / "data"))
    depth = estimate_depth(own_folders, tmp_path / "networks" / "tiny_for_bench")(load_pair(files, "pairs", 64).left)
    assert depth.shape == (1, 1, 64, 64)
    assert 0 <= depth.min() < 0.25 and 0.75 < depth.max() <= 1


def test_every_row_is_measured_once(
    own_folders: dict[str, type],
    host_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    weights = tmp_path / "sd15.safetensors"
    make_sd15(weights, host_path)
    data, out = make_folder("middlebury", tmp_path / "data"), tmp_path / "out"
    (data / "Half").mkdir()
    (data / "Half" / "im0.png").write_bytes((data / "Scene" / "im0.png").read_bytes())
    command = ["--checkpoint", str(weights), "--data", str(data), "--out", str(out)]
    command += ["--size", "64", "--steps", "2", "--inner-steps", "1"]
    options = bench._parser().parse_args(command)
    assert bench.run(own_folders, options) == 0
    printed = capsys.readouterr().out
    assert "| published | 15.456 +2.669 -3.313 |" in printed
    assert "Half is left out: there is no" in printed and "Scene took " in printed
    kept = out / "scenes" / "Scene.json"
    figures = json.loads(kept.read_text())
    assert set(SAMPLED) | set(OF_LEFT) < figures.keys()
    for name, found in figures.items():
        assert f"| {name} |" in printed
        assert len(found) - ("LPIPS" in found) == (2 if name in OF_LEFT else 6)
        assert all(isinstance(value, float) for value in found.values())
    assert figures["Image Stereo Shift"]["PSNR visible"] > figures["shift alone"]["PSNR visible"] + 3
    with Image.open(out / "sheets" / "Scene.png") as sheet:
        assert sheet.width >= 5 * 64 and sheet.height >= -(-(len(figures) + 2) // 5) * 80

    settings = json.loads((out / "settings.json").read_text())  # all that it takes to do it again
    assert settings["steps"] == 2 and settings["recipe"]["all rows"]["sampler_name"] == "euler"
    assert settings["recipe"].keys() > SAMPLED.keys() and settings["recipe"]["shift alone"]["attention"] == "none"
    assert re.fullmatch(r"Latent Stereo [\d.]+, ComfyUI [\d.]+, .* torch .*", settings["run with"][0])
    changed = {**settings, "recipe": {**settings["recipe"], "shift alone": {}}}  # by another version of this pack
    (out / "settings.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match="another recipe"):
        bench.run(own_folders, options)
    (out / "settings.json").write_text(json.dumps(settings))

    figures["stretch"]["PSNR"] = 12.34  # kept, so not measured again
    kept.write_text(json.dumps(figures))
    assert bench.run(own_folders, options) == 0
    assert "| stretch | 12.34 |" in (said := capsys.readouterr().out) and "others" not in said
    replace_in_place(data / "Scene" / "disp0.pfm")
    monkeypatch.setattr(bench, "measure_scene", lambda *_: {**figures, "stretch": {"PSNR": 56.78}})
    assert bench.run(own_folders, options) == 0
    assert "Scene: its files are others" in (said := capsys.readouterr().out) and "| stretch | 56.78 |" in said
    elsewhere = str(make_folder("middlebury", tmp_path / "other" / "data"))  # whose scene has the same name
    with pytest.raises(ValueError, match="another data"):
        bench.run(own_folders, bench._parser().parse_args([*command, "--data", elsewhere]))
    with pytest.raises(ValueError, match="another paper_scale"):
        bench.run(own_folders, bench._parser().parse_args([*command, "--paper-scale"]))
