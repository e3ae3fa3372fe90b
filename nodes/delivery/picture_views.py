"""What a stereo picture file shows, one picture of a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...stereo_core.formats import StereoFormat, combine, packed_size
from ...stereo_core.picture_kinds import PictureKind
from ...stereo_core.rendering import render_view
from ...stereo_core.stereo_depth import StereoDepth
from ..host import compute_device, image_to_core
from ..widgets.geometry import read_depth
from ..widgets.views import both_views, depth_beside, expect_opaque


@dataclass(frozen=True, slots=True)
class PictureViews:
    """A batch of views that fit each other and the kind of file.

    Attributes:
        kind: of the files.
        left: (B, 3, H, W).
        right: the same; the left view where the kind has no right one.
        maps: (B, 1, H, W) in [0, 1] for ``rgb_depth``, or nothing.
        disparity: (B, 1, H, W) in columns for views between the two, or nothing.
        between: how many of those.
    """

    kind: PictureKind
    left: Tensor
    right: Tensor
    maps: Tensor | None = None
    disparity: Tensor | None = None
    between: int = 0

    @classmethod
    def read(
        cls,
        kind: PictureKind,
        left: Tensor,
        right: Tensor | None,
        depth: StereoDepth | Tensor | None,
        between: int = 0,
    ) -> PictureViews:
        """Check what a node was given.

        Args:
            kind: of the files.
            left: IMAGE; without ``right`` all left pictures first, then all right ones.
            right: IMAGE, or nothing.
            depth: of the left view, or nothing.
            between: views between left and right that a moving picture shows, if it has the depth for it.

        Raises:
            ValueError: views or depth that do not fit each other or the kind, an alpha channel, or NaN.
        """
        expect_opaque(left, "left")
        if kind.form is StereoFormat.RGB_DEPTH:
            first = image_to_core(left, "left")
            return cls(kind, first, first, maps=depth_beside(first, depth))
        if right is not None:
            expect_opaque(right, "right")
        first, second = both_views(left, right)
        count, _, height, width = first.shape
        kind.expect_views(width, height)
        if kind.form is not StereoFormat.WIGGLE or depth is None or not between:
            return cls(kind, first, second)
        return cls(
            kind, first, second, disparity=read_depth(depth).for_pictures(count, (height, width)), between=between
        )

    def __len__(self) -> int:
        return len(self.left)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of each picture in a file."""
        height, width = self.left.shape[-2:]
        return packed_size(self.kind.packing, width, height) if self.kind.packing else (width, height)

    @property
    def pixels(self) -> int:
        """Of all files together."""
        width, height = self.size
        pictures = 1 if self.kind.packing else 2 + 2 * self.between
        return len(self) * width * height * pictures

    def frames(self, index: int) -> list[Tensor]:
        """Return what one file shows, each (3, H, W): one packed picture; both views; or the frames of a wiggle."""
        one = slice(index, index + 1)
        left, right = self.left[one].float(), self.right[one].float()
        if self.kind.packing is None:
            middle = self._between(left, one)
            return [left[0], *middle, right[0], *reversed(middle)]
        depth = None if self.maps is None else self.maps[one]
        return [combine(left, None if self.maps is not None else right, self.kind.packing, depth)[0]]

    def _between(self, left: Tensor, one: slice) -> list[Tensor]:
        if self.disparity is None:
            return []
        picture, shift = left.to(compute_device()), self.disparity[one].to(compute_device())
        fractions = torch.linspace(0, 1, self.between + 2)[1:-1].tolist()
        return [render_view(picture, shift * fraction).image[0] for fraction in fractions]
