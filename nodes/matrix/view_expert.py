"""The view expert made from depth: a video model whose right view follows the shifted left one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_shift import ShiftForm, ViewShift
from .strip_denoiser import StripDenoiser

_KEY = "stereo_view_expert"


def make_expert(model: ModelPatcher, depth: StereoDepth) -> ModelPatcher:
    """Return a clone of ``model`` that score composition uses as a view expert with this depth and geometry."""
    expert = model.clone()
    expert.set_attachments(_KEY, depth)
    expert.add_wrapper_with_key(WrappersMP.APPLY_MODEL, _KEY, _refuse_alone)
    return expert


def find_expert(model: ModelPatcher) -> StereoDepth | None:
    """Return the depth of a view expert; ``None`` if ``model`` is not one."""
    return model.get_attachment(_KEY)


def _refuse_alone(executor: Callable[..., Tensor], *inputs: Any, **conds: Any) -> Tensor:
    """Raise unless both views are given, as score composition gives them (wrapper ``APPLY_MODEL``)."""
    options = inputs[5]  # x, t, c_concat, c_crossattn, control, transformer_options
    if not options.get("stereo_pair"):
        raise ValueError(
            "Shift-Coupled View Expert: its model is for multiview_model of Score Composition Sampler alone. Connect "
            "the model that it was made from."
        )
    return executor(*inputs, **conds)


class PairDenoiser:
    """A core ``Denoiser`` of columns (N, 2, C, H, W): each frame's left and right view.

    Where both views show the same, the right view is the shifted left one, and shifting is linear: the expected clean
    right view, given the noisy left one, is the shift of the expected clean left view. So the left view's estimate is
    the model's own, and the right view's is its shift; in the holes, which the left view does not show, it is the
    model's own estimate of the right view, coupled to the left one by attention.
    """

    def __init__(self, denoiser: StripDenoiser, depth: StereoDepth, clip: torch.Size) -> None:
        """Take the denoiser of both rows, the depth of the left view, and the shape of a row, (F, C, H, W)."""
        self._denoiser = denoiser
        self._shift = ViewShift(depth.for_latent(clip), ShiftForm.SUB_COLUMN)

    def __call__(self, strips: Tensor, sigma: Tensor, _: Sequence[int]) -> Tensor:
        """Denoise all columns at once, as the pair of clips that a video model takes.

        Args:
            strips: (F, 2, C, H, W), x of all columns.
            sigma: a scalar tensor, the noise level.
            _: which columns they are: all F, in order.

        Returns:
            The denoised estimate, (F, 2, C, H, W).

        Raises:
            ValueError: the conditioning of the two views cannot be stacked.
        """
        pair = strips.movedim(1, 0).contiguous()
        estimate = self._denoiser.together(pair, sigma, (0, 1), {"stereo_pair": True})
        if estimate is None:
            raise ValueError(
                "conditioning: that of the left view and that of the right differ in more than their pictures. "
                "Make both with the same node and settings."
            )
        left, right = estimate
        moved = self._shift.estimate(left.to(self._shift.disparity.device)).to(right)
        renewed = torch.where(self._shift.filled.to(right.device), moved, right)
        return torch.stack([left, renewed], dim=1)
