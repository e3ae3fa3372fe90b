"""The frames of a clip as they come, and how the surfaces of each move to its neighbours, up to the next cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite
from .hidden_points import Showing
from .optical_flow import optical_flow
from .scenes import find_scene_starts
from .surface_motion import SurfaceMotion, still_motion, surface_motion

# A surface near a nearer one by so many pixels may show a mixture of both, and does not count as seen.
_MARGIN = 2


@dataclass
class ClipFrame:
    """A frame of a clip, and the motion of its surfaces to both neighbours.

    Attributes:
        picture: (1, C, H, W).
        disparity: (1, 1, H, W), in columns.
        showing: what it shows.
        ahead: to the next frame; ``None`` where the scene ends.
        back: to the frame before; ``None`` where the scene begins.
    """

    picture: Tensor
    disparity: Tensor
    showing: Showing
    ahead: SurfaceMotion | None = None
    back: SurfaceMotion | None = None


def with_motion(frames: Iterable[tuple[Tensor, Tensor]], wanted: bool, flow_size: int) -> Iterator[ClipFrame]:
    """Yield every frame when the motion to the next one is known: one frame later, since only that tells a cut.

    Args:
        frames: pictures (1, 3, H, W) in [0, 1] and their disparity (1, 1, H, W) in columns, in the order of time.
        wanted: false for frames that come at once and without motion, as if each were a scene.
        flow_size: pixels of the longer side at which the motion is found, at most the frame's.

    Yields:
        The frames, two after each of them having been taken, or at the end.

    Raises:
        ValueError: motion is wanted and one of several pictures is not finite.
    """
    held: deque[ClipFrame] = deque()  # up to one that was yielded before, one to be yielded, and the two after it
    done = 0
    for picture, disparity in frames:
        held.append(ClipFrame(picture, disparity, Showing(picture[0].float(), disparity[0, 0].float(), _MARGIN)))
        if not wanted:
            yield held.pop()
        elif len(held) - done == 3:
            _join(held, done, flow_size)
            yield held[done]
            done = 1
            if len(held) == 4:
                held.popleft()
    if len(held) - done == 2:
        _join(held, done, flow_size)
    yield from list(held)[done:]


def _join(frames: Sequence[ClipFrame], first: int, flow_size: int) -> None:
    """Find the motion between ``first`` and the frame after it, unless there is a cut."""
    one, two = frames[first], frames[first + 1]
    if bool(find_scene_starts(torch.stack([frame.picture[0] for frame in frames]))[first + 1]):
        return
    near = [frame.showing.disparity for frame in (one, two)]
    if torch.equal(one.picture, two.picture):
        one.ahead, two.back = still_motion(near[0]), still_motion(near[1])
        return
    height, width = near[0].shape
    scale = min(1.0, flow_size / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    pair = torch.cat([one.picture, two.picture]).float()
    expect_finite("image", pair)
    if pair.device.type == "mps":  # has no antialiased resize in older versions of torch
        pair = pair.cpu()
    pair = functional.interpolate(pair, size, mode="bilinear", antialias=True)
    ahead, back = optical_flow(pair, pair.flip(0)).to(near[0].device)
    pair = pair.to(near[0].device)
    one.ahead = surface_motion(ahead, back, near[0], pair[0])
    two.back = surface_motion(back, ahead, near[1], pair[1])
