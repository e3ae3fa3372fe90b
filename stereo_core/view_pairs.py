"""Edits of a pair of views between two steps of a sampler: both made from one, the right renewed, the left replaced."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from .checks import expect_shape
from .latent_shift import warp_latent
from .noise_forms import NoiseForm
from .rendering import Quality, render_view
from .seeds import Stream, make_generator
from .view_shift import HoleFill, ShiftForm, ViewShift
from .warping import View, Warp


class Pairing(Protocol):
    """How one view becomes a pair, for x and for whatever accompanies it.

    Attributes:
        disparity: (B, 1, H, W) or (B, 1, T, H, W) columns of x, larger is nearer.
        form: how x is moved.
        shift_both: whether the left view moves, too.
    """

    disparity: Tensor
    form: ShiftForm
    shift_both: bool

    def start(
        self, x: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, fill: HoleFill, seed: int
    ) -> Tensor:
        """Make both views of x: the Stereo Pixel Shift (StereoDiffusion, Eq. 3).

        Args:
            x: (B, ...) at noise level ``sigma``.
            denoised: (B, ...), an estimate of its clean x, where the shift needs one.
            sigma: a scalar tensor.
            form: of x.
            fill: what the holes start from.
            seed: of the noise that is drawn here.

        Returns:
            (2B, ...): all left entries, then all right ones.
        """
        ...

    def renew(
        self, pair: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, seed: int, step: int
    ) -> Tensor:
        """Copy to the right view what the left view shows of it: StereoDiffusion, Eq. 6 and 7.

        Args:
            pair: (2B, ...) at noise level ``sigma``.
            denoised: (B, ...), an estimate of the left view's clean x, where the shift needs one.
            sigma: a scalar tensor.
            form: of x.
            seed: of the noise that is drawn here.
            step: of the schedule, which has noise of its own.

        Returns:
            (2B, ...), the left view untouched.
        """
        ...

    def follow(self, pair: Tensor, left: Tensor) -> Tensor:
        """Put the known x of the left view into its place, and move what it differs by into the right view.

        A sampler that remembers earlier steps makes something else where its run is cut; by what the left view then
        misses its own run, the right view does, too. Without disparity both views end equal.

        Args:
            pair: (2B, ...), both views.
            left: (B, ...), the left view's own x at this noise level.

        Returns:
            (2B, ...).
        """
        ...

    def copies(self, values: Tensor, holes: Tensor) -> Tensor:
        """Make both views of noise or a mask, (B, ...) to (2B, ...), by whole columns."""
        ...

    def latents(self, latent: Tensor) -> Tensor:
        """Make both views of a clean latent, (B, ...) to (2B, ...)."""
        ...

    def maps(self, values: Tensor) -> Tensor:
        """Make both views of what says where something is, (B, ...) to (2B, ...): weights, and hints of x's size."""
        ...

    def pictures(self, pictures: Tensor, disparity: Tensor) -> Tensor:
        """Make both views of pictures of another size.

        Args:
            pictures: (B, C, H', W').
            disparity: (B, 1, H', W') in columns of the pictures, larger is nearer.

        Returns:
            (2B, C, H', W'), holes filled from behind.
        """
        ...


class RightShifted:
    """The right view moves, the left one stays as it is: a ``Pairing``."""

    shift_both = False

    def __init__(self, shift: ViewShift) -> None:
        self.shift, self.disparity, self.form = shift, shift.disparity, shift.form

    def start(
        self, x: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, fill: HoleFill, seed: int
    ) -> Tensor:
        """See ``Pairing``."""
        generator = make_generator(seed, Stream.HOLES)
        holes = self.shift.holes(x, fill, sigma, form, generator)
        moved = self.shift.right(x, denoised, sigma, form, generator)
        return torch.cat([x, torch.where(self.shift.filled, moved, holes)])

    def renew(
        self, pair: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, seed: int, step: int
    ) -> Tensor:
        """See ``Pairing``."""
        left, right = pair.chunk(2)
        moved = self.shift.right(left, denoised, sigma, form, make_generator(seed, Stream.SHIFT, step))
        return torch.cat([left, torch.where(self.shift.filled, moved, right)])

    def follow(self, pair: Tensor, left: Tensor) -> Tensor:
        """See ``Pairing``."""
        here, right = pair.chunk(2)
        missed = torch.where(self.shift.filled, self.shift.difference(left - here), 0)
        return torch.cat([left, right + missed])

    def copies(self, values: Tensor, holes: Tensor) -> Tensor:
        """See ``Pairing``."""
        return torch.cat([values, self.shift.copies(values, holes)])

    def latents(self, latent: Tensor) -> Tensor:
        """See ``Pairing``."""
        return torch.cat([latent, self.shift.estimate(latent)])

    def maps(self, values: Tensor) -> Tensor:
        """See ``Pairing``."""
        return torch.cat([values, self.shift.difference(values)])

    def pictures(self, pictures: Tensor, disparity: Tensor) -> Tensor:
        """See ``Pairing``."""
        return torch.cat([pictures, render_view(pictures, disparity, Quality.FAST).image])


