"""Inputs of the nodes that save files: what a file is called."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.file_names import NameStyle


def prefix_input(filled: str) -> io.String.Input:
    """``filename_prefix``; ``filled`` names the words between percent signs that are filled in."""
    return io.String.Input(
        "filename_prefix",
        default="stereo/stereo",
        tooltip="The file's name in ComfyUI's output folder, with folders before it if you like.\n"
        f"{filled} are filled in.",
    )


def name_input() -> io.Combo.Input:
    """``name``."""
    return io.Combo.Input(
        "name",
        options=NameStyle,
        default=NameStyle.PLAYER.value,
        tooltip="player: the name ends in what headset players go by, such as _LRF_Full_SBS. Do not change that end.\n"
        "plain: the name alone; most players then show a flat picture.",
    )
