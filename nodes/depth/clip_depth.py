"""From raw maps to a clip's depth, frame by frame: steady, without bars in their range, as large as the pictures."""

from __future__ import annotations

import math

from torch import Tensor

from ...stereo_core.depth_edges import DepthEdges, sharpen_edges
from ...stereo_core.stabilization import SteadyState, steady_frame
from ..host import compute_device
from .networks import DepthModel, resize_depth
from .sources import Source, is_steady

# The least step of inverse depth that is sharpened, of the whole range.
_LEAST_STEP = 0.02


def is_steadied(source: Source, stabilize: bool, frames: int) -> bool:
    """Tell whether maps are steadied if the user wants it: not those of a model for clips, nor of one picture."""
    return stabilize and frames > 1 and not is_steady(source)


def steadied(raw: Tensor, picture: Tensor, state: SteadyState | None, source: Source) -> tuple[Tensor, SteadyState]:
    """Steady the map of a single frame; what the host's models and geometry have at infinity, as the sky, stays there.

    Args:
        raw: (1, 1, h, w), as ``raw_inverse_depth`` gives it.
        picture: (1, 3, H, W) in [0, 1].
        state: that of the frame before; ``None`` where a scene starts.
        source: what the map is from.

    Returns:
        The map, and the state for the next frame.
    """
    steady, state = steady_frame(raw, picture, state)
    if not isinstance(source, DepthModel):  # whose 0 is no more than the farthest that it knows
        steady = steady.clamp_(min=0).masked_fill_(raw == 0, 0)
    return steady, state


def without_bars(picture: tuple[slice, slice], size: tuple[int, ...], map_size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a map that show the picture, without bars.

    Args:
        picture: rows and columns between the bars, as ``find_picture`` gives them.
        size: (H, W) of the frames.
        map_size: (h, w).
    """
    rows, columns = (_scaled(*side) for side in zip(picture, size, map_size, strict=True))
    return rows, columns


def _scaled(inside: slice, size: int, small: int) -> slice:
    first = min(math.ceil(inside.start * small / size), small - 1)
    return slice(first, max(math.floor(inside.stop * small / size), first + 1))


def enlarged(inverse: Tensor, picture: Tensor, edges: DepthEdges) -> Tensor:
    """Bring a map (1, 1, h, w) in [0, 1] to the size of its picture (1, 3, H, W); (1, 1, H, W)."""
    full = resize_depth(inverse, tuple(picture.shape[-2:]))
    if edges is DepthEdges.SHARPENED:
        return sharpen_edges(full.to(compute_device()), picture.to(compute_device()), _LEAST_STEP)
    return full
