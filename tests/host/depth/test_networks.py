"""Depth Estimate with networks from Hugging Face folders: right values, the same for any chunking, white near."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers")
from PIL import Image  # noqa: E402

from tests.host.tiny import depth_networks  # noqa: E402

DISTANCES = {"dpt_dinov2", "depth_anything_metric", "zoedepth", "glpn"}
OPTIONS = {"range": "clip", "stabilize": False, "resolution": 0, "batch_size": 4, "percentile": 0.0}


@pytest.fixture(scope="module")
def folders(host) -> Path:  # noqa: ARG001
    import folder_paths

    base = Path(folder_paths.get_folder_paths("geometry_estimation")[0])
    for family, make in depth_networks.FAMILIES.items():
        make(base / f"tiny_{family}")
    return base


@pytest.fixture
def load(host, folders):  # noqa: ARG001
    return lambda family, dtype="default": host["Stereo_LoadDepthModel"].execute(f"tiny_{family}", dtype).args[0]


@pytest.fixture
def estimate(host):
    return lambda image, source, **options: (
        host["Stereo_DepthEstimate"].execute(image, source, **{**OPTIONS, **options}).args[0]
    )


def clip(frames: int, height: int = 70, width: int = 98, channels: int = 3) -> Tensor:
    """Smooth random pictures (T, H, W, C) with the values 8-bit files have."""
    noise = torch.rand(frames, channels, 6, 8, generator=torch.Generator().manual_seed(frames))
    image = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)
    return (image * 255).round().div(255).movedim(1, -1)


def stretch(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


def correlation(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()


@pytest.mark.parametrize("family", depth_networks.FAMILIES)
def test_distances_come_out_of_models_that_give_them(family: str, load, host) -> None:
    model, image = load(family), clip(1)
    _, *reach = host["Stereo_DepthEstimate"].execute(image, model, **OPTIONS).args
    raw = model.infer(image.movedim(-1, 1), 0)
    ends = [1 / raw.max().item(), min(1 / max(raw.min().item(), 1e-9), 1e4)]
    assert reach == (pytest.approx(ends, rel=1e-4) if family in DISTANCES else [0, 0])


@pytest.mark.parametrize("family", depth_networks.FAMILIES)
def test_raw_values_are_those_of_transformers(family: str, load, folders: Path) -> None:
    image, model = clip(2), load(family)
    ours = model.infer(image.movedim(-1, 1), 0)[:, 0]

    folder = folders / f"tiny_{family}"
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    scale = 255 if family == "dpt_dinov2" else 1
    pixels = processor(list(image.movedim(-1, 1) * scale), do_rescale=False, return_tensors="pt")
    torch.testing.assert_close(model.preprocessing(image.movedim(-1, 1), 0), pixels["pixel_values"], rtol=0, atol=1e-4)
    outputs = network(**pixels)
    if family == "zoedepth":
        found = processor.post_process_depth_estimation(outputs, source_sizes=[(70, 98)] * 2)
        theirs = torch.stack([f["predicted_depth"] for f in found])
        # Bicubic there, linear in inverse depth here: the same but for the overshoot.
        assert ((1 / ours - theirs).abs() / theirs).mean() < 0.01
    else:
        theirs = outputs.predicted_depth
        torch.testing.assert_close(ours, 1 / theirs if family in DISTANCES else theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", depth_networks.FAMILIES)
def test_the_node_agrees_with_the_pipeline(family: str, load, estimate, folders: Path) -> None:
    image = clip(2)
    ours = estimate(image, load(family), range="image")
    pipeline = transformers.pipeline("depth-estimation", model=str(folders / f"tiny_{family}"))
    for frame, depth in zip(image, ours, strict=True):
        assert depth.amin() >= 0 and depth.amax() <= 1 and depth.amax() - depth.amin() > 0.5
        theirs = pipeline(Image.fromarray((frame * 255).round().byte().numpy()))["predicted_depth"].squeeze()
        # Depth Pro's result there is a distance, by the lens it guesses.
        theirs = 1 / theirs if family in DISTANCES | {"depth_pro"} else theirs
        assert correlation(depth[..., 0], stretch(theirs)) > 0.99


@pytest.mark.parametrize(
    ("family", "size"), [("dpt", (64, 64)), ("depth_anything", (70, 98)), ("zoedepth", (40, 60)), ("glpn", (64, 96))]
)
def test_the_size_of_the_chunks_does_not_change_the_clip(family: str, size: tuple[int, int], load, estimate) -> None:
    image, model = clip(9, *size), load(family)
    apart = torch.cat([model.infer(frame.unsqueeze(0).movedim(-1, 1), 0) for frame in image])[:, 0]
    for batch_size in (1, 4, 256):
        depth = estimate(image, model, batch_size=batch_size)
        assert depth.shape == (9, *size, 3) and depth.dtype == torch.float32
        assert torch.equal(depth[..., 0], depth[..., 1]) and torch.equal(depth[..., 0], depth[..., 2])
        inside = (depth[..., 0] > 0) & (depth[..., 0] < 1)
        assert inside.float().mean() > 0.9
        assert correlation(depth[..., 0][inside], apart[inside]) > 0.999999


def count_frames(model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts, infer = [], type(model).infer

    def counting(self, frames: Tensor, resolution: int) -> Tensor:
        counts.append(len(frames))
        return infer(self, frames, resolution)

    monkeypatch.setattr(type(model), "infer", counting)
    return counts


def test_a_still_clip_stays_still_and_is_computed_once(load, estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("depth_anything")
    counts = count_frames(model, monkeypatch)
    depth = estimate(clip(1).expand(9, -1, -1, -1), model, range="scene", stabilize=True)
    assert depth.shape[0] == 9 and (depth == depth[:1]).all()
    assert counts == [1]


def test_held_frames_are_computed_once_each(load, estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = load("dpt"), clip(3)
    every = estimate(image, model, range="image")
    counts = count_frames(model, monkeypatch)
    held = estimate(image[[0, 0, 1, 2, 2, 2]], model, range="image", batch_size=2)
    assert counts == [2, 1]
    torch.testing.assert_close(held, every[[0, 0, 1, 2, 2, 2]], rtol=0, atol=1e-5)


def test_white_is_near_for_inverse_depth_and_for_distances(load, estimate) -> None:
    """The two networks share weights: where one says large inverse depth, the other says large distance."""
    image = clip(1)
    relative, metric = (estimate(image, load(f)) for f in ("depth_anything", "depth_anything_metric"))
    assert correlation(relative, metric) < -0.8


def test_one_range_holds_for_the_clip(load, estimate) -> None:
    model, image = load("depth_anything"), clip(5)
    raw = model.infer(image.movedim(-1, 1), 0)
    assert (raw.flatten(1).amax(1) - raw.amax()).abs().max() > 1e-3
    depth = estimate(image, model)
    assert depth.amax() > 0.99 and depth.flatten(1).amax(1).min() < 0.99


@pytest.mark.parametrize(
    ("family", "resolution", "size"),
    [
        ("depth_anything", 0, (70, 98)),  # the side that changes less is met: 75 to 70
        ("depth_anything", 140, (98, 140)),
        ("depth_anything", 6, (14, 14)),
        ("dpt", 128, (128, 128)),  # one square, as its config asks
        ("dpt_beit", 128, (96, 128)),
        ("glpn", 0, (64, 96)),  # the picture's own, rounded down
        ("glpn", 128, (96, 128)),
    ],
)
def test_resolution_is_the_longest_side_the_network_runs_at(family, resolution, size, load) -> None:
    raw = load(family).infer(clip(1, 75, 101).movedim(-1, 1), resolution)
    assert tuple(raw.shape[-2:]) == size


def test_glpn_rounds_the_picture_down_and_a_wanted_resolution_to_the_nearest(load) -> None:
    preprocessing = load("glpn").preprocessing
    assert preprocessing.network_size(85, 120, 0) == (64, 96)
    assert preprocessing.network_size(85, 120, 120) == (96, 128)


def test_a_long_strip_is_not_enlarged_without_bound(load) -> None:
    preprocessing = load("depth_anything").preprocessing
    assert max(preprocessing.network_size(60, 16384, 0)) <= 4096


def test_depth_pro_refuses_another_resolution(load, estimate) -> None:
    with pytest.raises(ValueError, match=r"resolution: this model runs at 64 x 64 only, got 128\. Set resolution to 0"):
        estimate(clip(1), load("depth_pro"), resolution=128)


@pytest.mark.parametrize("family", depth_networks.FAMILIES)
def test_any_size_and_channels(family: str, load, estimate) -> None:
    model = load(family)
    for height, width, channels in ((1, 1, 1), (3, 100, 4), (100, 2, 3)):
        depth = estimate(clip(1, height, width, channels), model)
        assert depth.shape == (1, height, width, 3) and depth.isfinite().all()


def test_alpha_does_not_count_and_grey_is_three_equal_channels(load, estimate) -> None:
    model, image = load("dpt"), clip(1, channels=4)
    assert torch.equal(estimate(image, model), estimate(image[..., :3], model))
    grey = image[..., :1]
    assert torch.equal(estimate(grey, model), estimate(grey.expand(-1, -1, -1, 3), model))


def test_an_empty_batch_is_refused(load, estimate) -> None:
    with pytest.raises(ValueError, match="image: the batch is empty"):
        estimate(clip(1)[:0], load("dpt"))


@pytest.mark.parametrize(
    ("dtype", "way"), [("bf16", "Set weight_dtype of Load Depth Model to fp32"), ("fp32", "fetch them again")]
)
@pytest.mark.parametrize("family", ["dpt", "zoedepth"])
def test_values_that_are_not_finite_name_the_way_out(family: str, dtype: str, way: str, load, estimate) -> None:
    model = load(family, dtype)
    next(model.patcher.model.parameters()).fill_(float("inf"))
    with pytest.raises(ValueError, match=way):
        estimate(clip(1), model)


def test_a_size_at_which_the_network_fails_is_named(load, estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("dpt")
    monkeypatch.setattr(type(model.preprocessing), "network_size", lambda *_: (64, 96))
    with pytest.raises(ValueError, match=r"does not run at 96x64 \(.*\)\. Set resolution to 0, or use another"):
        estimate(clip(1), model)


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision_gives_the_same_picture(dtype: str, load, estimate) -> None:
    model, image = load("depth_anything", dtype), clip(2)
    assert {p.dtype for p in model.patcher.model.parameters()} == {model.dtype} != {torch.float32}
    assert correlation(estimate(image, model), estimate(image, load("depth_anything", "fp32"))) > 0.98


def test_interrupt_stops_between_chunks(load, estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management as management

    model = load("dpt")
    counts = count_frames(model, monkeypatch)
    counted = type(model).infer

    def interrupting(self, frames: Tensor, resolution: int) -> Tensor:
        management.interrupt_current_processing(True)
        return counted(self, frames, resolution)

    monkeypatch.setattr(type(model), "infer", interrupting)
    with pytest.raises(management.InterruptProcessingException):
        estimate(clip(9), model)
    assert counts == [4]
    assert not management.processing_interrupted()


def test_progress_counts_frames(load, estimate, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    estimate(clip(9), load("dpt"))
    assert seen[0] == (1, 9) and seen[-1] == (9, 9)  # the host leaves out what comes too soon after another


def test_the_host_loads_and_unloads_the_network(load, estimate) -> None:
    import comfy.model_management as management

    model, image = load("depth_anything"), clip(2)
    before = estimate(image, model)
    assert any(loaded.model is model.patcher for loaded in management.current_loaded_models)
    management.unload_all_models()
    assert not any(loaded.model is model.patcher for loaded in management.current_loaded_models)
    assert torch.equal(estimate(image, model), before)
