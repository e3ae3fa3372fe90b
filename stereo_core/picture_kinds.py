"""Which stereo formats fit which picture files, and what such a file is called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .file_names import VR180_SUFFIX, NameStyle, player_suffix
from .formats import StereoFormat


class PictureFormat(str, Enum):
    """What stereo pictures have besides the formats that pack two views into one picture."""

    MPO = "mpo"
    JPS = "jps"
    VR180 = "vr180"
    VR_PHOTO = "vr_photo"


class FileType(str, Enum):
    """The file of a picture; ``AUTO`` is the one that suits the format best."""

    AUTO = "auto"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"


PICTURE_FORMATS: tuple[StereoFormat | PictureFormat, ...] = (
    StereoFormat.FULL_SBS,
    PictureFormat.MPO,
    *(form for form in StereoFormat if form is not StereoFormat.FULL_SBS),
    PictureFormat.JPS,
    PictureFormat.VR180,
    PictureFormat.VR_PHOTO,
)
"""In the order in which a user should think of them."""

_STILL = (FileType.PNG, FileType.JPEG, FileType.WEBP, FileType.AVIF)
_MOVING = (FileType.WEBP, FileType.GIF)
# Files of their own kind, by their extensions; all are JPEGs within.
_OWN = {PictureFormat.MPO: "mpo", PictureFormat.JPS: "jps", PictureFormat.VR_PHOTO: "vr.jpg"}
# The longest side, in pixels, as each format's header can say it.
_LONGEST = {FileType.JPEG: 65535, FileType.WEBP: 16383, FileType.GIF: 65535, FileType.AVIF: 32768}
# Neighbouring pixels or channels belong to different eyes: coarser colour would mix them.
_TWO_EYES_IN_ONE_PLACE = (StereoFormat.INTERLACED_ROWS, StereoFormat.INTERLACED_COLUMNS, StereoFormat.CHECKERBOARD)


@dataclass(frozen=True, slots=True)
class PictureKind:
    """One kind of stereo picture file.

    Attributes:
        form: how the views are packed.
        file: what they are written as; never ``AUTO``.

    Raises:
        ValueError: by :meth:`choose`, a format that the file cannot hold.
    """

    form: StereoFormat | PictureFormat
    file: FileType

    @classmethod
    def choose(cls, form: str, file: str) -> PictureKind:
        """Return what a user chose, ``auto`` replaced."""
        format, type = _format(form), FileType(file)
        possible = _possible(format)
        if type is FileType.AUTO:
            return cls(format, possible[0])
        if format in _OWN:
            raise ValueError(f"file_type: {format.value} is a file of its own kind. Set file_type to auto.")
        if type not in possible:
            what = "moves" if format is StereoFormat.WIGGLE else "does not move"
            *others, last = (each.value for each in possible)
            raise ValueError(
                f"file_type: {format.value} {what}, which {type.value} is not for. Set file_type to auto, or to "
                f"{', '.join(others)} or {last}."
            )
        return cls(format, type)

    @property
    def extension(self) -> str:
        if isinstance(self.form, PictureFormat) and self.form in _OWN:
            return _OWN[self.form]
        return "jpg" if self.file is FileType.JPEG else self.file.value

    @property
    def packing(self) -> StereoFormat | None:
        """How both views share one picture; ``None`` where each is a picture."""
        if isinstance(self.form, StereoFormat):
            return None if self.moves else self.form
        packings = {PictureFormat.JPS: StereoFormat.CROSS_EYED, PictureFormat.VR180: StereoFormat.FULL_SBS}
        return packings.get(self.form)

    @property
    def keeps_two_eyes_apart(self) -> bool:
        """Whether colour must be as fine as the pixels: in interlaced pictures and anaglyphs."""
        return self.form in _TWO_EYES_IN_ONE_PLACE or self.form.value.startswith("anaglyph")

    @property
    def moves(self) -> bool:
        return self.form is StereoFormat.WIGGLE

    @property
    def opens_in_editor(self) -> bool:
        """Whether ComfyUI's editor finds a workflow in the file that is dropped on it."""
        return self.file in (FileType.PNG, FileType.WEBP, FileType.AVIF)

    def most_bytes(self, pixels: int) -> int:
        """Return how large a file of so many pixels may become; lossy ones take a third of it even for noise."""
        return 3 * pixels if self.file is FileType.PNG or self.keeps_two_eyes_apart else pixels

    def suffix(self, name: str) -> str:
        """Return what ends the name; files of their own kind need nothing, as their extension tells."""
        if NameStyle(name) is NameStyle.PLAIN or self.form in _OWN:
            return ""
        return player_suffix(self.form) if isinstance(self.form, StereoFormat) else VR180_SUFFIX

    def expect_size(self, width: int, height: int) -> None:
        """Raise ``ValueError`` unless the file can hold a picture of this size."""
        side, own = max(width, height), self.form in _OWN
        if side <= _longest(self.file):
            return
        roomier = [] if own else [each.value for each in _possible(self.form) if side <= _longest(each)]
        what = f"format: {self.form.value}" if own else f"file_type: {self.file.value}"
        choose = f"Choose {' or '.join(roomier)}, or make" if roomier else "Make"
        raise ValueError(
            f"{what} holds at most {_longest(self.file)} pixels a side, and the picture has {width}x{height}. "
            f"{choose} the views smaller."
        )

    def expect_views(self, width: int, height: int) -> None:
        """Raise ``ValueError`` unless views of this size can be shown as this kind."""
        square, twice = width == height, width == 2 * height
        if self.form is PictureFormat.VR180 and not square:
            raise ValueError(
                f"format: vr180 takes square views of half a sphere, and left is {width}x{height}. Make them with Flat "
                "Pair to VR180 or Panorama to VR180."
            )
        if self.form is PictureFormat.VR_PHOTO and not (square or twice):
            raise ValueError(
                "format: vr_photo takes equirectangular views, square for 180 degrees or twice as wide as high for "
                f"360, and left is {width}x{height}. Make them with Flat Pair to VR180 or Panorama to VR180."
            )


def _format(form: str) -> StereoFormat | PictureFormat:
    return next((each for each in PICTURE_FORMATS if each.value == form), None) or StereoFormat(form)


def _longest(file: FileType) -> int:
    return _LONGEST.get(file, 2**31 - 1)


def _possible(form: StereoFormat | PictureFormat) -> tuple[FileType, ...]:
    if form in _OWN:
        return (FileType.JPEG,)
    return _MOVING if form is StereoFormat.WIGGLE else _STILL
