"""The input that sets how the views read each other, and what each of its values means."""

from __future__ import annotations

from collections.abc import Iterable

from comfy_api.latest import io

from ...stereo_core.attention import AttentionMode

_UNCOUPLED = "none"

_MEANINGS = {
    AttentionMode.LEFT_KV: "both views read the left one; costs nothing",
    AttentionMode.JOINT: "both read both; takes twice as long, and changes a left view that is sampled beside it",
    AttentionMode.RIGHT_JOINT: "the right view reads both, the left one only itself",
    AttentionMode.LEFT_QUERY: "the right view reads its own content with the left view's queries",
}


def attention_input(
    name: str, about: str, default: AttentionMode, modes: Iterable[AttentionMode] = AttentionMode, optional: bool = True
) -> io.Combo.Input:
    """Return the input.

    Args:
        name: of the input.
        about: what is coupled, the first line of the tooltip.
        default: the default mode.
        modes: those that are offered.
        optional: whether "none" is offered as well, as the first.
    """
    meanings = {mode.value: _MEANINGS[mode] for mode in modes}
    if optional:
        meanings = {_UNCOUPLED: "not at all", **meanings}
    lines = [about, *(f"{value}: {meaning}." for value, meaning in meanings.items())]
    return io.Combo.Input(name, options=list(meanings), default=default.value, tooltip="\n".join(lines))


def chosen_mode(value: str) -> AttentionMode | None:
    """Return the mode that the input's value means; ``None`` for "none"."""
    return None if value == _UNCOUPLED else AttentionMode(value)
