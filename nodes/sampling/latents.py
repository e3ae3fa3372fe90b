"""LATENTs that samplers take and give: which shapes can be shifted, which of them are pairs, and their disparity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.sample
from comfy.latent_formats import LatentFormat
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_shift import ShiftForm

_PAIR = "stereo_pair"


def expect_latent(name: str, samples: Tensor, pictures_only: bool = False) -> None:
    """Raise unless a latent is one that can be shifted.

    Args:
        name: of the input, for the message.
        samples: (B, C, H, W) or (B, C, T, H, W), or what is refused.
        pictures_only: refuse video latents as well.

    Raises:
        ValueError: another number of axes, or a nested tensor of several parts.
    """
    if not samples.is_nested and samples.ndim in ((4,) if pictures_only else (4, 5)):
        return
    found = "a latent with several parts" if samples.is_nested else tuple(samples.shape)
    video = "" if pictures_only else " or a video latent (B, C, T, H, W)"
    raise ValueError(
        f"{name}: expected a picture latent (B, C, H, W){video}, got {found}. "
        "Connect the latent of VAE Encode, an empty latent or that of a sampler; separate audio from video first."
    )


def fit_to_model(model: ModelPatcher, latent: dict[str, Any]) -> dict[str, Any]:
    """Give an empty LATENT the model's channels and size, as the host's samplers do.

    Raises:
        ValueError: a latent that cannot be shifted, or that already holds both views.
    """
    ratios = {name: latent.get(name) for name in ("downscale_ratio_spacial", "downscale_ratio_temporal")}
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"], *ratios.values())
    expect_latent("latent_image", samples)
    if is_pair(latent):
        raise ValueError(ALREADY_A_PAIR)
    return {**{name: value for name, value in latent.items() if name not in ratios}, "samples": samples}


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
) -> Tensor:
    """Return the disparity of a latent of a model.

    Args:
        depth: of the left view.
        latent: its shape, (B, C, H, W) or (B, C, T, H, W).
        latent_format: the model's, which knows how many frames of the video there are to one of the latent.
        form: how it will be shifted; all but ``SUB_COLUMN`` give whole columns.

    Returns:
        (B, 1, H, W) or (B, 1, T, H, W) float32, in columns of the latent, larger is nearer.

    Raises:
        ValueError: depth of another shape or number of frames, or whole columns that move nothing.
    """
    return depth.for_latent(latent, latent_format.temporal_downscale_ratio, form)
