"""How good a view is: compared with a true one, with the other view, and over time."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .checks import expect_finite, expect_shape

# SSIM's window and constants (Wang et al., 2004, section III.C).
_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
# A pixel is seen by both eyes if no surface that is nearer by more than this, in columns, lands next to its target.
_OCCLUSION = 1.0
# A pixel stood still between two frames if no channel of it changed by more than this.
_STILL = 2 / 255


class Consistency(NamedTuple):
    """How well the two views of a pair agree.

    Attributes:
        psnr: (B,) dB on the co-visible pixels.
        ssim: (B,) on the co-visible pixels.
        visible: (B,) the fraction of the left view's pixels that the right view shows.
    """

    psnr: Tensor
    ssim: Tensor
    visible: Tensor


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Measure the peak signal-to-noise ratio, :math:`-10 \log_{10} \mathrm{MSE}` for values in [0, 1].

    Args:
        a: (B, C, H, W) in [0, 1], any floating dtype.
        b: the same shape.
        mask: (B, 1, H, W) bool, the pixels that count; ``None`` counts all.

    Returns:
        (B,) float32 dB; infinite for equal images, NaN where the mask is empty.

    Raises:
        ValueError: a shape does not fit.
    """
    _expect_pair(a, b, mask)
    errors = [(one.float() - two.float()).square().mean(dim=0) for one, two in zip(a, b, strict=True)]
    return -10 * _masked_means(errors, mask).log10()


