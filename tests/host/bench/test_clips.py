"""The bench of StereoCrafter-Zero's tables, on a video model that was never trained and a made depth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.host.bench.replaced import replace_in_place
from tests.host.tiny import autoencoders, transformers
from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.depth_networks import make_depth_anything
from tests.host.tiny.families import load
from tests.host.tiny.weights import save
from tools.benchmarks import clips as bench
from tools.benchmarks import clips_measures as measures
from tools.benchmarks.clips_depth import MissingDepthError, depth_name, map_files, open_depth, read_maps
from tools.benchmarks.clips_methods import _expect_video
from tools.benchmarks.clips_published import FRAMES, FULL, METHODS, RESTART, TABLE_4, row_name
from tools.benchmarks.kept_figures import keep_figures
from tools.benchmarks.own_models import UnfitError

WIDTH, HEIGHT, FRAMES_OF_CLIP, TEXT = 64, 32, 5, 768
STILL = torch.full((1, 1, 64, 64), 6.0)


class Words:
    """In place of a text encoder, whose smallest has 246 MB: noise that depends on the prompt."""

    def load_clip(self, name: str, kind: str) -> tuple[Any]:
        assert (name, kind) == ("words.safetensors", "wan")
        return (self,)

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list[list[Any]]:
        generator = torch.Generator().manual_seed(len(text))
        return [[torch.randn(1, 7, TEXT, generator=generator), {}]]


@pytest.fixture
def command(host: dict[str, type], tmp_path: Path) -> list[str]:  # noqa: ARG001  # the weights are of its classes
    """The options of a run on files that are there."""
    weights, metadata = transformers.wan(seed=31, text=TEXT)
    save(weights, tmp_path / "wan.safetensors", metadata=metadata)
    save(autoencoders.video(32), tmp_path / "vae.safetensors")
    (tmp_path / "words.safetensors").touch()
    (tmp_path / "prompts.txt").write_text("# ours\na red cube (turning)\n\n", encoding="utf-8")
    named = {"model": "wan.safetensors", "text-encoder": "words.safetensors", "vae": "vae.safetensors"}
    named |= {"prompts": "prompts.txt", "out": "out"}
    size = {"width": WIDTH, "height": HEIGHT, "frames": FRAMES_OF_CLIP, "steps": 6, "max-disparity": 30}
    files = [part for name, file in named.items() for part in (f"--{name}", str(tmp_path / file))]
    return files + [part for name, value in size.items() for part in (f"--{name}", str(value))]


def write_depth(folder: Path) -> None:
    """A near block that moves to the right over a slope, in steps of a film of 16 bits."""
    folder.mkdir(parents=True)
    for frame in range(FRAMES_OF_CLIP):
        maps = np.tile(np.linspace(0, 20000, WIDTH, dtype=np.uint16), (HEIGHT, 1))
        maps[8:-8, 12 + 4 * frame : 36 + 4 * frame] = 60000
        Image.fromarray(maps).save(folder / f"{frame:04d}.png")


def save_png(file: Path, picture: Image.Image) -> None:
    file.parent.mkdir(exist_ok=True)
    picture.save(file)


def test_the_tables_are_measured_once_and_row_by_row(
    own_folders: dict[str, type],
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(bench, "DISSOLVED", (0, 40))  # two of the five do
    host = {**own_folders, "CLIPLoader": Words}
    judges = measures.Judges(
        lambda prompt: torch.full((1, 12), float(len(prompt))),
        lambda pictures: torch.nn.functional.adaptive_avg_pool2d(pictures, 2).flatten(1) + 0.1,
        lambda pictures: torch.nn.functional.adaptive_avg_pool2d(pictures, 8),
        lambda left, right: float((left - right).abs().mean()),
    )
    run = bench.parser().parse_args([*command, "--tables", "1"])
    assert bench.run(host, run, judges) == 1  # no depth yet, but a left view to make it of
    ((clip, _),) = bench.read_prompts(run.prompts)
    folder = tmp_path / "out" / "clips" / clip
    said = capsys.readouterr().out
    assert f"{clip}.npy" in said and str(folder / "left") in said and "--picture-model" in said
    assert len(list((folder / "left").glob("*.png"))) == FRAMES_OF_CLIP
    write_depth(tmp_path / "out" / "depth" / clip)

    assert bench.run(host, run, judges) == 0
    said = capsys.readouterr().out
    found = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    assert len(found) == len(METHODS)  # the left view in place of what needs a picture model
    for name in METHODS:
        assert (f"| {name} |" in said) == (name != FRAMES)
    assert f"| {FRAMES}, published | 28.72 | 91.09 | 6.09 |" in said  # beneath no row of ours
    assert (folder / "prompt.txt").read_text() == "a red cube (turning)\n"
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["recipe"]["no repeats"]["most_repeats"] == 1 and "ComfyUI" in settings["run with"][0]
    full, restart, once = (found[name.replace(" ", "_")] for name in (FULL, RESTART, "no repeats"))
    assert set(full) == {*measures.MEASURES, "evaluations", "seconds"}
    assert all(isinstance(value, float) for value in full.values())
    assert found["left_view"]["evaluations"] == 12  # six steps with guidance
    assert full["evaluations"] > once["evaluations"] > found["left_view"]["evaluations"]
    assert restart["evaluations"] < full["evaluations"]
    assert found["warp_and_fill"]["evaluations"] == 0
    assert found["warp_and_fill"][measures.PSNR] > full[measures.PSNR]
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width == 5 * WIDTH and sheet.height >= 2 * (HEIGHT + 16)

    full[measures.CLIP_T] = 12.34  # kept, so not measured again
    (folder / "full_method.json").write_text(json.dumps(full))
    (folder / "warp_and_fill.json").unlink()
    assert bench.run(host, run, judges) == 0
    assert "| full method | 12.34 |" in capsys.readouterr().out
    assert (folder / "warp_and_fill.json").is_file()
    (folder / "sheet.png").unlink()  # as if the run had been stopped before it
    assert bench.run(host, run, judges) == 0 and (folder / "sheet.png").is_file()
    with pytest.raises(ValueError, match="another steps"):
        bench.run(host, bench.parser().parse_args([*command, "--steps", "5"]), judges)

    four = bench.parser().parse_args([*command, "--tables", "4"])
    assert bench.run(host, four, measures.Judges()) == 0
    said = capsys.readouterr().out
    assert f"| {row_name(40)} |" in said and TABLE_4[20][1].met3r in said
    dissolved = json.loads((folder / "full_method_dissolved_40.json").read_text())
    assert measures.CLIP_T not in dissolved and isinstance(dissolved[measures.PSNR], float)


def test_what_is_missing_is_named(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert bench.main([*command, "--clip", str(tmp_path / "clip.safetensors")]) == 1
    assert "--clip: there is no file" in (said := capsys.readouterr().out) and "openai/clip" in said
    assert bench.main([*command, "--picture-model", "sd15.safetensors"]) == 1
    assert "v1-5-pruned" in capsys.readouterr().out
    assert bench.main([*command, "--depth", str(tmp_path / "maps")]) == 1
    assert "--depth: there is no" in capsys.readouterr().out
    for name in ("one", "two"):
        (tmp_path / name / "dpt").mkdir(parents=True)
    assert bench.main([*command, "--depth", str(tmp_path / "one" / "dpt"), str(tmp_path / "two" / "dpt")]) == 1
    assert "--depth: two are called dpt" in capsys.readouterr().out
    (tmp_path / "prompts.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="--prompts: .* holds no prompt"):
        bench.read_prompts(tmp_path / "prompts.txt")
    (tmp_path / "prompts.txt").write_bytes("Käfer".encode("latin-1"))
    with pytest.raises(ValueError, match="--prompts: .* is no text in UTF-8"):
        bench.read_prompts(tmp_path / "prompts.txt")
    (tmp_path / "prompts.txt").write_text("\ufeff# from Notepad\n红色的球\n", encoding="utf-8")
    ((name, prompt),) = bench.read_prompts(tmp_path / "prompts.txt")
    assert prompt == "红色的球" and name.startswith("clip-")
    assert bench.main([*command, "--clip", *[str(tmp_path / "vae.safetensors")] * 3]) == 1
    assert "--clip: takes one file" in capsys.readouterr().out
    for wrong in (["--max-disparity", "0"], ["--convergence", "nan"], ["--cfg", "-1"], ["--frames", "0"]):
        with pytest.raises(SystemExit):
            bench.main([*command, *wrong])
        assert f"argument {wrong[0]}: " in capsys.readouterr().err
    assert [line.split(" ")[0] for line in measures.missing(None, None)] == ["CLIP-T", "features", "MEt3R"]
    assert [line.split(" ")[0] for line in measures.missing([tmp_path], None)] == ["MEt3R"]


def test_rows_whose_maps_were_made_again_are_wanted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = list(bench.rows_of(["1"], ["depth"], False))
    write_depth(tmp_path / "depth" / "clip")
    folder = tmp_path / "clips" / "clip"
    folder.mkdir(parents=True)
    for row in rows[1:]:
        keep_figures(folder / f"{bench._slug(row.name)}.json", {}, map_files(tmp_path / "depth", "clip"))
    assert bench.wanted_rows("clip", rows, [tmp_path / "depth"], folder) == rows[:1]
    assert not capsys.readouterr().out
    replace_in_place(tmp_path / "depth" / "clip" / "0001.png")
    assert bench.wanted_rows("clip", rows, [tmp_path / "depth"], folder) == rows
    assert capsys.readouterr().out.count("another than that of figures here") == 1


def test_sizes_and_names_that_the_host_does_not_have_are_refused(own_folders: dict[str, type], command: list[str]):
    host = {**own_folders, "CLIPLoader": Words}
    for option, value, said in (
        ("--width", "62", "--width: 62 is no multiple of"),
        ("--frames", "6", "--frames: this VAE makes 5 or 9, not 6"),
        ("--sampler", "eular", "--sampler: ComfyUI has no eular. Name one of: euler, "),
        ("--sampler", "dpm_fast", "sampler: dpm_fast chooses its own steps"),
        ("--scheduler", "plain", "--scheduler: ComfyUI has no plain"),
        ("--text-type", "wam", "--text-type: ComfyUI has no wam. Name one of: .*wan"),
    ):
        with pytest.raises(ValueError, match=said):
            bench.run(host, bench.parser().parse_args([*command, option, value]), measures.Judges())


def test_rows_are_those_of_the_tables():
    rows = list(bench.rows_of(["3", "6"], ["crafter", "dpt"], False))
    assert len({row.name for row in rows}) == len(rows) == 3 * 5 + 3
    assert row_name(0, 0.5, "dpt") == "full method, depth by dpt, half size"
    assert {row.source for row in rows if "dpt" in row.name} == {1}
    assert len(list(bench.rows_of(["3"], ["crafter", "dpt"], False))) == 2


def test_files_that_are_no_clip_are_named(own_folders: dict[str, type], tmp_path: Path):
    save({"text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(1)}, tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match="--clip: .*text.safetensors has no text_projection"):
        measures.load_judges(own_folders, [tmp_path / "text.safetensors"], None)
    with pytest.raises(ValueError, match="--features: ComfyUI finds no vision encoder in"):
        measures.load_judges(own_folders, None, tmp_path / "text.safetensors")
    (tmp_path / "page.safetensors").write_text("<html>")
    torch.save({"a": Words()}, tmp_path / "pickled.pt")
    for broken, said in (("page.safetensors", "it is cut short, or no"), ("pickled.pt", "it is no file of weights")):
        with pytest.raises(ValueError, match=rf"--features: ComfyUI cannot load .*{broken}: {said}.*\. Give CLIP's"):
            measures.load_judges(own_folders, None, tmp_path / broken)


def test_models_that_do_not_make_clips_of_a_prompt_together_are_refused(
    own_folders: dict[str, type], command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class OtherWords(Words):
        def encode_from_tokens_scheduled(self, text: str) -> list[list[Any]]:
            return [[torch.zeros(1, 7, len(text) + 1), {}]]

    save(autoencoders.picture(), tmp_path / "picture.safetensors")
    for changed, words, said in (
        (["--vae", str(tmp_path / "picture.safetensors")], Words, "--vae: its latents have 4 channels, those of .*16"),
        ([], OtherWords, "--model: it does not sample with this --text-encoder and .*is 21 wide"),
    ):
        with pytest.raises((ValueError, UnfitError), match=said):
            bench.run({**own_folders, "CLIPLoader": words}, bench.parser().parse_args([*command, *changed]))
    (tmp_path / "words.safetensors").unlink()
    save({"lora_unet.lora_up.weight": torch.zeros(3)}, tmp_path / "words.safetensors")
    with pytest.raises(ValueError, match=r"--text-encoder: .*words.safetensors is no text encoder that ComfyUI knows"):
        bench.run(own_folders, bench.parser().parse_args(command))
    for model, said in (("sd15", "pictures"), ("svd", "pictures"), ("wan_i2v", "image to video")):
        kind = "wan" if model == "wan_i2v" else model
        loaded = load(kind)
        if kind == "wan":
            monkeypatch.setattr(loaded.model, "image_to_video", True)
        with pytest.raises(ValueError, match=f"--model: it.safetensors is a model of {said}.*Give one of text to"):
            _expect_video(loaded, SimpleNamespace(latent_channels=16), Path("it.safetensors"))


class Metric(torch.nn.Module):
    """As MEt3R is called, with what its two networks ask of a picture's size."""

    def __init__(self, img_size: int, feature_backbone: str) -> None:
        super().__init__()
        self.size = img_size
        assert feature_backbone == "dinov2"

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.shape == (1, 2, 3, self.size, self.size)
        for patch in (14, 16):
            assert self.size % patch == 0, f"{self.size} is not a multiple of {patch}"
        return ((images[:, 0] - images[:, 1]).mean(dim=(1, 2, 3)),)


