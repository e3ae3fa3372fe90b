"""Saved stereo videos dropped on the real frontend: which of them open the workflow that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.host.delivery.dropping import drop_files
from tools.host.server import Server

# codec, container, tags, what the file's name ends in
KINDS = {
    "h264": ("h264", "mp4", "container", "_LRF_Full_SBS.mp4"),
    "hevc": ("hevc_10bit", "mp4", "container", "_LRF_Full_SBS.mp4"),
    "without tags": ("av1", "mp4", "none", "_LRF_Full_SBS.mp4"),
    "mkv": ("h264", "mkv", "container", "_LRF_Full_SBS.mkv"),
}
OPENED = [kind for kind in KINDS if kind != "mkv"]


def prompt() -> dict[str, Any]:
    def image(kind: str) -> dict[str, Any]:
        inputs = {"kind": kind, "width": 64, "height": 64, "frames": 5, "channels": 3}
        return {"class_type": "Probe_Image", "inputs": inputs}

    widgets = {"fps": 5.0, "format": "full_sbs", "quality": "high", "name": "player"}
    saves = {
        str(10 + place): {
            "class_type": "Stereo_SaveStereoVideo",
            "inputs": {
                "left": ["1", 0],
                "right": ["2", 0],
                **widgets,
                "codec": codec,
                "container": container,
                "tags": tags,
                "filename_prefix": f"drop/video{place}",
            },
        }
        for place, (codec, container, tags, _) in enumerate(KINDS.values())
    }
    return {"1": image("ramp"), "2": image("still"), **saves}


@pytest.fixture(scope="module")
def dropped(server: Server, screenshots: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What the editor ran, and what it has after each of the files was dropped on it."""
    names = {kind: f"video{place}_00001{name}" for place, (kind, (*_, name)) in enumerate(KINDS.items())}
    return drop_files(server, prompt(), names, screenshots / "saved_videos.png")


def without_players(prompt: dict[str, Any]) -> dict[str, Any]:
    """The page gives a node that has shown a video a widget for it."""
    return {
        id: {**node, "inputs": {name: value for name, value in node["inputs"].items() if name != "video-preview"}}
        for id, node in prompt.items()
    }


@pytest.mark.browser
@pytest.mark.parametrize("kind", OPENED)
def test_the_editor_opens_the_workflow_that_made_it(dropped: Any, kind: str) -> None:
    made, found = dropped
    assert without_players(found[kind]["prompt"]) == without_players(made["prompt"])
    assert len(found[kind]["workflow"]["nodes"]) == len(made["workflow"]["nodes"]) == len(prompt())


@pytest.mark.browser
def test_the_editor_opens_no_workflow_from_mkv(dropped: Any) -> None:
    """It loads the video instead. If it does one day, the text on the node and the help page should say so."""
    _, found = dropped
    assert {node["class_type"] for node in found["mkv"]["prompt"].values()} <= {"LoadVideo"}
