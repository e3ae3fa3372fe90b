"""Bad input: one clear error that names the input, before time is spent; over HTTP, and for every node and socket."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.inputs import CASES, given, kinds, node_of
from tools.host.server import PromptError, Server

STRENGTH = {"max_disparity": 3.0, "screen": "value", "convergence": 0.5, "exponent": 1.0, "invert": False}
SHIFT = {"balance": 0.0, "quality": "fast", "edge_growth": 0}
LATENT = {"fill": "left", "seed": 0, "shift": "sub_column"}


def image(kind: str = "ramp", width: int = 32, height: int = 24, frames: int = 1, channels: int = 3) -> dict[str, Any]:
    inputs = {"kind": kind, "width": width, "height": height, "frames": frames, "channels": channels}
    return {"class_type": "Probe_Image", "inputs": inputs}


def shift(picture: dict[str, Any], depth: dict[str, Any], **widgets: Any) -> dict[str, Any]:
    strength = {name: widgets.pop(name, default) for name, default in STRENGTH.items()}
    inputs = {"image": ["a", 0], "depth": ["strength", 0], **SHIFT, **widgets}
    return {
        "a": picture,
        "b": depth,
        "strength": {"class_type": "Stereo_StereoStrength", "inputs": {"depth": ["b", 0], **strength}},
        "shift": {"class_type": "Stereo_ImageStereoShift", "inputs": inputs},
        "out": {"class_type": "PreviewImage", "inputs": {"images": ["shift", 1]}},
    }


def latent_shift(shape: str, depth: dict[str, Any], **widgets: Any) -> dict[str, Any]:
    inputs = {"samples": ["a", 0], "depth": ["b", 0], **LATENT, **widgets}
    return {
        "a": {"class_type": "Probe_Latent", "inputs": {"shape": shape}},
        "b": depth,
        "shift": {"class_type": "Stereo_LatentStereoShift", "inputs": inputs},
        "out": {"class_type": "MaskPreview", "inputs": {"mask": ["shift", 1]}},
    }


def combine(left: dict[str, Any], right: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    linked = {"left": ["a", 0], **({"right": ["b", 0]} if right else {}), "format": "full_sbs", "swap": False, **inputs}
    return {
        "a": left,
        **({"b": right} if right else {}),
        "sbs": {"class_type": "Stereo_SBSCombine", "inputs": linked},
        "out": {"class_type": "PreviewImage", "inputs": {"images": ["sbs", 0]}},
    }


def split(picture: dict[str, Any], form: str) -> dict[str, Any]:
    return {
        "a": picture,
        "split": {"class_type": "Stereo_SBSSplit", "inputs": {"image": ["a", 0], "format": form}},
        "out": {"class_type": "PreviewImage", "inputs": {"images": ["split", 0]}},
    }


REFUSED = {
    "depth of another shape": (shift(image(), image(width=40)), "depth is 40x24, of another shape than the picture"),
    "depth of another frame count": (shift(image(frames=3), image(frames=5)), "depth holds 5 maps for 3 pictures"),
    "empty image": (shift(image(frames=0), image()), "image: the batch is empty"),
    "empty depth": (shift(image(), image(frames=0)), "depth: the batch is empty"),
    "two channels": (shift(image(channels=2), image()), "image: has 2 channels. Connect a picture with 1"),
    "NaN in depth": (shift(image(), image("nan")), "depth: .*NaN"),
    "infinite depth": (shift(image(), image("infinite")), "depth: .*infinite"),
    "metric depth": (shift(image(), image("too_bright")), "depth: values must lie between 0 .* Use Depth Estimate"),
    "disparity above its range": (
        shift(image(), image(), max_disparity=31.0),
        "bigger than max of 30.0: max_disparity",
    ),
    "disparity below its range": (
        shift(image(), image(), max_disparity=-1.0),
        "smaller than min of 0.0: max_disparity",
    ),
    "unknown quality": (shift(image(), image(), quality="great"), "quality: .great. not in"),
    "latent: depth of another shape": (latent_shift("1,4,16,16", image(width=64, height=32)), "depth is 64x32"),
    "latent: another frame count": (latent_shift("3,4,16,16", image(width=16, height=16, frames=2)), r"depth.*2.*3"),
    "latent: clip that fits no video": (
        latent_shift("1,4,5,16,16", image(width=16, height=16, frames=8)),
        r"depth: 8 maps do not fit 5 frames",
    ),
    "latent: NaN in depth": (latent_shift("1,4,16,16", image("nan", 16, 16)), "depth: .*NaN"),
    "latent of three axes": (latent_shift("4,16,16", image(width=16, height=16)), "samples: is no latent of pictures"),
    "views of two sizes": (combine(image(), image(width=30)), r"left.*right"),
    "views of two lengths": (combine(image(frames=2), image(frames=3)), r"left.*right"),
    "odd batch of both views": (combine(image(frames=3)), "left holds 3 pictures and right is not connected"),
    "rgb_depth without depth": (combine(image(), format="rgb_depth"), "rgb_depth needs depth"),
    "odd width cannot be split": (split(image(width=33), "full_sbs"), r"33"),
    "anaglyph cannot be split": (split(image(), "anaglyph_dubois"), "format: .anaglyph_dubois. not in"),
}

HANDLED = {
    "one channel": shift(image(channels=1), image(channels=1)),
    "four channels": shift(image(channels=4), image(channels=4)),
    "one pixel": shift(image(width=1, height=1), image(width=1, height=1)),
    "one column": shift(image(width=1, height=9), image(width=1, height=9), quality="best"),
    "one row": shift(image(width=9, height=1), image(width=9, height=1), quality="best", balance=0.5),
    "depth of another size": shift(image(), image(width=64, height=48)),
    "one depth for a clip": shift(image(frames=3), image(frames=1)),
    "largest disparity": shift(image(), image(), max_disparity=30.0, quality="best", edge_growth=16),
    "video latent with its clip": latent_shift("1,4,3,8,8", image(width=64, height=64, frames=9)),
    "one pixel latent": latent_shift("1,4,1,1", image(width=8, height=8)),
    "odd size to half SBS": combine(image(width=31), image(width=31), format="half_sbs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_one_clear_error(server: Server, case: str):
    prompt, said = REFUSED[case]
    with pytest.raises(PromptError) as caught:
        server.run(prompt)
    message = str(caught.value)
    assert "\n" not in message.strip() and "Traceback" not in message
    assert re.search(said, message), message
    assert server.alive


@pytest.mark.parametrize("case", HANDLED)
def test_handled(server: Server, case: str):
    assert server.run(HANDLED[case])


# Those that hold no whole clip, or leave its size to the sampler that they are connected to.
WITHOUT_CLIPS = (
    "DepthEstimate",
    "StereoPictureOptions",
    "StereoVideoOptions",
    "StereoRefineOptions",
    "SecondModel",
    "ScoreCompositionOptions",
    "LatentStereoShift",
    "DepthConditioning",
    "NullTextOptimization",
    "StereoKSampler",
    "StereoVideoKSampler",
    "StereoShiftSampler",
    "NoisyRestartSampler",
    "IterativeRefineSampler",
    "StereoClipConditioning",
    "ShiftCoupledViewExpert",
    "SplatExample",
    "SplatOptions",
    "SplatPath",
    "SplatSave",
    "CrossViewAttentionPatch",
    "SaveFilmWindow",
    "SaveStereoImage",
    "SaveStereoImage rgb_depth",
    "SaveStereoImage wiggle",
    "SaveStereoVideo",
    "SaveStereoVideo rgb_depth",
)
NAN, INFINITE = float("nan"), float("inf")


def with_value(value: float) -> Any:
    def spoil(given: Any) -> Any:
        spoiled = given.clone()
        spoiled.flatten()[-1:] = value
        return spoiled

    return spoil


def in_latent(spoil: Any) -> Any:
    return lambda latent: {**latent, "samples": spoil(latent["samples"])}


def with_sound(samples: Tensor) -> Any:
    from comfy.nested_tensor import NestedTensor

    return NestedTensor([samples, torch.zeros(1, 8, 4)])


def masked(latent: dict[str, Any]) -> dict[str, Any]:
    return {**latent, "noise_mask": torch.full(latent["samples"].shape[:1] + latent["samples"].shape[-2:], NAN)}


def in_embedding(spoil: Any) -> Any:
    return lambda entries: [[spoil(entries[0][0]), entries[0][1]], *entries[1:]]


def in_guider(spoil: Any) -> Any:
    def spoiled(guider: Any) -> Any:
        made = copy.copy(guider)
        made.original_conds = {
            name: [{**entry, "cross_attn": spoil(entry["cross_attn"])} for entry in entries]
            for name, entries in guider.original_conds.items()
        }
        return made

    return spoiled


def in_states(spoil: Any) -> Any:
    return lambda trajectory: replace(trajectory, states=tuple(map(spoil, trajectory.states)))


def in_rows(spoil: Any) -> Any:
    def spoiled(strips: Any) -> Any:
        return replace(strips, rows=tuple(replace(row, positive=spoil(row.positive)) for row in strips.rows))

    return spoiled


def narrow(embedding: Tensor) -> Tensor:
    return embedding[..., :-8].clone()


PROMPTS = {
    "NaN": (in_embedding(with_value(NAN)), "holds NaN"),
    "another family's": (in_embedding(narrow), "comes from the text encoder of another model"),
    "nothing": (lambda _: [], "holds no prompt"),
}
SPOILED = {
    "IMAGE": {
        "NaN": (with_value(NAN), "holds NaN or infinite values"),
        "infinite": (with_value(INFINITE), "holds NaN or infinite values"),
        "an empty batch": (lambda image: image[:0], "the batch is empty"),
        "two channels": (lambda image: image[..., :2], "has 2 channels"),
    },
    "LATENT": {
        "NaN": (in_latent(with_value(NAN)), "holds NaN"),
        "infinite": (in_latent(with_value(-INFINITE)), "holds NaN or infinite"),
        "an empty batch": (in_latent(lambda samples: samples[:0]), "the batch is empty"),
        "sound": (in_latent(with_sound), "is a latent of several parts, such as video and sound"),
        "three axes": (in_latent(lambda samples: samples[0]), "is no latent of pictures"),
        "a video": (in_latent(lambda samples: torch.stack([samples + 1] * 3, 2)), "is a latent of a video"),
        "another model's": (in_latent(lambda samples: torch.cat([samples + 1] * 4, 1)), "16 channels"),
        "a mask of NaN": (masked, "noise mask: holds NaN"),
    },
    "CONDITIONING": PROMPTS,
    "GUIDER": {
        name: (in_guider(spoil), said)
        for name, (spoil, said) in {
            "NaN": (with_value(NAN), "holds NaN"),
            "another family's": (narrow, "text encoder of another"),
        }.items()
    },
    "STEREO_TRAJECTORY": {"NaN": (in_states(with_value(NAN)), "holds NaN")},
    "STEREO_MATRIX_CONDITIONING": {name: (in_rows(spoil), said) for name, (spoil, said) in PROMPTS.items()},
    "SIGMAS": {"NaN": (with_value(NAN), "every noise level must be finite")},
}
# What is no fault in some nodes: those without a model cannot know what is another model's, and some take videos.
NO_FAULT = {
    "LatentStereoShift": ("a video", "another model's"),
    "DepthConditioning": ("another model's", "another family's", "a mask of NaN"),
    "StereoClipConditioning": ("another family's", "a mask of NaN"),
    "ImageMatrixView": ("a mask of NaN",),
    "ImageMatrixSheet": ("a mask of NaN",),
    "ImageMatrixConditioning": ("another family's",),
    "SplatReconstruct": ("a mask of NaN",),
}


@pytest.mark.parametrize("case", CASES)
def test_every_node_refuses_what_it_cannot_work_on(
    host: dict[str, type], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a node's faults at once: together they take less time than its inputs do."""
    inputs, node = given(host, case), node_of(host, case)
    spend_no_time(monkeypatch)
    unclear = []
    for name, kind in kinds(node).items():
        for fault, (spoil, said) in SPOILED.get(kind, {}).items():
            if name not in inputs or fault in NO_FAULT.get(case.split()[0], ()):
                continue
            try:
                node.execute(**{**inputs, name: spoil(inputs[name])})
                unclear.append(f"{name}, {fault}: taken")
            except ValueError as error:
                if not re.search(rf"\b{name}\b", str(error)) or said not in str(error):
                    unclear.append(f"{name}, {fault}: {error}")
    assert not unclear, "\n".join(unclear)


