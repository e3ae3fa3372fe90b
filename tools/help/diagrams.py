"""The pictures of the nodes whose work needs a diffusion model: drawn, because no trained one is run here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from stereo_core.composition_weights import PAPER as PAPER_WEIGHTS
from stereo_core.composition_weights import CompositionSettings, WeightSchedule
from stereo_core.iterative_refinement import RefineSettings
from stereo_core.noisy_restart import RestartSettings
from tools.diagram import (
    CYAN,
    INK,
    ORANGE,
    QUIET,
    RED,
    Cell,
    beside,
    depth_map,
    film,
    grain,
    landscape,
    noise,
    pair,
    picture,
)
from tools.diagram import words as card
from tools.help.charts import bars, cameras, cells, time_line

Pictures = tuple[tuple[str, Cell], tuple[str, Cell]]
_STEPS = 30
FOLDER = card("config.json\npreprocessor_config.json\nmodel.safetensors")
PROMPT = card("“a tree, hills,\na balloon”")


def diagrams() -> dict[str, Pictures]:
    """For each node, by its class's name: a label and a drawing of what goes in, and of what comes out."""
    return {**_of_files(), **_of_pictures(), **_of_clips(), **_of_matrices()}


def _of_files() -> dict[str, Pictures]:
    clips = pair(lambda eye: film(_eye(landscape, eye), 2))
    return {
        "LoadPictureFolder": (
            ("a folder in ComfyUI's input folder", card("photos/beach.jpg\nphotos/boat.png\nphotos/house.jpg")),
            ("each picture in its turn", beside(picture(), _other, picture(0, 1))),
        ),
        "SaveStereoImage": (
            ("left and right view", pair(picture)),
            ("a file that headset players understand", card("beach_LRF_Full_SBS.png")),
        ),
        "SaveStereoVideo": (
            ("left and right clip, sound", clips),
            ("a file that headset players understand", card("clip_LRF_Full_SBS.mp4")),
        ),
        "StereoVideoFile": (
            ("a film of any length, and a depth model", film(landscape, 4)),
            ("a file that headset players understand", card("film_LRF_Full_SBS.mp4")),
        ),
        "StereoFilmOptions": (
            ("a film in pieces", cells(2, 4)),
            ("what is finished is kept", cells(2, 4, lambda row, column: 4 * row + column < 5)),
        ),
        "StereoFilmDepth": (
            ("frames of a scene", film(landscape, 2)),
            ("their depth, with one range", film(lambda size, _time: depth_map(size), 2)),
        ),
        "FilmWindow": (
            ("a film of any length", film(landscape, 6)),
            (
                "as many of its frames as a video model takes",
                film(lambda size, time: landscape(size, time=time / 3), 2),
            ),
        ),
        "SaveFilmWindow": (
            ("windows, finished one after another", cells(1, 6, lambda _row, column: column < 5)),
            ("a file that headset players understand", card("film_LRF_Full_SBS.mp4")),
        ),
        "VR180FromPanorama": (
            ("a panorama and its depth", lambda size: _above(size, landscape, depth_map)),
            ("what lies ahead, for each eye", pair(picture)),
        ),
    }


def _of_pictures() -> dict[str, Pictures]:
    views = pair(picture)
    return {
        "StereoKSampler": (
            ("a prompt, and the left view's depth", beside(PROMPT, depth_map)),
            ("both views", views),
        ),
        "StereoPictureOptions": (
            ("shift_at: when the right view begins", _pair_in_time(0.2)),
            ("mask_every: when the left is put in again", _pair_in_time(0.2, [0.2 + 0.1 * k for k in range(8)])),
        ),
        "StereoShiftSampler": (
            ("your sampler, your model, a depth map", beside(card("dpmpp_2m,\neuler, ..."), depth_map)),
            ("left alone first, then both together", _pair_in_time(0.2)),
        ),
        "CrossViewAttentionPatch": (
            ("uncoupled: each view invents its own", beside(picture(), _other)),
            ("coupled: the right view reads the left", _linked(views)),
        ),
        "DDIMInversion": (
            ("a picture, and what is in it", beside(picture(), PROMPT)),
            ("the noise that it is made from, and the way", film(lambda size, time: noise(size, amount=time), 4)),
        ),
        "NullTextOptimization": (
            ("sampled with guidance, the picture drifts", beside(picture(), _other)),
            ("the empty text optimised, it comes back", beside(picture(), picture())),
        ),
        "DepthConditioning": (
            ("the left view's depth", depth_map),
            ("each eye's own, for the model", pair(lambda eye: lambda size: landscape(size, eye, depth=True))),
        ),
        "LoadDepthModel": (
            (
                "a folder in models/geometry_estimation",
                FOLDER,
            ),
            ("with Depth Estimate: a depth map", beside(picture(), depth_map)),
        ),
    }


