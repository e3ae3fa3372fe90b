"""KSampler's inputs, the same on every node that runs a whole sampling."""

from __future__ import annotations

import comfy.samplers
from comfy_api.latest import io


def ksampler_inputs(cfg: float, about_cfg: str, sampler: str, about_sampler: str, scheduler: str) -> list[io.Input]:
    """``seed``, ``steps``, ``cfg``, ``sampler_name``, ``scheduler`` and ``denoise``, in this order.

    Args:
        cfg: default guidance scale.
        about_cfg: end of its tooltip, which says what values suit.
        sampler: default of ``sampler_name``.
        about_sampler: end of its tooltip, which says what samplers the method uses and which are refused.
        scheduler: default of ``scheduler``.
    """
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=2**64 - 1,
            control_after_generate=True,
            tooltip="Seed of the noise. The left view is what KSampler makes with the same seed.",
        ),
        io.Int.Input("steps", default=20, min=1, max=10000, tooltip="Number of steps; the methods' papers take 50."),
        io.Float.Input(
            "cfg",
            default=cfg,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip=f"How closely to follow the prompt, 1 = no guidance. {about_cfg}",
        ),
        io.Combo.Input(
            "sampler_name",
            options=comfy.samplers.KSampler.SAMPLERS,
            default=sampler,
            tooltip=f"The algorithm; {about_sampler}",
        ),
        io.Combo.Input(
            "scheduler",
            options=comfy.samplers.KSampler.SCHEDULERS,
            default=scheduler,
            tooltip="How the noise level falls from step to step.",
        ),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of latent_image is replaced, from above 0 to 1.",
        ),
    ]
