"""The right view of a noisy latent: by whole columns, or the denoised estimate exactly and its noise beside it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import torch
from einops import rearrange
from torch import Tensor

from .background import background_columns
from .checks import expect_finite, expect_shape
from .noise_forms import NoiseForm, alpha, from_vp
from .rendering import Quality, render_view
from .warping import View, landing_columns

Estimates = Callable[[Tensor], Tensor]
"""The right view of a denoised estimate (B, ...) in the model's latent scale, its holes filled."""


class HoleFill(str, Enum):
    """What a hole of the right view holds before a sampler sees it."""

    LEFT = "left"
    """The left view at the same place."""
    ZEROS = "zeros"
    """Nothing, as StereoDiffusion leaves them."""
    NOISE = "noise"
    """New noise: StereoDiffusion's Deblur."""
    BACKGROUND = "background"
    """The surface behind, mirrored into the hole."""


class ShiftForm(str, Enum):
    """How a noisy latent is moved by a disparity that is not whole."""

    SUB_COLUMN = "sub_column"
    """The denoised estimate at real columns, the noise by the nearest whole ones, so that it stays white."""
    ROUNDED = "rounded"
    """Everything by the nearest whole columns."""
    TRUNCATED = "truncated"
    """Everything by whole columns as StereoDiffusion and StereoCrafter-Zero make them: cut off towards zero."""


class ViewShift:
    """The shift of one run: where every value of the right view comes from, found once.

    Attributes:
        disparity: (B, 1, H, W) or (B, 1, T, H, W) columns of the latent, larger is nearer.
        form: how noisy latents are moved; whole forms need a whole ``disparity``.
        filled: boolean, of the disparity's shape: what of the right view the left one shows.
    """

    def __init__(self, disparity: Tensor, form: ShiftForm, estimates: Estimates | None = None) -> None:
        """Find the shift.

        Args:
            disparity: (B, 1, H, W) or (B, 1, T, H, W) columns, larger is nearer; whole columns for whole forms.
            form: how noisy latents are moved.
            estimates: makes the right view of a denoised estimate, for a shift in the picture; ``None`` renders the
                latent itself. Only for ``SUB_COLUMN``.

        Raises:
            ValueError: another shape, or values that are not finite.
        """
        expect_shape("disparity", disparity, "B 1 T H W" if disparity.ndim == 5 else "B 1 H W")
        expect_finite("disparity", disparity)
        self.disparity, self.form, self._estimates = disparity, ShiftForm(form), estimates
        width = disparity.shape[-1]
        # Halves are rounded as everywhere: to the even column.
        self._whole = disparity.round().clamp(-width - 1, width + 1).long()
        slot = torch.arange(1, width + 1, device=disparity.device) - self._whole
        landed = landing_columns(slot.clamp(0, width + 1), View.RIGHT)
        self._landed, self._copied = landed.clamp_min(0), landed >= 0
        self.filled = self._copied
        if self.form is ShiftForm.SUB_COLUMN:
            self.filled = ~self._render(disparity)[1]
        self._background: Tensor | None = None

    @property
    def sources(self) -> Tensor:
        """The left view's column whose values, or whose noise, each column shows; int64, -1 where there is none."""
        return torch.where(self._copied & self.filled, self._landed, -1)

    def copies(self, values: Tensor, holes: Tensor) -> Tensor:
        """Move noise, a mask or a noisy latent by whole columns.

        Args:
            values: (B, ...), the left view's.
            holes: what nothing lands on gets; broadcasts to ``values``.

        Returns:
            (B, ...), the right view's.
        """
        return torch.where(self._copied, values.gather(-1, self._landed.expand_as(values)), holes)

    def estimate(self, denoised: Tensor) -> Tensor:
        """Move a denoised latent, (B, ...) to (B, ...), as exactly as the form has it; holes are filled from behind."""
        if self.form is ShiftForm.SUB_COLUMN and self._estimates is not None:
            return self._estimates(denoised)
        return self.difference(denoised)

    def difference(self, latent: Tensor) -> Tensor:
        """Move a latent that is no picture, as the difference of two, (B, ...) to (B, ...): never through a VAE."""
        if self.form is not ShiftForm.SUB_COLUMN:
            return self.copies(latent, self.background(latent))
        return self._render(latent)[0]

    def right(
        self,
        x: Tensor,
        denoised: Tensor | None,
        sigma: Tensor,
        form: NoiseForm,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Move x into the right view.

        Args:
            x: (B, ...), the left view at noise level ``sigma``.
            denoised: (B, ...), an estimate of its clean x; read by ``SUB_COLUMN`` alone.
            sigma: a scalar tensor.
            form: of x.
            generator: of the noise where no whole column lands, on the CPU; ``None`` takes torch's own.

        Returns:
            (B, ...) at the same noise level; where ``filled`` is false the values mean nothing.
        """
        if self.form is not ShiftForm.SUB_COLUMN:
            return self.copies(x, x)
        if denoised is None:
            raise ValueError("denoised: a shift by parts of a column needs the estimate of the clean latent.")
        signal = alpha(sigma, form).to(x)
        noise = (x - signal * denoised) / sigma.to(x) if sigma > 0 else torch.zeros_like(x)
        fresh = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)  # the same on every device
        return signal * self.estimate(denoised) + sigma.to(x) * self.copies(noise, fresh)

    def holes(
        self,
        x: Tensor,
        fill: HoleFill,
        sigma: Tensor,
        form: NoiseForm,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return what the holes of a new right view start from.

        Args:
            x: (B, ...), the left view at noise level ``sigma``.
            fill: ``left`` is x itself at the same place; ``zeros`` nothing; ``noise`` StereoDiffusion's Deblur (Eq. 8),
                unit normal noise in the variance-preserving form; ``background`` see ``background``.
            sigma: a scalar tensor.
            form: of x.
            generator: of ``noise``, on the CPU; ``None`` takes torch's own.

        Returns:
            (B, ...) at the same noise level.
        """
        match HoleFill(fill):
            case HoleFill.LEFT:
                return x
            case HoleFill.ZEROS:
                return torch.zeros_like(x)
            case HoleFill.NOISE:
                unit = torch.randn(x.shape, generator=generator, dtype=torch.float32)  # the same on every device
                return from_vp(unit.to(x), sigma.to(x), form)
            case HoleFill.BACKGROUND:
                return self.background(x)

    def background(self, values: Tensor) -> Tensor:
        """Return the left view's columns behind each hole, mirrored into it: (B, ...) like ``values``.

        Whole columns of the farther surface beside the hole, none of them twice, so noise stays as it is.
        """
        if self._background is None:
            whole = self._whole.to(self.disparity.dtype)
            self._background = background_columns(whole, ~self.filled, self._landed, self._copied)
        return values.gather(-1, self._background.expand_as(values))

    def _render(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The right view of a denoised latent and its holes, at real columns."""
        disparity = self.disparity
        if latent.ndim == 4:
            return render_view(latent, disparity, Quality.BEST)
        frames, near = (rearrange(t, "b c t h w -> (b t) c h w") for t in (latent, disparity))
        view = render_view(frames, near, Quality.BEST)
        image, hole = (rearrange(t, "(b t) c h w -> b c t h w", b=latent.shape[0]) for t in view)
        return image, hole