def _of_clips() -> dict[str, Pictures]:
    clips, noisy = (pair(lambda eye, draw=draw: film(_eye(draw, eye), 2)) for draw in (landscape, noise))
    first = RestartSettings().end(_levels(), 0, _STEPS)
    refine = RefineSettings(restart_until=0.1)
    return {
        "StereoVideoKSampler": (
            ("a prompt or a picture, and depth", beside(PROMPT, film(_depth_at, 2))),
            ("both clips", clips),
        ),
        "StereoVideoOptions": (
            ("7 iterations of the first steps", _times({step: 7 for step in range(first)})),
            ("3 iterations: faster", _times({step: 3 for step in range(first)})),
        ),
        "StereoRefineOptions": (
            ("how often each step is taken", _times(refine.repeats(_levels()))),
            ("warp_every 0.2: fewer warps", _times(RefineSettings(0.2, restart_until=0.1).repeats(_levels()))),
        ),
        "NoisyRestartSampler": (
            ("warped before the first steps, holes noisy", _with_hole(noisy=True)),
            ("taken again and again, until holes fit in", _times({step: 7 for step in range(first)})),
        ),
        "IterativeRefineSampler": (
            ("the left view warped into the right one", _with_hole(noisy=False)),
            ("the step after each warp is repeated", _times(refine.repeats(_levels()))),
        ),
        "LeftTrajectory": (
            ("the left view, sampled once", film(lambda size, time: noise(size, amount=1 - time), 4)),
            ("put back at every step beside the right", _linked(noisy)),
        ),
        "SecondModel": (
            ("noisy steps, and the others", beside(film(_eye(noise, 0), 2), film(_eye(landscape, 0), 2))),
            (
                "which model takes which",
                time_line([("", [(0, 0.5, ORANGE, "model"), (0.5, 1, CYAN, "second model")])]),
            ),
        ),
    }


def _of_matrices() -> dict[str, Pictures]:
    whole = cells(4, 5)
    weights = CompositionSettings(schedule=WeightSchedule.LINEAR, weight=0.8)
    return {
        "ImageMatrixConditioning": (
            ("an orbit (down) and a video (right)", cells(4, 5, lambda row, column: row == 3 or column == 0, _corner)),
            ("what each cell of the matrix shows", cells(4, 5, framed=lambda row, column: row == 3 or column == 0)),
        ),
        "ScoreCompositionSampler": (
            ("noise in every view of every frame", cells(4, 5, noisy=True)),
            ("all sampled together by two models", whole),
        ),
        "ScoreCompositionOptions": (
            ("weight 0.5: the two models share", _weights(PAPER_WEIGHTS)),
            ("linear from 0.8 to 0", _weights(weights)),
        ),
        "SplatOptions": (
            ("warm_up 0.6: the first frame first", _warm_up(0.6)),
            ("warm_up 0.3: more time for motion", _warm_up(0.3)),
        ),
        "SplatSave": (
            ("a scene that moves", film(lambda size, time: landscape(size, 0.5, time), 4)),
            ("a file for each frame", card("scene_0001.ply\nscene_0002.ply\nscene_0003.ply\n...")),
        ),
        "ImageMatrixView": (
            ("views by frames, a view chosen", cells(4, 5, framed=lambda row, _column: row == 1)),
            ("its video", film(lambda size, time: landscape(size, 1.6 / 3, time), 4)),
        ),
        "ImageMatrixSheet": (
            ("a matrix of latents", cells(8, 12, noisy=True)),
            ("every fourth, decoded", cells(3, 4)),
        ),
        "OrbitConditioning": (
            ("a full turn: spacing 17.14", cameras([360 / 21 * view for view in range(21)])),
            ("two eyes: spacing 3 (drawn wider)", cameras([-9, 9], eyes=(0, 1))),
        ),
        "ShiftCoupledViewExpert": (
            ("a video model, and the left clip's depth", beside(card("SVD"), film(_depth_at, 2))),
            ("an expert on how two views differ", _linked(pair(picture))),
        ),
        "StereoClipConditioning": (
            ("the first picture of each view", pair(picture)),
            ("the clips that they begin", pair(lambda eye: film(_eye(landscape, eye), 2))),
        ),
    }


