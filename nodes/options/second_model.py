"""SecondModel: a model that takes over within the schedule, as Wan 2.2's low-noise one does."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..sampling.experts import Expert
from ..widgets.sockets import SECOND_MODEL


class SecondModel(io.ComfyNode):
    """Say which model takes over, and when."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SecondModel",
            display_name="Second Model",
            category="stereo/sampling",
            description="The model that takes over within Stereo Video KSampler's steps: Wan 2.2's low-noise one.",
            search_aliases=["Wan 2.2", "two experts", "low noise", "high noise"],
            inputs=[
                io.Model.Input("model", tooltip="The low-noise model, with the same shift as the first one."),
                io.Int.Input(
                    "switch_at_step",
                    default=10,
                    min=1,
                    max=10000,
                    tooltip="The step that it begins with, as start_at_step of KSampler (Advanced).\n"
                    "Half of the steps is usual for Wan 2.2.",
                ),
            ],
            outputs=[
                SECOND_MODEL.Output(display_name="second_model", tooltip="For second_model of Stereo Video KSampler.")
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, switch_at_step: int) -> io.NodeOutput:
        return io.NodeOutput(Expert(model, switch_at_step))
