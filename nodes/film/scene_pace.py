"""How far one is through the frames of a scene, and what these leave for the next: to be kept and taken up again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from ...stereo_core.letterbox import BlackLines
from ...stereo_core.stabilization import SteadyState
from ..depth.clip_depth import steadied
from ..depth.sources import Source
from .whole_files import whole


class Pace:
    """Pictures on their way to a model, and maps that come of them.

    Attributes:
        done: maps that have come.
        black: how black the lines of the pictures were, from which bars are found.
        size: (H, W) of the pictures.
    """

    def __init__(self, steady: bool) -> None:
        """Stand at the scene's start; ``steady`` tells whether maps are to be steadied."""
        self.done, self.size = 0, (0, 0)
        self.black: BlackLines | None = None
        self._steady, self._state = steady, None
        self._waiting: deque[Tensor] = deque()  # pictures whose maps have not come

    @classmethod
    def read(cls, path: Path, steady: bool) -> Pace:
        """Go on from what ``write`` has kept."""
        kept = torch.load(path, weights_only=True)
        pace = cls(steady)
        pace.done, pace.size, pace.black = kept["done"], kept["size"], BlackLines(**kept["black"])
        pace._state = SteadyState(**kept["steady"]) if steady else None
        return pace

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        steady, data = vars(self._state) if self._steady else None, BytesIO()
        torch.save({"done": self.done, "size": self.size, "black": vars(self.black), "steady": steady}, data)
        with whole(path) as partial:
            partial.write_bytes(data.getvalue())

    def watch(self, pictures: Iterable[Tensor]) -> Iterator[Tensor]:
        """Give pictures (1, 3, H, W) on, looking at them."""
        for picture in pictures:
            lines = BlackLines.of(picture[0])
            self.size, self.black = tuple(picture.shape[-2:]), lines if self.black is None else self.black & lines
            if self._steady:
                if self._waiting and torch.equal(picture, self._waiting[-1]):
                    picture = self._waiting[-1]  # a still that goes on for long is held once
                self._waiting.append(picture)
            yield picture

    def steadied(self, found: Iterable[Tensor], source: Source) -> Iterator[Tensor]:
        """Give maps (1, 1, h, w) on, steadied if they are to be."""
        for inverse in found:
            if self._steady:
                inverse, self._state = steadied(inverse, self._waiting.popleft(), self._state, source)
            self.done += 1
            yield inverse
