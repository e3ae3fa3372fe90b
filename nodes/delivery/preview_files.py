"""Files that the viewer in the editor reads: pictures as they are, a clip as one small film of both views."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import folder_paths
import numpy as np
import torch
from comfy_api.latest import io, ui
from PIL import Image
from torch import Tensor
from torch.nn import functional

# What browsers' textures and decoders surely take, in pixels of a view's longer side.
_MOST_PICTURE, _MOST_CLIP = 4096, 1280
_BT709, _LIMITED = 1, 1  # as codecs number them


def shown_size(height: int, width: int, clip: bool) -> tuple[int, int]:
    """Return the size (H, W) at which the viewer gets a view of this size; in a clip both are even."""
    scale = min(1.0, (_MOST_CLIP if clip else _MOST_PICTURE) / max(height, width))
    if scale == 1 and not clip:
        return height, width
    step = 2 if clip else 1
    return tuple(max(step, round(side * scale / step) * step) for side in (height, width))


class PreviewFiles:
    """Files of one run in the host's temporary folder."""

    def __init__(self) -> None:
        self._folder = Path(folder_paths.get_temp_directory())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._name = f"stereo_{uuid.uuid4().hex[:12]}"
        self._count = 0

    def picture(self, view: Tensor) -> dict[str, Any]:
        """Write one picture (1, C, H, W) in [0, 1] without loss, and return what the editor finds it by."""
        path = self._next("png")
        pixels = _bytes(view)
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, compress_level=1)
        return self._found(path)

    @contextmanager
    def clip(self, fps: float) -> Iterator[Clip]:
        """Give a film to write, which goes if that fails or is interrupted."""
        path = self._next("mp4")
        try:
            with Clip(path, fps, self._found(path)) as film:
                yield film
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _next(self, extension: str) -> Path:
        self._count += 1
        return self._folder / f"{self._name}_{self._count:05}.{extension}"

    @staticmethod
    def _found(path: Path) -> dict[str, Any]:
        return ui.SavedResult(path.name, "", io.FolderType.temp)


class Clip:
    """A film (H.264, which every browser plays), written frame by frame, as a context manager.

    Attributes:
        found: what the editor finds it by.
    """

    def __init__(self, path: Path, fps: float, found: dict[str, Any]) -> None:
        self.found = found
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        with closing(self._container):
            if failed is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))

    def add(self, panels: list[Tensor]) -> None:
        """Append a frame: pictures (1, C, H, W) in [0, 1] of one even size, side by side."""
        pixels = _bytes(torch.cat([panel.expand(-1, 3, -1, -1) for panel in panels], -1))
        stream = self._stream = self._stream or self._open(*pixels.shape[:2])
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        self._container.mux(stream.encode(frame))

    def _open(self, height: int, width: int) -> av.VideoStream:
        # A key frame twice a second, so that the viewer steps through frames without a wait.
        options = {"crf": "14", "preset": "veryfast", "g": str(max(1, round(self._rate / 2)))}
        stream = self._container.add_stream("h264", rate=self._rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        codec = stream.codec_context
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = _LIMITED
        return stream


def resized(view: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale (1, C, H, W) to a smaller or equal size (H, W)."""
    return view if view.shape[-2:] == size else functional.interpolate(view.float(), size=size, mode="area")


def _bytes(view: Tensor) -> np.ndarray:
    """(1, C, H, W) in [0, 1] to (H, W, C) bytes."""
    return (view[0].movedim(0, -1).float().clamp(0, 1) * 255).round().byte().cpu().numpy()
