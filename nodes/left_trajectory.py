"""LeftTrajectory: sample a view as the host does, and record x on the way."""

from __future__ import annotations

from enum import Enum
from typing import Any

from comfy_api.latest import io
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from torch import Tensor

from ..stereo_core.schedules import expect_schedule
from ..stereo_core.trajectory import Trajectory
from .host import show_text
from .sampling.latents import expect_memory_for_states, fit_samples
from .sampling.prompts import expect_guider
from .sampling.recording import RecordingSampler
from .widgets.sockets import TRAJECTORY


class Precision(str, Enum):
    """How exactly x is kept."""

    FULL = "full"
    HALF = "half"


class LeftTrajectory(io.ComfyNode):
    """Sample the left view once, and record how it is made."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_LeftTrajectory",
            display_name="Record Left View",
            category="stereo/sampling",
            description="Samples the left view as SamplerCustomAdvanced does, and records x at every noise level.",
            search_aliases=[
                "Left Trajectory",
                "StereoCrafter-Zero",
                "record sampling",
                "SamplerCustomAdvanced",
                "text to stereo video",
            ],
            inputs=[
                # what SamplerCustomAdvanced takes
                io.Noise.Input("noise", tooltip="As for SamplerCustomAdvanced: Random Noise, or Disable Noise."),
                io.Guider.Input("guider", tooltip="The model with its conditioning and guidance."),
                io.Sampler.Input(
                    "sampler",
                    tooltip="Any sampler that goes through the schedule step by step.\n"
                    "Not dpm_fast or dpm_adaptive, which choose their own steps.",
                ),
                io.Sigmas.Input("sigmas", tooltip="The schedule, or a part of one from SplitSigmas."),
                io.Latent.Input("latent_image", tooltip="The latent of one view: empty, or a picture or clip."),
                # the recording
                io.Combo.Input(
                    "precision",
                    options=Precision,
                    default=Precision.FULL.value,
                    tooltip="How exactly x is kept in memory: 4 or 2 bytes per value.\n"
                    "The last x is always kept in full, so the left view comes out exactly either way.",
                ),
                TRAJECTORY.Input(
                    "before",
                    optional=True,
                    tooltip="The trajectory of the part sampled before this one, where a schedule is split.\n"
                    "The output then covers both parts.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="output", tooltip="What SamplerCustomAdvanced gives, to the bit."),
                io.Latent.Output(display_name="denoised_output", tooltip="What SamplerCustomAdvanced gives."),
                TRAJECTORY.Output(
                    display_name="trajectory",
                    tooltip="x at all noise levels, for the samplers that make the right view.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what SamplerCustomAdvanced takes
        noise: Any,
        guider: Any,
        sampler: object,
        sigmas: Tensor,
        latent_image: dict[str, Any],
        # the recording
        precision: str,
        before: Trajectory | None = None,
    ) -> io.NodeOutput:
        recorder = RecordingSampler(sampler)
        expect_schedule(sigmas)
        if before is not None:
            before.expect_continued(float(sigmas[0]))
        samples = fit_samples("latent_image", guider.model_patcher, latent_image)
        expect_guider(guider)
        expect_memory_for_states("Record Left View", samples, len(sigmas))
        # The host's uni_pc writes into the schedule that it is given.
        outputs = SamplerCustomAdvanced.execute(noise, guider, recorder, sigmas.clone(), latent_image)
        trajectory = recorder.trajectory
        if Precision(precision) is Precision.HALF:
            trajectory = trajectory.halved()
        if before is not None:
            trajectory = before.followed_by(trajectory)
        show_text(cls, f"{len(trajectory.states)} noise levels, {trajectory.nbytes / 2**20:.1f} MiB")
        return io.NodeOutput(*outputs.args, trajectory)
