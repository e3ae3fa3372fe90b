"""KSampler's run as a stereo pair, for Stereo KSampler and Stereo Video KSampler."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from comfy.model_patcher import ModelPatcher

from ...stereo_core.attention import AttentionMode
from ...stereo_core.schedules import expect_schedule, noise_to_signal
from ...stereo_core.stereo_crafter_zero import CrafterPlan, CrafterSettings, plan_crafter
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.stereo_diffusion import ShiftSettings
from ...stereo_core.trajectory import Trajectory
from ...stereo_core.view_shift import ShiftForm
from ..attention.model_patch import couple_views, is_coupled
from ..attention.windows import expect_whole_batch
from ..host import noise_form
from .caches import tell_caches
from .experts import Expert
from .host_samplers import expect_steppable, takes_noise
from .ksampler_run import PlainRun
from .latents import make_pair_latent
from .noise_streams import tell_sampler
from .picture_shift import expect_vae_fits, expect_vae_of_model
from .recording import RecordingSampler
from .replay import ReplayStart
from .stereo_crafter_zero import OPTIONS, StereoCrafterZeroSampler
from .stereo_diffusion import OPTIONS as PICTURE_OPTIONS
from .stereo_diffusion import StereoDiffusionSampler

SECOND_SEED = 0
"""Seed of the noise that a second model's steps draw, as of the second KSampler (Advanced) in the host's templates."""


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
    sampler = StereoDiffusionSampler(plain.sampler, depth, settings, trajectory, vae=vae, options=PICTURE_OPTIONS)
    return make_pair_latent(plain.latent, plain(couple_views(model, attention), sampler))


@dataclass(frozen=True, slots=True)
class ClipPair:
    """Both views of a clip by StereoCrafter-Zero; without ``trajectory`` the left one is sampled first.

    Attributes:
        model, plain, depth, attention, trajectory: as for ``sample_picture_pair``.
        settings: what is done to the right view.
        second: takes over from ``model``; ``None`` for one model throughout.
        vae: of the models, to shift in the picture; ``None`` shifts the latent itself.
    """

    model: ModelPatcher
    plain: PlainRun
    depth: StereoDepth
    settings: CrafterSettings
    attention: AttentionMode | None
    trajectory: Trajectory | None = None
    second: Expert | None = None
    vae: Any = None

    def plan(self) -> CrafterPlan:
        """Return what will be done.

        Raises:
            ValueError: what cannot work.
        """
        expect_steppable(self.plain.sampler)
        expect_vae_fits(self.vae, self.settings.shift, OPTIONS)
        expect_vae_of_model(self.vae, self.model.get_model_object("latent_format"))
        expect_schedule(self.plain.sigmas)
        steps = len(self.plain.sigmas) - 1
        if self.second is not None:
            self.second.expect_fits(self.model, steps)
            if self.settings.restart is not None:
                self.settings.restart.end(self._levels(), 0, self.second.switch)
        entries = len(self.plain.latent["samples"])
        if self.trajectory is not None and 2 * len(self.trajectory.states[0]) == entries:
            raise ValueError(  # the sampler would take the second half for right views
                f"trajectory: holds half of the {entries} entries of latent_image. Record the left view of this latent."
            )
        self.plain.disparity(
            self.model, self.depth, self.settings.shift, OPTIONS
        )  # raises where the depth does not fit
        by_pair = [self.attention is not None or self._coupled(step) for step in range(steps)]
        if any(by_pair):
            for model in self._models():
                expect_whole_batch(model.model_options)
        return plan_crafter(self.settings, self._levels(), 0, by_pair)

    def describe(self) -> str:
        """Say in lines for people what will be done, and what it costs."""
        plan, known = self.plan(), self.trajectory
        draws = takes_noise(self.plain.sampler) if known is None else known.draws_noise
        estimates = plan.warps(made=True) if draws and self.settings.shift is ShiftForm.SUB_COLUMN else 0
        lines = [plan.describe(estimates + (0 if known is not None else len(plan.by_pair)))]
        lines += (tell_caches(model.model_options) for model in self._models())
        lines.append(tell_sampler(self.plain.sampler, known))
        return "\n".join(dict.fromkeys(filter(None, lines)))

    def sample(self) -> dict[str, Any]:
        """Return the LATENT of both views, (2B, ...).

        Raises:
            ValueError: what cannot work, before anything is sampled.
        """
        plan, steps = self.plan(), len(self.plain.sigmas) - 1
        coupled = [couple_views(model, self.attention) for model in self._models()]
        done, planned = 0, steps + plan.again + (steps if self.trajectory is None else 0)
        trajectory = self.trajectory
        if trajectory is None:
            trajectory, done = self._record(self._models(), planned), steps
        latent = self.plain.latent
        for part, model in zip(self._parts(), coupled, strict=True):
            settings = self._settings_of(part)
            sampler = StereoCrafterZeroSampler(self.plain.sampler, self.depth, trajectory, settings, vae=self.vae)
            if self.trajectory is not None and part.start == 0:
                sampler = ReplayStart(sampler, trajectory)
            latent = {**latent, "samples": self._run(part, latent)(model, sampler, done=done, planned=planned)}
            again = plan_crafter(settings, self._levels(), part.start, [False] * (part.stop - part.start)).again
            done += part.stop - part.start + again
        return make_pair_latent(self.plain.latent, latent["samples"])

    def _record(self, models: list[ModelPatcher], planned: int) -> Trajectory:
        latent, trajectory = self.plain.latent, None
        for part, model in zip(self._parts(), models, strict=True):
            recorder = RecordingSampler(self.plain.sampler, by_frame=len(self.depth.inverse_depth) > 1)
            samples = self._run(part, latent)(model, recorder, done=part.start, planned=planned)
            latent = {**latent, "samples": samples}
            trajectory = recorder.trajectory if trajectory is None else trajectory.followed_by(recorder.trajectory)
        return trajectory

    def _models(self) -> list[ModelPatcher]:
        return [self.model, *([] if self.second is None else [self.second.model])]

    def _coupled(self, step: int) -> bool:
        """Whether the models that are given couple the views already."""
        return any(is_coupled(model, self.plain.sigmas, step) for model in self._models())

    def _parts(self) -> list[slice]:
        """Which steps each model takes."""
        cuts = [0, *([] if self.second is None else [self.second.switch]), len(self.plain.sigmas) - 1]
        return [slice(*part) for part in itertools.pairwise(cuts)]

    def _run(self, part: slice, latent: dict[str, Any]) -> PlainRun:
        """The run of some steps; those after the first part as the host's second KSampler (Advanced) has them."""
        run = replace(self.plain, sigmas=self.plain.sigmas[part.start : part.stop + 1])
        return run if part.start == 0 else replace(run, latent=latent, seed=SECOND_SEED, fresh=False)

    def _settings_of(self, part: slice) -> CrafterSettings:
        """What is done in some steps: the restart in the first ones, and the warps of the whole plan that lie there."""
        within = any(part.start <= step < part.stop for step in self.settings.warps(self._levels()))
        return replace(
            self.settings,
            restart=self.settings.restart if part.start == 0 else None,
            refine=self.settings.refine if within else None,
        )

    def _levels(self) -> list[float]:
        sampling = self.model.get_model_object("model_sampling")
        return noise_to_signal(self.plain.sigmas, noise_form(sampling))
