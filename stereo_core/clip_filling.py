"""The other view of a clip: its holes show what other frames show behind, and hold still."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

import torch
from torch import Tensor

from .checks import expect_shape
from .clip_motion import ClipFrame, with_motion
from .hidden_points import HiddenPoints, Showing
from .rendering import Quality, RenderedView, render_view
from .surface_motion import SurfaceMotion
from .warping import View

# How sure a fill is that no frame shows.
_GUESS = 0.02
# Values per pixel that following the points takes, when a tenth of the frame is hole.
_WORKING = 40

Render = Callable[[Tensor, Tensor, View], RenderedView]
"""Renders a view of a picture (1, C, H, W) from its disparity (1, 1, H, W) in columns of that view's shift."""


class FillFrom(str, Enum):
    """Where what fills a hole is taken from: its own frame, or those of the clip around it as well."""

    FRAME = "frame"
    CLIP = "clip"


@dataclass(frozen=True)
class ClipSettings:
    """Where what lies behind is looked for.

    Attributes:
        reach: frames before and after a frame in which to look, at the start of a scene up to twice as many after it;
            0 fills every frame by itself.
        flow_size: pixels of the longer side at which the motion is found, at most the frame's.
        steady: how much of a hole's colour is that of the frame before, along the motion, 0 to 1, where both are
            equally sure.
    """

    reach: int = 16
    flow_size: int = 320
    steady: float = 0.99

    @classmethod
    def of(cls, source: FillFrom) -> ClipSettings:
        """Return those for a choice."""
        return cls() if FillFrom(source) is FillFrom.CLIP else cls(reach=0)

    def __post_init__(self) -> None:
        if self.reach < 0:
            raise ValueError(f"reach: got {self.reach}. Give a number of frames, or 0 to fill every frame by itself.")
        if self.flow_size < 1:
            raise ValueError(f"flow_size: got {self.flow_size}. Give pixels of the longer side, 1 or more.")
        if not 0 <= self.steady <= 1:
            raise ValueError(f"steady: got {self.steady}. Give a share of 0 to 1.")


@dataclass(frozen=True)
class _View:
    """A view as it was finished.

    Attributes:
        image: (C + 1, H, W) float32, the last of it how sure the others are, 0 to 1; 1 outside holes.
        behind: (H, W) bool, its holes and their edges.
    """

    image: Tensor
    behind: Tensor


def render_clip(
    image: Tensor,
    disparity: Tensor,
    quality: Quality = Quality.BEST,
    view: View = View.RIGHT,
    edge_growth: int = 0,
    settings: ClipSettings | None = None,
) -> RenderedView:
    """Render the other view of a clip: ``stream_clip`` of ``render_view``, its result put together.

    Args:
        image: (T, C, H, W), any floating dtype; C is 3 and values lie in [0, 1], where ``reach`` is above 0.
        disparity: (T, 1, H, W) in columns of this grid, larger is nearer, any sign.
        quality: as in ``render_view``.
        view: the view to make.
        edge_growth: as in ``render_view``.
        settings: where to look for what lies behind.

    Returns:
        The filled views and their holes.

    Raises:
        ValueError: a shape does not fit, values are not finite, or what ``render_view`` refuses.
    """
    expect_shape("image", image, "T C H W")
    frames, _, height, width = image.shape
    expect_shape("disparity", disparity, "T 1 H W", T=frames, H=height, W=width)

    def render(picture: Tensor, shift: Tensor, view: View) -> RenderedView:
        return render_view(picture, shift, quality, view, edge_growth)

    pairs = ((image[t : t + 1], disparity[t : t + 1]) for t in range(frames))
    views = [found[view] for found in stream_clip(pairs, {view: 1.0}, render, settings)]
    return RenderedView(*(torch.cat(parts) for parts in zip(*((v.image, v.hole) for v in views), strict=True)))


