"""StereoStrength: a depth map, and how deep the stereo made from it is."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.geometry import Screen, StereoGeometry
from .host import describe_size, expect_memory, image_to_core
from .widgets.geometry import exponent_input, geometry_inputs, make_depth, show_disparity
from .widgets.sockets import STEREO_DEPTH

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
                *geometry_inputs("the node shows it in per mille and pixels"),
                exponent_input(),
                io.Boolean.Input(
                    "invert",
                    default=False,
                    tooltip="Turn on for a depth map that is black where things are near, as some tools write it.",
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
