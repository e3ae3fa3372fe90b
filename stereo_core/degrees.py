"""Angles as people write and paste them."""

from __future__ import annotations

import math
import re

_MINUS = str.maketrans(dict.fromkeys("−‐‑‒–—﹣－", "-"))
_UNIT = re.compile(r"(?:°|º|˚|deg(?:rees?)?\b)", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;|，；、\[\](){}]+")
# Between digits a comma may stand for a decimal point, as long as something else parts the numbers.
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


def read_degrees(text: str, count: int, name: str) -> list[float]:
    """Read angles that commas, semicolons, spaces or line breaks part, with or without signs of degrees and brackets.

    22,5; 45; 67,5 are three angles where three are expected, and five where five are.

    Args:
        text: what was typed.
        count: of the angles that are expected, by which alone commas that part are told from decimal ones.
        name: of the widget, for the message.

    Returns:
        The angles, finite, as many as there are.

    Raises:
        ValueError: something that is no finite number.
    """
    plain = _UNIT.sub(" ", text.translate(_MINUS))
    words = _words(plain)
    if len(words) != count and len(decimal := _words(_DECIMAL_COMMA.sub(".", plain))) == count:
        words = decimal
    return [_number(word, name) for word in words]


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text) if word]


def _number(word: str, name: str) -> float:
    try:
        number = float(word)
    except ValueError as error:
        raise ValueError(f"{name}: {word!r} is not a number. Write degrees such as -6, -3, 0.") from error
    if not math.isfinite(number):
        raise ValueError(f"{name}: {word!r} is a number that is not finite. Write degrees such as -6, -3, 0.")
    return number
