"""What is settled of a film before any of it is decoded: when each frame comes, and the pieces in which it is made."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comfy_api.latest import Input, InputImpl

from ..delivery.source_clip import SourceClip
from ..delivery.timing import Timing
from .decoding import pixel_aspect, tells_times
from .frames import read_frames

FEWEST = 3
"""Frames of a piece, at least: encoders reorder no fewer."""
# A cut so near to where a piece would end, in parts of a piece, is where it ends instead.
_NEAR = 1 / 3


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """A film and its frames.

    Attributes:
        file: a path, or the file itself in memory.
        clip: what is known of it.
        times: of its frames in the stream's unit of time, as the file has them.
        size: (H, W) of its pictures, turned as they are shown.
    """

    file: str | io.BytesIO
    clip: SourceClip
    times: tuple[int, ...]
    size: tuple[int, int]

    @classmethod
    def read(cls, video: Input.Video, name: str = "video") -> FilmPlan:
        """Look at the packets of a video, and at its first picture.

        Args:
            video: a file, or a part of it.
            name: of the input, for messages.

        Raises:
            ValueError: it is no file, tells no times, or has no picture that can be decoded.
        """
        if isinstance(video, InputImpl.VideoFromComponents):
            raise ValueError(
                f"{name}: holds frames in memory, not a file. Connect Load Video, or save the frames with Save Stereo "
                "Video."
            )
        clip, file = SourceClip.read(video, name), video.get_stream_source()
        if clip.timing is None and clip.windowed:
            raise ValueError(
                f"{name}: the part that Trim Video has chosen holds no frames. It counts the time of the file, which "
                "need not begin at 0. Choose another part."
            )
        if clip.timing is None or not tells_times(file):
            raise ValueError(
                f"{name}: its file does not say when each frame comes, or has none. Save it again, for example as mp4, "
                "with another program."
            )
        since = round(clip.origin / clip.timing.time_base)
        times = tuple(start + since for start in clip.timing.starts)
        first = next(read_frames(file, times, 0, 1, name))
        clip = replace(clip, pixel_aspect=pixel_aspect(file, first.decoded.rotation))
        return cls(file, clip, times, tuple(first.picture.shape[-2:]))

    @property
    def timing(self) -> Timing:
        """When frames are shown, counted from the film's beginning."""
        return self.clip.timing

    def __len__(self) -> int:
        return len(self.times)

    @property
    def title(self) -> str:
        """What to call it in messages."""
        return Path(self.file).name if isinstance(self.file, str) else "the video"

    def time_code(self, frame: int) -> str:
        """Say when a frame comes, for people."""
        seconds = float(self.timing.starts[frame] * self.timing.time_base)
        return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{seconds % 60:05.2f}"

    def about_lost(self, frames: Collection[int]) -> tuple[str, ...]:
        """Say that some frames cannot be decoded, in whole sentences."""
        if not frames:
            return ()
        count = f"{len(frames)} frames" if len(frames) > 1 else "One frame"
        first = self.time_code(min(frames))
        return (f"{count} of video cannot be decoded and show those before, the first at {first}.",)


def segments(timing: Timing, seconds: float, cuts: Sequence[int] = ()) -> tuple[range, ...]:
    """Part a film into pieces that can be made by themselves.

    Args:
        timing: of its frames.
        seconds: about how long each piece is, above 0.
        cuts: frames with which scenes begin, rising. A piece ends at one that is near.

    Returns:
        The frames of each piece, at least ``FEWEST`` if the film has as many. Nothing but the arguments tells where
        pieces end, so that everyone who works on a film makes the same ones.
    """
    frames, unit = len(timing), seconds / timing.time_base
    edges = [0]
    while True:
        ends = timing.starts[edges[-1]] + unit
        after = next((place for place in range(edges[-1], frames) if timing.starts[place] >= ends), frames)
        near = [cut for cut in cuts if cut > edges[-1] and abs(timing.starts[cut] - ends) <= _NEAR * unit]
        if near:
            after = min(near, key=lambda cut: abs(timing.starts[cut] - ends))
        after = max(after, edges[-1] + FEWEST)
        if frames - after < FEWEST:
            break
        edges.append(after)
    return tuple(range(first, last) for first, last in zip(edges, [*edges[1:], frames], strict=True))
