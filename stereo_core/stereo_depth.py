"""One view's depth maps with the geometry of the stereo: what every shift of a picture or latent starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .checks import expect_shape
from .frame_matching import match_frames, resize_nearest
from .geometry import StereoGeometry
from .view_shift import ShiftForm

# No percentage above this is advised: it is the most that the nodes take.
_MOST_PERCENT = 30.0


@dataclass(frozen=True, slots=True)
class StereoDepth:
    """The depth of the left view, and how deep the stereo made from it is.

    Made once, where the host hands over its depth maps; whatever shifts something asks it for the disparity of its
    own grid.

    Attributes:
        inverse_depth: (N, 1, h, w) in [0, 1], 1 nearest: a map for each picture or frame, or one for all.
        geometry: how deep the stereo is.

    Raises:
        ValueError: another shape.
    """

    inverse_depth: Tensor
    geometry: StereoGeometry

    def __post_init__(self) -> None:
        expect_shape("inverse_depth", self.inverse_depth, "N 1 H W")

    @property
    def width(self) -> int:
        """Columns of the maps, as a rule the pixels of the picture's width."""
        return self.inverse_depth.shape[-1]

    def disparity(self) -> Tensor:
        """Return the disparity of the maps' own grid, (N, 1, h, w) float32 in columns of it."""
        return self.geometry.disparity(self.inverse_depth, self.inverse_depth.shape[-1])

    def for_pictures(self, count: int) -> Tensor:
        """Return the disparity of ``count`` pictures of the maps' size, (count, 1, h, w) float32 in columns.

        Raises:
            ValueError: another number of maps.
        """
        return self.geometry.disparity(one_for_each(self.inverse_depth, count), self.inverse_depth.shape[-1])

    def for_latent(self, latent: Sequence[int], time_ratio: int = 1, form: ShiftForm = ShiftForm.SUB_COLUMN) -> Tensor:
        """Return the disparity of a latent.

        Args:
            latent: the latent's shape, (B, C, H, W) or (B, C, T, H, W). For a video latent there may also be a map
                for each frame of the video that it was encoded from. With T = 1 it holds pictures: models of single
                pictures may have latents of this form, too.
            time_ratio: frames of the video to one of its latent, as the model has it; 1 where that is not known.
            form: how it will be shifted; all but ``SUB_COLUMN`` give whole columns.

        Returns:
            (B, 1, H, W) or (B, 1, T, H, W) float32, in columns of the latent.

        Raises:
            ValueError: another aspect ratio or another number of maps, or whole columns that move nothing.
        """
        height, width = latent[-2:]
        self._expect_aspect(height, width)
        maps = resize_nearest(self.inverse_depth, (height, width))
        if len(latent) == 4 or latent[2] == 1:
            pictures = self._in_form(one_for_each(maps, latent[0]), width, form)
            return pictures if len(latent) == 4 else pictures.unsqueeze(2)
        frames = (latent[2] - 1) * time_ratio + 1
        if time_ratio > 1 and len(maps) not in (1, latent[2], frames):
            raise ValueError(
                f"depth holds {len(maps)} maps for a clip of {frames} frames ({latent[2]} in its latent). Give one for "
                "each frame, for example with Depth Estimate from the decoded clip, or one for all."
            )
        clip = self._in_form(match_frames(maps, latent[2]), width, form)
        return clip.movedim(0, 1).unsqueeze(0).expand(latent[0], -1, -1, -1, -1)

    def _in_form(self, maps: Tensor, width: int, form: ShiftForm) -> Tensor:
        exact = self.geometry.disparity(maps, width)
        if form is ShiftForm.SUB_COLUMN:
            return exact
        whole = exact.round() if form is ShiftForm.ROUNDED else self.geometry.whole_disparity(maps, width)
        if exact.any() and not whole.any():
            least = self.geometry.least_whole_percent(maps, width, truncated=form is ShiftForm.TRUNCATED)
            more = f", or max_disparity to {least:.1f} or more" if least <= _MOST_PERCENT else ""
            raise ValueError(
                f"max_disparity: {self.geometry.max_disparity:g} % moves nothing here, where a latent is shifted by "
                f"whole columns of its own. Set shift to sub_column{more}."
            )
        return whole

    def _expect_aspect(self, height: int, width: int) -> None:
        rows, columns = self.inverse_depth.shape[-2:]
        # One latent row or column either way is the autoencoder's rounding; more is another shape.
        if abs(rows * width / columns - height) > 1 and abs(columns * height / rows - width) > 1:
            raise ValueError(
                f"depth is {columns}x{rows}, of another shape than the latent's picture: {columns / rows:.2f} instead "
                f"of {width / height:.2f} times as wide as high. Make the depth map from the picture that was encoded."
            )


def one_for_each(maps: Tensor, count: int) -> Tensor:
    """Give each of ``count`` pictures its map: (count, 1, h, w) from one map for each, or from one for all.

    Raises:
        ValueError: another number of maps.
    """
    if len(maps) not in (1, count):
        raise ValueError(
            f"depth holds {len(maps)} maps for {count} pictures. Give one for each picture, or one for all."
        )
    return maps.expand(count, -1, -1, -1)
