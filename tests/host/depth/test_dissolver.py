"""Simplify Depth on the host's own models and autoencoders, against Eq. 5 on the bare network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.host.tiny import families, inversion
from tests.host.tiny.autoencoders import load_vae

WIDGETS = {
    "method": "dissolve",
    "strength": 40,
    "radius": 2.0,
    "scale": 0.25,
    "window": 0,
    "overlap": 0,
    "strip": False,
    "form": "range_kept",
}
SHAPES = {"sd15": (3, 4, 6, 8), "sd2_v": (2, 4, 6, 8), "svd": (3, 4, 4, 4), "wan": (1, 16, 2, 6, 8)}
FLOW = ("wan",)


def load(name: str) -> Any:
    return inversion.load(name) if name in inversion.SHAPES else families.load(name)


def told(name: str, frames: int = 1) -> list[Any]:
    if name != "svd":
        return families.FAMILIES[name].conditioning(1)
    stream = torch.Generator().manual_seed(4)
    clip = torch.randn(frames, 4, 4, 4, generator=stream)
    return [[torch.randn(frames, 1, 1024, generator=stream), {"concat_latent_image": clip}]]


def vae_of(name: str) -> Any:
    return load_vae("video" if name in ("wan", "qwen_image") else "picture")


@pytest.fixture
def dissolver(pack: Any) -> Any:
    settings = {"form": "paper", "window": 0, "overlap": 0}
    return lambda *given: pack("nodes.depth.dissolver").DepthDissolver(*given, **settings)


def node(host: dict[str, type], depth: Tensor, **changes: Any) -> Any:
    return host["Stereo_DissolveDepth"].execute(depth, **{**WIDGETS, **changes})


def clip(frames: int, height: int = 32, width: int = 32) -> Tensor:
    noise = torch.rand(frames, 1, 5, 6, generator=torch.Generator().manual_seed(frames))
    maps = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)
    return maps.movedim(1, -1).expand(-1, -1, -1, 3)


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def spied(model: Any) -> tuple[Any, list[Any]]:
    """A copy of the model that writes down what its network is called with."""
    import comfy.patcher_extension

    calls = []

    def spy(executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        calls.append((x.clone(), args, kwargs))
        return executor(x, *args, **kwargs)

    copy = model.clone()
    copy.add_wrapper(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, spy)
    return copy, calls


@pytest.mark.parametrize("strength", [1, 20, 45])
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_equation_5_on_the_bare_network(dissolver: Any, name: str, strength: int):
    model, calls = spied(load(name))
    samples = torch.randn(SHAPES[name], generator=torch.Generator().manual_seed(2))
    frames = len(samples)
    actual = dissolver(model, vae_of(name), told(name, frames)).step(samples, strength, slice(0, frames), frames)

    sampling = model.get_model_object("model_sampling")
    level = sampling.sigmas[20 * strength - 1].double()
    x = model.model.process_latent_in(samples).double()
    flow = name in FLOW
    abar = (1 - level) ** 2 / ((1 - level) ** 2 + level**2) if flow else 1 / (1 + level**2)
    state = x * ((1 - level) ** 2 + level**2).sqrt() if flow else x  # what the network takes
    time = {"svd": level.log() / 4, "wan": level * 1000}.get(name, torch.tensor(20.0 * strength - 1))

    assert len(calls) == 1, "one noise-free step is one call of the model"
    seen, (_, *rest), others = calls[0]
    assert error(seen[:, : x.shape[1]].double(), state) < 1e-5
    network_input = torch.cat([state.float(), seen[:, x.shape[1] :]], dim=1)
    out = model.model.diffusion_model(network_input, time.float().expand(frames), *rest, **others).double()
    noise = {
        "sd15": out,
        "sd2_v": abar.sqrt() * out + (1 - abar).sqrt() * x,
        "svd": abar.sqrt() * out + (1 - abar).sqrt() * x,
        "wan": state + (1 - level) * out,
    }[name]
    printed = (1 / abar).sqrt() * x - (1 / abar - 1).sqrt() * noise
    assert error(actual.double(), model.model.process_latent_out(printed)) < 2e-4


@pytest.mark.parametrize("name", ["sd15", "svd", "wan"])
def test_the_node_encodes_steps_and_decodes(host: dict[str, type], dissolver: Any, name: str):
    model, vae, depth = load(name), vae_of(name), clip(5)
    positive = told(name, 5)
    result = node(host, depth, model=model, vae=vae, positive=positive, form="paper").result[0]

    work = dissolver(model, vae, positive)
    if name == "sd15":
        frames = [vae.decode(work.step(vae.encode(depth[i : i + 1]), 40, slice(i, i + 1), 5)) for i in range(5)]
        expected = torch.cat(frames)
    else:
        expected = vae.decode(work.step(vae.encode(depth), 40, slice(0, 5), 5)).reshape(5, 32, 32, 3)
    torch.testing.assert_close(result, expected.mean(-1, keepdim=True).expand(-1, -1, -1, 3), atol=1e-5, rtol=0)
    assert result.std() > 0.01


def test_nothing_gives_the_map_back_to_the_bit_and_needs_no_model(host: dict[str, type]):
    depth = clip(2)
    for changes in (
        {"strength": 0},
        {"method": "gaussian", "radius": 0.0},
        {"method": "edge_aware", "radius": 0.0},
        {"method": "resample", "scale": 1.0},
    ):
        assert torch.equal(node(host, depth, **changes).result[0], depth)
        for other in (torch.cat([depth, depth[..., :1]], dim=-1), depth.half()):  # with alpha; in half precision
            result = node(host, other, **changes).result[0]
            assert result.shape == depth.shape and result.dtype == torch.float32


@pytest.mark.parametrize("method", ["gaussian", "resample", "edge_aware"])
def test_low_passes_need_no_model_and_treat_equal_frames_alike(host: dict[str, type], method: str):
    depth = clip(1, 45, 63).expand(5, -1, -1, -1).clone()
    result = node(host, depth, method=method).result[0]
    assert result.shape == depth.shape and 0 <= result.min() and result.max() <= 1
    assert all(torch.equal(frame, result[0]) for frame in result)
    assert not torch.equal(result, depth)
    single = node(host, depth[..., :1], method=method).result[0]
    torch.testing.assert_close(single, result)


@pytest.mark.parametrize("name", ["sd15", "qwen_image"])
def test_a_still_clip_stays_still_through_a_picture_model(host: dict[str, type], name: str):
    depth = clip(1).expand(4, -1, -1, -1).clone()
    given = {"model": load(name), "vae": vae_of(name), "positive": told(name), "form": "paper"}
    result = node(host, depth, **given).result[0]
    restored = node(host, depth, **{**given, "form": "range_kept"}).result[0]
    assert all(torch.equal(frame, maps[0]) for maps in (result, restored) for frame in maps)
    assert torch.equal(result, node(host, depth, **given).result[0]), "no noise: the same again"
    assert torch.equal(result[:1], node(host, depth[:1], **given, window=3, overlap=1).result[0]), "frames are alone"


@pytest.mark.parametrize("name", ["sd15", "svd", "wan"])
@pytest.mark.parametrize("frames, height, width", [(1, 32, 32), (3, 41, 50), (6, 32, 33)])
def test_any_size_and_number_of_frames_comes_back(
    host: dict[str, type], name: str, frames: int, height: int, width: int
):
    depth = clip(frames, height, width)
    result = node(host, depth, model=load(name), vae=vae_of(name), positive=told(name, frames)).result[0]
    assert result.shape == depth.shape and result.isfinite().all()
    assert abs(result.mean() - depth.mean()) < 5e-3, "the range"


def test_a_clip_that_does_not_fill_a_causal_vae_is_continued_with_its_last_frame(host: dict[str, type]):
    given = {"model": load("wan"), "vae": vae_of("wan"), "positive": told("wan"), "form": "paper"}
    depth = clip(6)
    longer = torch.cat([depth, depth[-1:].expand(3, -1, -1, -1)])
    torch.testing.assert_close(node(host, depth, **given).result[0], node(host, longer, **given).result[0][:6])


@pytest.mark.parametrize("name", ["svd", "wan"])
def test_windows_are_the_models_runs_of_each_blended(host: dict[str, type], name: str):
    depth, positive = clip(8), told(name, 8)
    given = {"model": load(name), "vae": vae_of(name), "form": "paper"}
    blended = node(host, depth, **given, positive=positive, window=5, overlap=2).result[0]

    def alone(start: int) -> Tensor:
        part = [
            [embedding[start : start + 5] if name == "svd" else embedding, {key: value[start : start + 5]}]
            for embedding, values in positive
            for key, value in (values or {"none": torch.zeros(8)}).items()
        ]
        return node(host, depth[start : start + 5], **given, positive=part).result[0]

    first, second = alone(0), alone(3)
    torch.testing.assert_close(blended[:3], first[:3])
    torch.testing.assert_close(blended[5:], second[2:])
    third = torch.tensor([1 / 3, 2 / 3]).view(2, 1, 1, 1)
    torch.testing.assert_close(blended[3:5], torch.lerp(first[3:], second[:2], third))
    whole = node(host, depth, **given, positive=positive).result[0]
    assert torch.equal(whole, node(host, depth, **given, positive=positive, window=8, overlap=3).result[0])


def test_the_strip_shows_every_strength_and_says_them(host: dict[str, type]):
    import folder_paths
    from PIL import Image

    depth = clip(3, 32, 48)
    model, calls = spied(load("sd15"))
    given = {"model": model, "vae": vae_of("sd15"), "positive": told("sd15"), "form": "paper", "strength": 25}
    output = node(host, depth, **given, strip=True)
    assert output.ui["text"] == ("row by row: t = 0, t = 10, t = 20, t = 25, t = 30, t = 40, t = 45",)
    assert len(calls) == 3 + 5, "the clip, and five other strengths on its middle frame"
    (picture,) = output.ui["images"]
    strip = np.asarray(Image.open(Path(folder_paths.get_temp_directory(), picture["filename"])))[..., 0] / 255
    assert strip.shape == (3 * 32, 3 * 48), "seven maps on a node are readable only in rows"
    strip = torch.cat(torch.from_numpy(strip).split(32), dim=1)
    assert not strip[:, 7 * 48 :].any()
    assert (strip[:, :48] - depth[1, ..., 0]).abs().max() < 0.01
    assert (strip[:, 3 * 48 : 4 * 48] - output.result[0][1, ..., 0]).abs().max() < 0.01
    alone = node(host, depth[1:2], **{**given, "strength": 45}).result[0]
    assert (strip[:, 6 * 48 : 7 * 48] - alone[0, ..., 0]).abs().max() < 0.01
    assert torch.equal(output.result[0], node(host, depth, **given).result[0]), "the strip changes nothing"
    assert node(host, depth, method="resample", strip=True).ui["text"] == ("row by row: 1, 0.5, 0.25, 0.125",)


def test_nothing_that_was_given_is_changed(host: dict[str, type]):
    model, depth, positive = load("svd"), clip(4), told("svd", 4)
    before = depth.clone(), positive[0][0].clone(), positive[0][1]["concat_latent_image"].clone()
    weights = {name: value.clone() for name, value in model.model.state_dict().items()}
    options = repr(model.model_options)
    node(host, depth, model=model, vae=vae_of("svd"), positive=positive, window=3, overlap=1)
    assert torch.equal(depth, before[0]) and torch.equal(positive[0][0], before[1])
    assert torch.equal(positive[0][1]["concat_latent_image"], before[2]) and positive[0][1].keys() == {
        "concat_latent_image"
    }
    assert repr(model.model_options) == options
    assert all(torch.equal(value, weights[name]) for name, value in model.model.state_dict().items())


def test_an_interrupt_stops_it_at_the_next_model_call(host: dict[str, type]):
    import comfy.model_management as management

    model, calls = spied(load("sd15"))

    def interrupt(apply: Any, args: dict[str, Any]) -> Tensor:
        management.interrupt_current_processing()
        return apply(args["input"], args["timestep"], **args["c"])

    model.set_model_unet_function_wrapper(interrupt)
    with pytest.raises(management.InterruptProcessingException):
        node(host, clip(6), model=model, vae=vae_of("sd15"), positive=told("sd15"))
    assert len(calls) == 1
    management.interrupt_current_processing(False)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": None}, "dissolve also needs model. Connect"),
        ({"vae": None, "positive": None}, "dissolve also needs vae and positive"),
        ({"strength": 51}, "strength: got 51. Give a step of 50: 1 to 50"),
        ({"strength": -1}, "strength: got -1"),
        ({"window": -1}, "window: got -1"),
        ({"window": 3, "overlap": 3}, "overlap: 3 frames of a window of 3"),
        ({"method": "gaussian", "radius": -1.0}, "radius: got -1"),
        ({"method": "resample", "scale": 2.0}, "scale: got 2"),
        ({"vae": "picture"}, "vae: makes latents of 4 channels, and this model takes 16. Connect the VAE"),
        ({"positive": "guide"}, "positive: guides the model along the whole clip.*Set window to 0"),
        ({"depth": 3.0}, "depth: values must lie between 0"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(host: dict[str, type], changes: dict[str, Any], message: str):
    given: dict[str, Any] = {"model": load("wan"), "vae": vae_of("wan"), "positive": told("wan"), **changes}
    if given["vae"] == "picture":
        given["vae"] = load_vae("picture")
    if given["positive"] == "guide":
        given["positive"] = [[told("wan")[0][0], {"concat_latent_image": torch.zeros(1, 16, 2, 4, 4)}]]
        given["window"] = 3
    depth = clip(4) * given.pop("depth", 1.0)
    with pytest.raises(ValueError, match=message):
        node(host, depth, **given)


def test_picture_latents_are_refused_by_a_video_model_and_the_reverse(host: dict[str, type]):
    """With as many channels as the model takes, only the time axis tells them apart."""
    picture = load_vae("picture16")
    with pytest.raises(ValueError, match="vae: makes picture latents, and model is a video model"):
        node(host, clip(2), model=load("wan"), vae=picture, positive=told("wan"))
    with pytest.raises(ValueError, match="vae: makes video latents, and model is a picture model"):
        node(host, clip(2), model=load("sd3"), vae=vae_of("wan"), positive=told("sd3"))


def test_extra_channels_of_another_size_are_refused(host: dict[str, type]):
    [[text, extras]] = told("sd2_depth")
    positive = [[text, {**extras, "noise_concat": torch.zeros(1, 1, 3, 5)}]]
    with pytest.raises(ValueError, match="positive: its extra channels, .* are for a picture of another size"):
        node(host, clip(1), model=load("sd2_depth"), vae=vae_of("sd15"), positive=positive)
