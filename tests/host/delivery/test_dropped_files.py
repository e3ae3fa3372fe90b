"""Saved stereo pictures dropped on the real frontend: which of them open the workflow that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.host.delivery.dropping import drop_files
from tools.host.server import Server

# format, file_type, what the file's name ends in, its size as a browser draws it
OPENED = {
    "png": ("full_sbs", "png", "_LRF_Full_SBS.png", [128, 64]),
    "webp": ("half_tb", "webp", "_TB.webp", [64, 64]),
    "avif": ("full_tb", "avif", "_TBF_fulltb.avif", [64, 128]),
    "moving webp": ("wiggle", "webp", "_wiggle.webp", [64, 64]),
    "webp without loss": ("anaglyph_dubois", "webp", "_anaglyph_red-cyan.webp", [64, 64]),
}
NOT_OPENED = {
    "jpeg": ("cross_eyed", "jpeg", "_RLF_cross.jpg", [128, 64]),
    "gif": ("wiggle", "gif", "_wiggle.gif", [64, 64]),
    "mpo": ("mpo", "auto", "_.mpo", [64, 64]),
    "jps": ("jps", "auto", "_.jps", [128, 64]),
    "vr_photo": ("vr_photo", "auto", "_.vr.jpg", [64, 64]),
}
KINDS = {**OPENED, **NOT_OPENED}


def prompt() -> dict[str, Any]:
    def image(kind: str) -> dict[str, Any]:
        inputs = {"kind": kind, "width": 64, "height": 64, "frames": 1, "channels": 3}
        return {"class_type": "Probe_Image", "inputs": inputs}

    linked = {"left": ["1", 0], "right": ["2", 0], "depth": ["2", 0]}
    widgets = {"quality": 95, "name": "player", "numbering": "always", "wiggle_time": 150, "wiggle_between": 1}
    saves = {
        str(10 + place): {
            "class_type": "Stereo_SaveStereoImage",
            "inputs": {**linked, **widgets, "format": form, "file_type": file, "filename_prefix": f"drop/{place}"},
        }
        for place, (form, file, *_) in enumerate(KINDS.values())
    }
    return {"1": image("ramp"), "2": image("ramp"), **saves}


@pytest.fixture(scope="module")
def dropped(server: Server, screenshots: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What the editor ran, and what it has after each of the files was dropped on it."""
    names = {kind: f"{place}_00001{name}" for place, (kind, (*_, name, _size)) in enumerate(KINDS.items())}
    return drop_files(server, prompt(), names, screenshots / "saved_pictures.png")


@pytest.mark.browser
@pytest.mark.parametrize("kind", OPENED)
def test_the_editor_opens_the_workflow_that_made_it(dropped: Any, kind: str) -> None:
    made, found = dropped
    assert found[kind]["prompt"] == made["prompt"]
    assert len(found[kind]["workflow"]["nodes"]) == len(made["workflow"]["nodes"]) == len(prompt())


@pytest.mark.browser
@pytest.mark.parametrize("kind", NOT_OPENED)
def test_the_editor_opens_no_workflow_from_it(dropped: Any, kind: str) -> None:
    """It loads the picture, or nothing. If it does more one day, the node's text and help page should say so."""
    _, found = dropped
    assert {node["class_type"] for node in found[kind]["prompt"].values()} <= {"LoadImage"}


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_draws_it(dropped: Any, kind: str) -> None:
    _, found = dropped
    assert found[kind]["drawn"] == KINDS[kind][-1]
