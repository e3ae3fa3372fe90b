"""StereoPreview: both views on the node, as an eye sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.frame_matching import resize_keeping_edges
from ...stereo_core.geometry import Screen
from ...stereo_core.stereo_depth import StereoDepth, one_for_each
from ..host import describe_size, each_frame, expect_memory
from ..widgets.geometry import read_depth
from ..widgets.sockets import STEREO_DEPTH
from ..widgets.views import both_views, left_input, right_input
from .preview_files import PreviewFiles, resized, shown_size

_MOST_PICTURES, _MOST_FPS = 100, 1000.0
_COPIES, _FRAMES = 2, 6  # of plain maps while they are read, and of a frame while it is written


class StereoPreview(io.ComfyNode):
    """Write what the viewer in the editor (``web/``) shows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoPreview",
            display_name="Stereo Preview",
            category="stereo",
            description="Shows two views on the node: in alternation, for glasses, for the naked eye, or in a headset.",
            search_aliases=["wiggle", "anaglyph", "viewer", "VR", "headset", "WebXR", "cross-eyed", "SBS", "parallax"],
            inputs=[
                left_input(),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=0.0,
                    max=120.0,
                    step=0.01,
                    tooltip="Frames per second of a clip, up to 120.\n0: the batch is no clip; its pictures are shown "
                    "one at a time.",
                ),
                right_input(),
                io.MultiType.Input(
                    "depth",
                    types=[STEREO_DEPTH, io.Image],
                    optional=True,
                    tooltip="Depth of the left view: Stereo Strength, or a plain depth map, white is near.\nFor the "
                    "mode parallax, and to put what you Ctrl+click on the screen.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, left: Tensor, fps: float, right: Tensor | None = None, depth: StereoDepth | Tensor | None = None
    ) -> io.NodeOutput:
        if not 0 <= fps <= _MOST_FPS:
            raise ValueError(f"fps: got {fps}. Give the frames per second of the clip, or 0 for a batch of pictures.")
        views = both_views(left, right)
        count, clip = len(views[0]), len(views[0]) > 1 and fps > 0
        if not clip and count > _MOST_PICTURES:
            raise ValueError(
                f"fps: 0 shows {count} pictures one at a time, and {_MOST_PICTURES} is the most. Set it to the frames "
                "per second if this is a clip, or connect fewer pictures."
            )
        maps = 0 if depth is None or isinstance(depth, StereoDepth) else depth[..., 0].numel()
        kept, working = _COPIES * maps, _FRAMES * views[0][0].numel()  # float32
        expect_memory("Stereo Preview", describe_size(views[0]), 4 * kept, 4 * working)
        nearness = None if depth is None else _Nearness(depth, left[:count])
        write = _write_clip if clip else _write_pictures
        try:
            return io.NodeOutput(ui={"stereo_views": write(views, nearness, fps)})
        except OSError as error:
            raise ValueError(
                f"Stereo Preview: ComfyUI's temporary folder cannot be written: {error.strerror or error}. Make room "
                "there, or start ComfyUI with another --temp-directory."
            ) from error


class _Nearness:
    """The depth maps in the values that ``convergence`` is given in, and how deep the stereo is."""

    def __init__(self, depth: StereoDepth | Tensor, picture: Tensor) -> None:
        stereo = read_depth(depth, picture)
        stereo.expect_aspect(*picture.shape[1:3])
        unit = replace(stereo.geometry, max_disparity=100.0, convergence=0.0, screen=Screen.VALUE)
        self._maps = replace(stereo, geometry=unit, convergence=None).select(lambda m: one_for_each(m, len(picture)))
        self._strength, screens = stereo.geometry.max_disparity / 100, stereo.convergence
        self._screens = [stereo.geometry.convergence] if screens is None else screens.flatten().tolist()
        self._plain = not isinstance(depth, StereoDepth)

    def frame(self, index: int, size: tuple[int, int]) -> Tensor:
        """Return one map (1, 1, H, W) in [0, 1], 1 nearest; even sizes make it a little wider or higher."""
        return self._maps.select(lambda maps: resize_keeping_edges(maps[index : index + 1], size)).disparity() / size[1]

    def geometry(self, index: int | None = None) -> dict[str, Any]:
        """Return the strength, in shares of the width, and the depth on the screen: of all frames, or of one."""
        screens = self._screens if index is None or len(self._screens) == 1 else [self._screens[index]]
        rounded = [round(value, 4) for value in screens]
        return {"strength": self._strength, "screens": rounded, "plain": self._plain}


Views = tuple[Tensor, Tensor]


def _write_pictures(views: Views, nearness: _Nearness | None, _: float) -> list[dict[str, Any]]:
    """Write each pair, and return what the viewer needs to know of it."""
    files, shown = PreviewFiles(), []
    size = shown_size(*views[0].shape[-2:], clip=False)
    for index in each_frame(len(views[0])):
        item = _described(views[0], size)
        for name, view in zip(("left", "right"), views, strict=True):
            item[name] = files.picture(resized(view[index : index + 1], size))
        if nearness is not None:
            item |= {"depth": files.picture(nearness.frame(index, size)), "geometry": nearness.geometry(index)}
        shown.append(item)
    return shown


def _write_clip(views: Views, nearness: _Nearness | None, fps: float) -> list[dict[str, Any]]:
    """Write the clip, left view, right view and depth side by side, and return what the viewer needs to know of it."""
    size = shown_size(*views[0].shape[-2:], clip=True)
    item = _described(views[0], size) | {"frames": len(views[0]), "fps": fps}
    with PreviewFiles().clip(fps) as film:
        for index in each_frame(len(views[0])):
            panels = [resized(view[index : index + 1], size) for view in views]
            film.add(panels if nearness is None else [*panels, nearness.frame(index, size)])
    item["clip"] = film.found
    return [item if nearness is None else item | {"geometry": nearness.geometry()}]


def _described(view: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    return {"width": size[1], "height": size[0], "of": [view.shape[-1], view.shape[-2]]}
