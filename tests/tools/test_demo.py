"""The demo's arguments, its input and its output files, without a host."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tools import demo, demo_run
from tools.benchmarks import middlebury
from tools.host.client import OutputFile
from tools.host.progress import Bar


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workflow", "nothing"], "there is no workflow nothing; shipped are: "),
        (["--image", "gone.png", "--depth", "gone.png"], "there is no file gone.png"),
        (["--depth", "FILE"], "--depth needs --image"),
        (["--image", "FILE"], "--image needs --depth here; without a depth map use --workflow image_to_stereo"),
        (["--max-disparity", "-1"], "--max-disparity is a percentage of the width, 0 or more"),
        (["--output", "FILE"], "is not a folder, or lies in a file"),
        (["--output", "FILE/deeper"], "is not a folder, or lies in a file"),
        (["--max-disparity", "wide"], "invalid float value"),
    ],
)
def test_wrong_arguments_are_told_before_anything_starts(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(SystemExit) as left:
        demo.parse([a.replace("FILE", str(tmp_path / "a.png")) for a in arguments])
    assert left.value.code == 2 and said in capsys.readouterr().err


def test_the_plain_command_needs_no_arguments() -> None:
    options = demo.parse([])
    assert (options.workflow, options.output, options.image) == ("image_depth_to_stereo", demo.OUTPUT, None)


def test_unknown_disparity_takes_the_farther_neighbour() -> None:
    nan, inf = np.nan, np.inf
    rows = [[nan, 2, inf, nan, 1, nan], [5, inf, 7, 7, 0, 6], [nan] * 6]
    expected = [[2, 2, 1, 1, 1, 1], [5, 5, 7, 7, 6, 6], [5, 5, 7, 7, 6, 6]]
    np.testing.assert_array_equal(middlebury.fill_unknown(np.array(rows, np.float32)), np.array(expected, np.float32))


def test_the_pair_comes_from_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    pair = middlebury.motorcycle()
    assert pair.left.shape == pair.right.shape == (500, 741, 3) and pair.left.dtype == np.uint8
    assert pair.disparity.shape == (500, 741) and 59 < pair.disparity.max() < 60 and pair.disparity.min() > 0


def test_a_depth_file_keeps_sixteen_bits(tmp_path: Path) -> None:
    disparity = np.linspace(1, 60, 600, dtype=np.float32).reshape(20, 30)
    middlebury.save_depth(disparity, tmp_path / "depth.png")
    read = np.asarray(Image.open(tmp_path / "depth.png")).astype(np.float64) / 65535
    assert np.abs(read * 60 - disparity).max() < 60 / 65535


class FakeServer:
    def __init__(self) -> None:
        self.placed: dict[str, bytes] = {}

    def place(self, file: Path, name: str) -> str:
        self.placed[name] = file.read_bytes()
        return name


def prompt() -> dict[str, dict[str, Any]]:
    shift = {"image": ["2", 0], "depth": ["1", 0], "max_disparity": 3.0, "convergence": 0.5, "exponent": 1.0}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "3": {"class_type": "Stereo_ImageStereoShift", "inputs": shift},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "stereo/left"}},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["3", 1]}},
    }


def options(**named: Path) -> argparse.Namespace:
    return argparse.Namespace(**({"image": None, "depth": None, "video": None, "workflow": "one"} | named))


def test_picture_and_depth_go_to_the_loaders_they_are_linked_from(tmp_path: Path) -> None:
    picture, depth = tmp_path / "a.jpg", tmp_path / "b.png"
    picture.write_bytes(b"picture")
    depth.write_bytes(b"depth")
    server, filled = FakeServer(), prompt()
    assert demo_run.fill(server, filled, options(image=picture, depth=depth), tmp_path) is None
    assert filled["2"]["inputs"]["image"] == "picture.jpg" and filled["1"]["inputs"]["image"] == "depth.png"
    assert server.placed == {"picture.jpg": b"picture", "depth.png": b"depth"}
    assert filled["3"]["inputs"]["max_disparity"] == 3.0


def test_without_files_the_pair_and_its_true_scale_are_used(tmp_path: Path) -> None:
    server, filled = FakeServer(), prompt()
    pair = demo_run.fill(server, filled, options(), tmp_path)
    assert pair is not None and set(server.placed) == {"picture.png", "depth.png"}
    shift = filled["3"]["inputs"]
    assert shift["convergence"] == 0 and shift["max_disparity"] * 741 / 100 == pytest.approx(pair.disparity.max())


def test_a_workflow_without_a_depth_loader_takes_the_picture_alone(tmp_path: Path) -> None:
    server, filled = FakeServer(), prompt()
    del filled["1"]
    filled["3"]["inputs"]["depth"] = ["9", 0]
    assert demo_run.fill(server, filled, options(), tmp_path) is None
    assert set(server.placed) == {"picture.png"} and filled["3"]["inputs"]["convergence"] == 0.5


def with_example() -> dict[str, dict[str, Any]]:
    filled = prompt()
    del filled["1"]
    filled["2"] = {"class_type": "Stereo_ExampleScene", "inputs": {"scene": "still_life"}}
    filled["3"]["inputs"]["depth"] = ["2", 1]
    return filled


def test_without_files_a_workflow_keeps_its_own_example(tmp_path: Path) -> None:
    server, filled = FakeServer(), with_example()
    pair = demo_run.fill(server, filled, options(), tmp_path)
    assert filled == with_example() and server.placed == {}
    assert pair is not None and pair.right.shape == (768, 1152, 3)


def test_named_files_take_the_place_of_the_example(tmp_path: Path) -> None:
    picture, depth = tmp_path / "a.jpg", tmp_path / "b.png"
    picture.write_bytes(b"picture")
    depth.write_bytes(b"depth")
    server, filled = FakeServer(), with_example()
    assert demo_run.fill(server, filled, options(image=picture, depth=depth), tmp_path) is None
    shift = filled["3"]["inputs"]
    loaded = [filled[shift[name][0]] for name in ("image", "depth")]
    assert [shift[name][1] for name in ("image", "depth")] == [0, 0]
    assert [node["inputs"]["image"] for node in loaded] == ["picture.jpg", "depth.png"]
    assert {node["class_type"] for node in loaded} == {"LoadImage"}
    assert not any(node["class_type"] == "Stereo_ExampleScene" for node in filled.values())


def test_what_a_workflow_does_not_have_or_needs_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file.png"
    file.touch()
    clip = {"1": {"class_type": "LoadVideo", "inputs": {"file": ""}}}
    for named, graph, said in (
        ({"image": file}, clip, "has no loader for --image. Leave it out"),
        ({"video": file}, prompt(), "has no loader for --video. Leave it out"),
        ({}, clip, "works on a clip. Name one with --video"),
        ({"image": file}, prompt(), "needs a depth map. Name it with --depth"),
    ):
        with pytest.raises(demo_run.WorkflowError, match=said):
            demo_run.fill(FakeServer(), graph, options(**named), tmp_path)
    with pytest.raises(demo_run.WorkflowError, match="no node with max_disparity"):
        demo_run.set_widgets(clip, max_disparity=2.0)


def test_saved_files_lose_their_numbers_and_previews_stay(tmp_path: Path) -> None:
    files = []
    made = ("left_00001_.png", "4"), ("left_00002_.png", "4"), ("left_00003_LRF_Full_SBS.png", "4")
    for name, node in (*made, ("temp_00001_.png", "5")):
        (tmp_path / name).write_text(name)
        files.append(OutputFile(node, "images", tmp_path / name))
    saved = demo_run.collect(files, prompt(), tmp_path / "output")
    assert {name: path.name for name, path in saved.items()} == {
        "left": "left.png",
        "left_00002": "left_00002.png",
        "left_LRF_Full_SBS": "left_LRF_Full_SBS.png",  # what players go by stays
    }
    assert saved["left"].read_text() == "left_00001_.png"


def test_progress_is_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar({"1": {"_meta": {"title": "Load"}}, "2": {"_meta": {"title": "Shift"}}}) as bar:
        for event in (("1", 0, 1), ("2", 0, 1), ("2", 1, 2), ("2", 2, 2)):
            bar(*event)
    assert capsys.readouterr().out == "  1/2 Load\n  2/2 Shift\n"


def test_progress_is_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Bar({"1": {"_meta": {"title": "Load"}}, "2": {"_meta": {"title": "Shift"}}}) as bar:
        bar("1", 0, 1)
        bar("2", 1, 2)
    said = capsys.readouterr().err
    assert "Shift" in said and " 75%" in said and "100%" in said