class BothShifted:
    """Each view moves by half, in opposite directions, by whole columns: a ``Pairing``."""

    shift_both, form = True, ShiftForm.ROUNDED

    def __init__(self, disparity: Tensor) -> None:
        """Take the whole shift, (B, 1, H, W) or (B, 1, T, H, W) in whole columns, larger is nearer."""
        self.disparity = disparity

    def start(
        self, x: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, fill: HoleFill, seed: int
    ) -> Tensor:
        """See ``Pairing``."""
        del denoised
        generator = make_generator(seed, Stream.HOLES)
        shift = ViewShift(self.disparity, ShiftForm.ROUNDED)
        return start_pair(x, shift.holes(x, fill, sigma, form, generator), self.disparity, shift_both=True)

    def renew(
        self, pair: Tensor, denoised: Tensor | None, sigma: Tensor, form: NoiseForm, seed: int, step: int
    ) -> Tensor:
        """See ``Pairing``."""
        del denoised, sigma, form, seed, step
        return renew_right(pair, self.disparity, shift_both=True)

    def follow(self, pair: Tensor, left: Tensor) -> Tensor:
        """See ``Pairing``."""
        del pair, left
        raise RuntimeError("A left view that moves is not known beforehand.")

    def copies(self, values: Tensor, holes: Tensor) -> Tensor:
        """See ``Pairing``."""
        return start_pair(values, holes, self.disparity, shift_both=True)

    def latents(self, latent: Tensor) -> Tensor:
        """See ``Pairing``."""
        return start_pair(latent, latent, self.disparity, shift_both=True)

    def maps(self, values: Tensor) -> Tensor:
        """See ``Pairing``."""
        return start_pair(values, values, self.disparity, shift_both=True)

    def pictures(self, pictures: Tensor, disparity: Tensor) -> Tensor:
        """See ``Pairing``."""
        scale = disparity.shape[-1] / self.disparity.shape[-1]
        to_left = scale * (disparity / scale / 2).floor()
        ways = ((to_left, View.LEFT), (disparity - to_left, View.RIGHT))
        return torch.cat([render_view(pictures, moved, Quality.FAST, view).image for moved, view in ways])


def start_pair(x: Tensor, holes: Tensor, disparity: Tensor, shift_both: bool = False) -> Tensor:
    """Make both views of x: the Stereo Pixel Shift (Eq. 3).

    Values are copied, so the result is at the noise level of x in any form; masks and noise can be shifted just as
    well.

    Args:
        x: (B, C, H, W) or (B, C, T, H, W).
        holes: what the holes hold; broadcasts to ``x``.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in whole columns of this grid, larger is nearer.
        shift_both: the left view moves too, each by half.

    Returns:
        (2B, ...): all left entries, then all right ones. Without ``shift_both`` the left ones are ``x``.

    Raises:
        ValueError: a shape does not fit, or the disparity is not finite.
    """
    to_left, to_right = _both_ways(disparity, shift_both)
    left = x if to_left is None else _filled(warp_latent(x, to_left, View.LEFT), holes)
    return torch.cat([left, _filled(warp_latent(x, to_right), holes)])


def renew_right(pair: Tensor, disparity: Tensor, shift_both: bool = False) -> Tensor:
    """Copy to the right view what the left view shows of it: Symmetric Pixel Shift Masking Denoise (Eq. 6 and 7).

    right[M] = S(left)[M], the rest stays as it was denoised. The published code, when both views are shifted,
    shifts the already shifted left view once more; here a pixel goes from where the left view shows it to where the
    right view shows it.

    Args:
        pair: (2B, C, H, W) or (2B, C, T, H, W), both views at one noise level.
        disparity: as given to ``start_pair``.
        shift_both: as given to ``start_pair``.

    Returns:
        (2B, ...), the left view untouched.

    Raises:
        ValueError: a shape does not fit.
    """
    if pair.shape[0] != 2 * disparity.shape[0]:
        raise ValueError(
            f"pair: expected twice the {disparity.shape[0]} entries of disparity, got {pair.shape[0]}. "
            "Stack all left entries, then all right ones."
        )
    left, right = pair.chunk(2)
    to_left, to_right = _both_ways(disparity, shift_both)
    shifted = warp_latent(left, to_right) if to_left is None else _left_to_right(left, to_left, to_right)
    return torch.cat([left, _filled(shifted, right)])


def replace_left(pair: Tensor, left: Tensor) -> Tensor:
    """Put the known x of the left view into its place: replay.

    Args:
        pair: (2B, ...), both views.
        left: (B, ...), the left view's own x at this noise level, any device and floating dtype.

    Returns:
        (2B, ...).

    Raises:
        ValueError: another shape.
    """
    axes = "B C T H W" if pair.ndim == 5 else "B C H W"
    sizes = dict(zip(axes.split(), (pair.shape[0] // 2, *pair.shape[1:]), strict=True))
    expect_shape("left", left, axes, **sizes)
    return torch.cat([left.to(pair), pair.chunk(2)[1]])


def _both_ways(disparity: Tensor, shift_both: bool) -> tuple[Tensor | None, Tensor]:
    """How far the left and the right view move; whole columns split without losing one."""
    if not shift_both:
        return None, disparity
    to_left = (disparity / 2).floor()
    return to_left, disparity - to_left


def _filled(warp: Warp, holes: Tensor) -> Tensor:
    return torch.where(warp.filled, warp.image, holes)


def _left_to_right(left: Tensor, to_left: Tensor, to_right: Tensor) -> Warp:
    """Warp the left of two shifted views to the right one, by the columns of the middle one between them."""
    width = left.shape[-1]
    middle = torch.arange(width, dtype=torch.float32, device=left.device).expand(to_left.shape)
    in_left = middle + to_left
    front = warp_latent(middle.contiguous(), to_left, View.LEFT).image  # the middle column that each left column shows
    warp = warp_latent(torch.cat([middle, in_left], dim=1), to_right)
    owner, source = warp.image.chunk(2, dim=1)
    index = source.clamp(0, width - 1).long()
    seen = warp.filled & (source >= 0) & (source < width) & (front.gather(-1, index) == owner)
    return Warp(left.gather(-1, index.expand_as(left)), seen)