def ssim(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Measure the structural similarity (SSIM) of values in [0, 1].

    Gaussian window of 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03. The border of the image, where the window does not
    fit, does not count.

    Args:
        a: (B, C, H, W) in [0, 1], at least 11 x 11, any floating dtype.
        b: the same shape.
        mask: (B, 1, H, W) bool, the window centres that count; ``None`` counts all.

    Returns:
        (B,) float32, 1 for equal images, NaN where the mask is empty.

    Raises:
        ValueError: a shape does not fit, or the images are smaller than the window.

    Source:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
        similarity", IEEE Transactions on Image Processing 13(4), 2004.
    """
    _expect_pair(a, b, mask)
    if min(a.shape[-2:]) < _WINDOW:
        raise ValueError(f"a: SSIM needs at least {_WINDOW}x{_WINDOW} pixels, got {tuple(a.shape)}. Use larger images.")
    pad = _WINDOW // 2
    inside = mask if mask is None else mask[..., pad:-pad, pad:-pad]
    return _masked_means([_similarity(one.float(), two.float()) for one, two in zip(a, b, strict=True)], inside)


def consistency(left: Tensor, right: Tensor, disparity: Tensor) -> Consistency:
    """Measure how well the right view agrees with the left view and its disparity.

    The right view is sampled (linearly) at x - d and compared with the left view where both eyes see the point: where
    its target lies inside the frame, and no nearer pixel of its row lands within half a column of it.

    Args:
        left: (B, C, H, W) in [0, 1], any floating dtype.
        right: the same shape.
        disparity: (B, 1, H, W) of the left view, in columns, larger is nearer.

    Returns:
        PSNR, SSIM and the visible fraction of every pair.

    Raises:
        ValueError: a shape does not fit, the disparity is not finite, or the images are smaller than 11 x 11.
    """
    _expect_pair(left, right, None)
    batch, _, height, width = left.shape
    expect_shape("disparity", disparity, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("disparity", disparity)
    near = disparity.float()
    target = torch.arange(width, device=left.device) - near  # (B, 1, H, W)
    visible = (target >= 0) & (target <= width - 1) & ~_occluded(near, target)
    sampled = _sample_rows(right.float(), target)
    return Consistency(psnr(sampled, left, visible), ssim(sampled, left, visible), visible.float().mean(dim=(1, 2, 3)))


def flicker(frames: Tensor, source: Tensor) -> Tensor:
    """Measure how much a clip changes over time where the clip that it was made from stands still.

    A pixel stands still between two frames if no channel of ``source`` changes by more than 2/255. The flicker
    between these frames is the mean absolute change of ``frames`` over such pixels and all channels.

    Args:
        frames: (T, C, H, W), T at least 2: views, depth or disparity, in their own unit.
        source: (T, C', H, W) in [0, 1], the clip that they were made from.

    Returns:
        (T - 1,) float32, in the unit of ``frames``; NaN where nothing stands still.

    Raises:
        ValueError: a shape does not fit, or there is only one frame.
    """
    expect_shape("frames", frames, "T C H W")
    count, _, height, width = frames.shape
    expect_shape("source", source, "T C H W", T=count, H=height, W=width)
    if count < 2:
        raise ValueError("frames: flicker needs at least 2 frames, got 1. Give a clip.")
    changes = []
    for index in range(1, count):
        still = ((source[index].float() - source[index - 1].float()).abs() <= _STILL).all(dim=0)
        change = (frames[index].float() - frames[index - 1].float()).abs().mean(dim=0)
        changes.append(_masked_means([change], still[None, None]))
    return torch.cat(changes)


def load_lpips(backbone: Path) -> nn.Module:
    """Load the network of LPIPS (AlexNet, version 0.1) with weights that are there; the package would fetch them.

    Args:
        backbone: AlexNet's weights of torchvision, ``alexnet-owt-7be5be79.pth``. The rest lies in the package.

    Returns:
        The network that ``lpips`` takes.

    Raises:
        ImportError: the package ``lpips`` is not installed.
        ValueError: the file does not hold those weights.
    """
    try:
        package = import_module("lpips")
    except ModuleNotFoundError as error:
        raise ImportError("LPIPS needs the package lpips. Install it with: pip install lpips") from error
    network: nn.Module = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    try:
        weights = torch.load(backbone, map_location="cpu", weights_only=True)
        # The package cuts torchvision's features into slices: slice2.3.weight is features.3.weight.
        sliced = network.get_submodule("net")
        layers = sliced.state_dict()
        sliced.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in layers})
    except (EOFError, LookupError, RuntimeError, TypeError, UnpicklingError) as error:
        raise ValueError(
            f"{backbone} does not hold the weights of torchvision's AlexNet. Download alexnet-owt-7be5be79.pth again."
        ) from error
    return network


def lpips(a: Tensor, b: Tensor, network: nn.Module) -> Tensor:
    """Measure the learned perceptual distance LPIPS.

    Args:
        a: (B, 3, H, W) in [0, 1], any floating dtype.
        b: the same shape.
        network: of ``load_lpips``, on the device of both.

    Returns:
        (B,) float32, 0 for equal images.

    Raises:
        ValueError: a shape does not fit.

    Source:
        Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep features as a perceptual
        metric", CVPR 2018, through their package.
    """
    expect_shape("a", a, "B 3 H W")
    _expect_pair(a, b, None)
    with torch.no_grad():
        distance: Tensor = network(a.float(), b.float(), normalize=True)
    return distance.flatten()


def _expect_pair(a: Tensor, b: Tensor, mask: Tensor | None) -> None:
    expect_shape("a", a, "B C H W")
    batch, channels, height, width = a.shape
    expect_shape("b", b, "B C H W", B=batch, C=channels, H=height, W=width)
    if mask is not None:
        expect_shape("mask", mask, "B 1 H W", B=batch, H=height, W=width)


def _masked_means(maps: list[Tensor], mask: Tensor | None) -> Tensor:
    """(B,) means of B maps (H, W) over the pixels of a boolean mask (B, 1, H, W)."""
    if mask is None:
        return torch.stack([values.mean() for values in maps])
    return torch.stack([values[chosen].mean() for values, chosen in zip(maps, mask[:, 0], strict=True)])


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM map of two frames (C, H, W), the mean over their channels, without a border of half a window."""
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a * mean_a
    var_b = _blur(b * b) - mean_b * mean_b
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = _K1**2, _K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).mean(dim=0)


def _blur(frame: Tensor) -> Tensor:
    """Mean over a Gaussian window, of every channel of (C, H, W), without the border where it does not fit."""
    offset = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    kernel = (-offset.square() / (2 * _SIGMA**2)).exp()
    weights = (kernel / kernel.sum()).tolist()
    # Sums of shifted copies rather than a convolution, which GPUs round to ten bits by default.
    for axis in (-1, -2):
        size = frame.shape[axis] - _WINDOW + 1
        total = torch.zeros_like(frame.narrow(axis, 0, size))
        for start, weight in enumerate(weights):
            total.add_(frame.narrow(axis, start, size), alpha=weight)
        frame = total
    return frame


def _occluded(near: Tensor, target: Tensor) -> Tensor:
    """True where a nearer surface lands within half a column of the pixel's own target, and so in front of it."""
    width = near.shape[-1]
    nearest = near.new_full((*near.shape[:-1], width + 2), -torch.inf)
    # Every pixel covers the two columns that its target lies between; columns -1 and W collect what leaves the frame.
    column = target.floor().clamp(-1, width - 1).long() + 1
    for index in (column, column + 1):
        nearest.scatter_reduce_(-1, index, near, "amax")
    own = target.round().clamp(-1, width).long() + 1
    return nearest.gather(-1, own) > near + _OCCLUSION


def _sample_rows(image: Tensor, column: Tensor) -> Tensor:
    """Read ``image`` (B, C, H, W) at fractional columns (B, 1, H, W)."""
    width = image.shape[-1]
    column = column.clamp(0, width - 1)
    lower = column.floor().clamp(max=max(width - 2, 0))
    index = lower.long().expand(image.shape)
    upper = (index + 1).clamp(max=width - 1)
    return torch.lerp(image.gather(-1, index), image.gather(-1, upper), (column - lower).expand(image.shape))
