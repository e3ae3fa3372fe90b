"""What a stereo video shows, one frame at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ...stereo_core.formats import StereoFormat, combine, packed_size
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.video_formats import Sphere, packing
from ..host import image_to_core
from ..widgets.views import both_views, depth_beside, expect_opaque


class Packed(Protocol):
    """The packed pictures of a stereo video, before any is made.

    Attributes:
        form: in which both views share the picture.
        size: (H, W) of the packed picture.
    """

    @property
    def form(self) -> StereoFormat | Sphere: ...

    @property
    def size(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class VideoViews:
    """Two views of a clip, or one and its depth.

    Attributes:
        form: in which they share the picture.
        left: (T, 3, H, W), H and W even.
        right: the same; ``None`` for ``rgb_depth``.
        maps: (T, 1, H, W) in [0, 1] for ``rgb_depth``, or ``None``.
    """

    form: StereoFormat | Sphere
    left: Tensor
    right: Tensor | None
    maps: Tensor | None

    @classmethod
    def read(
        cls, form: StereoFormat | Sphere, left: Tensor, right: Tensor | None, depth: StereoDepth | Tensor | None
    ) -> VideoViews:
        """Check what a node was given.

        Args:
            form: any but ``wiggle``.
            left: IMAGE; without ``right`` all left frames first, then all right ones.
            right: IMAGE, or nothing.
            depth: of the left view, or nothing.

        Raises:
            ValueError: views or depth that do not fit each other or video, an alpha channel, or NaN.
        """
        expect_opaque(left, "left")
        if right is not None:
            expect_opaque(right, "right")
        maps: Tensor | None = None
        if form is StereoFormat.RGB_DEPTH:
            first, second = image_to_core(left, "left"), None
            maps = depth_beside(first, depth)
        else:
            first, second = both_views(left, right)
        height, width = first.shape[-2:]
        expect_even("left: the views are", height, width, "with Upscale Image")
        if form is Sphere.VR180 and height != width:
            raise ValueError(
                f"format: vr180 takes square views of half a sphere, and left is {width}x{height}. Make them with Flat "
                "Pair to VR180 or Panorama to VR180."
            )
        return cls(form, first, second, maps)

    def __len__(self) -> int:
        return len(self.left)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the packed picture."""
        return size_of_packed(self.form, *self.left.shape[-2:])

    def frame(self, index: int) -> Tensor:
        """Return one packed picture (3, H, W)."""
        one = slice(index, index + 1)
        right, maps = (None if each is None else each[one].float() for each in (self.right, self.maps))
        return combine(self.left[one].float(), right, packing(self.form), maps)[0]


def size_of_packed(form: StereoFormat | Sphere, height: int, width: int) -> tuple[int, int]:
    """Return (H, W) of the picture that views of this size share."""
    columns, rows = packed_size(packing(form), width, height)
    return rows, columns


def expect_even(what: str, height: int, width: int, how: str) -> None:
    """Raise ``ValueError`` unless video can hold views of this size; ``what`` they are, and ``how`` to scale them."""
    if width % 2 or height % 2:
        raise ValueError(
            f"{what} {width}x{height}, and video needs an even width and height. Scale them to "
            f"{max(2, width - width % 2)}x{max(2, height - height % 2)} {how}."
        )
