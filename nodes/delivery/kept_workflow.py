"""The workflow within a written file, where the host's own nodes keep it, so that the editor opens it from there."""

from __future__ import annotations

import json

from comfy.cli_args import args
from comfy_api.latest import io
from PIL import Image, PngImagePlugin

# Of the tags Model and Make; what comes after the workflow counts down from there.
_PROMPT, _OTHERS = 0x0110, 0x010F


def workflow_texts(node: type[io.ComfyNode]) -> dict[str, str]:
    """Return what the host wants kept: ``prompt``, ``workflow`` and the like, as JSON; nothing if it is told not to.

    Args:
        node: as it is executed, with the hidden inputs ``prompt`` and ``extra_pnginfo``.
    """
    if args.disable_metadata or node.hidden is None:
        return {}
    given = {"prompt": node.hidden.prompt, **(node.hidden.extra_pnginfo or {})}
    return {name: json.dumps(value) for name, value in given.items() if value is not None}


def png_chunks(texts: dict[str, str]) -> PngImagePlugin.PngInfo:
    """Return the texts as Save Image has them."""
    chunks = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    return chunks


def that_fit(texts: dict[str, str], most: int) -> dict[str, str]:
    """Return those of the texts that fit into so many bytes of EXIF; what the editor needs least goes first."""
    kept = dict(texts)
    while len(exif(kept)) > most:
        kept.pop("prompt", None) or kept.popitem()
    return kept


def exif(texts: dict[str, str]) -> bytes:
    """Return the texts as the host's WebP nodes have them."""
    if not texts:
        return b""
    tags, tag = Image.Exif(), _OTHERS
    for name, text in texts.items():
        tags[_PROMPT if name == "prompt" else tag] = f"{name}:{text}"
        tag -= name != "prompt"
    return tags.tobytes()
