"""Every help page shows what goes into its node and what comes out: python tools/help_pictures.py draws it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tools.help.sheet import SIZE
from tools.setup.environment import ROOT

PAGES = sorted((ROOT / "web" / "docs").glob("*.md"))
LARGEST = 60_000  # bytes


def pictures(page: Path) -> list[tuple[str, Path]]:
    """The description and the file of each picture on a page."""
    found = re.findall(r"^!\[(.*)\]\((.*)\)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [(text, page.parent / link) for text, link in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_two_pictures_above_its_inputs(page: Path) -> None:
    (before, first), (after, second) = pictures(page)
    name = page.stem.removeprefix("Stereo_")
    assert before and after and before != after
    assert (first.name, second.name) == (f"{name}_in.webp", f"{name}_out.webp")
    assert page.read_text(encoding="utf-8").index("![") < page.read_text(encoding="utf-8").index("## ")
    for file in (first, second):
        assert file.stat().st_size < LARGEST
        with Image.open(file) as picture:
            assert picture.width == SIZE[0] and picture.format == "WEBP"


def test_no_picture_is_shown_nowhere() -> None:
    shown = {file for page in PAGES for _, file in pictures(page)}
    assert set((ROOT / "web" / "docs" / "pictures").iterdir()) == shown
