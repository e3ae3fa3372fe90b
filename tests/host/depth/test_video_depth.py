"""Video Depth Anything in Load Depth Model and Depth Estimate: the published values, and which files are read."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

pytest.importorskip("transformers")
from stereo_core.depth_range import DepthRange, normalize_inverse_depth  # noqa: E402
from tests.host.tiny import depth_networks  # noqa: E402
from tests.host.tiny.video_depth import WIDTH, make_video_depth, published_weights  # noqa: E402
from tools import convert_depth  # noqa: E402

FOLDER = "geometry_estimation"
FILE = "video_depth_anything_vits.safetensors"
# What the published code made of the same weights and pictures; the file's own metadata say how.
PUBLISHED = load_file(Path(__file__).with_name("video_depth_anything.safetensors"))
_TIME = "head.motion_modules.0.temporal_transformer."
OPTIONS = {"range": "clip", "stabilize": True, "resolution": 70, "batch_size": 4, "percentile": 0.0}


@pytest.fixture
def models(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path)], {".safetensors"}))
    make_video_depth(tmp_path / FILE)
    make_video_depth(tmp_path / "sub" / "metric_video_depth_anything_vits.safetensors")
    return tmp_path


@pytest.fixture
def loader(host):
    return host["Stereo_LoadDepthModel"]


@pytest.fixture
def load(loader, models):  # noqa: ARG001
    def run(name: str = FILE, dtype: str = "fp32"):
        with torch.inference_mode():
            return loader.execute(name, dtype).args[0]

    return run


def clip(frames: int) -> Tensor:
    values = torch.rand(frames, 56, 70, 3, generator=torch.Generator().manual_seed(frames))
    return (values * 255).round().div(255)


def raw(model, image: Tensor, starts: tuple[int, ...] = (0,), batch_size: int = 4) -> Tensor:
    with torch.inference_mode():
        scenes = [image[start:end].movedim(-1, 1) for start, end in itertools.pairwise([*starts, len(image)])]
        parts = [model.scene(scene.split(1), len(scene), 70, batch_size) for scene in scenes]
        return torch.cat([part for scene in parts for part in scene])


def test_a_window_is_the_published_one(load) -> None:
    pixels = torch.randn(32, 3, 56, 70, generator=torch.Generator().manual_seed(7))
    network = load().patcher.model
    for batch_size in (4, 5, 32):
        with torch.inference_mode():
            depth = network(pixels, torch.arange(32), batch_size)
        torch.testing.assert_close(depth[::8, 0, ::3, ::3], PUBLISHED["window"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 5, 32, 33, 54, 76])
def test_a_clip_is_the_published_one(frames: int, load) -> None:
    ours = raw(load(), clip(frames))[:, 0, ::18, ::18]
    torch.testing.assert_close(ours, PUBLISHED[f"relative_{frames}"], rtol=1e-4, atol=2e-5)


def test_a_metric_model_gives_the_inverse_of_the_published_distance(load) -> None:
    ours = raw(load("sub/metric_video_depth_anything_vits.safetensors"), clip(33))[:, 0, ::18, ::18]
    distance = PUBLISHED["metric_33"]
    seen = distance > 0.01
    assert seen.float().mean() > 0.5
    torch.testing.assert_close(1 / ours[seen], distance[seen], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("size", "network"),
    [((1080, 1920), (518, 924)), ((480, 640), (518, 686)), ((800, 1920), (378, 910)), ((1920, 800), (910, 378))],
)
def test_the_published_size_with_its_rule_for_wide_clips(size, network, pack) -> None:
    assert pack("nodes.depth.video_networks").network_size(*size, 0) == network
    assert pack("nodes.depth.video_networks").network_size(1080, 1920, 280) == (154, 280)


def test_large_pictures_are_made_small_without_false_texture(pack) -> None:
    """The published program brings pictures to 1280 pixels before it resizes them by a filter that does not smooth."""
    prepare, size = (getattr(pack("nodes.depth.video_networks"), name) for name in ("_prepare", "network_size"))
    fine = (torch.arange(2560) % 2).float().expand(1, 3, 1440, -1)
    assert prepare(fine, size(1440, 2560, 0)).std(dim=-1).max() < 0.02
    assert prepare(fine, size(1440, 2560, 280)).std(dim=-1).max() < 0.02
    published = torch.rand(1, 3, 720, 1280)
    resized = torch.nn.functional.interpolate(published, (518, 924), mode="bicubic", align_corners=False)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (resized[:, channel] - mean) / std
        torch.testing.assert_close(prepare(published, (518, 924))[:, channel], expected, rtol=0, atol=1e-5)


def test_memory_is_foreseen(load, pack) -> None:
    model, image = load(), torch.rand(32, 3, 140, 210)
    network, counted = model.patcher.model, pack("nodes.depth.building")._MemoryCount
    for batch_size in (2, 16):
        with torch.inference_mode(), counted([*network.parameters(), *network.buffers(), image]) as count:
            network(image, torch.arange(32), batch_size)
        foreseen = 4 * 140 * 210 * model.shape.activations(32, batch_size)
        assert count.most <= foreseen <= 3 * count.most, (count.most, foreseen)


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision_is_near_the_full(dtype: str, load) -> None:
    image = clip(2)
    full, half = raw(load(), image), raw(load(dtype=dtype), image)
    assert (half - full).abs().mean() < 0.05 * full.std()
    # The last layers run in float32, as published: in half precision they would leave steps in the depth.
    assert (half.to({"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]) != half).float().mean() > 0.9


def test_the_work_can_be_interrupted(load) -> None:
    import comfy.model_management as management

    model = load()
    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        raw(model, clip(1))


def test_a_scene_is_a_clip_of_its_own(load) -> None:
    model, image = load(), clip(40)
    apart = torch.cat([raw(model, image[:25]), raw(model, image[25:])])
    torch.testing.assert_close(raw(model, image, (0, 25)), apart, rtol=0, atol=0)


def test_the_node_gives_its_depth_as_it_is(load, host, monkeypatch: pytest.MonkeyPatch, pack) -> None:
    node, model, image = host["Stereo_DepthEstimate"], load(), clip(23)
    cuts = torch.zeros(23, dtype=torch.bool)
    cuts[0] = True
    monkeypatch.setattr(pack("nodes.depth_estimate"), "find_scene_starts", lambda frames: cuts)  # noqa: ARG005
    texts = []
    monkeypatch.setattr(pack("nodes.depth_estimate"), "show_text", lambda cls, text: texts.append(text))  # noqa: ARG005
    with torch.inference_mode():
        depth = node.execute(image, model, **OPTIONS).args[0]
    expected = normalize_inverse_depth(raw(model, image), DepthRange.CLIP, cuts, 0.0)
    torch.testing.assert_close(depth[..., 0], expected[:, 0], rtol=0, atol=1e-5)
    assert texts == ["Video Depth Anything: made for clips and steady by itself"]


def test_files_are_known_by_their_tensors(loader, models: Path) -> None:
    depth_networks.make_depth_anything(models / "anything")
    save_file({"x": torch.zeros(1)}, models / "video_depth_anything_other.safetensors")
    (models / "broken.safetensors").write_bytes(b"nothing")
    (models / "video_depth_anything_vitl.pth").touch()
    (models / "depth_of_another.pth").touch()
    make_video_depth(models / "any name.safetensors")
    assert loader.INPUT_TYPES()["required"]["model_name"][1]["options"] == [
        "any name.safetensors",
        "anything",
        "sub/metric_video_depth_anything_vits.safetensors",
        "video_depth_anything_vitl.pth",
        FILE,
    ]


def refusal(loader, name: str) -> str:
    with pytest.raises(ValueError) as caught:
        loader.execute(name, "fp32")
    return str(caught.value)


@pytest.mark.parametrize("name", ["gone.safetensors", "../gone.safetensors", "other.safetensors", "small.pth"])
def test_other_files_are_refused_by_name(name: str, loader, models: Path) -> None:
    save_file({"x": torch.zeros(1)}, models / "other.safetensors")
    (models / "small.pth").touch()
    message = refusal(loader, name)
    assert loader.validate_inputs(name) == message
    expected = {
        "other.safetensors": "is not a file of Video Depth Anything",
        "small.pth": f'python tools/convert_depth.py "{models / "small.pth"}"',  # whole, to be typed as it is
    }
    assert f"models/{FOLDER}/{name}" in message and expected.get(name, "does not exist") in message


def test_tensors_that_lack_or_are_left_over_are_told(loader, models: Path) -> None:
    weights = published_weights()
    for change in ({"head.projects.0.bias": None}, {"more": torch.zeros(1)}, {"head.projects.0.bias": torch.zeros(3)}):
        changed = {name: tensor for name, tensor in (weights | change).items() if tensor is not None}
        save_file(changed, models / FILE)
        assert (message := refusal(loader, FILE)).startswith(f"model_name: {FILE}: ")
        assert next(iter(change)) in message and "state_dict" not in message


@pytest.mark.parametrize("damage", ["empty", "cut", "pickled"])
def test_files_that_are_damaged_or_renamed_are_told_to_be(damage: str, loader, models: Path) -> None:
    raw = (models / FILE).read_bytes()
    (models / FILE).write_bytes({"empty": b"", "cut": raw[: len(raw) // 2]}.get(damage, b""))
    if damage == "pickled":
        torch.save({"x": torch.zeros(1)}, models / FILE)
    message = refusal(loader, FILE)
    assert loader.validate_inputs(FILE) == message
    assert re.fullmatch(rf"model_name: \S*{FILE} cannot be read: .*Fetch the file again; .*converted.*", message)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("pretrained.pos_embed", (17, WIDTH)),
        ("pretrained.pos_embed", (1, 0, WIDTH)),
        ("pretrained.blocks.", None),
        (f"{_TIME}transformer_blocks.0.attention_blocks.0.pos_encoder.pe", (1, 8, WIDTH)),
        ("head.projects.3.weight", (64, WIDTH)),
    ],
)
def test_sizes_that_no_such_network_has_are_refused_before_it_is_made(name: str, size, loader, models: Path) -> None:
    changed = {key: tensor for key, tensor in published_weights().items() if not key.startswith(name)}
    save_file(changed | ({name: torch.zeros(size)} if size else {}), models / FILE)
    message = refusal(loader, FILE)
    assert loader.validate_inputs(FILE) == message
    assert "is not a whole network of Video Depth Anything" in message and message.endswith("Fetch the file again.")


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch):
    def run(file: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["convert_depth.py", str(file)])
        return convert_depth.main()

    return run


def test_a_published_file_is_converted_once(convert, load, models: Path, capsys, pack) -> None:
    assert convert_depth.MARK == pack("nodes.depth.video_weights").MARK
    assert convert_depth.CRAFTER_MARK == pack("nodes.depth.depthcrafter_weights").MARK
    file = models / "metric_video_depth_anything_vitb.pth"
    torch.save(published_weights(), file)
    assert convert(file) == 0 and "distances in metres" in capsys.readouterr().out
    assert convert(file) == 1 and "is there already" in capsys.readouterr().err
    (models / "metric_video_depth_anything_vitb.safetensors").rename(models / "renamed.safetensors")
    assert load("renamed.safetensors").metric and not load().metric


def test_a_pickle_with_more_than_weights_is_not_converted(convert, models: Path, capsys) -> None:
    file = models / "video_depth_anything_vitb.pth"
    torch.save({"x": Path("x")}, file)
    assert convert(file) == 1 and "other than weights" in capsys.readouterr().err
    assert not file.with_suffix(".safetensors").exists()