def install_met3r(monkeypatch: pytest.MonkeyPatch, metric: Any) -> None:
    stub = ModuleType("met3r")
    stub.MEt3R, stub.__spec__ = metric, SimpleNamespace()
    monkeypatch.setitem(sys.modules, "met3r", stub)


def test_met3r_gets_pairs_of_a_size_that_both_its_networks_take(
    monkeypatch: pytest.MonkeyPatch, own_folders: dict[str, type]
):
    install_met3r(monkeypatch, Metric)
    judges = measures.load_judges(own_folders, None, None)
    assert judges.met3r(torch.ones(2, 3, 32, 64), torch.zeros(2, 3, 32, 64)) == pytest.approx(2)


def test_met3r_that_does_not_work_is_told_before_a_clip_is_made(
    monkeypatch: pytest.MonkeyPatch, own_folders: dict[str, type]
):
    def offline(**_: Any) -> None:
        raise OSError("naver/MASt3R cannot be reached.\nand much more")

    class Odd(Metric):
        def forward(self, images: Tensor) -> tuple[Tensor]:
            raise RuntimeError(f"no kernel for {images.shape[-1]}")

    for metric, said in ((offline, "naver/MASt3R cannot be reached"), (Odd, "no kernel for 224")):
        install_met3r(monkeypatch, metric)
        with pytest.raises(ValueError, match=f"MEt3R: .* does not work: {said}. It needs PyTorch3D"):
            measures.load_judges(own_folders, None, None)


