"""StereoVideoKSampler: the whole way from a prompt and a depth clip to a stereo clip in one node."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.geometry import StereoGeometry
from ..stereo_core.iterative_refinement import RefineForm
from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.noisy_restart import RestartForm, RestartSettings
from ..stereo_core.trajectory import Trajectory
from ..stereo_core.video_presets import VideoPreset
from .attention.model_patch import couple_views
from .sampling.host_samplers import expect_long_enough, expect_steppable
from .sampling.ksampler_run import PlainRun, fit_to_model, ksampler_sigmas, pair_latent
from .sampling.latent_geometry import latent_columns
from .sampling.recording import RecordingSampler, expect_levels
from .sampling.replay import ReplayStart
from .sampling.stereo_crafter_zero import VideoPairSampler
from .widgets.geometry import geometry_inputs
from .widgets.ksampler import ksampler_inputs
from .widgets.restart_refine import (
    fill_input,
    form_input,
    geometry_shown,
    preset_input,
    refine_inputs,
    refine_settings,
    restart_inputs,
)
from .widgets.sockets import TRAJECTORY

_UNCOUPLED = "none"


class StereoVideoKSampler(io.ComfyNode):
    """Sample a stereo clip as KSampler samples a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoVideoKSampler",
            display_name="Stereo Video KSampler",
            category="stereo/sampling",
            description="Samples both views of a stereo clip from a prompt or picture and the depth of the left view.",
            search_aliases=["StereoCrafter-Zero", "stereo video", "text to stereo video", "2d to 3d video", "SBS"],
            inputs=[
                io.Model.Input("model", tooltip="A video model, with its LoRAs and other patches; or one of pictures."),
                io.Conditioning.Input(
                    "positive", tooltip="What the clip should show, with the picture it starts from."
                ),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty video latent."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth of the left clip, white is near, any size of the same shape; for text: of what "
                    "KSampler makes with the same settings.\nOne map for each frame of the video or of its latent, or "
                    "one for all.",
                ),
                *ksampler_inputs(
                    6.0,
                    "Usual: 6 for Wan, 2.5 for SVD.",
                    "euler_ancestral",
                    "euler_ancestral is the paper's.\n"
                    "Not dpm_fast, dpm_adaptive and uni_pc, which do not take single steps.",
                    "simple",
                ),
                *geometry_inputs(),
                io.Combo.Input(
                    "attention",
                    options=[_UNCOUPLED, *(mode.value for mode in AttentionMode)],
                    default=AttentionMode.LEFT_QUERY.value,
                    tooltip="How the right view sees the left while it is made. left_query: it asks as the left does, "
                    "the paper's.\nleft_kv: it reads the left. right_joint and joint: it reads both. none: not at "
                    "all, at half the cost.",
                ),
                preset_input(),
                *restart_inputs(advanced=True),
                *refine_inputs(advanced=True),
                form_input(),
                fill_input(),
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="The left view's known states, from Left Trajectory or DDIM Inversion with the same steps "
                    "and scheduler.\nWithout it this node samples the left view first.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="stereo", tooltip="All left entries first, then all right ones."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        positive: list[Any],
        negative: list[Any],
        latent_image: dict[str, Any],
        depth: Tensor,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        max_disparity: float,
        convergence: float,
        exponent: float,
        attention: str,
        preset: str,
        iterations: int,
        restart_until: float,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        form: str,
        fill: str,
        trajectory: Trajectory | None = None,
    ) -> io.NodeOutput:
        restart = RestartSettings(iterations, restart_until, RestartForm(form))
        counts = {"most_repeats": most_repeats, "fewest_repeats": fewest_repeats, "form": RefineForm(form)}
        refinement = refine_settings(preset, last_warp, warp_every=warp_every, **counts)
        if VideoPreset(preset) is VideoPreset.CUSTOM and last_warp == 0:
            refinement = None
        geometry = StereoGeometry(max_disparity, convergence, exponent)
        inner = expect_steppable(comfy.samplers.sampler_object(sampler_name))
        sigmas = ksampler_sigmas(model, steps, sampler_name, scheduler, denoise)
        latent = fit_to_model(model, latent_image)
        # What cannot work is refused before the left view is sampled.
        expect_long_enough(inner, [0, 1], "Use euler_ancestral, euler or dpmpp_2m.")
        ratio = model.get_model_object("latent_format").temporal_downscale_ratio
        latent_columns(latent["samples"].shape, depth, geometry, ratio)
        taken = len(expect_levels(sigmas)) - 1
        restarted = restart.end(taken, 0, taken)
        repeats = refinement.repeats(taken, restarted, taken) if refinement is not None else {}
        planned = taken + (iterations - 1) * restarted + sum(repeats.values()) - len(repeats)

        coupled = model if attention == _UNCOUPLED else couple_views(model, AttentionMode(attention))
        sample = PlainRun(positive, negative, latent, seed, cfg, sigmas)
        make = partial(
            VideoPairSampler, inner, depth, geometry, restart=restart, refinement=refinement, fill=HoleFill(fill)
        )
        if trajectory is None:
            recorder = RecordingSampler(inner)
            sample(model, recorder, planned=taken + planned)
            samples = sample(coupled, make(recorder.trajectory), done=taken, planned=taken + planned)
        else:
            samples = sample(coupled, ReplayStart(make(trajectory), trajectory))
        return io.NodeOutput(pair_latent(latent, samples), ui=geometry_shown(cls, depth, geometry))
