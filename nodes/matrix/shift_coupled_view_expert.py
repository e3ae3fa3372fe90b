"""ShiftCoupledViewExpert: a view expert for score composition, made from a video model and depth, for a stereo pair."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.attention import AttentionMode
from ...stereo_core.stereo_depth import StereoDepth
from ..attention.model_patch import couple_views
from ..widgets.attention import attention_input, chosen_mode
from ..widgets.geometry import depth_input, read_depth, show_disparity
from .view_expert import make_expert

# Those in which the left view does not read the right one: the others would alter the clip that the depth belongs to.
_MODES = (AttentionMode.LEFT_KV, AttentionMode.RIGHT_JOINT, AttentionMode.LEFT_QUERY)


class ShiftCoupledViewExpert(io.ComfyNode):
    """Make a view expert from a video model and the depth of the left view."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ShiftCoupledViewExpert",
            display_name="Shift-Coupled View Expert",
            category="stereo/multiview",
            description="A multi-view model for two views, made from a video model and depth, for Score Composition "
            "Sampler.",
            search_aliases=["Diffusion2", "stereo video", "view expert", "parallax", "2d to 3d"],
            inputs=[
                io.Model.Input("model", tooltip="The video model itself, SVD. It is not changed."),
                depth_input("left clip", "Any size of the same shape; one map for each frame, or one for all."),
                attention_input(
                    "attention",
                    "How the right view reads the left one to fill what the left one does not show.",
                    AttentionMode.LEFT_KV,
                    _MODES,
                ),
            ],
            outputs=[
                io.Model.Output(display_name="view_expert", tooltip="For multiview_model of Score Composition Sampler.")
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        depth: StereoDepth | Tensor,
        attention: str,
    ) -> io.NodeOutput:
        stereo = read_depth(depth)
        # The expert first: how it may be used is told before what its attention needs.
        expert = couple_views(make_expert(model, stereo), chosen_mode(attention))
        return io.NodeOutput(expert, ui=show_disparity(cls, stereo))
