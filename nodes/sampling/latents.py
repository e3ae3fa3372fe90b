"""LATENTs that samplers take and give: which shapes can be shifted, which of them are pairs, and their disparity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.sample
import torch
from comfy.latent_formats import LatentFormat
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.checks import expect_finite
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_shift import ShiftForm
from ..host import expect_memory

_PAIR = "stereo_pair"
_RATIOS = ("downscale_ratio_spacial", "downscale_ratio_temporal")


def expect_latent(name: str, samples: Tensor, pictures_only: bool = False) -> None:
    """Raise unless a latent is one that can be shifted.

    Args:
        name: of the input, for the message.
        samples: (B, C, H, W) or (B, C, T, H, W), or what is refused.
        pictures_only: refuse video latents as well.

    Raises:
        ValueError: another number of axes, a nested tensor of several parts, none at all, or values that are not
            finite.
    """
    if samples.is_nested:
        raise ValueError(
            f"{name}: is a latent of several parts, such as video and sound. Connect the video alone, from Separate AV "
            "Latent, and join the parts again afterwards."
        )
    if samples.ndim not in (4, 5):
        raise ValueError(
            f"{name}: is no latent of pictures or of a video. Connect that of VAE Encode, an empty one, or that of a "
            "sampler."
        )
    if pictures_only and samples.ndim == 5:
        raise ValueError(
            f"{name}: is a latent of a video, and this node takes pictures, each with a latent of its own. Connect the "
            "latent of a picture model or of SVD."
        )
    if 0 in samples.shape:
        raise ValueError(f"{name}: the batch is empty. Connect the latent of at least one picture.")
    expect_finite(name, samples)


def expect_mask(name: str, latent: dict[str, Any]) -> None:
    """Raise ``ValueError`` if a LATENT's noise mask, where it has one, holds values that are not finite."""
    if latent.get("noise_mask") is not None:
        expect_finite(f"{name}: its noise mask", latent["noise_mask"])


def fit_samples(name: str, model: ModelPatcher, latent: dict[str, Any]) -> Tensor:
    """Return what a model makes of a LATENT's samples: an empty one gets its channels and size, as in the host.

    Args:
        name: of the input, for the message.
        model: that will sample.
        latent: LATENT; its mask is only looked at.

    Raises:
        ValueError: as ``expect_latent``, or a latent of another model.
    """
    expect_latent(name, latent["samples"])
    expect_mask(name, latent)
    ratios = [latent.get(ratio) for ratio in _RATIOS]
    form = model.get_model_object("latent_format")
    coarser = 1 if ratios[0] is None else form.spacial_downscale_ratio / ratios[0]
    if not latent["samples"].any() and not all(round(size / coarser) for size in latent["samples"].shape[-2:]):
        raise ValueError(f"{name}: is too small for this model, whose latents are coarser. Make it wider and higher.")
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"], *ratios)
    expect_latent_of(name, samples, form)
    return samples


def expect_latent_of(name: str, samples: Tensor, form: LatentFormat) -> None:
    """Raise ``ValueError`` unless samples (B, C, H, W) or (B, C, T, H, W) are a latent of a model of this format."""
    expect_latent(name, samples)
    if samples.ndim == 5 and form.latent_dimensions != 3:
        raise ValueError(
            f"{name}: is a latent of a video, and the model makes single pictures. Connect a video model, or the "
            "latent of a picture."
        )
    if samples.shape[1] != form.latent_channels:
        raise ValueError(
            f"{name}: is the latent of another model: it has {samples.shape[1]} channels, and this model's latents "
            f"have {form.latent_channels}. Encode the picture with the model's own VAE."
        )


def expect_memory_for_states(node: str, samples: Tensor, levels: int) -> None:
    """Raise ``ValueError`` before the work unless a trajectory fits into memory: x (B, ...) at so many noise levels."""
    needed = levels * samples.numel() * torch.float32.itemsize
    expect_memory(node, f"a trajectory of {levels} noise levels", needed, fewer="frames or steps")


def fit_to_model(model: ModelPatcher, latent: dict[str, Any]) -> dict[str, Any]:
    """Give an empty LATENT the model's channels and size, as the host's samplers do.

    Raises:
        ValueError: a latent that cannot be shifted, is of another model, or already holds both views.
    """
    samples = fit_samples("latent_image", model, latent)
    if is_pair(latent):
        raise ValueError(ALREADY_A_PAIR)
    return {**{name: value for name, value in latent.items() if name not in _RATIOS}, "samples": samples}


ALREADY_A_PAIR = (
    "latent_image: already holds both views. Connect the latent of the left view alone: this node makes the right one "
    "itself."
)


def make_pair_latent(latent: dict[str, Any], samples: Tensor) -> dict[str, Any]:
    """Return the LATENT of both views, without a mask.

    Args:
        latent: LATENT of the left view, (B, ...).
        samples: (2B, ...), all left entries, then all right ones.
    """
    kept = {name: value for name, value in latent.items() if name != "noise_mask"}
    # The host gives entries of the same number the same noise, so that both eyes start alike in a further sampler.
    batch_index = 2 * list(latent.get("batch_index", range(len(samples) // 2)))
    return {**kept, "samples": samples, "batch_index": batch_index, _PAIR: True}


def is_pair(latent: dict[str, Any], guess: bool = False) -> bool:
    """Tell whether a LATENT holds both views, all left entries first.

    Pairs made by this pack are marked. Nodes that take entries out of a batch keep the mark, so the batch index must
    agree with it: both halves have the same numbers.

    Args:
        latent: LATENT, (B, ...).
        guess: accept such an index without the mark, for a latent from elsewhere.
    """
    batch, index = len(latent["samples"]), list(latent.get("batch_index", ()))
    marked = latent.get(_PAIR, False) or (guess and len(index) > 0)
    return marked and batch % 2 == 0 and index[: batch // 2] == index[batch // 2 :]


def latent_disparity(
    depth: StereoDepth,
    latent: Sequence[int],
    latent_format: LatentFormat,
    form: ShiftForm = ShiftForm.SUB_COLUMN,
    options: str = "",
) -> Tensor:
    """Return the disparity of a latent of a model.

    Args:
        depth: of the left view.
        latent: its shape, (B, C, H, W) or (B, C, T, H, W).
        latent_format: the model's, which knows how many frames of the video there are to one of the latent.
        form: how it will be shifted; all but ``SUB_COLUMN`` give whole columns.
        options: the node that ``shift`` is set on, where that is another one than the sampler's.

    Returns:
        (B, 1, H, W) or (B, 1, T, H, W) float32, in columns of the latent, larger is nearer.

    Raises:
        ValueError: depth of another shape or number of frames, or whole columns that move nothing.
    """
    return depth.for_latent(latent, latent_format.temporal_downscale_ratio, form, options)
