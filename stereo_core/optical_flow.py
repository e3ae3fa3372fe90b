"""Where every pixel of a frame moves to in the next one: dense optical flow without a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape

# Chosen on seven Middlebury pairs, as they are and with noise and a change of exposure: the weight of the data term
# against the total variation; the factor between the levels of the pyramid, and the shorter side of its top; per level
# the linearisations, and for each of these the primal-dual steps and the median filters after them.
_DATA_WEIGHT = 30.0
_FACTOR, _TOP = 0.7, 8
_WARPS, _STEPS, _MEDIANS = 4, 20, 2
# The fraction of the local mean that is subtracted from the grey values, and the radius of that mean's window.
_SUBTRACTED, _RADIUS = 0.9, 4
# The primal and the dual step: their product times the squared norm of the gradient, which is 8, is 1.
_STEP = 1 / math.sqrt(8)
_TINY = 1e-6
# Exchanges that bring the median of nine values to index 4 (Paeth, "Median Finding on a 3x3 Grid", Graphics Gems,
# 1990).
_MEDIAN_OF_NINE = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    r"""Find the flow :math:`F` with :math:`I_1(x) = I_2(x + F(x))` by total variation and an L1 data term (TV-L1).

    .. math:: \min_F \sum_x \|\nabla F\| + \lambda\, |I_2(x + F(x)) - I_1(x)|

    from coarse to fine. On each level the data term is linearised several times; each time the problem is solved by a
    first-order primal-dual scheme and the flow is median-filtered. :math:`I` is the texture part of the grey values,
    so that a change of exposure or light does not count as motion. Equal pictures give exactly zero.

    Limits: a thin object that moves by much more than its width is lost on the coarse levels; surfaces without
    texture take on the motion around them. A trained network (RAFT) is better at both.

    Args:
        first: (B, 3, H, W) in [0, 1], any floating dtype.
        second: the same shape.

    Returns:
        (B, 2, H, W) float32 in pixels: columns, positive to the right, then rows, positive downwards.

    Raises:
        ValueError: a shape does not fit, or values are not finite.

    Source:
        Energy: Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical flow", DAGM 2007.
        Solver: Chambolle and Pock, "A first-order primal-dual algorithm for convex problems with applications to
        imaging", JMIV 40, 2011, section 6.2. Texture part (here against a box-filtered mean) and median: Wedel, Pock,
        Zach, Bischof and Cremers, "An improved algorithm for TV-L1 optical flow", 2009.
    """
    expect_shape("first", first, "B 3 H W")
    batch, _, height, width = first.shape
    expect_shape("second", second, "B 3 H W", B=batch, H=height, W=width)
    expect_finite("first", first)
    expect_finite("second", second)
    greys = [_grey(image) for image in (first, second)]
    levels = max(0, math.floor(math.log(min(height, width) / _TOP) / -math.log(_FACTOR)))
    flow = greys[0].new_zeros(batch, 2, 1, 1)
    for level in range(levels, -1, -1):
        size = (round(height * _FACTOR**level), round(width * _FACTOR**level))
        one, two = (_texture(functional.interpolate(g, size, mode="bilinear", antialias=True)) for g in greys)
        flow = _refine(resize_flow(flow, size), one, two)
    return flow


def sample_along(values: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Read ``values`` at x + F(x), bilinearly; where F is zero they come back bit for bit.

    Args:
        values: (B, C, H, W) float32.
        flow: (B, 2, H, W) float32 in pixels.

    Returns:
        (B, C, H, W), outside the frame repeated from its border; and (B, 1, H, W) bool, true where x + F(x) is inside.
    """
    height, width = flow.shape[-2:]
    column = torch.arange(width, device=flow.device) + 0.5
    row = torch.arange(height, device=flow.device) + 0.5
    across = (column + flow[:, 0]) * (2 / width) - 1
    down = (row[:, None] + flow[:, 1]) * (2 / height) - 1
    inside = ((across.abs() <= 1) & (down.abs() <= 1)).unsqueeze(1)
    # Clamped to the centres of the outermost pixels, as border padding would do, which not every device offers.
    grid = torch.stack([across.clamp(1 / width - 1, 1 - 1 / width), down.clamp(1 / height - 1, 1 - 1 / height)], dim=-1)
    read = functional.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.where((flow == 0).all(dim=1, keepdim=True), values, read), inside


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a flow (B, 2, h, w) in pixels to another grid (H, W) and scale its vectors to the pixels of that grid."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return functional.interpolate(flow, size, mode="bilinear") * scale


def _grey(image: Tensor) -> Tensor:
    red, green, blue = image.float().unbind(dim=1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def _texture(grey: Tensor) -> Tensor:
    return grey - _SUBTRACTED * _box(_box(grey))


def _box(grey: Tensor) -> Tensor:
    padded = functional.pad(grey, (_RADIUS,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * _RADIUS + 1, stride=1)


def _refine(flow: Tensor, one: Tensor, two: Tensor) -> Tensor:
    """Refine ``flow`` (B, 2, h, w) between the textures ``one`` and ``two``, (B, 1, h, w) each."""
    slope_one = _slope(one)
    dual_across, dual_down = torch.zeros_like(flow), torch.zeros_like(flow)
    texture_and_slope = torch.cat([two, _slope(two)], dim=1)
    for _ in range(_WARPS):
        read, inside = sample_along(texture_and_slope, flow)
        slope = (read[:, 1:] + slope_one) / 2 * inside
        steep = slope.square().sum(dim=1, keepdim=True).add_(_TINY)
        constant = (read[:, :1] - one) * inside - (slope * flow).sum(dim=1, keepdim=True)
        step, most = slope / steep, steep * (_STEP * _DATA_WEIGHT)
        ahead = flow
        for _ in range(_STEPS):
            dual_across, dual_down = _shorten(
                dual_across.add(_difference_across(ahead), alpha=_STEP),
                dual_down.add(_difference_down(ahead), alpha=_STEP),
            )
            free = flow.add(_divergence(dual_across, dual_down), alpha=_STEP)
            error = constant + (slope * free).sum(dim=1, keepdim=True)
            closer = free.sub_(step * torch.clamp(error, -most, most))
            ahead, flow = 2 * closer - flow, closer
        for _ in range(_MEDIANS):
            flow = _median(flow)
    return flow


def _shorten(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Shorten vectors longer than 1 to length 1."""
    length = torch.hypot(across, down).clamp_(min=1)
    return across.div_(length), down.div_(length)


def _difference_across(values: Tensor) -> Tensor:
    return functional.pad(values[..., 1:] - values[..., :-1], (0, 1))


def _difference_down(values: Tensor) -> Tensor:
    return functional.pad(values[..., 1:, :] - values[..., :-1, :], (0, 0, 0, 1))


def _divergence(across: Tensor, down: Tensor) -> Tensor:
    """The negative adjoint of the two differences; the last column and row of the duals are zero."""
    total = across + down
    total[..., 1:] -= across[..., :-1]
    total[..., 1:, :] -= down[..., :-1, :]
    return total


def _slope(texture: Tensor) -> Tensor:
    """Central differences, (B, 2, h, w): across, down."""
    padded = functional.pad(texture, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.cat([across, down], dim=1) / 2


def _median(values: Tensor) -> Tensor:
    """Median over 3 x 3 pixels, of each channel by itself."""
    height, width = values.shape[-2:]
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    nine = [padded[..., row : row + height, column : column + width] for row in range(3) for column in range(3)]
    for a, b in _MEDIAN_OF_NINE:
        nine[a], nine[b] = torch.minimum(nine[a], nine[b]), torch.maximum(nine[a], nine[b])
    return nine[4]
