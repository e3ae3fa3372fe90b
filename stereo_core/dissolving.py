"""Dissolved depth maps: what one step of a diffusion model leaves of a depth map's latent."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from torch import Tensor

from .checks import expect_shape
from .noise_forms import NoiseForm, alpha, from_vp

STEPS = 50
"""The schedule that StereoCrafter-Zero counts its strengths on."""

_KARRAS_RHO = 7.0
_FLAT = 1e-12
"""A map of less variance than this holds nothing."""


class DissolveForm(str, Enum):
    """Which noisy state the clean latent is taken for, how strengths count, and what becomes of the range."""

    RANGE_KEPT = "range_kept"
    """That of StereoCrafter-Zero, and the result is given back the range that it had; see ``restore_range``."""
    PAPER = "paper"
    """Eq. 5: a variance-preserving state at step t, t = 0 clean and t = 50 noise alone."""
    CODE = "code"
    """A variance-exploding state as it stands, at step t of Karras' schedule, counted from the clean end."""


def noise_level(levels: Tensor, strength: int, form: DissolveForm = DissolveForm.PAPER) -> Tensor:
    """Find the noise level that a strength stands for.

    DDIM's 50 steps take every 20th of 1000 training steps, numbered from 0: in the papers' samplers step t is 20 t + 1
    for t = 0 to 49, with trailing spacing 20 t - 1 for t = 1 to 50. Here it is the latter, so that t = 50 is the
    noisiest level there is; the two differ by 2 of 1000 training steps. A model that was trained on a continuum
    (EDM, flow) takes the same share of the host's table of its levels.

    The published code takes the level of index 50 - t in Karras' schedule of 50 steps (rho 7, from the largest level to
    the smallest): with SVD's levels, 0.002 to 700, its 30 is 37.

    Args:
        levels: (N,) the model's training noise levels, ascending.
        strength: t of 50: 1 to 50.
        form: how strengths count.

    Returns:
        A scalar tensor on the device of ``levels``.

    Raises:
        ValueError: ``strength`` lies outside.

    Source:
        StereoCrafter-Zero (Shi et al.), Eq. 5 and Fig. 6 ("50-step schedule").
    """
    if not 1 <= strength <= STEPS:
        raise ValueError(f"strength: got {strength}. Give a step of {STEPS}: 1 to {STEPS}.")
    if DissolveForm(form) is DissolveForm.CODE:
        high, low = levels[-1] ** (1 / _KARRAS_RHO), levels[0] ** (1 / _KARRAS_RHO)
        return (high + (low - high) * (STEPS - strength) / (STEPS - 1)) ** _KARRAS_RHO
    return levels[-(-len(levels) * strength // STEPS) - 1]


def dissolve(
    latent: Tensor,
    sigma: Tensor,
    denoise: Callable[[Tensor, Tensor], Tensor],
    noise: NoiseForm,
    form: DissolveForm = DissolveForm.PAPER,
) -> Tensor:
    r"""Take one noise-free step from a clean latent to what a model sees behind it.

    .. math:: \hat x_{t \to 0} = \sqrt{1 / \bar\alpha_t}\; x - \sqrt{1 / \bar\alpha_t - 1}\; \epsilon_\theta(x, t)

    The latent x is treated as if it were noisy. No noise is added: the result depends on nothing but x and t.

    Args:
        latent: (B, C, H, W) or (B, C, T, H, W) in the model's own latent scale.
        sigma: scalar, the level in the model's measure.
        denoise: gives x0 for a state of the form ``noise`` at a level; called once.
        noise: the form that ``denoise`` takes.
        form: StereoCrafter-Zero's reading of the latent, or its published code's.

    Returns:
        The dissolved latent, like ``latent``.

    Source:
        StereoCrafter-Zero (Shi et al.), Eq. 5.
    """
    if DissolveForm(form) is DissolveForm.CODE:
        return denoise(latent * alpha(sigma, noise), sigma)
    return denoise(from_vp(latent, sigma, noise), sigma)


def restore_range(dissolved: Tensor, depth: Tensor) -> Tensor:
    r"""Give a dissolved clip the brightness and the contrast that it had: one gain and one offset for all of it.

    Eq. 5 divides by :math:`\sqrt{\bar\alpha_t}`, and what the model takes for signal grows by it, which a depth map
    that is to become disparity must not do. Gain and offset are those of least squares against the clip before; a
    gain below 0 counts as 0.

    Args:
        dissolved: (T, 1, H, W) all frames of a clip, so that every one is treated alike.
        depth: the clip before, of the same shape, in [0, 1].

    Returns:
        (T, 1, H, W) in [0, 1], with the mean of ``depth`` but for what is cut off at 0 and 1.

    Raises:
        ValueError: the shapes differ.
    """
    frames, _, height, width = depth.shape
    expect_shape("dissolved", dissolved, "T 1 H W", T=frames, H=height, W=width)
    moved = dissolved - dissolved.mean()
    gain = (moved * (depth - depth.mean())).mean().clamp_min(0) / moved.square().mean().clamp_min(_FLAT)
    return (depth.mean() + gain * moved).clamp(0, 1)
