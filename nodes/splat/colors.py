"""Colors as a user types them."""

from __future__ import annotations

import re

Color = tuple[float, float, float]


def read_color(text: str, name: str) -> Color | None:
    """Return the color in [0, 1] of a text such as #ffffff; ``None`` for an empty one.

    Args:
        text: what was typed.
        name: of the widget, for the message.

    Raises:
        ValueError: no such text.
    """
    written = text.strip()
    if not written:
        return None
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", written):
        raise ValueError(f"{name}: {text!r} is no colour. Give one such as #ffffff (white), or nothing.")
    red, green, blue = bytes.fromhex(written.lstrip("#"))
    return red / 255, green / 255, blue / 255
