"""Stereo pictures of one file, put together from finished JPEGs: MPO, JPS and Google's VR photo. Bytes only."""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode

_START, _APP0, _APP1, _APP2, _APP3 = b"\xff\xd8", 0xE0, 0xE1, 0xE2, 0xE3
# Of a JPEG segment, its two bytes of length among them.
_MOST = 0xFFFF
# Of a piece of extended XMP, as the XMP specification (part 3, 1.1.3.1) advises.
_PIECE = 65000


def multi_picture(left: bytes, right: bytes) -> bytes:
    """Join two JPEGs into one MPO that cameras, televisions and frames show as stereo; others show the left view.

    Both pictures are marked as *Multi-Frame Image (Disparity)*, the left one as the representative, too, and as the
    first viewpoint. Source: CIPA DC-007, Multi-Picture Format, 5.2.2 to 5.2.4 and table 4.

    Args:
        left: a JPEG.
        right: a JPEG of the same size.

    Returns:
        Both, each with its segment APP2.

    Raises:
        ValueError: one of them is no JPEG.
    """
    disparity, representative, index_bytes = 0x020002, 1 << 29, 82
    attributes = [_attributes(number) for number in (1, 2)]
    right = _with_segments(right, _segment(_APP2, b"MPF\0" + _header() + attributes[1]))
    # Offsets count from the header, after the segment's marker, length and name.
    place = _after_headers(left)
    segment_bytes = 4 + 4 + index_bytes + len(attributes[0])
    size = len(left) + segment_bytes
    entries = struct.pack("<IIIHH", disparity | representative, size, 0, 0, 0)
    entries += struct.pack("<IIIHH", disparity, len(right), size - (place + 8), 0, 0)
    index = struct.pack("<H", 3)
    index += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")  # the version
    index += struct.pack("<HHII", 0xB001, 4, 1, 2)  # how many pictures
    index += struct.pack("<HHII", 0xB002, 7, len(entries), index_bytes - len(entries))
    index += struct.pack("<I", index_bytes) + entries
    return _with_segments(left, _segment(_APP2, b"MPF\0" + _header() + index + attributes[0])) + right


def _header() -> bytes:
    return b"II*\0" + struct.pack("<I", 8)


def _attributes(number: int) -> bytes:
    fields = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") if number > 1 else b""
    fields += struct.pack("<HHII", 0xB101, 4, 1, number)  # which of the pictures this is
    fields += struct.pack("<HHII", 0xB204, 4, 1, 1)  # the viewpoint that the others are measured from
    return struct.pack("<H", len(fields) // 12) + fields + struct.pack("<I", 0)


def stereo_jpeg(crossed: bytes) -> bytes:
    """Mark a JPEG of the right view beside the left one as stereo (JPS).

    Readers that know the header and those that take the right view to stand first agree on it.

    Source: ExifTool's tags JPS: APP3 ``_JPSJPS_``, then a block of separation, flags (4 would be "left view first"),
    layout (2, side by side) and type (1, stereo).

    Raises:
        ValueError: not a JPEG.
    """
    block = bytes([0, 0, 2, 1])
    return _with_segments(crossed, _segment(_APP3, b"_JPSJPS_" + struct.pack(">H", len(block)) + block))


def vr_photo(left: bytes, right: bytes, size: tuple[int, int]) -> bytes:
    """Put the right view into the XMP of the left one: Google's VR photo.

    The views must be equirectangular: square ones show the half of the sphere that lies ahead, others all of it.

    Source: Google, *Cardboard camera VR photo format*: ``GPano`` for what part of the sphere is shown, ``GImage`` for
    the other view, as base64 in extended XMP (Adobe, XMP specification part 3, 1.1.3.1).

    Args:
        left: a JPEG.
        right: a JPEG of the same size.
        size: (width, height) of each.

    Raises:
        ValueError: ``left`` is no JPEG.
    """
    width, height = size
    full = 2 * height
    extended = _xmp('xmlns:GImage="http://ns.google.com/photos/1.0/image/"', f'GImage:Data="{_base64(right)}"')
    digest = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()
    main = _xmp(
        'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
        'xmlns:GImage="http://ns.google.com/photos/1.0/image/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"',
        'GPano:ProjectionType="equirectangular" '
        f'GPano:CroppedAreaImageWidthPixels="{width}" GPano:CroppedAreaImageHeightPixels="{height}" '
        f'GPano:FullPanoWidthPixels="{full}" GPano:FullPanoHeightPixels="{height}" '
        f'GPano:CroppedAreaLeftPixels="{(full - width) // 2}" GPano:CroppedAreaTopPixels="0" '
        f'GPano:InitialViewHeadingDegrees="180" GImage:Mime="image/jpeg" xmpNote:HasExtendedXMP="{digest}"',
    )
    packet = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>' + main + b'<?xpacket end="w"?>'
    segments = [_segment(_APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet)]
    for start in range(0, len(extended), _PIECE):
        place = digest.encode() + struct.pack(">II", len(extended), start)
        piece = extended[start : start + _PIECE]
        segments.append(_segment(_APP1, b"http://ns.adobe.com/xmp/extension/\0" + place + piece))
    return _with_segments(left, b"".join(segments))


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _xmp(names: str, values: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {names} {values}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _segment(marker: int, payload: bytes) -> bytes:
    assert len(payload) + 2 <= _MOST
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _with_segments(jpeg: bytes, segments: bytes) -> bytes:
    place = _after_headers(jpeg)
    return jpeg[:place] + segments + jpeg[place:]


def _after_headers(jpeg: bytes) -> int:
    """Where the segments JFIF and EXIF end, which must come first."""
    if not jpeg.startswith(_START):
        raise ValueError("jpeg: the bytes are no JPEG.")
    place = len(_START)
    while jpeg[place] == 0xFF and jpeg[place + 1] in (_APP0, _APP1):
        (length,) = struct.unpack_from(">H", jpeg, place + 2)
        place += 2 + length
    return place
