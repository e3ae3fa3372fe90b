"""One way to make a right view, whatever denoises: StereoDiffusion's, or StereoCrafter-Zero's with a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from stereo_core.iterative_refinement import RefineSettings
from stereo_core.noise_forms import NoiseForm
from stereo_core.noisy_restart import RestartSettings
from stereo_core.right_view import LeftView
from stereo_core.schedules import noise_to_signal
from stereo_core.stereo_crafter_zero import CrafterSettings, plan_crafter, sample_right
from stereo_core.stereo_diffusion import ShiftSettings, sample_pair
from stereo_core.trajectory import Trajectory
from stereo_core.view_pairs import RightShifted
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift

from .exact_stepper import Denoise, ExactStepper

DEFAULTS = ShiftSettings()


@dataclass(frozen=True)
class Variant:
    """How the right view is made; ``restart`` or ``refine`` make it StereoCrafter-Zero, else it is StereoDiffusion.

    What is not given is the nodes' default.

    Attributes:
        shift: how noisy latents are moved.
        fill: what holes start from.
        mask_every: fraction of the schedule between two renewals, 0 for none.
        shift_at: fraction of the schedule after which the right view is made.
        restart, refine: of StereoCrafter-Zero.
        in_picture: the estimate is moved by ``estimates`` instead of in the latent.
    """

    shift: ShiftForm = DEFAULTS.shift
    fill: HoleFill = DEFAULTS.fill
    mask_every: float = DEFAULTS.mask_every
    shift_at: float = DEFAULTS.shift_at
    restart: RestartSettings | None = None
    refine: RefineSettings | None = None
    in_picture: bool = False

    @property
    def name(self) -> str:
        """The shift and the fill, as people read them."""
        shift = "in the picture" if self.in_picture else self.shift.value
        return f"{shift}, {self.fill.value}"

    def renewals(self, steps: int) -> int:
        """How often the right view is renewed after the shift."""
        return len(ShiftSettings(shift_at=self.shift_at, mask_every=self.mask_every).schedule(steps).renew)


def by_form() -> list[Variant]:
    """Every form of the shift, the default fill."""
    return [Variant(shift=form) for form in ShiftForm]


def by_fill() -> list[Variant]:
    """Every fill but the default one."""
    return [Variant(fill=fill) for fill in HoleFill if fill is not DEFAULTS.fill]


def crafted(base: Variant) -> dict[str, Variant]:
    """StereoCrafter-Zero's stages around a shift and a fill, by name."""
    restart, refine = RestartSettings(), RefineSettings()
    return {
        "restart": replace(base, restart=restart),
        "refinement": replace(base, refine=refine),
        "both": replace(base, restart=restart, refine=refine),
    }


def renewed(variants: Iterable[Variant], *every: float) -> list[Variant]:
    """Each variant with every fraction of the schedule between two renewals."""
    return [replace(variant, mask_every=fraction) for variant in variants for fraction in every]


def make_right(
    variant: Variant,
    denoise: Denoise,
    left: Trajectory,
    disparity: Tensor,
    seed: int = 0,
    form: NoiseForm = NoiseForm.VE,
    ancestral: bool = False,
    estimates: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Make the right view of a known left one.

    Args:
        variant: the way.
        denoise: an exact denoiser.
        left: the left view's path.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) columns; whole ones for the whole forms.
        seed: of all noise that is drawn.
        form: of the left view's path.
        ancestral: Euler ancestral in place of Euler's method.
        estimates: the shift in the picture.

    Returns:
        (B, ...) like the left view.
    """
    start = left.states[0]
    shift = ViewShift(disparity, variant.shift, estimates if variant.in_picture else None)
    run = ExactStepper(denoise, left.sigmas, form, ancestral, seed, left)
    if variant.restart is None and variant.refine is None:
        settings = ShiftSettings(variant.shift_at, variant.fill, variant.mask_every, False, variant.shift)
        return sample_pair(run, start, left.sigmas, RightShifted(shift), form, settings, seed, left).chunk(2)[1]
    view = LeftView(left, left.sigmas, start, shift, form)
    settings = CrafterSettings(variant.restart, variant.refine, variant.fill, variant.shift)
    plan = plan_crafter(settings, noise_to_signal(view.sigmas, form), view.first, [False] * view.steps)
    run.double(RightShifted(shift), view.denoised)
    return sample_right(run, view, plan, settings, seed)
