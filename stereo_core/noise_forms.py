"""The forms in which samplers hold a noisy x, and the way from each to the papers' DDIM form.

The papers write every x in the variance-preserving form z = sqrt(abar) x0 + sqrt(1 - abar) e. Hosts sample in others;
all are one family, and differ from it by a factor that depends on the noise level alone.
"""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor


class NoiseForm(str, Enum):
    """How a noisy x is made of the clean x0 and unit normal noise e at the noise level sigma."""

    VE = "ve"
    """x = x0 + sigma e, variance exploding; sigma from 0 up (EPS, V-prediction and EDM models)."""
    FLOW = "flow"
    """x = (1 - sigma) x0 + sigma e, flow matching; sigma from 0 to 1 (SD3, Flux, Wan and their like)."""


def alpha(sigma: Tensor, form: NoiseForm) -> Tensor:
    """Return the factor of x0 in x, (...) like ``sigma``."""
    return 1 - sigma if NoiseForm(form) is NoiseForm.FLOW else torch.ones_like(sigma)


def magnitude(sigma: Tensor, form: NoiseForm) -> Tensor:
    """Return the root of the summed squares of the two factors in x, (...) like ``sigma``.

    x divided by it is in variance-preserving form; unit normal noise times it is as strong as the whole of x.
    """
    return (alpha(sigma, form) ** 2 + sigma**2).sqrt()


def alpha_bar(sigma: Tensor, form: NoiseForm) -> Tensor:
    r"""Return DDIM's :math:`\bar\alpha` of a noise level, (...) like ``sigma``, from 1 (clean) down to 0."""
    return (alpha(sigma, form) / magnitude(sigma, form)) ** 2


def to_vp(x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """Turn x into the variance-preserving form.

    Args:
        x: any shape.
        sigma: its noise level, a scalar tensor or one that broadcasts over ``x``.
        form: the form that ``x`` is in.

    Returns:
        x in DDIM's form, of the same shape.
    """
    return x / magnitude(sigma, form)


def from_vp(x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """Turn a variance-preserving x into ``form`` at the noise level ``sigma``; the inverse of ``to_vp``."""
    return x * magnitude(sigma, form)
