"""What an inpainting mask keeps: of the left view, of both, and of the right one alone."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.view_pairs import Pairing


@dataclass(frozen=True, slots=True)
class Kept:
    """What the host puts into x wherever nothing is painted.

    Attributes:
        latent: (B, ...), or (2B, ...) of both views, the left entries first.
        noise: as ``latent``, that it is mixed with.
        mask: as ``latent``, in [0, 1], 1 = repaint; or ``None``, and all is painted.
    """

    latent: Tensor
    noise: Tensor
    mask: Tensor | None

    def doubled(self, pairing: Pairing) -> Kept:
        """Make both views of one; the holes must be painted."""
        if self.mask is None:  # nothing reads the others, and clips are large
            return self
        mask = pairing.copies(self.mask, torch.ones_like(self.mask))
        return Kept(pairing.latents(self.latent), pairing.copies(self.noise, self.noise), mask)

    def side(self, side: int) -> Kept:
        """Return one view of both: the left one, 0, or the right one, 1."""
        if self.mask is None:
            return self
        return Kept(*(values.chunk(2)[side] for values in (self.latent, self.noise, self.mask)))

    def denoiser(self, guider: comfy.samplers.CFGGuider, sigmas: Tensor) -> comfy.samplers.KSamplerX0Inpaint:
        """Return the host's denoiser around a guider."""
        denoiser = comfy.samplers.KSamplerX0Inpaint(guider, sigmas)
        denoiser.latent_image, denoiser.noise = self.latent, self.noise
        return denoiser
