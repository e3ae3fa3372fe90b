"""The bench of Diffusion²'s matrices, on two models that were never trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from stereo_core.cameras import Orbit
from stereo_core.splat_options import FitOptions
from tests.host.bench.replaced import replace_in_place
from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import load
from tests.host.tiny.guides import Vision
from tools.benchmarks import matrices as bench
from tools.benchmarks.matrices_methods import ROWS, Matrices, MatrixSettings, Model, agreement, held_out_psnr
from tools.benchmarks.splat_truth import SCENES, trace_matrix

SETTINGS = MatrixSettings(
    size=32, views=3, frames=2, steps=2, seed=5, elevation=0.0, judged=32, gaussians=20, iterations=2
)


class Loader:
    """In place of checkpoints, whose vision encoders are large whatever the rest is."""

    node = "ImageOnlyCheckpointLoader"

    def load_checkpoint(self, name: str) -> tuple[Any, ...]:
        return load(name.removesuffix(".safetensors")), Looks(), load_vae("picture")


class Looks:
    """The same for the nodes that crop."""

    def encode_image(self, image: Tensor, **_: Any) -> Any:
        return Vision().encode_image(image, crop=False)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The options of a run on files that are there."""
    for name in ("svd", "sv3d_p"):
        (tmp_path / f"{name}.safetensors").touch()
    picture = Image.new("RGBA", (48, 48), (255, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((12, 12, 36, 36), (200, 40, 30, 255))
    (tmp_path / "objects").mkdir()
    picture.save(tmp_path / "objects" / "ball.png")
    files = {"video": "svd.safetensors", "multiview": "sv3d_p.safetensors", "pictures": "objects", "out": "out"}
    given = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
    return given + [part for name, value in vars(SETTINGS).items() for part in (f"--{name}", f"{value:g}")]


@pytest.fixture
def loading(own_folders: dict[str, type], monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """Node classes by id, as a command has them: the host's own and this pack's, and none of its further files."""
    from comfy_extras import nodes_video_model

    monkeypatch.setattr(nodes_video_model, Loader.node, Loader)
    # Tests of other files in this process may have asked for more.
    return {name: node for name, node in own_folders.items() if name != Loader.node}


def test_every_row_is_measured_once(
    loading: dict[str, type],
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    Image.new("RGB", (32, 16)).save(tmp_path / "objects" / "wide.png")
    rows = ["video model alone", "weight 0.5, the paper's", "multi-view model alone", "the published code's"]
    options = bench.parser().parse_args([*command, "--rows", *rows])
    assert bench.run(loading, options) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "out" / "pictures" / "ball.png"
    assert "wide.png is left out: it is 32x16" in said and "1 picture," in said
    found = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    assert len(found) == len(rows) and all(f"| {row} |" in said for row in rows)
    paper = found["weight_0_5_the_paper_s"]
    assert {"rows", "columns", "apart at 10, %", "apart at 1, %", "seconds"} < paper.keys()
    assert all(isinstance(value, float) for value in paper.values())
    assert (paper["videos"], paper["orbits"]) == (6, 4)  # two steps of three views and two frames; nothing to repeat
    assert (found["video_model_alone"]["orbits"], found["multi_view_model_alone"]["videos"]) == (0, 0)
    assert "no splats" in said or "splats, held out" in paper
    with Image.open(folder / "video_model_alone.png") as sheet:
        assert sheet.size == (32, 32)

    recipe = json.loads((tmp_path / "out" / "settings.json").read_text())["recipe"]
    assert recipe.keys() == ROWS.keys() and recipe["weight 0.75"]["weight"] == 0.75

    paper["rows"] = 12.34  # kept, so not measured again
    (folder / "weight_0_5_the_paper_s.json").write_text(json.dumps(paper))
    assert bench.run(loading, options) == 0
    assert "| weight 0.5, the paper's | 12.34 |" in (said := capsys.readouterr().out) and "another" not in said
    replace_in_place(tmp_path / "objects" / "ball.png")
    again: list[Any] = []
    monkeypatch.setattr(bench, "measure", lambda *given: again.extend(given[3]))
    assert bench.run(loading, options) == 0
    assert again == rows and "ball.png: it is another than that of figures here" in capsys.readouterr().out
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "objects" / "ball.png").rename(other / "ball.png")  # another picture may have the same name
    with pytest.raises(ValueError, match="another pictures"):
        bench.run(loading, bench.parser().parse_args([*command, "--pictures", str(other)]))
    (other / "ball.png").rename(tmp_path / "objects" / "ball.png")
    with pytest.raises(ValueError, match="another video"):
        (tmp_path / "svd.safetensors").write_bytes(b"other")
        bench.run(loading, options)


def test_the_estimates_of_one_model_do_not_lie_apart(own_folders: dict[str, type]):
    model = Model(load("svd"), Looks(), load_vae("picture"))
    both = Matrices(own_folders, SETTINGS, {"video": model, "multiview": Model(load("sv3d_p"), Looks(), model.vae)})
    conditioning = both.condition(torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(1)))
    matrix = both.sample(conditioning, "weight 0.5, the paper's")
    assert matrix.shape == (3, 2, 4, 4, 4) and both.decode(matrix).shape == (3, 2, 3, 32, 32)
    torch.testing.assert_close(both.sample(conditioning, "weight 0.5, the paper's"), matrix)
    far, near = (both.estimates_apart(conditioning, matrix, sigma) for sigma in (10.0, 1e-3))
    assert far > 10 > 1 > near > 0  # without noise both give back what they are shown


def test_agreement_is_of_each_axis():
    generator = torch.Generator().manual_seed(2)
    view = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=generator), (48, 48), mode="bicubic")
    still = (view.clamp(0, 1) * 255).byte().expand(2, 2, 3, 48, 48).clone()
    assert agreement(still) == {"rows": 0, "columns": 0}
    still[1] //= 2  # one view is darker, at all times
    found = agreement(still)
    assert found["rows"] == 0 and found["columns"] > 5


