"""Checks of the values in a settings file that comes from strangers."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping

Check = Callable[[object], bool]


def whole(least: int, most: int) -> Check:
    """Accept whole numbers from ``least`` to ``most``."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def number(least: float, most: float) -> Check:
    """Accept numbers from ``least`` to ``most``."""
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def flag(value: object) -> bool:
    """Accept true and false."""
    return isinstance(value, bool)


def several(check: Check, least: int, most: int) -> Check:
    """Accept lists of ``least`` to ``most`` values that ``check`` accepts."""
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def either(*checks: Check) -> Check:
    """Accept what one of the checks accepts."""
    return lambda value: any(check(value) for check in checks)


def word(*words: str) -> Check:
    """Accept one of these words."""
    return lambda value: isinstance(value, str) and value in words


def checked(where: str, values: dict, checks: Mapping[str, Check]) -> dict:
    """Return the settings that ``checks`` knows; what is absent or null is left to the network.

    Raises:
        ValueError: a value that its check does not accept; it is named, and ``where`` it stands.
    """
    known = {key: values[key] for key in checks if values.get(key) is not None}
    for key, value in known.items():
        if not checks[key](value):
            raise ValueError(
                f"{where} sets {key} to {quote(value)}, which no network of this kind has. "
                "Fetch the file again, or use another version of the model."
            )
    return known


def quote(value: object) -> str:
    """Write a value from a file into a message: short, on one line, in characters that can be shown."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)
