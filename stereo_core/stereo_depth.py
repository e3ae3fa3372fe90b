"""One view's depth maps with the geometry of the stereo: what every shift of a picture or latent starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .checks import expect_shape
from .depth_doubts import Doubt
from .frame_matching import match_frames, resize_keeping_edges, resize_nearest
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
        convergence: (N, 1, 1, 1), that of each map, where it was found from them; ``None`` for the geometry's number.
        doubts: what looks wrong with the maps.
        preset: whose preset has set the geometry, for messages; empty where a user has.

    Raises:
        ValueError: another shape.
    """

    inverse_depth: Tensor
    geometry: StereoGeometry
    convergence: Tensor | None = None
    doubts: tuple[Doubt, ...] = ()
    preset: str = ""

    def __post_init__(self) -> None:
        expect_shape("inverse_depth", self.inverse_depth, "N 1 H W")
        if self.convergence is not None:
            expect_shape("convergence", self.convergence, "N 1 1 1", N=len(self.inverse_depth))

    @property
    def width(self) -> int:
        """Columns of the maps, as a rule the pixels of the picture's width."""
        return self.inverse_depth.shape[-1]

    def disparity(self) -> Tensor:
        """Return the disparity of the maps' own grid, (N, 1, h, w) float32 in columns of it."""
        return self.geometry.disparity(self.inverse_depth, self.width, self.convergence)

    def select(self, pick: Callable[[Tensor], Tensor]) -> StereoDepth:
        """Take other maps, or the same ones in another number: ``pick`` gets and gives (N, 1, ...)."""
        convergence = None if self.convergence is None else pick(self.convergence)
        return replace(self, inverse_depth=pick(self.inverse_depth), convergence=convergence)

    def resized(self, size: tuple[int, int]) -> StereoDepth:
        """Bring the maps to a grid of (H, W), no value mixed across an edge."""
        return replace(self, inverse_depth=resize_nearest(self.inverse_depth, size))

    def for_pictures(self, count: int, size: tuple[int, int] | None = None, soft: bool = False) -> Tensor:
        """Return the disparity of ``count`` pictures, (count, 1, H, W) float32 in columns.

        Args:
            count: of the pictures.
            size: (H, W) of the pictures, in the maps' shape; ``None`` for the maps' own. Edges stay sharp.
            soft: maps that become larger are interpolated everywhere, for edges that will be sharpened.

        Raises:
            ValueError: another number of maps, or another shape.
        """
        maps = self.select(lambda maps: one_for_each(maps, count))
        if size is not None and size != tuple(maps.inverse_depth.shape[-2:]):
            self.expect_aspect(*size)
            maps = replace(maps, inverse_depth=resize_keeping_edges(maps.inverse_depth, size, soft))
        return maps.disparity()

    def for_latent(
        self,
        latent: Sequence[int],
        time_ratio: int = 1,
        form: ShiftForm = ShiftForm.SUB_COLUMN,
        options: str = "",
    ) -> Tensor:
        """Return the disparity of a latent.

        Args:
            latent: the latent's shape, (B, C, H, W) or (B, C, T, H, W). For a video latent there may also be a map
                for each frame of the video that it was encoded from. With T = 1 it holds pictures: models of single
                pictures may have latents of this form, too.
            time_ratio: frames of the video to one of its latent, as the model has it; 1 where that is not known.
            form: how it will be shifted; all but ``SUB_COLUMN`` give whole columns.
            options: what ``form`` is set on, for messages.

        Returns:
            (B, 1, H, W) or (B, 1, T, H, W) float32, in columns of the latent.

        Raises:
            ValueError: another aspect ratio or another number of maps, or whole columns that move nothing.
        """
        self.expect_aspect(*latent[-2:])
        maps = self.resized((latent[-2], latent[-1]))
        if len(latent) == 4 or latent[2] == 1:
            pictures = maps.select(lambda maps: one_for_each(maps, latent[0]))._in_form(form, options)
            return pictures if len(latent) == 4 else pictures.unsqueeze(2)
        frames, count = (latent[2] - 1) * time_ratio + 1, len(self.inverse_depth)
        if time_ratio > 1 and count not in (1, latent[2], frames):
            raise ValueError(
                f"depth holds {count} maps for a clip of {frames} frames ({latent[2]} in its latent). Give one for "
                "each frame, for example with Depth Estimate from the decoded clip, or one for all."
            )
        clip = maps.select(lambda maps: match_frames(maps, latent[2]))._in_form(form, options)
        return clip.movedim(0, 1).unsqueeze(0).expand(latent[0], -1, -1, -1, -1)

    def _in_form(self, form: ShiftForm, options: str) -> Tensor:
        exact = self.disparity()
        if form is ShiftForm.SUB_COLUMN:
            return exact
        grid = self.inverse_depth, self.width
        truncated = form is ShiftForm.TRUNCATED
        whole = self.geometry.whole_disparity(*grid, self.convergence) if truncated else exact.round()
        if exact.any() and not whole.any():
            least = self.geometry.least_whole_percent(*grid, truncated, self.convergence)
            more = f", or max_disparity to {least:.1f} or more" if least <= _MOST_PERCENT else ""
            if self.preset:
                raise ValueError(
                    f"options: the preset of {self.preset} shifts by whole columns of the latent, and its "
                    f"{self.geometry.max_disparity:g} % move none in a picture this small. Use a larger picture, or "
                    "set preset to custom."
                )
            raise ValueError(
                f"max_disparity: {self.geometry.max_disparity:g} % moves nothing here, where a latent is shifted by "
                f"whole columns of its own. Set shift{options and f' of {options}'} to sub_column{more}."
            )
        return whole

    def expect_aspect(self, height: int, width: int) -> None:
        """Raise ``ValueError`` unless the maps have the shape of a picture or latent of this size."""
        rows, columns = self.inverse_depth.shape[-2:]
        # One row or column either way, of the coarser grid, is its rounding: an autoencoder's latent, or the small map
        # of a depth network. More is another shape.
        down, across = rows * width / columns - height, columns * height / rows - width
        if abs(down) > max(1, width / columns) and abs(across) > max(1, height / rows):
            raise ValueError(
                f"depth is {columns}x{rows}, of another shape than the picture: {columns / rows:.2f} instead "
                f"of {width / height:.2f} times as wide as high. Make the depth map from this picture."
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
