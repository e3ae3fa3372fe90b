"""SBSCombine: two views to one stereo format."""

from __future__ import annotations

from enum import Enum

from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.formats import StereoFormat, combine, packed_views
from ...stereo_core.view_borders import Strips, masked
from ..host import core_to_image, describe_size, expect_memory, image_to_core, show_text
from ..widgets.views import both_views, depth_beside, left_input, right_input


class FrameDrop(str, Enum):
    """Which frames of a clip are left out."""

    NONE = "none"
    FIRST = "first"
    LAST = "last"
    FIRST_AND_LAST = "first_and_last"


class SBSCombine(io.ComfyNode):
    """Pack both views into one picture or clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SBSCombine",
            display_name="Stereo Combine",
            category="stereo",
            description="Packs two views for a headset, a 3D screen, glasses, or the naked eye.",
            search_aliases=["SBS", "side by side", "anaglyph", "red cyan", "cross-eyed", "VR", "wiggle", "interlaced"],
            inputs=[
                left_input(),
                io.Combo.Input(
                    "format",
                    options=StereoFormat,
                    default=StereoFormat.FULL_SBS.value,
                    tooltip="full_sbs, full_tb: for headsets and players. half_*: squeezed, for 3D televisions.\n"
                    "cross_eyed: for free viewing. anaglyph_dubois: red-cyan glasses, with the least ghosting.\n"
                    "interlaced_*, checkerboard: for passive and DLP screens. rgb_depth: picture and depth map.\n"
                    "wiggle: left and right frames in alternation.",
                ),
                io.Boolean.Input("swap", default=False, advanced=True, tooltip="Exchange the left and right view."),
                right_input(),
                io.Image.Input("depth", optional=True, tooltip="Depth map of the left view, for rgb_depth only."),
                io.Combo.Input(
                    "drop_frames",
                    options=FrameDrop,
                    default=FrameDrop.NONE.value,
                    optional=True,
                    advanced=True,
                    tooltip="Frames to leave out of both views. A first or last frame that was given, or where a clip "
                    "loops, is fixed and shows no stereo: drop it.",
                ),
                io.Float.Input(
                    "floating_window",
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    optional=True,
                    advanced=True,
                    tooltip="How far the frame comes forward, in percent of the width, 0 to 10: a black strip at the "
                    "left of the left view and one at the right of the right view.\nFor what stands in front of the "
                    "screen and is cut off at the sides; Stereo Comfort says how much that takes.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="Always of even width and height, as video needs them: the last column or row of views of "
                    "odd size is there twice.",
                )
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        left: Tensor,
        format: str,
        swap: bool,
        right: Tensor | None = None,
        depth: Tensor | None = None,
        drop_frames: str = FrameDrop.NONE.value,
        floating_window: float = 0.0,
    ) -> io.NodeOutput:
        form, drop = StereoFormat(format), FrameDrop(drop_frames)
        if form is StereoFormat.RGB_DEPTH:
            if floating_window:
                raise ValueError("floating_window needs two views. Set it to 0 for rgb_depth.")
            first = image_to_core(left, "left")
            view, beside = _drop(first, drop), _drop(depth_beside(first, depth), drop)
            _expect_memory(view, form)
            image = combine(view, None, form, beside)
        else:
            views = both_views(left, right)
            view, other = (_drop(each, drop) for each in (reversed(views) if swap else views))
            _expect_memory(view, form, windowed=floating_window > 0)
            if floating_window:
                strip = round(floating_window / 100 * view.shape[-1])
                view = masked(view, [Strips(strip, 0)] * len(view))
                other = masked(other, [Strips(0, strip)] * len(other))
            image = combine(view, other, form)
        _tell_size(cls, view, image)
        return io.NodeOutput(core_to_image(image), ui=ui.PreviewImage(core_to_image(image[:2]), cls=cls))


def _expect_memory(view: Tensor, form: StereoFormat, windowed: bool = False) -> None:
    """Raise ``ValueError`` unless there is memory for both views (B, 3, H, W) in one picture, and for copies of them.

    They are copied to be of even size, and to be masked.
    """
    copies = any(side % 2 for side in view.shape[-2:]) + windowed
    expect_memory("Stereo Combine", describe_size(view), (packed_views(form) + 2 * copies) * view.nbytes)


def _tell_size(node: type[io.ComfyNode], view: Tensor, image: Tensor) -> None:
    height, width = view.shape[-2:]
    if width % 2 or height % 2:
        even = f"{width + width % 2}x{height + height % 2}"
        show_text(
            node,
            f"{image.shape[-1]}x{image.shape[-2]}: video needs even sizes, so the views are {even} instead of "
            f"{width}x{height}, their last {' and '.join(_odd(width, height))} twice",
        )


def _odd(width: int, height: int) -> list[str]:
    return [name for name, side in (("column", width), ("row", height)) if side % 2]


def _drop(frames: Tensor, drop: FrameDrop) -> Tensor:
    start = 1 if drop in (FrameDrop.FIRST, FrameDrop.FIRST_AND_LAST) else 0
    end = len(frames) - (1 if drop in (FrameDrop.LAST, FrameDrop.FIRST_AND_LAST) else 0)
    if start >= end:
        count = "the only frame" if len(frames) == 1 else f"both of {len(frames)} frames"
        raise ValueError(f"drop_frames {drop.value} would drop {count}. Set it to none, or connect a longer clip.")
    return frames[start:end]
