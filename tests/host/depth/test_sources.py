"""Depth Estimate with the host's own models and the geometry they make, against the host's own nodes."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")
from tests.host.tiny import depth_networks  # noqa: E402

OPTIONS = {"range": "clip", "stabilize": False, "resolution": 0, "batch_size": 4, "percentile": 0.0}
MONO = {"mode": "mono"}
RESOLUTION = 140


@pytest.fixture
def estimate(host):
    return lambda image, source, **options: (
        host["Stereo_DepthEstimate"].execute(image, source, **{**OPTIONS, **options}).args[0]
    )


@pytest.fixture(scope="module")
def models(host, tmp_path_factory: pytest.TempPathFactory):  # noqa: ARG001
    """The host's nodes with a Depth Anything 3 and a MoGe network, loaded from files by the host's loaders."""
    import folder_paths
    from comfy.cli_args import args
    from comfy_extras import nodes_depth_anything_3, nodes_moge

    base = tmp_path_factory.mktemp("models")
    depth_networks.make_da3(base / "da3.safetensors")
    depth_networks.make_moge(base / "moge.safetensors")
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setitem(folder_paths.folder_names_and_paths, "geometry_estimation", ([str(base)], {".safetensors"}))
        half = nodes_moge.LoadMoGeModel.execute("moge.safetensors").args[0]
        # The host's own node for MoGe does not run in half precision on a CPU.
        patch.setattr(args, "fp32_text_enc", True)
        da3 = nodes_depth_anything_3.LoadDA3Model.execute("da3.safetensors", "default").args[0]
        moge = nodes_moge.LoadMoGeModel.execute("moge.safetensors").args[0]
    return {
        "da3": da3,
        "moge": moge,
        "moge_half": half,
        "run_da3": lambda image: nodes_depth_anything_3.DA3Inference.execute(
            da3, image, RESOLUTION, "upper_bound_resize", MONO
        ).args[0],
        "run_moge": lambda image, level: nodes_moge.MoGeInference.execute(moge, image, level, 0.0, 4, True, True).args[
            0
        ],
    }


def clip(frames: int, height: int = 70, width: int = 98) -> Tensor:
    noise = torch.rand(frames, 3, 6, 8, generator=torch.Generator().manual_seed(frames))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1).movedim(1, -1)


def test_a_da3_model_gives_what_the_host_makes_of_it(models: dict, estimate) -> None:
    image = clip(3)
    geometry = models["run_da3"](image)
    assert "sky" in geometry
    near = 1 / geometry["depth"]
    near[geometry["sky"] >= 0.3] = 0
    for source, batch_size in ((models["da3"], 2), (geometry, 4)):
        depth = estimate(image, source, range="image", resolution=RESOLUTION, batch_size=batch_size)[..., 0]
        expected = torch.stack([(n - n.min()) / (n.max() - n.min()) for n in near])
        torch.testing.assert_close(depth, expected, rtol=0, atol=1e-5)


def test_a_moge_model_gives_what_the_host_makes_of_it(models: dict, estimate) -> None:
    image = clip(2)
    geometry = models["run_moge"](image, 0)
    near = 1 / geometry["depth"]
    expected = torch.stack([(n - n.min()) / (n.max() - n.min()) for n in near])
    # Level 0 is the fewest tokens MoGe was trained on, and so is any low resolution.
    for source in (models["moge"], geometry):
        depth = estimate(image, source, range="image", resolution=RESOLUTION)[..., 0]
        torch.testing.assert_close(depth, expected, rtol=0, atol=1e-4)


def test_a_moge_model_in_half_precision_runs_without_a_graphics_card(models: dict, estimate) -> None:
    assert models["moge_half"].dtype == torch.float16
    image = clip(1)
    expected = estimate(image, models["moge"], resolution=RESOLUTION)
    torch.testing.assert_close(estimate(image, models["moge_half"], resolution=RESOLUTION), expected, rtol=0, atol=1e-4)
    assert models["moge_half"].dtype == torch.float16


@pytest.mark.parametrize("source", ["da3", "moge", "moge_half"])
def test_pictures_in_half_precision_are_estimated(source: str, models: dict, estimate) -> None:
    image = clip(2).half()
    expected = estimate(image.float(), models[source], resolution=RESOLUTION, stabilize=True)
    assert torch.equal(estimate(image, models[source], resolution=RESOLUTION, stabilize=True), expected)


def test_moge_runs_at_the_tokens_that_make_the_longest_side(models: dict, estimate, monkeypatch) -> None:
    calls = []
    model = models["moge"]

    def infer(frames: Tensor, **options: object) -> dict:
        calls.append(options)
        return {"depth": torch.rand(len(frames), *frames.shape[-2:]) + 1}

    monkeypatch.setattr(model, "infer", infer)
    for resolution in (0, 700, 4096):
        estimate(clip(1, 90, 160), model, resolution=resolution)
    assert calls == [{"resolution_level": 9}, {"num_tokens": round(50 * 50 * 9 / 16)}, {"num_tokens": 2500}]


def test_white_is_near_and_the_sky_is_black(estimate) -> None:
    metres = torch.tensor([[[1.0, 2.0, 4.0, torch.inf]]])
    depth = estimate(torch.rand(1, 1, 4, 3), {"depth": metres})
    torch.testing.assert_close(depth[0, 0, :, 0], torch.tensor([1.0, 0.5, 0.25, 0.0]))
    sky = {"depth": metres, "sky": torch.tensor([[[0.0, 0.9, 0.2, 0.0]]])}
    torch.testing.assert_close(estimate(torch.rand(1, 1, 4, 3), sky)[0, 0, :, 0], torch.tensor([1.0, 0.0, 0.25, 0.0]))


@pytest.mark.parametrize("offset", [-0.1, 0.3])
def test_the_sky_stays_black_where_frames_are_steadied(offset: float, estimate) -> None:
    inverse = clip(1)[..., 0] + 0.2
    inverse = torch.cat([inverse, inverse + offset])
    inverse[:, :20] = 0
    image = clip(1).expand(2, -1, -1, -1)
    depth = estimate(image, {"depth": 1 / inverse}, stabilize=True)
    assert depth[:, :20].eq(0).all()
    torch.testing.assert_close(depth[1], depth[0], rtol=0, atol=1e-5)


def test_the_node_says_what_its_source_is_and_whether_it_is_steadied(models: dict, estimate, pack, monkeypatch) -> None:
    texts = []
    monkeypatch.setattr(pack("nodes.depth_estimate"), "show_text", lambda _, text: texts.append(text))
    geometry = {"depth": 1 + clip(2)[..., 0]}
    for source, frames, stabilize in (
        (models["da3"], 2, True),
        (models["moge"], 1, True),  # one picture needs no steadying
        (geometry, 2, True),
        (geometry | {"mode": "multiview"}, 2, False),
    ):
        estimate(clip(frames), source, stabilize=stabilize, resolution=RESOLUTION)
    assert texts == [
        "A model for single frames, steadied",
        "A model for single frames, not steadied",
        "Geometry of single frames, steadied",
        "Geometry of all frames together, not steadied",
    ]


def test_geometry_of_another_size_is_fitted_without_mixing_values(estimate) -> None:
    depth = estimate(torch.rand(1, 4, 6, 3), {"depth": torch.tensor([[[1.0, 2.0, 4.0], [4.0, 2.0, 1.0]]])})
    assert depth.shape == (1, 4, 6, 3)
    torch.testing.assert_close(depth[0, 0, :, 0], torch.tensor([1, 1, 1 / 3, 1 / 3, 0, 0]))


def test_geometry_of_other_frames_is_refused_with_both_counts(estimate) -> None:
    with pytest.raises(ValueError, match="source: the geometry has 3 frames and image has 2"):
        estimate(clip(2), {"depth": torch.rand(3, 70, 98)})


def test_geometry_without_depth_is_refused(estimate) -> None:
    with pytest.raises(ValueError, match="source: the geometry has no depth"):
        estimate(clip(1), {"points": torch.rand(1, 70, 98, 3)})


def test_another_thing_in_the_socket_is_refused(estimate) -> None:
    with pytest.raises(ValueError, match="source: got str. Connect Load Depth Model"):
        estimate(clip(1), "da3.safetensors")


def test_a_strip_too_narrow_for_da3_is_refused(models: dict, estimate) -> None:
    with pytest.raises(ValueError, match="image: 200 x 3 is too narrow for Depth Anything 3 at resolution 140"):
        estimate(clip(1, 3, 200), models["da3"], resolution=RESOLUTION)
    assert estimate(clip(1, 1, 1), models["da3"], resolution=RESOLUTION).shape == (1, 1, 1, 3)


@pytest.mark.parametrize("source", ["da3", "moge"])
def test_interrupt_stops_a_host_model_within_a_frame(source: str, models: dict, estimate) -> None:
    import comfy.model_management as management

    model = models[source]
    network = model.model if source == "moge" else model.model.diffusion_model
    blocks = [part for name, part in network.named_modules() if re.fullmatch(r".*encoder\.layer\.\d+", name)]
    runs = []
    hooks = [block.register_forward_hook(lambda *_: runs.append(1)) for block in blocks]
    hooks.append(blocks[0].register_forward_hook(lambda *_: management.interrupt_current_processing(True)))
    with pytest.raises(management.InterruptProcessingException):
        estimate(clip(1), model, resolution=RESOLUTION)
    for hook in hooks:
        hook.remove()
    assert len(runs) == 1


def test_interrupt_stops_between_frames_of_a_host_model(models: dict, estimate, monkeypatch) -> None:
    import comfy.model_management as management

    calls = []
    model = models["moge"]

    def infer(frames: Tensor, **_: object) -> dict:
        calls.append(len(frames))
        management.interrupt_current_processing(True)
        return {"depth": torch.ones(len(frames), *frames.shape[-2:])}

    monkeypatch.setattr(model, "infer", infer)
    with pytest.raises(management.InterruptProcessingException):
        estimate(clip(5), model, batch_size=2)
    assert calls == [2]


def test_a_moving_object_does_not_change_the_range_of_the_clip(estimate) -> None:
    """Range clip: the background keeps its value while something near enters; range image: it does not."""
    metres = torch.full((6, 32, 32), 4.0)
    metres[:, :4] = 8.0
    metres[3:, 16:, 16:] = 2.0
    image = clip(1, 32, 32).expand(6, -1, -1, -1)
    steady = estimate(image, {"depth": metres})
    assert (steady[:, 8, 8] == steady[0, 8, 8]).all()
    alone = estimate(image, {"depth": metres}, range="image")
    assert alone[0, 8, 8, 0] > alone[5, 8, 8, 0] + 0.2


def test_black_bars_take_no_part_in_the_range(estimate) -> None:
    """What a model says of a bar is noise, often nearer than everything else."""
    frames = 0.3 + 0.7 * clip(1, 12, 8)
    frames[:, :4], frames[:, -4:] = 0.0, 0.0
    inverse = torch.linspace(1, 2, 8).expand(1, 12, 8).clone()
    inverse[:, :4], inverse[:, -4:] = 10.0, 0.1
    depth = estimate(frames, {"depth": 1 / inverse})
    torch.testing.assert_close(depth[0, 6, :, 0], torch.linspace(0, 1, 8), rtol=0, atol=0.02)


def test_bars_of_one_scene_are_looked_for_in_that_scene(estimate) -> None:
    bright, dark = (0.3 + 0.7 * clip(2, 36, 64)[frame : frame + 1].repeat(3, 1, 1, 1) for frame in (0, 1))
    dark[:, :8], dark[:, -8:] = 0.0, 0.0
    inverse = torch.linspace(1, 2, 64).expand(6, 36, 64).clone()
    inverse[3:, :8], inverse[3:, -8:] = 10.0, 0.1
    depth = estimate(torch.cat([bright, dark]), {"depth": 1 / inverse})
    for frame in (0, 4):
        torch.testing.assert_close(depth[frame, 18, :, 0], torch.linspace(0, 1, 64), rtol=0, atol=0.02)


def test_geometry_of_another_shape_or_without_depth_is_refused(estimate) -> None:
    with pytest.raises(
        ValueError, match="source: the geometry is 120x90, of another shape than image, which is 60x100"
    ):
        estimate(torch.rand(1, 100, 60, 3), {"depth": torch.ones(1, 90, 120)})
    with pytest.raises(ValueError, match="source: the geometry holds no valid depth"):
        estimate(torch.rand(1, 8, 8, 3), {"depth": torch.full((1, 8, 8), float("nan"))})


def test_tiles_make_larger_maps_of_any_model_for_single_frames(models: dict, estimate, pack) -> None:
    sources = pack("nodes.depth.sources")
    frames = clip(2).movedim(-1, 1)
    for source in (models["da3"], models["moge"]):
        whole, tiled = (sources.raw_inverse_depth(frames, source, RESOLUTION, 4, [0], tiles) for tiles in (1, 2))
        assert tiled.shape[-1] > 1.3 * whole.shape[-1] or tiled.shape[-2:] == frames.shape[-2:]
        assert tiled.isfinite().all()
        depth = estimate(clip(2), source, resolution=RESOLUTION, tiles=2)
        assert depth.shape == (2, 70, 98, 3) and depth.min() == 0 and depth.max() == 1
        assert torch.equal(estimate(clip(2), source, tiles=1), estimate(clip(2), source))


@pytest.mark.parametrize("tiles", [2, 3, 8])
def test_memory_is_foreseen_for_tiles(tiles: int, models: dict, pack, monkeypatch) -> None:
    sources, counted = pack("nodes.depth.sources"), pack("nodes.depth.building")._MemoryCount
    monkeypatch.setattr(sources, "_model", lambda *_: (lambda pictures: pictures[:, :1].clone(), torch.nn.Module()))
    frames = clip(4, 144, 256).movedim(-1, 1).contiguous()
    for batch_size in (1, 4):
        kept, _ = sources.memory_needed(frames, models["moge"], 0, batch_size, tiles)
        with counted([frames]) as count:
            sources.raw_inverse_depth(frames, models["moge"], 0, batch_size, [0], tiles)
        pictures = 2 * batch_size * frames[0].nbytes  # the host's own models do not say what they need
        assert 0.3 * kept < count.most <= kept + pictures, (count.most, kept)


def test_geometry_has_no_tiles(models: dict, estimate, pack, monkeypatch) -> None:
    monkeypatch.setattr(pack("nodes.depth_estimate"), "find_scene_starts", lambda *_: pytest.fail("it takes time"))
    with pytest.raises(ValueError, match=r"tiles: geometry .*Set tiles to 1"):
        estimate(clip(2), models["run_da3"](clip(2)), tiles=2)
