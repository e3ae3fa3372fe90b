"""Pictures to the bytes of one stereo file, by Pillow, which the host brings along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image, features
from torch import Tensor

from ...stereo_core.picture_files import multi_picture, stereo_jpeg, vr_photo
from ...stereo_core.picture_kinds import FileType, PictureFormat, PictureKind
from .kept_workflow import exif, png_chunks, that_fit

# Of one JPEG segment, without its marker and length.
_EXIF_IN_JPEG = 65533


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a picture becomes a file.

    Attributes:
        quality: 1 to 100, of files that lose some.
        milliseconds: that each frame of a moving picture stays.
        texts: to keep in the file, by name.
    """

    quality: int
    milliseconds: int
    texts: dict[str, str] = field(default_factory=dict)


def expect_encoder(kind: PictureKind) -> None:
    """Raise ``ValueError`` where the host's Pillow cannot write this kind."""
    needed = kind.file.value
    if needed in ("webp", "avif") and not features.check(needed):
        raise ValueError(f"file_type: the Pillow of this ComfyUI cannot write {needed}. Choose png, or update Pillow.")


def loses_workflow(kind: PictureKind, texts: dict[str, str]) -> bool:
    """Tell whether the workflow is too large for this kind of file."""
    return kind.file is FileType.JPEG and "workflow" in texts and "workflow" not in _texts_in_jpeg(texts)


def to_picture(frame: Tensor) -> Image.Image:
    """Round a frame (3, H, W) in [0, 1] to 8 bits."""
    levels = (frame.float().clamp(0, 1) * 255).round().byte()
    return Image.fromarray(levels.movedim(0, -1).contiguous().cpu().numpy())


def encode(kind: PictureKind, frames: Sequence[Image.Image], how: Encoding) -> bytes:
    """Write one file.

    Args:
        kind: of the file.
        frames: the packed picture, or all pictures of a moving one; left and right for ``mpo`` and ``vr_photo``.
        how: quality, pace and what to keep in it.
    """
    first = frames[0]
    match kind.form:
        case PictureFormat.MPO:
            return multi_picture(_jpeg(first, how), _jpeg(frames[1], Encoding(how.quality, 0)))
        case PictureFormat.JPS:
            return stereo_jpeg(_jpeg(first, how))
        case PictureFormat.VR_PHOTO:
            return vr_photo(_jpeg(first, how), _jpeg(frames[1], Encoding(how.quality, 0)), first.size)
    match kind.file:
        case FileType.JPEG:
            return _jpeg(first, how)
        case FileType.PNG:
            return _saved(first, "PNG", pnginfo=png_chunks(how.texts), compress_level=4)
        case FileType.AVIF:
            return _saved(first, "AVIF", quality=how.quality, subsampling="4:4:4", exif=exif(how.texts))
        case FileType.GIF:
            first, *others = _with_one_palette(frames)
            return _saved(first, "GIF", save_all=True, append_images=others, duration=how.milliseconds, loop=0)
    moving = {"save_all": True, "append_images": frames[1:], "duration": how.milliseconds, "loop": 0}
    return _saved(
        first,
        "WEBP",
        quality=how.quality,
        lossless=kind.keeps_two_eyes_apart,  # its lossy form halves the resolution of colour
        exif=exif(how.texts),
        **(moving if len(frames) > 1 else {}),
    )


def _jpeg(picture: Image.Image, how: Encoding) -> bytes:
    return _saved(picture, "JPEG", quality=how.quality, subsampling="4:4:4", exif=exif(_texts_in_jpeg(how.texts)))


def _texts_in_jpeg(texts: dict[str, str]) -> dict[str, str]:
    return that_fit(texts, _EXIF_IN_JPEG)


def _saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def _with_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Bring all frames to the same 256 colours, so that none flickers."""
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * len(frames)))
    for row, frame in enumerate(frames):
        sheet.paste(frame, (0, row * height))
    palette = sheet.quantize(256)
    return [frame.quantize(palette=palette) for frame in frames]
