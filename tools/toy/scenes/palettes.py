"""The eight kinds of scene: their colours, and whether they are outdoors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Palette(NamedTuple):
    """Colours as 0xRRGGBB. ``far`` is the wall of a room, or the hills and houses before the sky."""

    name: str
    outdoors: bool
    ground: tuple[int, int]
    far: tuple[int, int]
    sky: tuple[int, int]  # at the top, at the horizon
    things: tuple[int, int, int, int, int]
    light: int
    shade: float  # light where the lamp does not reach, 0 to 1


PALETTES: tuple[Palette, ...] = (
    Palette(
        "meadow", True, (0x5FA83C, 0x3E7D2C), (0x4C8A52, 0x2F6B4A), (0x3F8CE0, 0xBFE3F7),
        (0xE03C31, 0xF5C518, 0xF2F2EA, 0x7A4A2A, 0xD9609C), 0xFFF6E0, 0.45,
    ),
    Palette(
        "desert", True, (0xE0B878, 0xC99555), (0xB5653A, 0x8C4630), (0x5AB0D8, 0xF3E3BE),
        (0x3F7F4F, 0xA33B20, 0x2F6F8F, 0xE8D9B5, 0x5B3A29), 0xFFE9C0, 0.42,
    ),
    Palette(
        "snow", True, (0xF2F6FA, 0xD3E1EE), (0xB9CBDD, 0x7D95B0), (0x86A9CC, 0xE6EFF6),
        (0xC8202F, 0x1F4E8C, 0x2E5A3C, 0xF0A030, 0x6A4A7A), 0xFFFFFF, 0.55,
    ),
    Palette(
        "dusk", True, (0x6B4A5E, 0x4A3350), (0x3B2A4A, 0x2A2038), (0x2E3A7A, 0xF58A4B),
        (0xF2B04A, 0xB83A5E, 0x4F6FB5, 0xE8D0C0, 0x7A2E4A), 0xFFB070, 0.40,
    ),
    Palette(
        "night", True, (0x1D2B45, 0x131D33), (0x0F1730, 0x1C2748), (0x050818, 0x24365F),
        (0x4FD1E0, 0xE0509A, 0xF0E060, 0x6070E0, 0x60D070), 0xB0C4FF, 0.38,
    ),
    Palette(
        "room", False, (0xA8703F, 0x82522C), (0xEAD9B8, 0xC9A981), (0xF4ECDC, 0xF4ECDC),
        (0x8C2F2B, 0x2F5D62, 0xE3A02B, 0x4B3832, 0x7B9E87), 0xFFEFD2, 0.50,
    ),
    Palette(
        "tiles", False, (0xD8E4E8, 0x6F9CAB), (0x9FC8C8, 0xE9F3F0), (0xF0F7F7, 0xF0F7F7),
        (0xF07F5A, 0x2B4C7E, 0xFFFFFF, 0x40A0A0, 0xF2C14E), 0xF6FBFF, 0.55,
    ),
    Palette(
        "toybox", False, (0x9A5FC0, 0x7A3FA8), (0xF7C6D9, 0xF29CB7), (0xFFF0F5, 0xFFF0F5),
        (0xFF4040, 0x30B0FF, 0xFFE030, 0x40D060, 0xFF8C20), 0xFFFFFF, 0.55,
    ),
)  # fmt: skip


def rgb(colors: object) -> np.ndarray:
    """(..., 3) in [0, 1] from 0xRRGGBB."""
    packed = np.asarray(colors, dtype=np.int64)
    return (np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1) / 255).astype(np.float32)
