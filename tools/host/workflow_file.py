"""The shipped workflows: as the frontend saves them, and the prompts that it makes of them for the server's API.

`python tools/workflows.py` has the frontend make the prompts; nothing here turns one into the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.setup.home import ROOT

Info = Mapping[str, Any]  # the server's /object_info
Prompt = dict[str, dict[str, Any]]  # node id: class_type, inputs, _meta

WORKFLOWS = ROOT / "workflows"
PROMPTS = ROOT / "tools" / "prompts"
FROZEN = ROOT / "tests" / "host" / "frozen"
"""Of each version: its workflows, their prompts and the nodes' contract, which all later ones must keep."""


# What each is called in the editor's template browser, which shows and searches the name of its file and nothing else:
# those for every day first. The short names stay; commands, tests and prompts use them.
TITLES = {
    "image_depth_to_stereo": "01 Photo and depth map to 3D (SBS, anaglyph)",
    "image_to_stereo": "02 Photo to 3D (SBS, VR, anaglyph, wiggle)",
    "video_to_stereo": "03 Video to 3D with sound (SBS, VR)",
    "video_depth_to_stereo_video": "03b Video to 3D with sound, steadiest depth (SBS, VR)",
    "film_to_stereo_film": "03c Film of any length to 3D file (SBS, VR)",
    "film_to_stereo_diffusion": "03d Film to 3D, edges painted by diffusion (SBS, VR)",
    "text_to_stereo": "04 Text to 3D stereo picture (SBS, anaglyph)",
    "image_to_stereo_diffusion": "05 Photo to 3D, edges painted by diffusion (SBS)",
    "depth_to_stereo": "06 Same shapes, new 3D picture (SBS, anaglyph)",
    "image_to_stereo_video": "07 Photo to 3D video (SBS, VR)",
    "text_to_stereo_video": "08 Text to 3D video (SBS, VR)",
    "folder_to_stereo": "09 Folder of photos to 3D files (SBS, VR)",
    "look_at_it": "10 Look at 3D, check comfort (wiggle, anaglyph, VR)",
    "mixed_stereo": "11 Expert - 3D with LoRA, ControlNet, any sampler (SBS)",
    "latent_shift_inpaint": "12 Expert - Shifted latent, holes repainted (SBS)",
    "split_experts": "13 Expert - 3D video with Wan 2.2 in parts (SBS)",
    "restart_then_plain": "14 Expert - 3D video, any sampler finishes (SBS)",
    "composed_stereo_video": "15 Expert - 3D video by score composition (SBS)",
    "image_to_4d": "16 Expert - Picture to 4D",
    "video_to_4d": "17 Expert - Video to 4D",
    "orbit_to_4d": "18 Expert - Orbit to 4D",
    "views_to_4d_stereo": "19 Expert - Views to 4D to 3D video (SBS)",
}


def names() -> list[str]:
    """The short names of the shipped workflows, those for every day first."""
    return list(TITLES)


def file_of(name: str) -> Path:
    """A shipped workflow's file."""
    return WORKFLOWS / f"{TITLES[name]}.json"


def prompt_file_of(name: str) -> Path:
    """The file of a shipped workflow's API form."""
    return PROMPTS / f"{name}.json"


def load(name: str) -> dict[str, Any]:
    """Read a shipped workflow."""
    workflow: dict[str, Any] = json.loads(file_of(name).read_text(encoding="utf-8"))
    return workflow


def store(file: Path, content: Mapping[str, Any]) -> None:
    """Write a workflow, or its API form."""
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_prompt(name: str) -> Prompt:
    """Read a shipped workflow's API form."""
    prompt: Prompt = json.loads(prompt_file_of(name).read_text(encoding="utf-8"))
    return prompt


def frozen() -> dict[str, tuple[dict[str, Any], Prompt]]:
    """The workflows of all versions, with their prompts, by version and short name."""
    return {
        f"{file.parent.parent.name}/{file.stem}": tuple(
            json.loads(each.read_text(encoding="utf-8")) for each in (file, file.parent.parent / "prompts" / file.name)
        )
        for file in sorted(FROZEN.glob("*/workflows/*.json"))
    }


def missing_models(workflow: Mapping[str, Any], info: Info) -> Iterator[Mapping[str, str]]:
    """Yield the models (name, directory, url) that the workflow's loaders name and the server does not have."""
    for node in workflow["nodes"]:
        sections = info[node["type"]]["input"].values() if node["type"] in info else ()
        choices = {choice for inputs in sections for spec in inputs.values() for choice in _choices(spec)}
        for model in node["properties"].get("models", ()):
            if model["name"] not in choices:
                yield model


def _choices(spec: Any) -> list[Any]:
    if isinstance(spec[0], list):
        return spec[0]
    return list(spec[1].get("options", [])) if spec[0] == "COMBO" else []


def nodes_of(prompt: Prompt, class_type: str) -> list[str]:
    """Return the ids of the prompt's nodes of one type, in the order of the file."""
    return [node for node, entry in prompt.items() if entry["class_type"] == class_type]