def test_depthcrafter_is_known_wherever_its_file_lies(own_folders: dict[str, type], tmp_path: Path, pack: Any):
    from comfy_extras import nodes_video_model

    file, svd = (tmp_path / name / "model.safetensors" for name in ("crafter", "svd"))
    save({pack("nodes.depth.depthcrafter_weights").MARK: torch.zeros(1)}, file)
    save({"a": torch.zeros(1)}, svd)
    with pytest.raises(ValueError, match="--svd: DepthCrafter .model.safetensors. needs the VAE"):
        open_depth(own_folders, file, None)
    seen = SimpleNamespace(model=SimpleNamespace(visual_projection=torch.nn.Linear(8, 1024)))
    for kind, vision, said in (
        ("svd", None, "--svd: .*svd.model.safetensors has no vision encoder or no VAE"),
        ("sv3d_p", seen, "--svd: .*svd.model.safetensors is a checkpoint of SV3D_p. Give one of SVD, such as svd_xt"),
        ("svd", SimpleNamespace(model=SimpleNamespace()), "--svd: it has no embeddings of CLIP"),
        ("svd", seen, "--depth: model.safetensors: "),
    ):
        made = load(kind), vision, load_vae("picture")
        loader = SimpleNamespace(load_checkpoint=lambda _, made=made: made)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match=said):
            patch.setattr(nodes_video_model, "ImageOnlyCheckpointLoader", lambda loader=loader: loader)
            open_depth(own_folders, file, svd)


