"""Where a film cuts to another scene, found from small pictures of its frames that any process may have made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...stereo_core.scenes import follow_cuts, thumbnail
from .whole_files import whole


def write_thumbnails(path: Path, pictures: Iterable[Tensor]) -> None:
    """Write what cuts are found from, for some frames in a row, into a file that is there once it is whole.

    Args:
        path: of the file, an array of .npy: 2.3 kB for each frame.
        pictures: (1, 3, H, W) in [0, 1] each, at least one.
    """
    data = BytesIO()
    np.save(data, torch.cat([thumbnail(picture[0]) for picture in pictures]).cpu().numpy())
    with whole(path) as partial:
        partial.write_bytes(data.getvalue())


def find_scenes(paths: Sequence[Path]) -> tuple[int, ...]:
    """Find the frames with which scenes begin, as ``find_scene_starts`` does with all frames at once, to the bit.

    Args:
        paths: files of ``write_thumbnails``, together all frames of a film in their order.

    Returns:
        Numbers of frames, rising; the first is 0. How the frames were shared out over the files makes no difference.
    """
    starts: list[bool] = []
    state = None
    for path in paths:
        decided, state = follow_cuts(torch.from_numpy(np.load(path)), state)
        starts += decided
    if state is not None:
        starts.append(state.changed)
    return tuple(frame for frame, start in enumerate(starts) if start)
