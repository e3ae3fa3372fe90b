"""ShiftCoupledViewExpert: score composition's second role taken by depth, for a stereo pair."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.disparity_preview import disparity_preview
from ..stereo_core.geometry import StereoGeometry
from .attention.model_patch import couple_views
from .host import core_to_image, depth_to_core
from .matrix.view_expert import ViewExpert, make_expert
from .widgets.geometry import geometry_inputs, show_geometry

_UNCOUPLED = "none"
# Those in which the left view does not see the right one: the others would alter the clip that the depth belongs to.
_MODES = (AttentionMode.LEFT_KV, AttentionMode.RIGHT_JOINT, AttentionMode.LEFT_QUERY)


class ShiftCoupledViewExpert(io.ComfyNode):
    """Make a view expert of a video model and the depth of the left view."""

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
                io.Model.Input("model", tooltip="The video model itself, SVD. It stays as it is."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth map of the left clip, white is near, any size of the same shape.\n"
                    "One for each frame, or one for all.",
                ),
                *geometry_inputs(),
                io.Combo.Input(
                    "attention",
                    options=[_UNCOUPLED, *(mode.value for mode in _MODES)],
                    default=AttentionMode.LEFT_KV.value,
                    tooltip="How the right view sees the left one where depth shows nothing of it.\n"
                    "left_kv: it reads the left one. right_joint: it reads both.\n"
                    "left_query: it asks as the left does. none: not at all.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="view_expert", tooltip="For multiview_model of Score Composition Sampler.")
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        depth: Tensor,
        max_disparity: float,
        convergence: float,
        exponent: float,
        attention: str,
    ) -> io.NodeOutput:
        geometry = StereoGeometry(max_disparity, convergence, exponent)
        columns = geometry.columns(depth_to_core(depth), depth.shape[2])
        coupled = model if attention == _UNCOUPLED else couple_views(model, AttentionMode(attention))
        show_geometry(cls, columns, depth.shape[2])
        preview = core_to_image(disparity_preview(columns[:1]))
        return io.NodeOutput(make_expert(coupled, ViewExpert(depth, geometry)), ui=ui.PreviewImage(preview, cls=cls))
