"""DDIMInversion: a picture's latent to the noise that the model makes it from, and to every state between."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_sampling import CONST
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.inversion import expect_schedule, invert
from ..stereo_core.trajectory import Trajectory
from .sampling.pairs import mark_pair
from .widgets.sockets import TRAJECTORY

# At level 1 a flow model's state is noise alone, and the host can start a sampler from noise of its own only: it
# takes a state as a latent divided by (1 - sigma).
_LAST_FLOW_LEVEL = 0.9999


class DDIMInversion(io.ComfyNode):
    """Run a deterministic sampler backwards from a clean latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DDIMInversion",
            display_name="DDIM Inversion",
            category="stereo/sampling",
            description="Finds the noise from which the model makes a given picture, and all states on the way.",
            search_aliases=["invert", "unsampler", "reverse", "image to noise", "null-text inversion", "rf inversion"],
            inputs=[
                io.Model.Input("model", tooltip="Any diffusion or flow model."),
                io.Conditioning.Input(
                    "positive",
                    tooltip="Text that describes the picture. There is no negative, inversion runs without guidance.",
                ),
                io.Latent.Input("latent", tooltip="Latent of the picture or video, from VAE Encode."),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="The schedule that the sampler will run on, descending as a scheduler gives it.\n"
                    "More steps invert more exactly.",
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=20,
                    tooltip="Rounds of fixed-point iteration in each step. 0 is the paper's inversion.\n"
                    "1 to 3 bring the sampler back much nearer to the picture; each costs one more model run a step.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="noise",
                    tooltip="The state at the first noise level, for a sampler with add_noise off or Disable Noise.",
                ),
                TRAJECTORY.Output(display_name="trajectory", tooltip="The states at all noise levels."),
                io.Sigmas.Output(
                    display_name="sigmas",
                    tooltip="The noise levels of the other outputs: the input's, except that a flow model's first is\n"
                    "0.9999 in place of 1. Sample noise on these.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, model: object, positive: list, latent: dict[str, object], sigmas: Tensor, refine: int
    ) -> io.NodeOutput:
        samples = _clean_latent(model, latent)
        levels = _finite_levels(model, sigmas)
        inversion = _Inversion(refine)
        guider = comfy.samplers.CFGGuider(model)
        guider.inner_set_conds({"positive": positive})
        noise = guider.sample(
            torch.zeros_like(samples),
            samples,
            inversion,
            levels,
            callback=latent_preview.prepare_callback(model, len(levels) - 1),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=0,
        )
        # A mask would make the sampler hold the picture's place with the noise.
        kept = {key: value for key, value in latent.items() if key != "noise_mask"}
        noise = noise.to(comfy.model_management.intermediate_device())
        return io.NodeOutput({**kept, "samples": noise}, inversion.trajectory, levels)


class _Inversion(comfy.samplers.Sampler):
    """Inversion where the host runs a sampler: with its conditioning, its model in place and its progress."""

    trajectory: Trajectory

    def __init__(self, refine: int) -> None:
        self.refine = refine

    def sample(self, model_wrap, sigmas, extra_args, callback, _noise, latent_image, *_):
        sampling = model_wrap.inner_model.model_sampling
        clean = latent_image
        options = mark_pair(extra_args["model_options"], paired=False)

        def denoise(state: Tensor, sigma: Tensor) -> Tensor:
            nonlocal clean
            comfy.model_management.throw_exception_if_processing_interrupted()
            clean = model_wrap(state, sigma.expand(len(state)), model_options=options, seed=extra_args["seed"])
            return clean

        steps = len(sigmas) - 1
        self.trajectory = invert(
            denoise,
            latent_image,
            sigmas,
            float(sampling.sigma_min),
            self.refine,
            lambda step, state: callback(step, clean, state, steps),
        )
        return sampling.inverse_noise_scaling(sigmas[0], self.trajectory.states[0].to(latent_image))


def _clean_latent(model: object, latent: dict[str, object]) -> Tensor:
    samples = latent["samples"]
    form = model.get_model_object("latent_format")
    axes = f"(B, {form.latent_channels}, {'T, ' if form.latent_dimensions == 3 else ''}H, W)"
    # The host gives a picture's latent the time axis of a video model.
    sizes = (4, form.latent_dimensions + 2)
    if samples.is_nested or samples.ndim not in sizes or samples.shape[1] != form.latent_channels:
        raise ValueError(
            f"latent: this model takes {axes}, got "
            f"{'a latent with several parts' if samples.is_nested else tuple(samples.shape)}. "
            "Encode the picture with the model's own VAE; separate sound from video first."
        )
    if not samples.count_nonzero():
        raise ValueError("latent: is empty, there is no picture to invert. Connect VAE Encode.")
    return comfy.sample.fix_empty_latent_channels(model, samples)


def _finite_levels(model: object, sigmas: Tensor) -> Tensor:
    """Return the schedule with a flow model's first level below 1."""
    expect_schedule(sigmas)
    levels = sigmas.float().cpu().clone()
    if isinstance(model.get_model_object("model_sampling"), CONST):
        levels[0] = levels[0].clamp_max(_LAST_FLOW_LEVEL)
        if levels[1] >= levels[0]:
            raise ValueError(
                f"sigmas: the second noise level, {float(levels[1]):.6g}, is not below {_LAST_FLOW_LEVEL}, where "
                "inversion of this model stops. Use fewer steps or a smaller shift."
            )
    return levels
