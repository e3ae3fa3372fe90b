"""Nodes that only the tests' servers load: one fails, one takes its time, two make awkward input."""

from __future__ import annotations

import time

import comfy.model_management
import comfy.utils
from comfy_api.latest import ComfyExtension, io

from .awkward import ProbeImage, ProbeLatent


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
