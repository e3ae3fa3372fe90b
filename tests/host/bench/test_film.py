"""The bench of films, on a small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import av
import pytest

from tools.benchmarks import film, film_runs

FRAMES, SIZE = 3, (48, 64)


@pytest.fixture
def films(tmp_path: Path) -> list[str]:
    return [str(film_runs.write_film(tmp_path / f"{depth}.mp4", FRAMES, *SIZE, depth)) for depth in (False, True)]


def test_the_film_moves_and_its_depth_with_it(films: list[str]):
    for path in films:
        with av.open(path) as container:
            first, *_, last = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        moved = 2 * film_runs._STEP
        still, followed = (abs(first[:, cut:].astype(int) - last[:, : SIZE[1] - cut]).mean() for cut in (0, moved))
        assert first.shape == SIZE and followed < 5 < still


def test_every_stage_is_taken(pack: Callable[[str], ModuleType], films: list[str]):
    found = film_runs._each_stage(pack, *films)
    assert [name for name in found if "views" in name] == ["both views, packed: best", "both views, packed: fast"]
    assert found["encode, H.264"][1] > 0 and len(found) == 7


def test_graphs_name_inputs_that_the_nodes_have(host: dict[str, type]):
    for graph in (film._as_clip("a.mp4", "b.mp4"), film._as_film("a.mp4", "b.mp4")):
        for node in (each for each in graph.values() if each["class_type"].startswith("Stereo_")):
            told = host[node["class_type"]].INPUT_TYPES()
            assert {*told["required"]} <= set(node["inputs"]) <= {*told["required"], *told.get("optional", {})}
