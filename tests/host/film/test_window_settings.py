"""Windows of a film that are made with other settings than the first: told, and by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Said = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
def said(pack: Callable[[str], ModuleType], tmp_path: Path) -> Said:
    folder = pack("nodes.film.work_folder").WorkFolder.open(tmp_path, "film", {})
    return lambda prompt: pack("nodes.film.window_settings").about_changes(folder, prompt, "9")


def graph(window: Any = 0, cfg: float = 1.0, more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": window}},
        "2": {"class_type": "Stereo_FilmWindow", "inputs": {"window": ["1", 0], "overlap": 8}},
        "3": {"class_type": "KSampler", "inputs": {"cfg": cfg, "seed": ["2", 2]}, "_meta": {"title": "Paint"}},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0], "window": window}},
        "9": {"class_type": "Stereo_SaveFilmWindow", "inputs": {"film_window": ["2", 1], "right": ["3", 0]}},
        **(more or {}),
    }


def test_another_window_and_what_lies_beside_are_no_change(said: Said):
    assert [said(graph(number)) for number in range(3)] == 3 * [[]]


def test_what_differs_is_named_by_its_input_and_its_node(said: Said):
    assert said(graph()) == []
    (text,) = said(graph(1, cfg=2.0))
    assert text.startswith("Not all windows are made alike: cfg of Paint differed when the first was made. ")
    assert text.endswith("Choose another filename_prefix to make them all as it is now.")
    assert said(graph(2)) == []


def test_a_node_that_came_or_went_is_a_change_and_no_more_than_three_are_named(said: Said):
    saved = {"film_window": ["2", 1], "right": ["5", 0]}
    more = {
        "5": {"class_type": "ImageBlur", "inputs": {"image": ["3", 0], "sigma": 1.0, "blur_radius": 2}},
        "9": {"class_type": "Stereo_SaveFilmWindow", "inputs": saved},
    }
    assert said(graph(more=more)) == []
    (text,) = said(graph())
    assert "right of Stereo_SaveFilmWindow, image of a node that is gone, " in text and " and more differed" in text


def test_a_node_that_is_run_outside_of_a_graph_says_nothing(said: Said):
    assert said({}) == said({"4": {"class_type": "KSampler", "inputs": {}}}) == []
