"""The pictures of the nodes that need no diffusion model: what they took and what they made, run in the host.

They run on the pack's still life and on the Middlebury Motorcycle, a photograph with measured depth. What stands in for
the result of a model says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tools.benchmarks.middlebury import Pair, motorcycle
from tools.diagram import film
from tools.help.sheet import SIZE, result
from tools.help.splats import splat_results

_FOCAL = 1000.0  # times the baseline: distances up to a factor, which depth maps do not tell
_FRAMES = 6


def results(nodes: Mapping[str, type]) -> dict[str, tuple[Image.Image, Image.Image]]:
    """Run the nodes.

    Args:
        nodes: the host's and this pack's, by id; see ``load_host``.

    Returns:
        By the name of the node's class: what goes in, and what comes out.
    """
    run = _Runner(nodes)
    scene, scene_depth = run("ExampleScene", scene="still_life")
    photograph = motorcycle()
    left, near = _image(photograph.left), _depth(photograph)
    strength = run("StereoStrength", near, **_STRENGTH)
    views = run("ImageStereoShift", left, strength[0], 0.0, "best", 0)
    scene_views = run("ImageStereoShift", scene, run("StereoStrength", scene_depth, **_STRENGTH)[0], 0.0, "best", 0)
    packed = {form: run("SBSCombine", *(scene_views[0], form, False, scene_views[1]))[0] for form in _FORMATS}
    estimated, *_ = run("DepthEstimate", left, _geometry(photograph), "scene", True, 0, 4, 0.5)
    (simple,) = run("DissolveDepth", scene_depth, "gaussian", 40, 1.0, 0.25, 0, 8, False, "range_kept")
    return {
        **splat_results(run),
        "ExampleScene": (result("image", _picture(scene)), result("depth", _picture(scene_depth))),
        "DepthEstimate": (
            result("a photograph, and its measured distances", _picture(left), _picture(_far(photograph))),
            result("depth: white is near, with its range stretched", _picture(estimated)),
        ),
        "DissolveDepth": (
            result("a depth map", _picture(scene_depth)),
            result("gaussian: its large shapes", _picture(simple)),
        ),
        "DisparityPropagate": _steadied(run, photograph),
        "StereoStrength": (
            result("a depth map", _picture(near)),
            result("what the node shows: warm in front, cool behind", run.shown("StereoStrength", near, **_STRENGTH)),
        ),
        "ImageStereoShift": (
            result("a photograph and its depth map", _picture(left), _picture(near)),
            result("the right view; its holes were filled", _picture(views[1])),
        ),
        "LatentStereoShift": _latent(run, scene, scene_depth),
        "StereoComposite": _composite(run, photograph, strength[0]),
        "StereoComfort": (
            result("two views", _picture(scene_views[0]), _picture(scene_views[1])),
            result(
                "what may strain the eyes, and how much",
                _picture(run("StereoComfort", "television", 1.22, 2.5, None, *scene_views[:2])[1]),
            ),
        ),
        "VR180FromPair": (
            result("two flat views", _picture(scene_views[0]), _picture(scene_views[1])),
            result(
                "each on half a sphere",
                *map(_picture, run("VR180FromPair", scene_views[0], 70.0, 2.0, 480, scene_views[1])),
            ),
        ),
        "StereoPreview": (
            result("two views", _picture(scene_views[0]), _picture(scene_views[1])),
            result("one of the ways to look at them: an anaglyph", _picture(packed["anaglyph_dubois"])),
        ),
        "SBSCombine": (
            result("left and right view", _picture(scene_views[0]), _picture(scene_views[1])),
            result("half_sbs, anaglyph_dubois", *(_picture(packed[form]) for form in _FORMATS)),
        ),
        "SBSSplit": (
            result("half_sbs", _picture(packed["half_sbs"])),
            result("left, right", *map(_picture, run("SBSSplit", packed["half_sbs"], "half_sbs"))),
        ),
    }


_STRENGTH = {"max_disparity": 4.0, "screen": "value", "convergence": 0.5, "exponent": 1.0, "invert": False}
_FORMATS = ("half_sbs", "anaglyph_dubois")


class _Runner:
    """Nodes of this pack by the names of their classes."""

    def __init__(self, nodes: Mapping[str, type]) -> None:
        self._nodes = nodes

    def __call__(self, name: str, *args: Any, **inputs: Any) -> tuple[Any, ...]:
        with torch.inference_mode():
            return self._nodes[f"Stereo_{name}"].execute(*args, **inputs).args

    def shown(self, name: str, *args: Any, **inputs: Any) -> Image.Image:
        """The picture that the node shows in the editor."""
        import folder_paths

        with torch.inference_mode():
            shown = self._nodes[f"Stereo_{name}"].execute(*args, **inputs).ui.as_dict()["images"][0]
        with Image.open(f"{folder_paths.get_temp_directory()}/{shown['filename']}") as picture:
            return picture.convert("RGB")


def _steadied(run: _Runner, photograph: Pair) -> tuple[Image.Image, Image.Image]:
    """A camera that moves along a photograph whose depth flickers, as a map made frame by frame does."""
    left, near = _image(photograph.left), _depth(photograph)
    side, noise = 360, torch.Generator().manual_seed(0)
    places = [8 * frame for frame in range(_FRAMES)]
    clip = torch.cat([left[:, 60 : 60 + side, 150 + x : 150 + x + side] for x in places])
    true = torch.cat([near[:, 60 : 60 + side, 150 + x : 150 + x + side] for x in places])
    blobs = torch.rand(_FRAMES, 1, 9, 9, generator=noise)
    blobs = interpolate(blobs, size=(side, side), mode="bicubic").movedim(1, -1)
    flickering = (true + 0.6 * (blobs - 0.5)).clamp(0, 1)
    (steady,) = run("DisparityPropagate", flickering, clip, "consistent", 0, 480)
    before, after = (_film(depth[1:-1]) for depth in (flickering, steady))
    return result("depth that flickers (noise was added)", before), result("carried along the motion, averaged", after)


def _film(frames: Tensor) -> Image.Image:
    pictures = [_picture(frame[None]) for frame in frames]
    strip = film(lambda size, time: pictures[round(time * (len(pictures) - 1))].resize(size), len(pictures))
    return strip((SIZE[0], SIZE[0] // len(pictures) + 40))


def _latent(run: _Runner, scene: Tensor, depth: Tensor) -> tuple[Image.Image, Image.Image]:
    """A latent of four channels that holds the picture's own colours, so that one can see what is shifted."""
    small = interpolate(scene.movedim(-1, 1), scale_factor=1 / 16, mode="area")
    latent = torch.cat([small, small.mean(1, keepdim=True)], dim=1)
    strength = run("StereoStrength", depth, **{**_STRENGTH, "max_disparity": 6.0})[0]
    shifted = run("LatentStereoShift", {"samples": latent}, strength, "background", 0, "sub_column")[0]
    right = shifted["samples"][1:, :3].movedim(1, -1)
    holes = interpolate(shifted["noise_mask"].reshape(2, 1, *shifted["noise_mask"].shape[-2:]), size=right.shape[1:3])
    orange = torch.tensor([1.0, 0.65, 0.0])
    right = torch.lerp(right, orange.expand_as(right), holes[1:].movedim(1, -1))
    before, after = (
        _picture(each).resize((480, 320), Image.Resampling.NEAREST) for each in (small.movedim(1, -1), right)
    )
    return result("a latent, in the picture's colours", before), result("shifted; orange: to be painted", after)


