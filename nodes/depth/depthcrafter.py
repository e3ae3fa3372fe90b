"""DepthCrafter: Stable Video Diffusion, trained to make the disparity of the clip that it is told.

Hu et al., DepthCrafter: Generating Consistent Long Depth Sequences for Open-world Videos, CVPR 2025 (arXiv 2409.02095).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import comfy.k_diffusion.sampling
import comfy.model_management
import comfy.samplers
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from .dissolving_step import Conditioning, resized
from .networks import expect_finite_depth

WINDOW, OVERLAP = 110, 25
STEPS = 5
LONGEST = 1024

_CELL = 64
_SEED = 42
_CHUNK = 8  # frames that the autoencoder and the vision encoder get at once
_NOISE = 0.02  # on pictures in [-1, 1]
# As the network is told them. The host embeds one frame per second less than it is given.
_TOLD = {"fps": 7 + 1, "motion_bucket_id": 127, "augmentation_level": _NOISE}


@dataclass(frozen=True, slots=True)
class DepthCrafterModel:
    """What the socket STEREO_DEPTH_MODEL carries for DepthCrafter.

    Attributes:
        model: DepthCrafter's U-Net in the host's SVD.
        vae: of the SVD checkpoint.
        clip_vision: of the SVD checkpoint.
    """

    model: ModelPatcher
    vae: Any
    clip_vision: Any

    @property
    def patcher(self) -> ModelPatcher:
        """The network, which the host moves between devices."""
        return self.model

    def conditioning(self, frames: Iterable[Tensor], stream: torch.Generator) -> Conditioning:
        """Tell the network a clip.

        Args:
            frames: (1, 3, H, W) in [0, 1] each, both sides multiples of 8.
            stream: where the noise on the pictures comes from.

        Returns:
            CONDITIONING: (T, 1, C) embeddings of the frames, and their latents.
        """
        seen, latents, coming = [], [], iter(frames)
        while chunk := list(islice(coming, _CHUNK)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            part = torch.cat(chunk)
            picture = part.movedim(1, -1)
            seen.append(self.clip_vision.encode_image(picture, crop=False).image_embeds.float())
            noise = torch.randn(part.shape, generator=stream).movedim(1, -1)
            latents.append(self.vae.encode(picture + noise * (_NOISE / 2)).float())
        return [[torch.cat(seen).unsqueeze(1), {**_TOLD, "concat_latent_image": torch.cat(latents)}]]

    def scene(self, pictures: Iterable[Tensor], frames: int, resolution: int, _batch_size: int) -> Iterator[Tensor]:
        """Estimate the disparity of one scene, of which the latents are held, and no more than a chunk of pictures.

        Args:
            pictures: (1, 3, H, W) in [0, 1] each.
            frames: how many they are.
            resolution: longest side in pixels at which the network runs; 0 for the published one.

        Yields:
            (n, 1, H, W) float32 on the CPU in [0, 1], of the next frames, larger is nearer.
        """
        coming = iter(pictures)
        first = next(coming)
        size, stream = network_size(*first.shape[-2:], resolution), torch.Generator().manual_seed(_SEED)
        scene = (resized(picture, size) for picture in chain([first], coming))
        latents = self.sample(self.conditioning(scene, stream), frames, size, stream)
        for part in latents.split(_CHUNK):
            pixels = self.vae.decode(part).float().cpu()
            if not pixels.isfinite().all():
                raise ValueError("vae: gave values that are not finite. Start ComfyUI with --fp32-vae.")
            yield resized(pixels.mean(-1).unsqueeze(1), tuple(first.shape[-2:]))

    def sample(self, positive: Conditioning, frames: int, size: tuple[int, int], stream: torch.Generator) -> Tensor:
        """Sample the latents (T, 4, H / 8, W / 8) of the disparity of a clip.

        A window starts from what the one before made of the frames that they share, with noise on it, and the noise of
        these frames is the same in both.
        """
        window, overlap = (frames, 0) if frames <= WINDOW else (WINDOW, OVERLAP)
        noise = torch.randn(window, 4, size[0] // 8, size[1] // 8, generator=stream)
        sampling = self.model.get_model_object("model_sampling")
        low, high = float(sampling.sigma_min), float(sampling.sigma_max)
        # As SVD's own scheduler: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models,
        # Eq. 5.
        sigmas = comfy.k_diffusion.sampling.get_sigmas_karras(STEPS, low, high)
        share = torch.linspace(0, 1, overlap).view(-1, 1, 1, 1)
        starts = range(0, max(frames - overlap, 1), window - overlap)
        progress = comfy.utils.ProgressBar(STEPS * len(starts))
        done = None
        for start in starts:
            shown = slice(start, min(start + window, frames))
            given = noise[: shown.stop - start].clone()
            known = torch.zeros_like(given)
            if done is not None:
                known[:overlap] = done[-overlap:]
                # The host adds noise of the largest level for a state without a picture, sqrt(1 + sigma^2).
                given[:overlap] *= high / (1 + high**2) ** 0.5
            made = self._window(positive, shown, given, known, sigmas, lambda *_: progress.update(1))
            expect_finite_depth(made, self.model.model_dtype())
            noise = torch.cat([noise[window - overlap :], noise[: window - overlap]])
            if done is None:
                done = made
            else:
                done[-overlap:] = torch.lerp(done[-overlap:], made[:overlap], share)
                done = torch.cat([done, made[overlap:]])
        return done

    def _window(
        self,
        positive: Conditioning,
        shown: slice,
        noise: Tensor,
        known: Tensor,
        sigmas: Tensor,
        on_step: Callable[..., None],
    ) -> Tensor:
        ((seen, told),) = positive
        told = {**told, "concat_latent_image": told["concat_latent_image"][shown]}
        guider = comfy.samplers.CFGGuider(self.model)
        guider.inner_set_conds({"positive": [[seen[shown], told]]})
        sampler = comfy.samplers.sampler_object("euler")
        made = guider.sample(noise, known, sampler, sigmas, callback=on_step, disable_pbar=True, seed=_SEED)
        return made.float().cpu()


def dissolve_with(depth_model: object, image: Tensor | None, depth: Tensor) -> dict[str, Any]:
    """Return the model, VAE, conditioning and size with which ``DepthDissolver`` dissolves the depth of a clip.

    The size is the one at which the model estimates depth, as in the published pipeline.

    Args:
        depth_model: what the socket STEREO_DEPTH_MODEL carries.
        image: (T, 3, H, W) in [0, 1], the clip that it is the depth of.
        depth: (T, 1, h, w).

    Raises:
        ValueError: another depth model, or not the frames of this depth.
    """
    if not isinstance(depth_model, DepthCrafterModel):
        raise ValueError(
            "depth_model: only DepthCrafter is a diffusion model that can dissolve. Choose it in Load Depth Model, or "
            "connect model, vae and positive instead."
        )
    frames = 0 if image is None else len(image)
    if frames != len(depth):
        raise ValueError(
            f"image: DepthCrafter needs the clip that depth was made from, {len(depth)} frames, and got {frames}. "
            "Connect the same frames."
        )
    size = network_size(*depth.shape[-2:], 0)
    pictures = (resized(frame, size) for frame in image.split(1))
    positive = depth_model.conditioning(pictures, torch.Generator().manual_seed(_SEED))
    return {"model": depth_model.model, "vae": depth_model.vae, "positive": positive, "size": size}


def network_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Return the (H, W) at which a clip of this size runs: multiples of 64, the longest side at most ``LONGEST``."""
    most = resolution or LONGEST
    whole = [max(round(side / _CELL), 1) * _CELL for side in (height, width)]
    if resolution or max(whole) > most:
        scale = most / max(height, width)
        whole = [max(round(side * scale / _CELL), 1) * _CELL for side in (height, width)]
    return whole[0], whole[1]
