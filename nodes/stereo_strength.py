"""StereoStrength: a depth map, and how deep the stereo made from it is."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.geometry import Screen, StereoGeometry
from .host import describe_size, expect_memory, image_to_core
from .widgets.geometry import make_depth, show_disparity
from .widgets.sockets import STEREO_DEPTH

_DEFAULTS = StereoGeometry()

# Of the maps in float32, while they are read and shown: as given, inverted, and as disparity.
_COPIES = 3


class StereoStrength(io.ComfyNode):
    """Say how deep the stereo is, once for all nodes that shift something."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoStrength",
            display_name="Stereo Strength",
            category="stereo/depth",
            description="Sets how deep the stereo is and what lies on the screen, and shows what moves how far.",
            search_aliases=["3d strength", "divergence", "convergence", "parallax", "invert depth", "disparity", "SBS"],
            inputs=[
                io.Image.Input(
                    "depth",
                    tooltip="Depth map of the left view, white is near: one for each picture or frame, or one for all.",
                ),
                io.Float.Input(
                    "max_disparity",
                    default=_DEFAULTS.max_disparity,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="Strength: how far the nearest point moves relative to the farthest, in percent of the "
                    "width.\n1 to 3 is comfortable on most screens; the node shows it in per mille and pixels.",
                ),
                io.Combo.Input(
                    "screen",
                    options=Screen,
                    default=_DEFAULTS.screen.value,
                    tooltip="What lies on the screen; nearer things stand out of it, farther ones lie behind.\n"
                    "value: the depth that convergence gives.\npercentile: that share of the picture lies behind.\n"
                    "subject: what stands out in the middle of the picture; steady over each scene of a clip.",
                ),
                io.Float.Input(
                    "convergence",
                    default=_DEFAULTS.convergence,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="For value: the depth on the screen, 0 (far) to 1 (near); 0 puts everything in front.\n"
                    "For percentile: the share of the picture behind the screen. Not used for subject.",
                ),
                io.Float.Input(
                    "exponent",
                    default=_DEFAULTS.exponent,
                    min=0.1,
                    max=5.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Depth is raised to this power first, 0.1 to 5.\nAbove 1 flattens the background and "
                    "brings out the foreground, below 1 the reverse. 1 is linear.",
                ),
                io.Boolean.Input(
                    "invert", default=False, tooltip="The depth map is black where it is near, as some tools make it."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture or clip of the depth map: finds the cuts of a clip, and a picture that was "
                    "connected in place of its depth map.",
                ),
            ],
            outputs=[
                STEREO_DEPTH.Output(display_name="stereo_depth", tooltip="For depth of the nodes that shift something.")
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        depth: Tensor,
        max_disparity: float,
        screen: str,
        convergence: float,
        exponent: float,
        invert: bool,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        geometry = StereoGeometry(max_disparity, convergence, exponent, Screen(screen))
        frames = image_to_core(depth, "depth")
        expect_memory("Stereo Strength", describe_size(frames), _COPIES * frames[:, :1].numel() * 4)
        if image is not None and len(frames) not in (1, len(image_to_core(image, "image"))):
            raise ValueError(
                f"image: holds {len(image)} pictures, and depth {len(frames)} maps. Connect the clip that depth is of."
            )
        made = make_depth(depth, geometry, invert, image)
        return io.NodeOutput(made, ui=show_disparity(cls, made))
