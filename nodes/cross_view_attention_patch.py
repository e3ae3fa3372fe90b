"""CrossViewAttentionPatch: a model whose self-attention sees both views of a pair."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..stereo_core.attention import AttentionMode
from .attention.families import DOUBLE_SINGLE, KNOWN
from .attention.model_patch import couple_views
from .widgets.attention import attention_input


class CrossViewAttentionPatch(io.ComfyNode):
    """Let the right view's self-attention read the left view."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_CrossViewAttentionPatch",
            display_name="Cross-View Attention",
            category="stereo/sampling",
            description="Couples the self-attention of a pair's two views, so that the right one follows the left.",
            search_aliases=[
                "StereoDiffusion",
                "StereoCrafter-Zero",
                "MasaCtrl",
                "shared attention",
                "stereo attention",
            ],
            inputs=[
                io.Model.Input("model", tooltip=f"One of {KNOWN}.\nLoRAs and other patches stay."),
                attention_input(
                    "mode", "How the views of a pair read each other.", AttentionMode.LEFT_KV, optional=False
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Fraction of the steps at which coupling starts, 0 to 1. 0 is the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Fraction of the steps at which coupling ends, 0 to 1. 1 is the end.",
                ),
                io.String.Input(
                    "blocks",
                    default="",
                    advanced=True,
                    tooltip="Blocks that are coupled, separated by commas; all when empty.\n"
                    f"U-Nets: middle, output.3-5. {DOUBLE_SINGLE}: double, single.0-9. Others: block.0-9.",
                ),
                io.Boolean.Input(
                    "temporal",
                    default=False,
                    advanced=True,
                    tooltip="SVD only: couple attention over time as well as within each frame.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="A copy; the input model is not changed.")],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, mode: str, start_percent: float, end_percent: float, blocks: str, temporal: bool
    ) -> io.NodeOutput:
        return io.NodeOutput(couple_views(model, AttentionMode(mode), start_percent, end_percent, blocks, temporal))
