"""DepthEstimate: the depth of a picture or clip, steady over the clip."""

from __future__ import annotations

import itertools

import comfy.model_management
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.depth_edges import DepthEdges
from ..stereo_core.depth_range import DepthRange, apply_ranges, inverse_depth_ranges
from ..stereo_core.letterbox import find_picture
from ..stereo_core.scenes import find_scene_starts
from .depth.clip_depth import enlarged, is_steadied, steadied, without_bars
from .depth.depthcrafter import DepthCrafterModel
from .depth.distances import distances_of
from .depth.sources import Source, is_steady, memory_needed, raw_inverse_depth
from .host import describe_size, expect_memory, image_to_core, show_text
from .widgets.rendering import depth_edges_input
from .widgets.sockets import DEPTH_MODEL

_SOURCES = [DEPTH_MODEL, *(io.Custom(n) for n in ("DA3_MODEL", "MOGE_MODEL", "DA3_GEOMETRY", "MOGE_GEOMETRY"))]


class DepthEstimate(io.ComfyNode):
    """Estimate the depth of a picture or clip, steady over the clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DepthEstimate",
            display_name="Depth Estimate",
            category="stereo/depth",
            description="Estimates the depth of a picture, or of a clip with one range over its frames. White is near.",
            search_aliases=["depth map", "midas", "depth anything", "zoe", "moge", "video depth", "inverse depth"],
            inputs=[
                io.Image.Input("image", tooltip="One picture, or the frames of a clip."),
                io.MultiType.Input(
                    "source",
                    types=_SOURCES,
                    tooltip="A depth model (Load Depth Model, Load Depth Anything 3, Load MoGe Model), or the geometry "
                    "that Depth Anything 3 or MoGe made of the same frames.",
                ),
                io.Combo.Input(
                    "range",
                    options=DepthRange,
                    default=DepthRange.SCENE.value,
                    tooltip="Over which frames black to white is stretched.\nscene: between cuts, steady within each "
                    "scene (default).\nclip: over all frames.\nimage: every frame alone, for unrelated pictures.",
                ),
                io.Boolean.Input(
                    "stabilize",
                    default=True,
                    tooltip="Remove jumps of scale and offset between neighbouring frames of a scene, judged by what "
                    "stands still, or along the motion where the camera moves. Does nothing to a single picture.\nNot "
                    "used for Video Depth Anything and DepthCrafter, which are steady by themselves.",
                ),
                io.Int.Input(
                    "resolution",
                    default=0,
                    min=0,
                    max=4096,
                    step=2,
                    tooltip="Longest side, in pixels, at which the model runs, rounded to what it accepts; 0 is the "
                    "model's own (384 to 924; Depth Pro only 1536; GLPN the picture's; Video Depth Anything "
                    "518 for the shorter side; DepthCrafter the picture's, at most 1024).\n"
                    "Higher: finer edges, more memory and time, less reliable large shapes. MoGe: about 650 to 1100. "
                    "Not used for geometry.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=4,
                    min=1,
                    max=256,
                    tooltip="Frames per call of the model. Lower it when memory runs out; the result is the same. "
                    "Not used for geometry, nor for DepthCrafter, which takes 110 frames at once: lower resolution "
                    "there.",
                ),
                io.Float.Input(
                    "percentile",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    advanced=True,
                    tooltip="Percent of the pixels clipped at each end of the range, so that a few stray values "
                    "do not squeeze the rest. 0 clips none.",
                ),
                depth_edges_input(DepthEdges.AS_GIVEN),
                io.Int.Input(
                    "tiles",
                    default=1,
                    min=1,
                    max=8,
                    optional=True,
                    tooltip="For large pictures: into how many parts the longer side is cut. The model looks at each "
                    "part as well as at the whole picture, and finer edges are taken from the parts. What is near and "
                    "what is far stays as in the whole picture.\n1: the whole picture only (default). 2 takes 3 to 5 "
                    "times as long, 3 takes 7 to 10 times.\nMust be 1 with geometry, Video Depth Anything and "
                    "DepthCrafter.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="depth",
                    tooltip="Relative inverse depth in [0, 1] as grey pictures, white is near, as many and as large as "
                    "those of image.",
                ),
                io.Float.Output(
                    display_name="nearest",
                    tooltip="For Stereo Comfort: the distance of what is white, in metres; 0 where the source gives no "
                    "distances, or scenes differ in their range.",
                ),
                io.Float.Output(
                    display_name="farthest",
                    tooltip="The distance of what is black, in metres; 0 where it is not known.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        source: Source,
        range: str,
        stabilize: bool,
        resolution: int,
        batch_size: int,
        percentile: float,
        depth_edges: str = DepthEdges.AS_GIVEN.value,
        tiles: int = 1,
    ) -> io.NodeOutput:
        frames = image_to_core(image, "image")
        needed = memory_needed(frames, source, resolution, batch_size, tiles)
        advice = "Lower resolution or batch_size, or use fewer or smaller pictures."
        expect_memory("Depth Estimate", describe_size(frames), *needed, advice=advice)
        cuts, range = find_scene_starts(frames), DepthRange(range)
        starts = cuts.nonzero().flatten().tolist() if range is DepthRange.SCENE or is_steady(source) else [0]
        raw = raw_inverse_depth(frames, source, resolution, batch_size, starts, tiles)
        stabilize = is_steadied(source, stabilize, len(raw))
        if stabilize:
            _steady(raw, frames, cuts, source)
        alone = torch.ones_like(cuts) if range is DepthRange.IMAGE else cuts
        ranges = inverse_depth_ranges(raw, range, cuts, percentile, _areas(frames, raw, alone))
        reach = distances_of(source, ranges)
        show_text(cls, "\n".join([_describe(source, stabilize), *reach.words]))
        depth = apply_ranges(raw, ranges)
        return io.NodeOutput(_to_image(depth, frames, DepthEdges(depth_edges)), reach.nearest, reach.farthest)


def _describe(source: Source, stabilize: bool) -> str:
    if is_steady(source):
        name = "DepthCrafter" if isinstance(source, DepthCrafterModel) else "Video Depth Anything"
        return f"{name}: made for clips and steady by itself"
    kind = "A model for single frames"
    if isinstance(source, dict):
        kind = f"Geometry of {'all frames together' if source.get('mode') == 'multiview' else 'single frames'}"
    return f"{kind}, {'steadied' if stabilize else 'not steadied'}"


def _steady(raw: Tensor, frames: Tensor, cuts: Tensor, source: Source) -> None:
    """Steady the maps (T, 1, h, w) of single frames, in place."""
    state = None
    for inverse, picture, cut in zip(raw.split(1), frames.split(1), cuts.tolist(), strict=True):
        steady, state = steadied(inverse, picture, None if cut else state, source)
        inverse.copy_(steady)


def _areas(frames: Tensor, raw: Tensor, cuts: Tensor) -> list[tuple[slice, slice]]:
    """Return for each map of (T, 1, h, w) the rows and columns that show the picture of frames (T, 3, H, W), no bars.

    Bars are those of a scene; ``cuts`` (T,) is true where one starts.
    """
    starts = cuts.nonzero().flatten().tolist()
    areas = []
    for first, last in itertools.pairwise([*starts, len(frames)]):
        picture = find_picture(frames[first:last])
        areas += [without_bars(picture, frames.shape[-2:], raw.shape[-2:])] * (last - first)
    return areas


def _to_image(depth: Tensor, frames: Tensor, edges: DepthEdges) -> Tensor:
    """Resize (T, 1, h, w) to an IMAGE (T, H, W, 3) like frames (T, 3, H, W), one by one: a clip is in memory once."""
    image = torch.empty(
        len(depth),
        *frames.shape[-2:],
        3,
        device=comfy.model_management.intermediate_device(),
        dtype=comfy.model_management.intermediate_dtype(),
    )
    for frame, inverse, picture in zip(image, depth.split(1), frames.split(1), strict=True):
        frame.copy_(enlarged(inverse, picture, edges)[0].movedim(0, -1))
    return image
