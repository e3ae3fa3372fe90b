"""The viewer of Stereo Preview in ComfyUI's frontend: what it draws against the core, in both renderers."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stereo_core.formats import StereoFormat, combine
from stereo_core.rendering import render_view
from tools.frontend.browser import browse
from tools.host.server import Server
from tools.setup.environment import ROOT

SCRIPT = Path(__file__).with_name("viewer.mjs")
HEIGHT, WIDTH, STRENGTH, ON_SCREEN = 200, 320, 0.05, 0.5
SHIFT = 8 / WIDTH
LEVEL = 1 / 255
FORMATS = (
    StereoFormat.FULL_SBS,
    StereoFormat.CROSS_EYED,
    StereoFormat.ANAGLYPH_DUBOIS,
    StereoFormat.ANAGLYPH_GREEN_MAGENTA,
    StereoFormat.ANAGLYPH_AMBER_BLUE,
)
MODES = [*(form.value for form in FORMATS), "difference", "left", "right"]
# (mode, place on the picture in x and y, place in the left or the right view)
CLICKS = [
    ("wiggle", 0.5, 0.7, "left", 0.5, 0.7),
    ("full_sbs", 0.25, 0.5, "left", 0.5, 0.5),
    ("full_sbs", 0.7, 0.6, "right", 0.4, 0.7),
    ("cross_eyed", 0.25, 0.5, "right", 0.5, 0.5),
]
CLIP, FPS = 6, 4
MANY = 10
RENDERERS = {"classic": False, "nodes_2": True}


def rounded(picture: Tensor) -> Tensor:
    """As a PNG holds it."""
    return (picture * 255).round() / 255


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A near square before a far wall: both views (1, 3, H, W) and the depth (1, 1, H, W)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    wall = torch.stack([0.5 + 0.4 * torch.sin(14 * x), y, 0.5 + 0.4 * torch.sin(9 * y + 5 * x)])
    near = (x > 0.4) & (x < 0.7) & (y > 0.3) & (y < 0.8)
    square = torch.stack([1 - x, 0.2 + 0.6 * x, 0.3 + 0.2 * torch.cos(20 * x)])
    depth = torch.where(near, 0.8, 0.2)[None, None]
    left = rounded(torch.where(near, square, wall)[None])
    return left, rounded(render_view(left, disparity(depth)).image.clamp(0, 1)), depth


def disparity(depth: Tensor) -> Tensor:
    return STRENGTH * (depth - ON_SCREEN) * WIDTH


def write(file: Path, picture: Tensor) -> None:
    Image.fromarray((picture[0].movedim(0, -1) * 255).round().byte().numpy().squeeze()).save(file)


def read(url: str) -> Tensor:
    picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).movedim(-1, 0)[None]


def film() -> Tensor:
    """(frames, 3, H, W), each frame of its own brightness."""
    grey = torch.linspace(0.2, 0.8, CLIP).view(-1, 1, 1, 1)
    return grey * torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1).expand(CLIP, 3, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def seen(server: Server, pack: Callable[[str], ModuleType], screenshots: Path) -> dict[str, Any]:
    """What the steps of viewer.mjs saw, all in one session of the browser."""
    folder, files = server.base / "input", ("left", "right", "depth")
    for name, picture in zip(files, scene(), strict=True):
        write(folder / f"viewer_{name}.png", picture)
    clip = pack("nodes.delivery.preview_files").Clip(folder / "viewer.mp4", FPS, {})
    with clip:
        for frame in film():
            slope = torch.linspace(0, 1, WIDTH).expand(1, 1, HEIGHT, WIDTH)
            clip.add([frame[None], 1 - frame[None], slope])
    about = {"width": WIDTH, "height": HEIGHT, "of": [WIDTH, HEIGHT]}
    about["geometry"] = {"strength": STRENGTH, "screens": [ON_SCREEN], "plain": False}
    pair = about | {name: {"filename": f"viewer_{name}.png", "type": "input"} for name in files}
    film_item = about | {"clip": {"filename": "viewer.mp4", "type": "input"}, "frames": CLIP, "fps": FPS}
    shot = {name: str(screenshots / f"viewer_{name}.png") for name in ("click", "many", "clip", "full")}
    steps = {
        **{f"modes {name}": {"vue": vue, "modes": MODES, "shift": SHIFT} for name, vue in RENDERERS.items()},
        "clip nodes_2": {"vue": True, "item": film_item, "screenshot": shot["clip"]},
        "tabs nodes_2": {"vue": True},
        "many nodes_2": {"vue": True, "count": MANY, "screenshot": shot["many"]},
        "click nodes_2": {"vue": True, "places": [click[:3] for click in CLICKS], "screenshot": shot["click"]},
        "click classic": {"vue": False, "places": [click[:3] for click in CLICKS]},
        **{f"subgraphs {name}": {"vue": vue, "screenshot": shot["full"]} for name, vue in RENDERERS.items()},
        **{f"menu {name}": {"vue": vue} for name, vue in RENDERERS.items()},
        "tabs classic": {"vue": False},
        "gone": {},
        "motion": {"reduced": False},
        "motion reduced": {"reduced": True},
        **{f"keys {name}": {"vue": vue} for name, vue in RENDERERS.items()},
        "headset": {},
    }
    jobs = [{"step": name.split()[0], "item": pair, **given} for name, given in steps.items()]
    return dict(zip(steps, browse(server.url, jobs, script=SCRIPT), strict=True))


@pytest.mark.browser
def test_nothing_fails_in_the_page(seen: dict[str, Any]):
    assert {name: answer["errors"] for name, answer in seen.items() if answer["errors"]} == {}


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_modes_are_the_cores_formats(seen: dict[str, Any], renderer: str):
    shown = {name: read(url) for name, url in seen[f"modes {renderer}"]["seen"].items()}
    left, right, _ = scene()
    expected = {form.value: combine(left, right, form) for form in FORMATS}
    expected |= {"difference": (left - right).abs(), "left": left, "right": right, "still": left, "other": right}
    for name, picture in expected.items():
        assert shown[name].shape == picture.shape, name
        assert (shown[name] - picture).abs().max() <= 1.01 * LEVEL, name


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_convergence_moves_each_view_by_half(seen: dict[str, Any], renderer: str):
    """To the right on the slider is backwards: the left eye's picture goes left, the right eye's goes right."""
    shown = {name: read(url) for name, url in seen[f"modes {renderer}"]["seen"].items()}
    left, right, _ = scene()
    for name, picture, step in (("moved", left, -4), ("moved_right", right, 4)):
        expected = picture.roll(step, -1)
        expected[..., -4:] = 0 if step < 0 else expected[..., -4:]
        expected[..., :4] = 0 if step > 0 else expected[..., :4]
        assert (shown[name] - expected).abs().max() <= 1.01 * LEVEL, name


@pytest.mark.browser
def test_parallax_is_the_view_between(seen: dict[str, Any]):
    shown = {name: read(url) for name, url in seen["modes classic"]["seen"].items()}
    left, right, depth = scene()
    assert (shown["at_left"] - left).abs().max() <= 1.01 * LEVEL
    off = (shown["between"] - render_view(left, 0.5 * disparity(depth)).image).abs().amax(1)
    assert off.mean() < 1.5 * LEVEL and (off > 6 * LEVEL).float().mean() < 0.02
    beside = slice(round(0.7 * WIDTH) - 2, round(0.7 * WIDTH) + 2)  # what only the right view shows
    assert off[:, round(0.4 * HEIGHT) : round(0.7 * HEIGHT), beside].mean() < 8 * LEVEL
    assert (shown["between"] - left).abs().mean() > 3 * off.mean() < (shown["between"] - right).abs().mean()


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_mode_is_kept_with_the_node_and_not_in_the_prompt(seen: dict[str, Any], renderer: str):
    answer = seen[f"modes {renderer}"]
    assert answer["mode"] == "parallax" and answer["widgets_values"] == [24] and answer["prompt_kept"]


@pytest.mark.browser
def test_wiggle_moves_unless_the_user_wants_no_motion(seen: dict[str, Any]):
    assert (seen["motion"]["eyes"], seen["motion reduced"]["eyes"]) == (2, 1)


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_click_puts_what_is_there_on_the_screen(seen: dict[str, Any], renderer: str):
    answer = seen[f"click {renderer}"]
    with Image.open(ROOT / "nodes" / "examples" / "still_life_depth.png") as file:
        depth = np.asarray(file).astype(np.float32) / 65535
    for (mode, *_, view, x, y), (written, shift) in zip(CLICKS, answer["written"], strict=True):
        row = torch.from_numpy(depth[int(y * len(depth))])
        places = (torch.arange(len(row)) + 0.5) / len(row)
        if view == "right":  # the nearest of what is seen there
            places = places - 0.03 * (row - 0.5)
        there = row[(places - x).abs() < 1.5 / len(row)]
        assert there.min() - 0.011 <= written <= there.max() + 0.011, mode
        assert shift == pytest.approx(0.03 * (written - 0.5), abs=1e-6), mode


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_click_writes_only_where_it_counts(seen: dict[str, Any], renderer: str):
    said = seen[f"click {renderer}"]["said"]
    assert said["set"][0] == 0.7 and "convergence of Stereo Strength is now 0.7." in said["set"][1]
    assert said["percentile"][0] == 0.11 and "Ctrl+Shift+click sets it to value" in said["percentile"][1]
    assert said["forced"][0] != 0.11 and said["forced"][2] == "value"
    assert said["linked"] == [0.11, "convergence of Stereo Strength is linked: change it where it comes from."]
    assert seen[f"click {renderer}"]["without_depth"] == {"parallax": True}


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_click_finds_its_node_in_and_out_of_subgraphs(seen: dict[str, Any], renderer: str):
    outside, inside = (seen[f"subgraphs {renderer}"][place] for place in ("outside", "inside"))
    (_, x, y, *_), *_ = CLICKS
    with Image.open(ROOT / "nodes" / "examples" / "still_life_depth.png") as file:
        truth = file.getpixel((int(x * file.width), int(y * file.height))) / 65535
    assert outside == inside and outside[0] == pytest.approx(truth, abs=0.02)
    assert f"convergence of Stereo Strength is now {outside[0]}." in outside[1]


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_menu_puts_a_preview_beside_every_node_that_has_both_views(seen: dict[str, Any], renderer: str):
    answer, shift = seen[f"menu {renderer}"], "Stereo_ImageStereoShift"
    given = {"left": [shift, 0], "right": [shift, 1], "depth": False}
    expected = {
        "shift": given | {"depth": ["Stereo_StereoStrength", 0]},
        "combine": given,
        "decode": {"left": ["VAEDecode", 0], "right": False, "depth": False},
        "split": {"left": ["Stereo_SBSSplit", 0], "right": ["Stereo_SBSSplit", 1], "depth": False},
    }
    for name, (kind, connected, beside) in answer["seen"].items():
        assert kind == "Stereo_StereoPreview" and beside
        assert {slot: connected[slot] for slot in given} == expected.pop(name), name
    assert expected == {} and answer["none"] == [None] * 4 and answer["itself"] is None


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_full_screen_shows_the_picture_alone_and_a_key_leaves_it(seen: dict[str, Any], renderer: str):
    answer = seen[f"subgraphs {renderer}"]
    width, height = answer["full"]["size"]
    shown = read(answer["full"]["picture"])
    with Image.open(ROOT / "nodes" / "examples" / "still_life.jpg") as file:
        picture = np.asarray(file.convert("RGB").resize((round(file.width * height / file.height), height))) / 255
    assert shown.shape[-2:] == (height, width) and answer["left"]
    start = (width - picture.shape[1]) // 2
    whole = shown[0].movedim(0, -1).numpy()
    assert np.abs(whole[:, start : start + picture.shape[1]] - picture).mean() < 0.03
    assert whole[:, : start - 1].max() == 0, "it is not stretched"


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_it_is_as_before_after_a_change_of_tabs_and_a_reload(seen: dict[str, Any], renderer: str):
    answer = seen[f"tabs {renderer}"]
    assert answer["closed"]
    assert answer["again"] == {"mode": "difference", "shift": 0.015, "same": True}
    assert answer["loaded"] == {"mode": "difference", "shift": 0.015}


@pytest.mark.browser
def test_files_that_are_gone_are_told_of(seen: dict[str, Any]):
    assert seen["gone"]["said"].endswith("their files are gone. Run the workflow again.")


@pytest.mark.browser
def test_many_viewers_share_one_context_and_release_it(seen: dict[str, Any]):
    first, second = seen["many nodes_2"]["open"]
    assert first == {"shared": 1, "viewers": MANY, "lost": 0, "released": True}
    assert second == {"shared": 1, "viewers": MANY, "lost": 0}


@pytest.mark.browser
def test_a_lost_context_comes_back(seen: dict[str, Any]):
    assert seen["many nodes_2"]["lost"] == {"kept": True, "back": True}


@pytest.mark.browser
def test_a_clip_plays_and_is_stepped_through(seen: dict[str, Any]):
    answer = seen["clip nodes_2"]
    assert answer["played"] >= 3
    for frame, url, number in answer["seen"][:-1]:
        assert (read(url) - film()[frame]).abs().mean() < 3 * LEVEL and number == f"{frame + 1}/{CLIP}"
    assert (read(answer["seen"][-1][1]) - (1 - film()[2])).abs().mean() < 3 * LEVEL
    assert answer["depth"] == pytest.approx([0.1, 0.9], abs=0.02)


@pytest.mark.browser
@pytest.mark.parametrize("renderer", RENDERERS)
def test_keys_on_the_picture_do_not_reach_the_graph(seen: dict[str, Any], renderer: str):
    shifts = [0, 1, 0, -1, 0, 0, 0, 0, 0]
    modes = ["anaglyph_dubois"] * 8 + ["left"]
    playing = [True] * 5 + [False] * 4
    expected = [[mode, shift, plays, 1, 0] for mode, shift, plays in zip(modes, shifts, playing, strict=True)]
    assert seen[f"keys {renderer}"]["seen"] == expected
    assert seen[f"keys {renderer}"]["zoomed"], "the wheel no longer zooms the graph"


@pytest.mark.browser
def test_a_headset_shows_each_eye_its_view(seen: dict[str, Any]):
    answer = seen["headset"]
    assert answer["none"][0] and answer["label"] == "Leave VR" and answer["after"] == "Enter VR"
    both = read(answer["halves"]).flip(-2)  # a framebuffer begins at the bottom
    views = scene()[:2]
    for half, own, other in zip(both.chunk(2, -1), views, views[::-1], strict=True):
        rows, columns = ((half.amax(1)[0] > 0.05).float().mean(axis) > 0.3 for axis in (1, 0))
        (top, bottom), (start, end) = ((line.nonzero().min(), line.nonzero().max() + 1) for line in (rows, columns))
        screen = torch.nn.functional.interpolate(half[..., top:bottom, start:end], (HEIGHT, WIDTH), mode="bilinear")
        assert (screen - own).abs().mean() < 0.5 * (screen - other).abs().mean()
