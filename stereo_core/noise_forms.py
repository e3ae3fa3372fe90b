"""The forms in which samplers hold a noisy state, and the way from each to the papers' DDIM form.

The papers write every state in the variance-preserving form z = sqrt(abar) x0 + sqrt(1 - abar) e. Hosts sample in
others; all are one family and differ from it by a factor of the noise level alone.
"""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor


class NoiseForm(str, Enum):
    """How a state holds its clean part x0 and its unit normal noise e at the level sigma."""

    VE = "ve"
    """x = x0 + sigma e, variance exploding; sigma from 0 up (EPS, V-prediction and EDM models)."""
    FLOW = "flow"
    """x = (1 - sigma) x0 + sigma e, flow matching; sigma from 0 to 1 (SD3, Flux, Wan and their like)."""


def clean_share(sigma: Tensor, form: NoiseForm) -> Tensor:
    """Return the factor of x0 in a state, (...) like ``sigma``."""
    return 1 - sigma if NoiseForm(form) is NoiseForm.FLOW else torch.ones_like(sigma)


def magnitude(sigma: Tensor, form: NoiseForm) -> Tensor:
    """Return the root of the summed squares of a state's two factors, (...) like ``sigma``.

    A state divided by it is in variance-preserving form; unit normal noise of that form times it is noise as
    strong as the whole state at this level.
    """
    return (clean_share(sigma, form) ** 2 + sigma**2).sqrt()


def alpha_bar(sigma: Tensor, form: NoiseForm) -> Tensor:
    r"""Return DDIM's :math:`\bar\alpha` of a noise level, (...) like ``sigma``, from 1 (clean) down to 0."""
    return (clean_share(sigma, form) / magnitude(sigma, form)) ** 2


def to_vp(state: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """Turn a state into the variance-preserving form.

    Args:
        state: any shape.
        sigma: its noise level, a scalar tensor or one that broadcasts over ``state``.
        form: the form ``state`` is in.

    Returns:
        The state in DDIM's form, of ``state``'s shape.
    """
    return state / magnitude(sigma, form)


def from_vp(state: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """Turn a variance-preserving state into ``form`` at the level ``sigma``; the inverse of ``to_vp``."""
    return state * magnitude(sigma, form)
