"""KSampler's run as a stereo pair, for Stereo KSampler and Stereo Video KSampler."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy.model_patcher import ModelPatcher

from ...stereo_core.attention import AttentionMode
from ...stereo_core.schedules import expect_schedule
from ...stereo_core.stereo_crafter_zero import CrafterSettings, plan_crafter
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.stereo_diffusion import ShiftSettings
from ...stereo_core.trajectory import Trajectory
from ..attention.model_patch import couple_views
from .host_samplers import expect_steppable
from .ksampler_run import PlainRun
from .latents import make_pair_latent
from .recording import RecordingSampler
from .replay import ReplayStart
from .stereo_crafter_zero import StereoCrafterZeroSampler
from .stereo_diffusion import StereoDiffusionSampler


def sample_picture_pair(
    model: ModelPatcher,
    plain: PlainRun,
    depth: StereoDepth,
    settings: ShiftSettings,
    attention: AttentionMode | None,
    trajectory: Trajectory | None = None,
    vae: Any = None,
) -> dict[str, Any]:
    """Sample both views by StereoDiffusion.

    Args:
        model: never changed.
        plain: the run that KSampler would make of the left view, (B, ...).
        depth: of the left view.
        settings: when and how one view becomes two.
        attention: how the views are coupled; ``None`` for not at all.
        trajectory: x of the left view at all noise levels, where that is known.
        vae: of the model, to shift in the picture; ``None`` shifts the latent itself.

    Returns:
        The LATENT of both views, (2B, ...).

    Raises:
        ValueError: what cannot work, before anything is sampled.
    """
    sampler = StereoDiffusionSampler(plain.sampler, depth, settings, trajectory, vae=vae)
    return make_pair_latent(plain.latent, plain(couple_views(model, attention), sampler))


def sample_clip_pair(
    model: ModelPatcher,
    plain: PlainRun,
    depth: StereoDepth,
    settings: CrafterSettings,
    attention: AttentionMode | None,
    trajectory: Trajectory | None = None,
) -> dict[str, Any]:
    """Sample both views by StereoCrafter-Zero; without ``trajectory`` the left view is sampled first.

    Args:
        model, plain, depth, attention, trajectory: as for ``sample_picture_pair``.
        settings: what is done to the right view.

    Returns:
        The LATENT of both views, (2B, ...).

    Raises:
        ValueError: what cannot work, before anything is sampled.
    """
    inner = expect_steppable(plain.sampler)
    expect_schedule(plain.sigmas)
    plain.disparity(model, depth, settings.shift)  # raises where the depth does not fit
    steps = len(plain.sigmas) - 1
    planned = steps + plan_crafter(settings, steps, 0, [True] * steps).again
    coupled = couple_views(model, attention)
    make = partial(StereoCrafterZeroSampler, inner, depth, settings=settings)
    if trajectory is not None:
        return make_pair_latent(plain.latent, plain(coupled, ReplayStart(make(trajectory), trajectory)))
    recorder = RecordingSampler(inner)
    plain(model, recorder, planned=steps + planned)
    samples = plain(coupled, make(recorder.trajectory), done=steps, planned=steps + planned)
    return make_pair_latent(plain.latent, samples)
