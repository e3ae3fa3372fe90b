"""The view expert made from depth: a video model whose right view is tied to the shifted left one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_pairs import renew_right
from .strip_denoiser import StripDenoiser

_KEY = "stereo_view_expert"


def make_expert(model: ModelPatcher, depth: StereoDepth) -> ModelPatcher:
    """Return a clone of ``model`` that score composition takes for a view expert of that depth and geometry."""
    made = model.clone()
    made.set_attachments(_KEY, depth)
    return made


def find_expert(model: ModelPatcher) -> StereoDepth | None:
    """Return the depth that makes ``model`` a view expert, if it is one."""
    return model.get_attachment(_KEY)


class PairDenoiser:
    """A core ``Denoiser`` of columns (N, 2, C, H, W): each frame's left and right view.

    With the geometry known, the right view of what both views show is the shifted left one, and shifting is linear:
    the expected clean right view, given the noisy left one, is the shift of the expected clean left view. So the
    estimate of the left view is the model's own, that of the right view is its shift, and where nothing lands (what
    the left view hides) the model's own estimate of the right view, coupled to the left one by attention.
    """

    def __init__(self, denoiser: StripDenoiser, depth: StereoDepth, clip: torch.Size) -> None:
        """Take the model over both rows of a matrix whose rows are ``clip``, (F, C, H, W)."""
        self._denoiser = denoiser
        self._disparity = depth.for_latent(clip)

    def __call__(self, strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        """Estimate all columns at once, as the pair of clips that the video model knows."""
        pair = strips.movedim(1, 0).contiguous()
        estimate = self._denoiser.together(pair, sigma, (0, 1), {"stereo_pair": True})
        if estimate is None:
            raise ValueError(
                "conditioning: the left and the right view's differ in more than their pictures. "
                "Make both with the same node and settings."
            )
        disparity = self._disparity[list(indices)].to(estimate)
        return renew_right(estimate.flatten(0, 1), disparity).view_as(estimate).movedim(0, 1)
