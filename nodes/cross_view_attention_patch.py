"""CrossViewAttentionPatch: a model whose self-attention sees both views of a pair."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..stereo_core.attention import AttentionMode
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
            description="Couples the self-attention of the two views of a pair, so that the right follows the left.",
            search_aliases=[
                "StereoDiffusion",
                "StereoCrafter-Zero",
                "MasaCtrl",
                "shared attention",
                "stereo attention",
            ],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="SD 1.x, SD 2.x, SDXL, SVD, SD3, Flux, Qwen-Image, Wan, LTXV or HunyuanVideo.\n"
                    "LoRAs and other patches stay.",
                ),
                attention_input(
                    "mode", "How the views of a pair see each other.", AttentionMode.LEFT_KV, optional=False
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Active from this fraction of the steps on. 0 is the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Active before this fraction of the steps. 1 is to the end.",
                ),
                io.String.Input(
                    "blocks",
                    default="",
                    advanced=True,
                    tooltip="Blocks that are coupled, all when empty. U-Nets: middle, output.3-5. Flux and "
                    "HunyuanVideo: double, single.0-9. Others: block.0-9. Separate with commas.",
                ),
                io.Boolean.Input(
                    "temporal",
                    default=False,
                    advanced=True,
                    tooltip="SVD only: couple the attention over time too, not only the one within each frame.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="A copy; the model that came in stays as it is.")],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, mode: str, start_percent: float, end_percent: float, blocks: str, temporal: bool
    ) -> io.NodeOutput:
        return io.NodeOutput(couple_views(model, AttentionMode(mode), start_percent, end_percent, blocks, temporal))
