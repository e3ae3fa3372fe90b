"""The right view of a denoised latent by way of the picture: decoded, warped at full resolution, encoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from comfy.latent_formats import LatentFormat
from torch import Tensor

from ...stereo_core.checks import describe_latent
from ...stereo_core.frame_matching import match_frames
from ...stereo_core.rendering import Quality, render_view
from ...stereo_core.stereo_depth import StereoDepth, one_for_each
from ...stereo_core.view_shift import ShiftForm, ViewShift
from .pairs import load_again


def expect_vae_fits(vae: Any, form: ShiftForm, options: str = "") -> None:
    """Raise ``ValueError`` where a VAE is given for a shift by whole columns.

    Args:
        vae: of the model, or ``None``.
        form: of the shift.
        options: the node that ``shift`` is set on, where that is another one than the sampler's.
    """
    if vae is not None and form is not ShiftForm.SUB_COLUMN:
        choice = f"shift of {options} to sub_column and its preset to custom" if options else "shift to sub_column"
        raise ValueError(
            f"vae: the picture is shifted exactly, and shift is {form.value}. Set {choice}, or disconnect vae."
        )


def expect_vae_of_model(vae: Any, latent_format: LatentFormat) -> None:
    """Raise ``ValueError`` where a VAE is given whose latents have not the model's channels."""
    taken = latent_format.latent_channels
    made = getattr(vae, "latent_channels", taken)  # VAEs of other packs may not say
    if made != taken:
        raise ValueError(
            f"vae: makes latents of {made} channels, and this model takes {taken}. Connect the VAE that belongs to the "
            "model, or none."
        )


def make_shift(
    disparity: Tensor, form: ShiftForm, vae: Any, depth: StereoDepth, guider: comfy.samplers.CFGGuider
) -> ViewShift:
    """Return the shift of a run.

    Args:
        disparity: (B, 1, H, W) or (B, 1, T, H, W) columns of the latent, on the run's device.
        form: how noisy latents are moved.
        vae: of the model, to shift in the picture; ``None`` shifts the latent itself.
        depth: of the left view, at any size.
        guider: of the run; its model is loaded again after every use of ``vae``.
    """
    if vae is None:
        return ViewShift(disparity, form)
    latent_format = guider.inner_model.latent_format
    expect_vae_of_model(vae, latent_format)
    pair = torch.Size((2 * len(disparity), latent_format.latent_channels, *disparity.shape[2:]))
    return ViewShift(disparity, form, PictureShift(vae, depth, latent_format, lambda: load_again(guider, pair)))


class PictureShift:
    """Makes the right view of a denoised latent: the core's ``Estimates``.

    The depth's fine edges count, and holes are filled from behind in the picture. It costs the autoencoder twice.
    """

    def __init__(
        self, vae: Any, depth: StereoDepth, latent_format: LatentFormat, afterwards: Callable[[], object]
    ) -> None:
        """Take what it needs.

        Args:
            vae: VAE of the model.
            depth: of the left view, at any size.
            latent_format: the model's.
            afterwards: called after each shift, when the host may have unloaded the model for the VAE.
        """
        self._vae, self._depth, self._latent_format, self._afterwards = vae, depth, latent_format, afterwards

    def __call__(self, denoised: Tensor) -> Tensor:
        """Shift (B, C, H, W) or (B, C, T, H, W), in the model's latent scale.

        Raises:
            ValueError: the VAE is not the model's, or the depth is of another number of pictures or frames.
        """
        latent = self._latent_format.process_out(denoised)
        # The VAE of a model that keeps frames in the batch sees them together; that of a clip takes one at a time.
        if latent.ndim == 5:
            views = [self._shifted(part, self._of_entry(entry, latent)) for entry, part in enumerate(latent.split(1))]
        else:
            views = [self._shifted(latent, self._depth)]
        self._afterwards()
        moved = torch.cat(views).to(denoised.device)
        if moved.shape != denoised.shape:
            raise ValueError(
                f"vae: gives back a latent of another size: {describe_latent(moved)} for {describe_latent(denoised)}. "
                "Connect the VAE that belongs to the model, or none."
            )
        return self._latent_format.process_in(moved).to(denoised)

    def _of_entry(self, entry: int, latent: Tensor) -> StereoDepth:
        """The maps of an entry (B, C, T, H, W): its own one where entries are pictures, all where they are clips."""
        if latent.shape[2] > 1:
            return self._depth
        return self._depth.select(lambda maps: one_for_each(maps, len(latent))[entry : entry + 1])

    def _shifted(self, latent: Tensor, depth: StereoDepth) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        pixels = self._vae.decode(latent)
        frames = pixels.reshape(-1, *pixels.shape[-3:])[..., :3].movedim(-1, 1)  # (T, 3, h, w)
        count = len(frames)
        if latent.ndim == 4:
            depth = depth.select(lambda maps: one_for_each(maps, count))
        else:
            depth = depth.select(lambda maps: match_frames(maps, count) if len(maps) >= count else _spread(maps, count))
        disparity = depth.resized((frames.shape[-2], frames.shape[-1])).disparity().to(frames.device)
        right = torch.cat([render_view(*one, Quality.BEST).image for one in _pairs(frames, disparity)])
        return self._vae.encode(right.movedim(1, -1))


def _spread(maps: Tensor, frames: int) -> Tensor:
    """Give every frame of the video the map of its latent frame, (frames, 1, ...).

    The first latent frame is of the video's first alone, each later one of as many as the others; see ``match_frames``.
    """
    if len(maps) == 1:
        return maps.expand(frames, -1, -1, -1)
    ratio = (frames - 1) / (len(maps) - 1)
    place = (torch.arange(frames, device=maps.device) / ratio).ceil().long()
    return maps[place]


def _pairs(frames: Tensor, disparity: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(frame[None], near[None]) for frame, near in zip(frames, disparity, strict=True)]