def test_gaussians_are_compared_with_what_was_held_out():
    orbit = Orbit(tuple(72.0 * view for view in range(1, 6)))
    pictures = (trace_matrix(SCENES["bounce"], orbit, (0.0, 1.0), 24) * 255).round().byte()
    few, many = (
        held_out_psnr(pictures, orbit, FitOptions(gaussians=80, iterations=steps, warm_up=steps // 2, seed=1))
        for steps in (2, 40)
    )
    assert set(many) == {"held out", "fitted"}
    assert many["fitted"] > few["fitted"] + 1 and many["held out"] > few["held out"]


def test_models_in_each_others_place_are_refused_before_they_make_strips(
    loading: dict[str, type], command: list[str], tmp_path: Path
):
    for option, other, said in (
        ("video", "sv3d_p", "SV3D_p. Give one of SVD"),
        ("multiview", "svd", "SVD_img2vid. Give one of SV3D"),
    ):
        file = str(tmp_path / f"{other}.safetensors")
        with pytest.raises(ValueError, match=f"--{option}: .*{other}.safetensors is a checkpoint of {said}"):
            bench.run(loading, bench.parser().parse_args([*command, f"--{option}", file]))


def test_what_is_missing_is_named(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert bench.main([*command, "--pictures", str(tmp_path / "nowhere")]) == 1
    assert "--pictures: there is no folder" in capsys.readouterr().out
    (tmp_path / "objects").rename(tmp_path / "pictures")
    assert bench.main([*command, "--pictures", str(tmp_path / "pictures"), "--out", str(tmp_path)]) == 1
    assert "--out: figures would lie among the pictures" in capsys.readouterr().out
    (tmp_path / "pictures").rename(tmp_path / "objects")
    (tmp_path / "objects" / "ball.png").unlink()
    assert bench.main(command) == 1
    assert "holds no picture" in capsys.readouterr().out
    (tmp_path / "sv3d_p.safetensors").unlink()
    assert bench.main(command) == 1
    assert "--multiview: there is no file" in (said := capsys.readouterr().out) and "sv3d_p.safetensors" in said
    Image.new("RGB", (32, 16)).save(tmp_path / "objects" / "wide.png")
    with pytest.raises(ValueError, match="it is 32x16"):
        bench.read_picture(tmp_path / "objects" / "wide.png", 32)
    assert set(ROWS) >= {"video model alone", "multi-view model alone"}
