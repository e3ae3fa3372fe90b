"""SplatOptions: what one rarely sets of Splat 4D Reconstruct."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.splat_options import Emphasis, Motion
from ..widgets.sockets import SPLAT_OPTIONS
from .colors import read_color
from .reconstruction import ReconstructionOptions

_DEFAULTS = ReconstructionOptions()


class SplatOptions(io.ComfyNode):
    """Set the motion, the weights and the cameras of a reconstruction."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatOptions",
            display_name="Splat 4D Options",
            category="stereo/multiview",
            description="More options of Splat 4D Reconstruct.",
            search_aliases=["gaussian splat", "4D", "deformation field", "diffusion squared"],
            inputs=[
                # the fit
                io.Combo.Input(
                    "motion",
                    options=Motion,
                    default=_DEFAULTS.motion.value,
                    tooltip="How motion is learned.\ncurve: a smooth curve for each Gaussian; fast, and also right "
                    "where things part.\nmlp: one small network for all, as in Diffusion²; slower, neighbours "
                    "move alike.",
                ),
                io.Combo.Input(
                    "weights",
                    options=Emphasis,
                    default=_DEFAULTS.weights.value,
                    tooltip="reference: colours are learned less from views and frames far from the reference view and "
                    "the first frame, as in Diffusion²; generated pictures differ there.\neven: from all alike; for "
                    "pictures that agree, such as photographs and renderings.",
                ),
                io.Float.Input(
                    "warm_up",
                    default=_DEFAULTS.warm_up,
                    min=0.05,
                    max=0.95,
                    step=0.05,
                    tooltip="Share of the iterations, 0.05 to 0.95, spent on the first frame alone, before anything "
                    "moves. Diffusion² takes 3,000 of 5,000.",
                ),
                io.Int.Input(
                    "held_out",
                    default=_DEFAULTS.held_out,
                    min=0,
                    max=100,
                    tooltip="Every n-th picture is kept back for checking: the scene is not fitted to it, and how well "
                    "the scene matches it tells how good the scene is.\n5 keeps back every fifth picture; 2 is the "
                    "least. 0 fits all pictures, and nothing is left to check with.",
                ),
                # the pictures
                io.Float.Input(
                    "fov",
                    default=_DEFAULTS.fov,
                    min=1.0,
                    max=120.0,
                    step=0.1,
                    tooltip="Degrees that the smaller side of a picture shows. SV3D: 33.8.",
                ),
                io.String.Input(
                    "background",
                    default="",
                    tooltip="Colour of the pictures' background, such as #ffffff. Empty: the most usual one along "
                    "their edges.\nWith masks: what the object is put on; white if empty.",
                ),
            ],
            outputs=[SPLAT_OPTIONS.Output(display_name="options", tooltip="For options of Splat 4D Reconstruct.")],
        )

    @classmethod
    def execute(
        cls,
        # the fit
        motion: str,
        weights: str,
        warm_up: float,
        held_out: int,
        # the pictures
        fov: float,
        background: str,
    ) -> io.NodeOutput:
        if held_out == 1:
            raise ValueError(
                "held_out is 1, which leaves nothing to learn from. Take 2 or more, or 0 to hold none out."
            )
        color = read_color(background, "background")
        return io.NodeOutput(ReconstructionOptions(Motion(motion), Emphasis(weights), warm_up, held_out, fov, color))
