"""Which stereo formats fit which picture files, and what such a file is called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .file_names import NameStyle, player_suffix
from .formats import StereoFormat


class Container(str, Enum):
    """Files that hold two pictures, or say themselves how two are packed; all are JPEGs within."""

    MPO = "mpo"
    JPS = "jps"
    VR_PHOTO = "vr_photo"


class FileType(str, Enum):
    """The file of a picture; ``AUTO`` is the one that suits the format best."""

    AUTO = "auto"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"


PICTURE_FORMATS: tuple[StereoFormat | Container, ...] = (
    StereoFormat.FULL_SBS,
    Container.MPO,
    *(form for form in StereoFormat if form is not StereoFormat.FULL_SBS),
    Container.JPS,
    Container.VR_PHOTO,
)
"""In the order in which a user should think of them."""

_STILL = (FileType.PNG, FileType.JPEG, FileType.WEBP, FileType.AVIF)
_MOVING = (FileType.WEBP, FileType.GIF)
_EXTENSIONS = {FileType.JPEG: "jpg", Container.VR_PHOTO: "vr.jpg"}
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

    form: StereoFormat | Container
    file: FileType

    @classmethod
    def choose(cls, form: str, file: str) -> PictureKind:
        """Return what a user chose, ``auto`` replaced."""
        format, type = _format(form), FileType(file)
        possible = _possible(format)
        if type is FileType.AUTO:
            return cls(format, possible[0])
        if isinstance(format, Container):
            raise ValueError(f"file_type: {format.value} is a file of its own kind. Set file_type to auto.")
        if type not in possible:
            what = "moves" if format is StereoFormat.WIGGLE else "does not move"
            raise ValueError(
                f"file_type: {format.value} {what}, which {type.value} is not for. Set file_type to auto, or to "
                f"{' or '.join(each.value for each in possible)}."
            )
        return cls(format, type)

    @property
    def extension(self) -> str:
        if isinstance(self.form, Container):
            return _EXTENSIONS.get(self.form, self.form.value)
        return _EXTENSIONS.get(self.file, self.file.value)

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
        """Return what ends the name; a container needs nothing, as its extension tells."""
        plain = NameStyle(name) is NameStyle.PLAIN or isinstance(self.form, Container)
        return "" if plain else player_suffix(StereoFormat(self.form))

    def expect_size(self, width: int, height: int) -> None:
        """Raise ``ValueError`` unless the file can hold a picture of this size."""
        longest = _LONGEST.get(self.file, 2**31 - 1)
        if max(width, height) > longest:
            raise ValueError(
                f"file_type: {self.file.value} holds at most {longest} pixels a side, and the picture has "
                f"{width}x{height}. Choose png, or make the views smaller."
            )

    def expect_views(self, width: int, height: int) -> None:
        """Raise ``ValueError`` unless views of this size can be shown as this kind."""
        if self.form is Container.VR_PHOTO and width not in (height, 2 * height):
            raise ValueError(
                f"format: vr_photo takes equirectangular views, square for VR180 or twice as wide as high for 360 "
                f"degrees, and left is {width}x{height}. A flat picture is no VR photo: choose full_sbs or mpo for it."
            )


def _format(form: str) -> StereoFormat | Container:
    return next((each for each in PICTURE_FORMATS if each.value == form), None) or StereoFormat(form)


def _possible(form: StereoFormat | Container) -> tuple[FileType, ...]:
    if isinstance(form, Container):
        return (FileType.JPEG,)
    return _MOVING if form is StereoFormat.WIGGLE else _STILL
