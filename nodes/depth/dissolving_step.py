"""One dissolving step as a sampler of the host, and the conditioning and the sizes that it needs for a clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.samplers
from torch import Tensor, nn

from ...stereo_core.dissolving import DissolveForm, dissolve
from ..host import noise_form
from ..sampling.pairs import mark_pair

Conditioning = list[list[Any]]


class DissolvingStep(comfy.samplers.Sampler):
    """StereoCrafter-Zero's Eq. 5, run as a sampler of the host, which loads the model and prepares conditions."""

    def __init__(self, form: DissolveForm) -> None:
        self.form = form

    def sample(
        self,
        model_wrap: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        _callback: object,
        _noise: Tensor,
        latent_image: Tensor,
        *_: object,
    ) -> Tensor:
        """Dissolve ``latent_image`` when one of the host's guiders calls.

        Args:
            model_wrap: the guider.
            sigmas: (2,), the noise level that the latent is taken for, and 0.
            extra_args: ``model_options`` and ``seed``.
            latent_image: (B, C, H, W) or (1, C, T, H, W).

        Returns:
            The dissolved latent, of the same shape.
        """
        options = mark_pair(extra_args["model_options"], paired=False)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            return model_wrap(x, sigma.expand(len(x)), model_options=options, seed=extra_args["seed"])

        form = noise_form(model_wrap.inner_model.model_sampling)
        return dissolve(latent_image, sigmas[0], denoise, form, self.form)


def cut_conditioning(positive: Conditioning, frames: slice, total: int, batched: bool) -> Conditioning:
    """Return the conditioning for a window of a clip.

    Args:
        positive: CONDITIONING of the whole clip.
        frames: the window.
        total: frames of the clip.
        batched: whether the model keeps frames in the batch, so that tensors of that length are cut.

    Raises:
        ValueError: a guide along the whole clip, which cannot be cut.
    """
    if frames == slice(0, total):
        return positive

    def cut(value: Any) -> Any:
        tensors = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, Tensor)]
        if any(tensor.ndim == 5 and tensor.shape[2] > 1 for tensor in tensors):
            raise ValueError(
                "positive: guides the model along the whole clip, and cannot be cut into windows. "
                "Set window to 0, or connect a conditioning without such a guide."
            )
        by_frame = isinstance(value, Tensor) and value.ndim > 0 and len(value) == total and batched
        return value[frames] if by_frame else value

    return [[cut(embedding), {name: cut(value) for name, value in values.items()}] for embedding, values in positive]


def whole_latent_frames(vae: Any, frames: int) -> int:
    """Return the smallest number of frames, at least ``frames``, that the VAE gives back as it was given."""
    latent_frames = vae.downscale_ratio[0](frames)
    while vae.upscale_ratio[0](latent_frames) < frames:
        latent_frames += 1
    return vae.upscale_ratio[0](latent_frames)


def resized(frames: Tensor, size: Sequence[int]) -> Tensor:
    """Bring frames (T, C, h, w) to this size (H, W), as float32; smaller ones without false texture."""
    if frames.shape[-2:] == tuple(size):
        return frames.float()
    return nn.functional.interpolate(frames.float(), tuple(size), mode="bilinear", align_corners=False, antialias=True)