def test_features_are_compared_where_the_disparity_says():
    generator = torch.Generator().manual_seed(3)
    wide = torch.randn(1, 8, 16, 19, generator=generator)
    left, right = wide[..., :16], wide[..., 3:]  # cells of four columns
    assert measures.feature_distance(left, right, torch.full((1, 1, 64, 64), 12.0)) < 1e-5
    assert measures.feature_distance(left, right, torch.full((1, 1, 64, 64), 8.0)) > 0.5
    assert measures.feature_distance(left, left, torch.full((1, 1, 64, 64), 100.0)).isnan()  # none is seen
    tokens = torch.arange(1 + 9.0).expand(2, 10)[..., None]
    grid = measures.grid_of({"penultimate_hidden_states": tokens})
    assert grid.shape == (2, 1, 3, 3) and grid[0, 0, 0].tolist() == [1, 2, 3]


def test_a_clip_that_only_moves_has_little_warping_error():
    generator = torch.Generator().manual_seed(4)
    rough = torch.rand(1, 3, 10, 20, generator=generator)
    wide = torch.nn.functional.interpolate(rough, (64, 128), mode="bicubic").clamp(0, 1)
    clip = torch.cat([wide[..., 2 * step : 2 * step + 96] for step in range(3)])
    holes = torch.zeros(3, 1, 64, 96, dtype=torch.bool)
    holes[..., 40:60] = True
    moving, _ = measures.warping_errors(clip, holes)
    flickering = clip.clone()
    flickering[1, :, :, 40:60] *= 0.8
    all_of_it, inside = measures.warping_errors(flickering, holes)
    assert moving < 1 < all_of_it < inside
    assert measures.warping_errors(clip[:1], holes[:1])[0].isnan()


