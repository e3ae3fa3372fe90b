"""Nodes that only the tests' servers load: one fails, one takes its time, two make awkward input."""

from __future__ import annotations

import json
import time
from typing import Any

import comfy.clip_vision
import comfy.model_management
import comfy.utils
from comfy_api.latest import ComfyExtension, io

from .awkward import ProbeImage, ProbeLatent


class ShallowVision(comfy.clip_vision.ClipVisionModel):
    """ViT-H with two of its 32 layers: of the zeros of the tests' files it makes the same in a tenth of the time."""

    def __init__(self, json_config: Any) -> None:
        if isinstance(json_config, str) and json_config.endswith("clip_vision_config_h.json"):
            with open(json_config, encoding="utf-8") as file:
                json_config = json.load(file) | {"num_hidden_layers": 2}
        super().__init__(json_config)


comfy.clip_vision.ClipVisionModel = ShallowVision


class Fail(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(node_id="Probe_Fail", category="probe", is_output_node=True)

    @classmethod
    def execute(cls) -> io.NodeOutput:
        raise ValueError("The probe failed as asked.")


class Wait(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Int.Input("steps", default=2, max=10000)]
        return io.Schema(
            node_id="Probe_Wait", category="probe", inputs=inputs, is_output_node=True, not_idempotent=True
        )

    @classmethod
    def execute(cls, steps: int) -> io.NodeOutput:
        progress = comfy.utils.ProgressBar(steps)
        for step in range(steps):
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(0.02)
            progress.update_absolute(step + 1, steps)
        return io.NodeOutput()


class Probe(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [Fail, Wait, ProbeImage, ProbeLatent]


async def comfy_entrypoint() -> Probe:
    return Probe()
