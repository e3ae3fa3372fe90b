"""Bad input over HTTP: one clear error that names the widget, and a server that goes on working."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tools.host.server import PromptError, Server

SHIFT = {
    "max_disparity": 3.0,
    "convergence": 0.5,
    "exponent": 1.0,
    "balance": 0.0,
    "quality": "fast",
    "edge_growth": 0,
}
LATENT = {"max_disparity": 3.0, "convergence": 0.5, "exponent": 1.0, "fill": "left", "seed": 0, "shift": "sub_column"}


def image(kind: str = "ramp", width: int = 32, height: int = 24, frames: int = 1, channels: int = 3) -> dict[str, Any]:
    inputs = {"kind": kind, "width": width, "height": height, "frames": frames, "channels": channels}
    return {"class_type": "Probe_Image", "inputs": inputs}


def shift(picture: dict[str, Any], depth: dict[str, Any], **widgets: Any) -> dict[str, Any]:
    inputs = {"image": ["a", 0], "depth": ["b", 0], **SHIFT, **widgets}
    return {
        "a": picture,
        "b": depth,
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
    "depth of another size": (shift(image(), image(width=33)), "depth is 33x24 and image is 32x24"),
    "depth of another frame count": (shift(image(frames=3), image(frames=5)), "depth holds 5 maps for 3 pictures"),
    "empty image": (shift(image(frames=0), image()), "image: the batch is empty"),
    "empty depth": (shift(image(), image(frames=0)), "depth: the batch is empty"),
    "two channels": (shift(image(channels=2), image()), r"image: expected an IMAGE .*\(1, 24, 32, 2\)"),
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
    "latent of three axes": (latent_shift("4,16,16", image(width=16, height=16)), r"samples: expected .*\(4, 16, 16\)"),
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


def test_a_picture_beyond_memory_is_refused_before_any_work(host, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: 8 * 2**30)
    huge = torch.zeros(1).expand(1, 16384, 16384, 3)  # occupies four bytes
    with pytest.raises(ValueError, match=r"Image Stereo Shift at 16384x16384 needs about .* GiB and 8.0 GiB are free"):
        host["Stereo_ImageStereoShift"].execute(huge, huge, **SHIFT)