def test_every_node_and_socket_is_in_the_table(host: dict[str, type]) -> None:
    tried: dict[str, set[str]] = {}
    for case in CASES:
        tried.setdefault(f"Stereo_{case.split()[0]}", set()).update(given(host, case))
    missing = [
        f"{node}.{name}"
        for node, made in host.items()
        if node.startswith("Stereo_")
        for name, kind in kinds(made).items()
        if kind in SPOILED and kind != "STEREO_TRAJECTORY" and name not in tried.get(node, ())
    ]
    assert not missing


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("case", CASES)
def test_every_node_works_in_half_precision(host: dict[str, type], case: str, dtype: torch.dtype) -> None:
    node = node_of(host, case)
    inputs = given(host, case)
    for name, kind in kinds(node).items():
        if name in inputs and kind == "IMAGE":
            inputs[name] = inputs[name].to(dtype)
        if name in inputs and kind == "LATENT":
            inputs[name] = {**inputs[name], "samples": inputs[name]["samples"].to(dtype)}
    outputs = node.execute(**inputs).args
    for output in outputs:
        samples = output.get("samples") if isinstance(output, dict) else output
        if isinstance(samples, Tensor):
            assert samples.isfinite().all()


def spend_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever costs time fails the test."""
    import comfy.clip_vision
    import comfy.model_management
    import comfy.sd

    def spent(*_: object, **__: object) -> None:
        raise AssertionError("time was spent")

    monkeypatch.setattr(comfy.model_management, "load_models_gpu", spent)
    for model, method in (
        (comfy.sd.VAE, "encode"),
        (comfy.sd.VAE, "decode"),
        (comfy.clip_vision.ClipVisionModel, "encode_image"),
    ):
        monkeypatch.setattr(model, method, spent)


@pytest.mark.parametrize("case", [case for case in CASES if case not in WITHOUT_CLIPS])
def test_what_is_beyond_memory_is_refused_before_any_work(
    host: dict[str, type], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.model_management

    inputs, node = given(host, case), node_of(host, case)
    spend_no_time(monkeypatch)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: 64)
    name = node.define_schema().display_name
    with pytest.raises(ValueError, match=rf"^{name}: .* needs about .* GiB of memory, and 0.0 GiB are free. Use "):
        node.execute(**inputs)
