"""What the descriptions of workflows are made of: nodes, notes, groups, and the models they ask for."""

from __future__ import annotations

from typing import Any

Node = dict[str, Any]

_COLUMN, _TOP = 420, 40
_NOTE_COLORS = ["#432", "#653"]
_GROUP_COLOR = "#3f789e"
_OURS = {"cnr_id": "latent-stereo", "ver": "0.1.0"}
_CORE = {"cnr_id": "comfy-core", "ver": "0.30.0"}
DEPTH_MODEL = {
    "name": "depth_anything_3_mono_large.safetensors",
    "url": "https://huggingface.co/Comfy-Org/Depth-Anything-3/resolve/main/"
    "geometry_estimation/depth_anything_3_mono_large.safetensors",
    "directory": "geometry_estimation",
}
CHECKPOINT = {
    "name": "v1-5-pruned-emaonly-fp16.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/"
    "v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints",
}

GEOMETRY = {"max_disparity": ["disparity", "FLOAT"], "convergence": ["convergence", "FLOAT"]}
ABOUT_GEOMETRY = (
    "- `max_disparity`: how deep the picture is, in percent of its width. Latents have few columns: below 2 hardly "
    "anything moves, above 8 edges may break.\n"
    "- `convergence`: which depth lies on the screen, 0 (far) to 1 (near).\n"
)


def node(
    type: str,
    /,
    column: int,
    y: int,
    inputs: dict[str, list[str]] | None = None,
    size: list[int] | None = None,
    model: dict[str, str] | None = None,
    **widgets: Any,
) -> Node:
    """One node; ``inputs`` maps an input to [key of the node it comes from, name of that node's output]."""
    properties = dict(_OURS if type.startswith("Stereo_") else _CORE)
    if model:
        properties["models"] = [model]  # type: ignore[assignment]  # the frontend offers to fetch it when it is missing
    return {
        "type": type,
        "pos": [column * _COLUMN, _TOP + y],
        "size": size,
        "inputs": inputs or {},
        "widgets": widgets,
        "properties": properties,
    }


def note(column: int, y: int, text: str, height: int = 200, width: int = 380) -> Node:
    return {
        "type": "MarkdownNote",
        "pos": [column * _COLUMN, _TOP + y],
        "size": [width, height],
        "widgets": {"text": text},
        "color": _NOTE_COLORS,
    }


def group(title: str, column: int, y: int, height: int, columns: int = 1) -> dict[str, Any]:
    box = [column * _COLUMN - 20, _TOP + y - 80, columns * _COLUMN - 20, height]
    return {"title": title, "color": _GROUP_COLOR, "box": box}


def outputs(column: int, left: list[str], right: list[str] | None = None) -> dict[str, Node]:
    """Both views to the files that everybody wants: SBS and anaglyph; without ``right`` from one batch."""
    views = {"left": left, "right": right} if right else {"left": left}
    return {
        "sbs": node("Stereo_SBSCombine", column, 0, views, [360, 420], format="full_sbs"),
        "anaglyph": node("Stereo_SBSCombine", column, 480, views, [360, 420], format="anaglyph_dubois"),
        "save_sbs": node(
            "SaveImage", column + 1, 0, {"images": ["sbs", "image"]}, [360, 420], filename_prefix="stereo/full_sbs"
        ),
        "save_anaglyph": node(
            "SaveImage",
            column + 1,
            480,
            {"images": ["anaglyph", "image"]},
            [360, 420],
            filename_prefix="stereo/anaglyph_dubois",
        ),
    }


def geometry(column: int, y: int) -> dict[str, Node]:
    """One value for every node that shifts something, so that they cannot disagree."""
    return {
        "disparity": node("PrimitiveFloat", column, y, size=[360, 60], value=6.0),
        "convergence": node("PrimitiveFloat", column, y + 170, size=[360, 60], value=0.3),
    }


def geometry_groups(column: int, y: int) -> list[dict[str, Any]]:
    """The names of the two values."""
    return [group("max_disparity", column, y, 160), group("convergence", column, y + 170, 160)]


ABOUT_SHIFT = (
    "**Change first**\n\n"
    "- `max_disparity`: how deep the picture is, in percent of its width. The node shows the result in per mille; "
    "20 to 30 ‰ suits most screens, less for big ones.\n"
    "- `convergence`: which depth lies on the screen. 0 (far) puts all in front of it, 1 (near) all behind.\n"
    "- `format` of Stereo Combine: what your screen or glasses need.\n"
)
