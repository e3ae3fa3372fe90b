"""Which of two finished views belongs to which eye: told by what only one of them shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape
from .optical_flow import optical_flow, sample_along

# Widths at which views are compared: larger ones tell photographed pairs from exchanged ones less surely.
_WIDTHS = (200, 320)
# Pixels are in both views where the way there and back ends so near to where it began, in pixels.
_ROUND_TRIP = 0.4
# What is hidden from an eye is as wide as the step of disparity beside it: from so many columns on, to so many.
_STEP, _WIDEST = 1.0, 20
# Pixels on either side that are compared, the first of them left out, as there surfaces are mixed; and how much the two
# sides must differ in colour.
_BESIDE, _LEFT_OUT, _DISTINCT = 4, 1, 0.05


def eye_order(left: Tensor, right: Tensor) -> Tensor:
    """Weigh what speaks for two views being in order, and for their being exchanged, as ``weigh_order`` does.

    Args:
        left: (B, 3, H, W) in [0, 1].
        right: the same shape.

    Returns:
        (B, 2) float32, the sums of ``weigh_order`` over two sizes of the views.

    Raises:
        ValueError: shapes that differ, or values that are not finite.
    """
    sums = torch.zeros(len(left), 2, device=left.device)
    for width in {min(width, left.shape[-1]) for width in _WIDTHS}:
        one, two = (scaled(view, width) for view in (left, right))
        sums += weigh_order(one, two, optical_flow(one, two), optical_flow(two, one))
    return sums


def scaled(view: Tensor, width: int) -> Tensor:
    """Scale (B, C, H, W) to a smaller or equal width, as float32."""
    size = (max(1, round(view.shape[-2] * width / view.shape[-1])), width)
    return functional.interpolate(view.float(), size, mode="bilinear", antialias=True)


def weigh_order(left: Tensor, right: Tensor, there: Tensor, back: Tensor) -> Tensor:
    r"""Weigh what speaks for the views being in order, and for their being exchanged.

    Beside a near thing each eye sees a strip of the background that the other does not: the left eye at its left side,
    the right eye at its right side. Disparity alone does not tell views from exchanged ones, in which the same strips
    lie between what then seems near and far. But the strip looks like the surface that it belongs to, which is the far
    one. So every pixel in a strip votes with its distance in colour from the surface that seems near, :math:`n`, and
    from the one that seems far, :math:`f`: :math:`(n - f) / (n + f)`. Its weight is how much the two surfaces differ.

    Args:
        left: (B, 3, H, W) in [0, 1].
        right: the same shape.
        there: (B, 2, H, W), the flow from left to right, in pixels (``optical_flow``).
        back: the flow from right to left.

    Returns:
        (B, 2) float32: the weighted sum of the votes, and the sum of their weights. The quotient is above 0 for views
        in order, and exactly as far below it once they are exchanged; where nothing can be told both are 0.

    Raises:
        ValueError: a shape does not fit.
    """
    expect_shape("left", left, "B 3 H W")
    batch, _, height, width = left.shape
    expect_shape("right", right, "B 3 H W", B=batch, H=height, W=width)
    for name, flow in (("there", there), ("back", back)):
        expect_shape(name, flow, "B 2 H W", B=batch, H=height, W=width)
    seen_by_left = _votes(left, there, back)
    across = torch.tensor([-1.0, 1.0], device=there.device).view(1, 2, 1, 1)
    seen_by_right = _votes(right.flip(-1), (back * across).flip(-1), (there * across).flip(-1))
    return seen_by_left + seen_by_right


def _votes(view: Tensor, there: Tensor, back: Tensor) -> Tensor:
    """Return what ``weigh_order`` does of the strips in the left view, (B, 2)."""
    returned, inside = sample_along(back, there)
    known = inside & ((there + returned).square().sum(1, keepdim=True) < _ROUND_TRIP**2)
    width = known.shape[-1]
    place = torch.arange(width, device=view.device).expand_as(known)
    before = torch.where(known, place, -width).cummax(-1).values - _LEFT_OUT
    after = torch.where(known, place, 2 * width).flip(-1).cummin(-1).values.flip(-1) + _LEFT_OUT
    strip = ~known & (before >= 0) & (after < width) & (after - before < _WIDEST)
    batch, _, row, column = strip.nonzero(as_tuple=True)
    far, near = before[strip], after[strip]

    def colors(columns: Tensor) -> Tensor:
        return view.float()[batch, :, row, columns.clamp(0, width - 1)]

    own, disparity = colors(column), -there[:, 0]
    beside = [(colors(far - step), colors(near + step)) for step in range(_BESIDE)]
    from_far, from_near = (torch.stack([(side[at] - own).norm(dim=1) for side in beside]).amin(0) for at in (0, 1))
    weight = torch.stack([(one - other).norm(dim=1) for one, other in beside]).mean(0)
    step = disparity[batch, row, near] - disparity[batch, row, far]
    weight = weight * ((step > _STEP) & (weight > _DISTINCT))
    vote = (from_near - from_far) / (from_near + from_far).clamp(min=1e-3)
    sums = torch.zeros(len(view), 2, device=view.device)
    return sums.index_add(0, batch, torch.stack([vote * weight, weight], 1))
