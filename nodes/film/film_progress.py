"""How far a film is: what someone who waits for it sees."""

from __future__ import annotations

import time
from typing import Protocol

import comfy.model_management
import comfy.utils
from PIL import Image
from torch import Tensor

_EVERY = 1.0  # seconds between two looks
_SHOWN = 512  # pixels of the longer side of a preview


class Progress(Protocol):
    """What hears of the work on a film."""

    def expect(self, frames: int, done: int) -> None:
        """There are so many steps of one frame in all, and so many were done before."""

    def step(self, picture: Tensor | None = None) -> None:
        """One frame more is done; ``picture`` (3, H, W) in [0, 1] is what came of it. Raises to end the work."""

    def say(self, text: str) -> None:
        """Tell something in words."""


class NodeProgress:
    """Progress on a node, with a picture now and then, and the time that is left."""

    def __init__(self, say: object) -> None:
        """Take what shows text on the node."""
        self._bar, self._say = comfy.utils.ProgressBar(1), say
        self._total = self._done = self._before = 0
        self._start = self._shown = time.monotonic()

    def expect(self, frames: int, done: int) -> None:
        """There are so many steps of one frame in all, and so many were done before."""
        self._total, self._done, self._before = frames, done, done
        self._start = time.monotonic()
        self._bar.update_absolute(done, frames)

    def step(self, picture: Tensor | None = None) -> None:
        """One frame more is done.

        Raises:
            InterruptProcessingException: the user has had enough.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._done += 1
        now = time.monotonic()
        if picture is None or now - self._shown < _EVERY:
            self._bar.update_absolute(self._done, self._total)
            return
        self._shown = now
        self._bar.update_absolute(self._done, self._total, ("JPEG", _image(picture), _SHOWN))
        self.say(self.left())

    def left(self) -> str:
        """Say how fast the work goes, and how long it will take."""
        pace = (self._done - self._before) / max(1e-6, time.monotonic() - self._start)
        seconds = (self._total - self._done) / max(1e-6, pace)
        return f"{pace:.1f} frames/s, about {in_words(seconds)} left"

    def say(self, text: str) -> None:
        """Tell something in words."""
        self._say(text)


def in_words(seconds: float) -> str:
    """Say a time for people: 42 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _image(picture: Tensor) -> Image.Image:
    small = max(1, max(picture.shape[-2:]) // _SHOWN)
    values = picture[:, ::small, ::small].clamp(0, 1).mul(255).byte().movedim(0, -1)
    return Image.fromarray(values.cpu().numpy())