def _warm_up(share: float) -> Cell:
    shares = [(0, share, ORANGE, "first frame"), (share, 1, CYAN, "all frames")]
    return time_line([("learns", shares)])


def _corner(row: int, column: int) -> bool:
    return row == 3 and column == 0


def _levels() -> list[float]:
    """Noise to signal over a schedule, falling evenly in its logarithm."""
    return [100 * 0.0002 ** (step / _STEPS) for step in range(_STEPS)] + [0.0]


def _times(repeats: dict[int, int]) -> Cell:
    """How often each step of a schedule is taken."""
    heights = [repeats.get(step, 1) for step in range(_STEPS)]
    colours = [ORANGE if height > 1 else QUIET for height in heights]
    return bars(heights, colours, f"{_STEPS} steps, each taken 1 to {max(heights)} times", 8)


def _weights(settings: CompositionSettings) -> Cell:
    """How much each model has to say over the steps: the multi-view one below, the video one above."""
    shares = [settings.multiview_weights(step, _STEPS, [0, 180], 2)[0] for step in range(_STEPS)]

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = bars([1.0] * _STEPS, [CYAN] * _STEPS, "above: video model, below: multi-view model")(size)
        pen, width, bottom = ImageDraw.Draw(sheet), (size[0] - 48) / _STEPS, size[1] - 40
        for step, share in enumerate(shares):
            x = 24 + step * width
            pen.rectangle((x + 1, bottom - share * (bottom - 16), x + width - 2, bottom), fill=ORANGE)
        return sheet

    return draw


def _pair_in_time(begin: float, ticks: Sequence[float] = ()) -> Cell:
    return time_line(
        [
            ("left", [(0, 1, RED, "as without stereo")]),
            ("right", [(begin, 1, CYAN, "shifted, then beside the left")]),
        ],
        ticks,
    )


def _other(size: tuple[int, int]) -> Image.Image:
    """The same landscape in other colours: another picture of the same prompt."""
    red, green, blue = landscape(size, 1).split()
    return Image.merge("RGB", (green, blue, red))


def _with_hole(noisy: bool) -> Cell:
    """The right view as a warp leaves it: a hole beside the tree, empty or filled with noise."""

    def right(size: tuple[int, int]) -> Image.Image:
        view = landscape(size, 1)
        hole = Image.new("L", size)
        pen = ImageDraw.Draw(hole)
        pen.ellipse([size[0] * 0.27, size[1] * 0.31, size[0] * 0.41, size[1] * 0.73], fill=255)
        pen.ellipse([size[0] * 0.04, size[1] * 0.29, size[0] * 0.30, size[1] * 0.75], fill=0)
        view.paste(grain(size) if noisy else Image.new("RGB", size), mask=hole)
        return view

    return beside(picture(), right)


def _linked(cell: Cell) -> Cell:
    """A pair, and an arrow from its left view to the right one."""

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = cell(size)
        pen, (x, y) = ImageDraw.Draw(sheet), (size[0] / 2, size[1] / 2)
        pen.rectangle((x - 44, y - 12, x + 20, y + 12), fill=INK)
        pen.polygon([(x + 20, y - 30), (x + 20, y + 30), (x + 56, y)], fill=INK)
        return sheet

    return draw


def _above(size: tuple[int, int], *cells: Callable[[tuple[int, int]], Image.Image]) -> Image.Image:
    """Wide pictures below each other."""
    sheet, height = Image.new("RGB", size), (size[1] - 6) // len(cells)
    for number, cell in enumerate(cells):
        width = 2 * height
        sheet.paste(cell((width, height)), ((size[0] - width) // 2, number * (height + 6)))
    return sheet


def _eye(draw: Callable[..., Image.Image], eye: float) -> Callable[[tuple[int, int], float], Image.Image]:
    return lambda size, time: draw(size, eye, time)


def _depth_at(size: tuple[int, int], time: float) -> Image.Image:
    return landscape(size, time=time, depth=True)
