"""What lies at a place of the picture, moved into one of the two views as the picture is."""

from __future__ import annotations

import comfy.utils
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...stereo_core.frame_matching import resize_nearest
from ...stereo_core.stereo_depth import StereoDepth, one_for_each
from ...stereo_core.view_pairs import Pairing
from ...stereo_core.view_shift import ShiftForm


class Placed:
    """One view's share in the shift of a run, for whatever lies in the picture besides x.

    Attributes:
        shape: (B, C, H, W) or (B, C, T, H, W), of one view's x.
        stays: whether this view keeps its place: the left one does, unless both are shifted.
        side: 0 for the left view, 1 for the right one.
    """

    def __init__(self, pairing: Pairing, depth: StereoDepth, shape: torch.Size, side: int) -> None:
        self._pairing, self._depth = pairing, depth
        self.shape, self.side, self.stays = shape, side, side == 0 and not pairing.shift_both

    def maps(self, values: Tensor) -> Tensor:
        """Move values on x's grid, (B, C, ...) to (B, C, ...); holes are filled from behind."""
        return self._pairing.maps(values.to(self._pairing.disparity.device)).chunk(2)[self.side]

    def holes(self) -> Tensor:
        """Return what this view shows and the left picture does not, (B, 1, ...) on x's grid, 1 or 0."""
        ones = torch.ones_like(self._pairing.disparity)
        return 1 - self._pairing.copies(ones, torch.zeros_like(ones)).chunk(2)[self.side]

    def fit(self, values: Tensor) -> Tensor:
        """Bring a latent to x's size, number of entries and at most its frames, as the host does it.

        Args:
            values: (N, C, H', W') or (N, C, T', H', W').

        Returns:
            (B, C, H, W) or (B, C, T', H, W).
        """
        height, width = self.shape[-2:]
        if values.shape[-2:] != (height, width):
            values = comfy.utils.common_upscale(values, width, height, "bilinear", "center")
        values = comfy.utils.resize_to_batch_size(values, self.shape[0])
        return values if values.ndim == 4 else values[:, :, : self.shape[2]]

    def latents(self, values: Tensor) -> Tensor:
        """Move a latent of any size, in its own scale; see ``fit``."""
        values = self.fit(values)
        if values.ndim == 4:
            return self.maps(values)
        frames = values.shape[2]
        whole = functional.pad(values, (0, 0, 0, 0, 0, self.shape[2] - frames))
        return self.maps(whole)[:, :, :frames]

    def repeat(self, values: Tensor) -> Tensor:
        """Bring (N, ...) to one view's number of entries, (B, ...), as the host does it with hints."""
        return comfy.utils.repeat_to_batch_size(values, self.shape[0])

    def pictures(self, pictures: Tensor) -> Tensor:
        """Move pictures or clips at their own size, (N, C, ..., H', W') to (B, C, ..., H', W')."""
        pictures = self.repeat(pictures)
        height, width = pictures.shape[-2:]
        flat = pictures if pictures.ndim == 4 else rearrange(pictures, "b c t h w -> (b t) c h w")
        disparity = self._disparity(height, width).to(flat.device)
        moved = self._pairing.pictures(flat, disparity).chunk(2)[self.side]
        return moved if pictures.ndim == 4 else rearrange(moved, "(b t) c h w -> b c t h w", b=len(pictures))

    def masks(self, masks: Tensor) -> Tensor:
        """Move masks at their own size, (N, 1, ..., H', W') to (B, 1, ..., H', W'); holes become 1, to be painted."""
        moved, holes = self.pictures(masks), self.holes().to(masks)
        return torch.maximum(moved, functional.interpolate(holes, size=moved.shape[2:], mode="nearest-exact"))

    def packed_masks(self, masks: Tensor) -> Tensor:
        """Move masks whose 8 x 8 pixels are packed into channels, (N, 64, T, H, W) to (B, 64, T, H, W)."""
        pixels = rearrange(masks, "b (y x) t h w -> b 1 t (h y) (w x)", y=8, x=8)
        return rearrange(self.masks(pixels), "b 1 t (h y) (w x) -> b (y x) t h w", y=8, x=8)

    def _disparity(self, height: int, width: int) -> Tensor:
        """The disparity on a grid of another size, (B, 1, H', W') or (B * T, 1, H', W') in columns of it."""
        columns = self._pairing.disparity
        if columns.ndim == 5:
            columns = rearrange(columns, "b c t h w -> (b t) c h w")
        maps, entries = len(self._depth.inverse_depth), self.shape[0]
        if self._pairing.form is ShiftForm.SUB_COLUMN and len(columns) == entries and maps in (1, entries):
            return self._depth.select(lambda maps: one_for_each(maps, entries)).resized((height, width)).disparity()
        return resize_nearest(columns, (height, width)) * (width / columns.shape[-1])