def test_maps_are_read_from_either_layout_or_made_by_a_network(own_folders: dict[str, type], tmp_path: Path):
    left = torch.rand(2, 70, 70, 3, generator=torch.Generator().manual_seed(5))
    maps = np.stack([np.full((4, 8), 3.0), np.full((4, 8), 7.0)])
    np.save(tmp_path / "clip.npy", maps)
    read = read_maps(tmp_path, "clip", left)
    assert read.shape == (2, 4, 8, 3) and read[0].max() == 0 and read[1].min() == 1
    with pytest.raises(ValueError, match="the clip has 3 frames"):
        read_maps(tmp_path, "clip", torch.zeros(3, 4, 8, 3))
    save_png(tmp_path / "frames" / "0.png", Image.new("P", (8, 4)))
    save_png(tmp_path / "frames" / "1.png", Image.new("LA", (8, 4), (9, 0)))
    assert read_maps(tmp_path, "frames", left).amax(dim=(1, 2, 3)).tolist() == [0, 1]
    save_png(tmp_path / "frames" / "1.png", Image.new("L", (9, 4)))
    with pytest.raises(ValueError, match="frames.0.png and .*frames.1.png have different sizes"):
        read_maps(tmp_path, "frames", left)
    (tmp_path / "frames" / "1.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="1.png cannot be read"):
        read_maps(tmp_path, "frames", left)
    for broken in (b"\x93NUMPY", b""):
        (tmp_path / "frames.npy").write_bytes(broken)
        with pytest.raises(ValueError, match="frames.npy cannot be read"):
            read_maps(tmp_path, "frames", left)
    with pytest.raises(MissingDepthError, match="other"):
        read_maps(tmp_path, "other", left)
    make_depth_anything(tmp_path / "networks" / "for_clips")
    source, crafter = open_depth(own_folders, tmp_path / "networks" / "for_clips", None)
    assert depth_name(tmp_path / "networks" / "for_clips" / "model.safetensors") == "for_clips"
    made = source("clip", left)
    assert crafter is None and made.shape == (2, 70, 70, 3) and made.max() > made.min()
