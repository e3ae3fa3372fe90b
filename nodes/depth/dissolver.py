"""Dissolves a depth clip by a VAE and one step of a diffusion model, in the way that each kind of model takes clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_base
import comfy.sample
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.nn import functional

from ...stereo_core.dissolving import DissolveForm, noise_level, restore_range
from ...stereo_core.windows import blend_windows, plan_windows
from .dissolving_step import Conditioning, DissolvingStep, cut_conditioning, resized, whole_latent_frames

# Models of single pictures whose latents have a time axis nevertheless.
_PICTURES_IN_TIME = (comfy.model_base.QwenImage, comfy.model_base.Anima, comfy.model_base.Krea2)


@dataclass(frozen=True, slots=True)
class DepthDissolver:
    """What a depth map is dissolved with.

    Attributes:
        model: any diffusion or flow model.
        vae: the model's own.
        positive: the conditioning; the model is evaluated once, without guidance.
        form: how the latent is taken, see ``DissolveForm``.
        window: frames that a model of clips gets at once, 0 for all.
        overlap: frames over which one window fades into the next.
        size: (H, W) at which the model sees the maps; ``None`` is their own.
    """

    model: ModelPatcher
    vae: Any
    positive: Conditioning
    form: DissolveForm
    window: int
    overlap: int
    size: tuple[int, int] | None = None

    def windows(self, frames: int) -> list[slice]:
        """Return which of ``frames`` frames the model gets at once."""
        if self.sees_clips:
            return plan_windows(frames, self.window, self.overlap)
        return [slice(frame, frame + 1) for frame in range(frames)]

    def ticks(self, frames: int) -> tuple[int, int]:
        """Return how often ``clip`` and ``frame`` call ``tick``."""
        return 3 * len(self.windows(frames)), 3

    def clip(self, depth: Tensor, amount: int, tick: Callable[[], object]) -> Tensor:
        """Dissolve a clip.

        Args:
            depth: (T, 1, H, W) in [0, 1].
            amount: the strength, t.
            tick: called before each part of the work, for progress.

        Returns:
            (T, 1, H, W) in [0, 1].
        """
        windows = self.windows(len(depth))
        dissolved = blend_windows(self._dissolve(depth, amount, windows, tick), windows)
        return restore_range(dissolved, depth) if self.form is DissolveForm.RANGE_KEPT else dissolved

    def frame(self, depth: Tensor, index: int, amount: int, tick: Callable[[], object]) -> Tensor:
        """Dissolve one frame of a clip, in the window that the model would see it in.

        Args:
            depth: (T, 1, H, W) in [0, 1], the whole clip.
            index: of the frame, 0 to T - 1.
            amount: the strength, t.
            tick: called before each part of the work, for progress.

        Returns:
            (1, H, W) in [0, 1].
        """
        window = min(self.windows(len(depth)), key=lambda window: abs(window.start + window.stop - 1 - 2 * index))
        (dissolved,) = self._dissolve(depth, amount, [window], tick)
        if self.form is DissolveForm.RANGE_KEPT:
            dissolved = restore_range(dissolved, depth[window])
        return dissolved[index - window.start]

    def _expect_channels_fit(self, latent: Tensor) -> None:
        extra = [values["noise_concat"] for _, values in self.positive if values.get("noise_concat") is not None]
        if any(channels.shape[-2:] != latent.shape[-2:] for channels in extra):
            raise ValueError(
                "positive: its extra channels, such as those of Depth Conditioning, are for a picture of another size "
                "than depth. Connect a prompt without them."
            )

    @property
    def sees_clips(self) -> bool:
        """Whether the model sees the frames of a clip together rather than one by one."""
        if isinstance(self.model.model, comfy.model_base.SVD_img2vid):
            return True
        return self._makes_video and not isinstance(self.model.model, _PICTURES_IN_TIME)

    @property
    def _makes_video(self) -> bool:
        return self.vae.latent_dim == 3 and not self.vae.not_video

    def encode(self, depth: Tensor) -> Tensor:
        """Turn frames (T, 1, H, W) in [0, 1] into the VAE's latent, padded to whole cells and latent frames.

        Raises:
            ValueError: the VAE is not the model's.
        """
        depth = resized(depth, self.size or depth.shape[-2:])
        cell = 2 * self.vae.spacial_compression_encode()  # doubled, for models and VAEs that take cells in pairs
        height, width = depth.shape[-2:]
        padded = functional.pad(depth, (0, -width % cell, 0, -height % cell), mode="replicate")
        if self._makes_video:
            missing = whole_latent_frames(self.vae, len(padded)) - len(padded)
            padded = torch.cat([padded, padded[-1:].expand(missing, -1, -1, -1)])
        latent = self.vae.encode(padded.movedim(1, -1).expand(-1, -1, -1, 3)).float()
        self._expect_of_model(latent)
        return comfy.sample.fix_empty_latent_channels(self.model, latent)

    def step(self, latent: Tensor, strength: int, frames: slice, total: int) -> Tensor:
        """Dissolve one latent.

        Args:
            latent: (B, C, H, W) or (1, C, T, H, W), as ``encode`` gives it.
            strength: t.
            frames: which frames of the clip it holds.
            total: frames of the clip.

        Returns:
            The dissolved latent, of the same shape.
        """
        self._expect_channels_fit(latent)
        sampling = self.model.get_model_object("model_sampling")
        sigma = noise_level(sampling.sigmas, strength, self.form)
        guider = comfy.samplers.CFGGuider(self.model)
        guider.inner_set_conds({"positive": cut_conditioning(self.positive, frames, total, not self._makes_video)})
        sigmas = torch.stack([sigma, torch.zeros_like(sigma)]).float().cpu()
        no_noise = torch.zeros_like(latent)
        dissolved = guider.sample(no_noise, latent, DissolvingStep(self.form), sigmas, disable_pbar=True, seed=0)
        return dissolved.to(latent.device)

    def decode(self, latent: Tensor, frames: int, size: tuple[int, int]) -> Tensor:
        """Turn a latent back into grey frames.

        Args:
            latent: (B, C, H, W) or (1, C, T, H, W).
            frames: T, how many frames to keep; the rest is padding.
            size: (H, W) of the frames, without padding, which the result has, too.

        Returns:
            (T, 1, H, W) in [0, 1].
        """
        pixels = self.vae.decode(latent)[..., :3]
        height, width = self.size or size
        pixels = pixels.reshape(-1, *pixels.shape[-3:])[:frames, :height, :width]
        return resized(pixels.float().mean(dim=-1).unsqueeze(1).clamp(0, 1), size)

    def _dissolve(
        self, depth: Tensor, strength: int, windows: Sequence[slice], tick: Callable[[], object]
    ) -> list[Tensor]:
        """Dissolve windows of a clip (T, 1, H, W).

        All windows go through the VAE, then through the model, then through the VAE, so that the models are not loaded
        in turns.
        """
        latents, dissolved, pieces = [], [], []
        for window in windows:
            tick()
            latents.append(self.encode(depth[window]))
        for window, latent in zip(windows, latents, strict=True):
            tick()
            dissolved.append(self.step(latent, strength, window, len(depth)))
        for window, latent in zip(windows, dissolved, strict=True):
            tick()
            pieces.append(self.decode(latent, window.stop - window.start, tuple(depth.shape[-2:])).to(depth))
        return pieces

    def _expect_of_model(self, latent: Tensor) -> None:
        form = self.model.get_model_object("latent_format")
        if latent.shape[1] != form.latent_channels:
            raise ValueError(
                f"vae: makes latents of {latent.shape[1]} channels, and this model takes {form.latent_channels}. "
                "Connect the VAE that belongs to the model."
            )
        if self._makes_video != (form.latent_dimensions == 3) and not self.vae.not_video:
            kinds = ("video", "picture") if self._makes_video else ("picture", "video")
            raise ValueError(
                f"vae: makes {kinds[0]} latents, and model is a {kinds[1]} model. "
                "Connect the VAE that belongs to the model."
            )
