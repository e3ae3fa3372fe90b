"""The README's first step, taken in the real frontend as a reader takes it: what it names is there, and works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tools.example.files import still_life
from tools.frontend.browser import SCRIPT, browse
from tools.host.server import Server
from tools.setup.environment import ROOT

STEP = re.search(r"^## First step\n\n(.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "Nodes 2.0"])
def taken(server: Server, screenshots: Path, request: pytest.FixtureRequest) -> tuple[dict[str, Any], Path]:
    """What the step made, in each renderer, and the folder that its files are in."""
    assert STEP, "the README has no first step"
    pack, template = re.findall(r"find \*(.+?)\*|choose \*(.+?)\*", STEP[1])
    job = {
        "pack": pack[0],
        "template": template[1],
        "vue": request.param,
        "screenshot": str(screenshots / f"first_step.{'vue' if request.param else 'classic'}.png"),
    }
    (answer,) = browse(server.url, [job], script=SCRIPT.with_name("first_step.mjs"))
    return answer, server.base / "output"


def picture(taken: tuple[dict[str, Any], Path], suffix: str) -> np.ndarray:
    """The picture whose file's name ends in what players go by, (H, W, 3) in [0, 255]."""
    answer, folder = taken
    (file,) = [file for file in answer["files"] if file["filename"].endswith(f"_{suffix}.png")]
    assert file["subfolder"] == "stereo", "the README says output/stereo"
    with Image.open(folder / file["subfolder"] / file["filename"]) as image:
        return np.asarray(image.convert("RGB")).astype(float)


@pytest.mark.browser
def test_it_opens_at_a_size_at_which_it_can_be_read(taken: tuple[dict[str, Any], Path]):
    assert taken[0]["scale"] >= 0.8


@pytest.mark.browser
def test_the_page_reports_no_error(taken: tuple[dict[str, Any], Path]):
    assert taken[0]["errors"] == []


@pytest.mark.browser
def test_the_views_side_by_side_are_those_of_the_scene(taken: tuple[dict[str, Any], Path]):
    left, right = np.split(picture(taken, "Full_SBS"), 2, axis=1)
    scene = still_life()
    assert np.array_equal(left, scene.left)
    # Nearer the true right view than the left view is, by far.
    assert np.square(right - scene.right).mean() < 0.2 * np.square(left - scene.right).mean()


@pytest.mark.browser
def test_the_anaglyph_holds_both_views(taken: tuple[dict[str, Any], Path]):
    left, right = np.split(picture(taken, "Full_SBS"), 2, axis=1)
    red, _, blue = np.moveaxis(picture(taken, "anaglyph_red-cyan"), -1, 0)

    def likeness(channel: np.ndarray, view: np.ndarray) -> float:
        return float(np.corrcoef(channel.ravel(), view.mean(-1).ravel())[0, 1])

    assert likeness(red, left) > likeness(red, right) and likeness(blue, right) > likeness(blue, left)