def _composite(run: _Runner, photograph: Pair, depth: Any) -> tuple[Image.Image, Image.Image]:
    """In place of a diffusion result: the true right view, small and in other colours, as such results are."""
    true = _image(photograph.right)
    small = interpolate(true.movedim(-1, 1), scale_factor=1 / 4, mode="area").movedim(1, -1)
    stand_in = (small * torch.tensor([0.95, 0.85, 0.7])).clamp(0, 1)
    parts = run("StereoComposite", _image(photograph.left), depth, stand_in, 0.5, "local", "best")
    return (
        result("for a diffusion result: blurred, off in colour", _picture(stand_in)),
        result("the original, and the result in the holes only", _picture(parts[1])),
    )


def _geometry(photograph: Pair) -> dict[str, Tensor]:
    """What a geometry model of the host gives: distances."""
    return {"depth": torch.from_numpy(_FOCAL / photograph.disparity)[None]}


def _far(photograph: Pair) -> Tensor:
    """Distances as grey levels, for the eye."""
    distance = torch.from_numpy(_FOCAL / photograph.disparity)[None, ..., None]
    return ((distance - distance.min()) / (distance.max() - distance.min())).expand(-1, -1, -1, 3)


def _image(picture: Any) -> Tensor:
    """(H, W, 3) bytes to an IMAGE of one."""
    return torch.tensor(picture)[None] / 255


def _depth(pair: Pair) -> Tensor:
    """The pair's disparity as a depth map: white is near."""
    disparity = torch.from_numpy(pair.disparity)[None, ..., None]
    low, high = disparity.min(), disparity.max()
    return ((disparity - low) / (high - low)).repeat(1, 1, 1, 3)


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0, ..., :3].float().clamp(0, 1) * 255).round().byte().numpy())