def stream_clip(
    frames: Iterable[tuple[Tensor, Tensor]],
    fractions: Mapping[View, float],
    render: Render,
    settings: ClipSettings | None = None,
) -> Iterator[dict[View, RenderedView]]:
    """Render views of a clip as its frames come, and fill their holes from the frames around.

    What a hole uncovers is followed through the frames of the same scene, before and after, along the motion of the
    surface that it belongs to, until one shows it: at the disparity of that surface, apart from nearer ones. Its colour
    there is taken; of two sights the nearer in time counts more, so that light that changes is followed. How the
    surface beside the hole has changed between the frames is added to it, and how much it still differs, or the sights
    among themselves, tells how far they can be trusted. The rest is what ``render`` filled in. Both are averaged with
    the frame before, along the motion, by how sure each is, so that they hold still. Nothing is taken across a cut. A
    frame whose neighbours belong to other scenes, or that has none, comes back as ``render`` gave it.

    Memory is that of the 2 ``reach`` + 3 frames of the window, which are held as they are given, however long the
    clip. While a scene has fewer than ``reach`` frames before, the window lies ahead, so that what these would show is
    known from the first frame on instead of taking a guess's place later. What a hole was filled with is remembered
    from frame to frame within a scene, also what is no longer seen.

    Limits: what moves by itself while it is hidden is taken for still; textures that move in themselves, such as water,
    come from another time.

    Args:
        frames: of a clip, one after another: pictures (1, 3, H, W) in [0, 1] and their disparity (1, 1, H, W) in
            columns, on the device that shall work.
        fractions: for each view to be made, how much of the disparity it is shifted by, above 0.
        render: makes a view of one frame from the disparity times that fraction.
        settings: where to look for what lies behind.

    Yields:
        For each frame its views, ``reach`` + 2 frames after it has been taken, at the start of a scene up to twice
        ``reach`` + 2, or at the end.

    Raises:
        ValueError: pictures that are not finite, or no RGB.
    """
    settings = settings or ClipSettings()
    window: deque[ClipFrame] = deque()
    current = 0  # the place of the frame that comes next
    before: dict[View, _View] = {}
    finish = partial(_finish, window, fractions=fractions, render=render, before=before, settings=settings)
    for frame in with_motion(frames, settings.reach > 0, settings.flow_size):
        window.append(frame)
        while len(window) > current + _ahead(window, current, settings.reach):
            yield finish(current)
            current += 1
            while current > settings.reach or (current < len(window) and current and window[current].back is None):
                window.popleft()
                current -= 1
    for place in range(current, len(window)):
        yield finish(place)


def window_bytes(height: int, width: int, channels: int, settings: ClipSettings, frames: int, moved: bool) -> int:
    """Bound the memory that ``stream_clip`` takes besides ``working_bytes``.

    Args:
        height: rows of one frame.
        width: columns of one frame.
        channels: channels of one frame.
        settings: the settings asked for.
        frames: of the clip.
        moved: the frames come as copies, on another device than the clip.

    Returns:
        Bytes; 0 when every frame is filled by itself.
    """
    if not settings.reach or frames == 1:
        return 0
    held = min(frames, 2 * settings.reach + 3) * (channels + 2 if moved else 1)
    return height * width * torch.float32.itemsize * (held + 2 * (channels + 2) + _WORKING)


def _ahead(window: Sequence[ClipFrame], place: int, reach: int) -> int:
    """Say how many frames after one to look in: those that the scene has not before it come on top."""
    behind = 0
    while behind < min(reach, place) and window[place - behind].back is not None:
        behind += 1
    return 2 * reach - behind


def _finish(
    window: Sequence[ClipFrame],
    place: int,
    fractions: Mapping[View, float],
    render: Render,
    before: dict[View, _View],
    settings: ClipSettings,
) -> dict[View, RenderedView]:
    frame, reach = window[place], settings.reach
    views = {}
    for view, fraction in fractions.items():
        views[view] = rendered = render(frame.picture, frame.disparity * fraction, view)
        if frame.back is None:
            before.pop(view, None)
        if frame.back is None and frame.ahead is None:
            continue
        image = rendered.image[0].float()
        hole = behind = rendered.hole[0, 0]
        trust = torch.ones_like(image[0])
        if bool(hole.any()):
            points = HiddenPoints(frame.showing, hole, view, fraction)
            far = {-1: reach, 1: _ahead(window, place, reach)}
            sides = [points.search(_others(window, place, step, most), reach, most) for step, most in far.items()]
            found, sure = points.combine(sides)
            flat = image.flatten(1).clone()
            colour = torch.cat([torch.lerp(flat[:, points.pixel], found, sure), sure[None]])
            last = before.get(view)
            if frame.back is not None and last is not None:
                old, held = points.look_back(frame.back, window[place - 1].showing, last.image, last.behind)
                colour = torch.lerp(colour, old, held * _share_before(old[-1], sure, settings.steady))
            flat[:, points.pixel] = colour[:-1].clamp_(*image.aminmax())
            trust.view(-1)[points.pixel] = colour[-1]
            image = flat.view_as(image)
            views[view] = RenderedView(image[None].to(rendered.image.dtype), rendered.hole)
            behind = points.with_edges(hole)
        before[view] = _View(torch.cat([image, trust[None]]), behind)
    return views


def _share_before(before: Tensor, now: Tensor, steady: float) -> Tensor:
    """Weigh the colours of the frame before, by how sure these and those found now are, (N,) each.

    The less sure ones give way in proportion: a guess to what is seen at last, and what is seen no more stays.
    """
    old, new = before + _GUESS, now + _GUESS
    return torch.where(new > old, steady * old / new, 1 - (1 - steady) * new / old)


def _others(window: Sequence[ClipFrame], place: int, step: int, reach: int) -> Iterator[tuple[SurfaceMotion, Showing]]:
    """Go from frame to frame within the scene: the motion to the next one, and what that shows."""
    for _ in range(reach):
        motion = window[place].ahead if step > 0 else window[place].back
        if motion is None:
            return
        place += step
        yield motion, window[place].showing
