"""What an inpainting mask keeps: of the left view, of both, and of the right one alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import comfy.samplers
import torch
from comfy.model_base import WAN22, CosmosPredict2
from torch import Tensor

from ...stereo_core.view_pairs import Pairing
from .host_samplers import inpaint_noise


def kept_by(
    sampler: comfy.samplers.KSAMPLER,
    guider: comfy.samplers.CFGGuider,
    noise: Tensor,
    latent: Tensor,
    mask: Tensor | None,
    seed: int,
) -> Kept:
    """Return what a run's mask keeps of one view; ``noise`` as the run begins with it, the rest as ``Kept`` has it."""
    by_frame = isinstance(guider.inner_model, (WAN22, CosmosPredict2)) and latent.ndim == 5
    return Kept(latent, inpaint_noise(sampler, noise, seed), mask, by_frame)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the host puts into x wherever nothing is painted.

    Attributes:
        latent: (B, ...), or (2B, ...) of both views, the left entries first.
        noise: as ``latent``, that it is mixed with.
        mask: as ``latent``, in [0, 1], 1 = repaint; or ``None``, and all is painted.
        by_frame: whether the model takes one noise level for each frame, by what of it is painted.
    """

    latent: Tensor
    noise: Tensor
    mask: Tensor | None
    by_frame: bool

    def doubled(self, pairing: Pairing) -> Kept:
        """Make both views of one; the holes must be painted, but for frames that such a model is given whole."""
        if self.mask is None:  # nothing reads the others, and clips are large
            return self
        holes = torch.ones_like(self.mask)
        if self.by_frame:
            holes = holes * (self.mask.amax((1, 3, 4), keepdim=True) > 0)
        mask = pairing.copies(self.mask, holes)
        return replace(
            self, latent=pairing.latents(self.latent), noise=pairing.copies(self.noise, self.noise), mask=mask
        )

    def side(self, side: int) -> Kept:
        """Return one view of both: the left one, 0, or the right one, 1."""
        if self.mask is None:
            return self
        latent, noise, mask = (values.chunk(2)[side] for values in (self.latent, self.noise, self.mask))
        return replace(self, latent=latent, noise=noise, mask=mask)

    def denoiser(self, guider: comfy.samplers.CFGGuider, sigmas: Tensor) -> comfy.samplers.KSamplerX0Inpaint:
        """Return the host's denoiser around a guider."""
        denoiser = comfy.samplers.KSamplerX0Inpaint(guider, sigmas)
        denoiser.latent_image, denoiser.noise = self.latent, self.noise
        return denoiser
