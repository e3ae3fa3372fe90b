"""FilmWindow: a few frames of a film, so that nodes for clips can work on a film of any length."""

from __future__ import annotations

from functools import partial

from comfy_api.latest import Input, io
from comfy_execution.graph_utils import ExecutionBlocker

from ...stereo_core.film_windows import plan_film_windows
from ..host import show_text
from ..widgets.sockets import FILM_WINDOW
from .chosen_window import ChosenWindow, scene_starts
from .film_plan import FilmPlan
from .film_progress import NodeProgress

_NAME = "Film Window"


class FilmWindow(io.ComfyNode):
    """Read one window of a film: as many frames of one scene as a video model takes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_FilmWindow",
            display_name=_NAME,
            category="stereo",
            description="Reads a few frames of a film, the next ones at each run: nodes for clips, such as samplers, "
            "then work on a film of any length. Save Film Window joins the windows into a film again.",
            search_aliases=["film", "long video", "movie", "chunk", "batch", "sliding window", "load video"],
            inputs=[
                io.Video.Input("video", tooltip="The film, from Load Video; cut it with Trim Video if you like."),
                io.Int.Input(
                    "window",
                    default=0,
                    min=0,
                    max=999_999,
                    control_after_generate=io.ControlAfterGenerate.increment,
                    tooltip="Which window to read, from 0; the next one at each run. Queue as many runs as there are "
                    "windows: the node says how many. Runs beyond the last one do nothing.",
                ),
                io.Int.Input(
                    "length",
                    default=33,
                    min=1,
                    max=4096,
                    tooltip="Frames of a window, as many as the video model takes: 33 for Wan, 25 for SVD. In a scene "
                    "that is shorter the last frame is repeated.",
                ),
                io.Int.Input(
                    "overlap",
                    default=8,
                    min=0,
                    max=4095,
                    tooltip="Frames that a window shares with the one before, fewer than length. Save Film Window "
                    "fades from one to the other. More frames fade more softly, and cost more windows.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="One seed for the whole film, from which each window gets its own. Keep it from the first "
                    "window to the last.",
                ),
                FILM_WINDOW.Input(
                    "like",
                    optional=True,
                    tooltip="Connect film_window of another Film Window to read the same frames of a second video, "
                    "such as one of depth maps; it must have as many frames as the first. window, length, overlap and "
                    "seed are then taken from that node.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The frames of the window."),
                FILM_WINDOW.Output(
                    display_name="film_window", tooltip="For Save Film Window, and for like of another Film Window."
                ),
                io.Int.Output(display_name="seed", tooltip="The seed of this window, for samplers."),
                io.Int.Output(display_name="windows", tooltip="How many windows the film has."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        window: int,
        length: int,
        overlap: int,
        seed: int,
        like: ChosenWindow | None = None,
    ) -> io.NodeOutput:
        plan = FilmPlan.read(video)
        if like is not None:
            if len(plan) != len(like.plan):
                raise ValueError(
                    f"video: has {len(plan)} frames, and that of like {len(like.plan)}. Connect a video with one for "
                    "each, cut as the other is."
                )
            chosen = ChosenWindow(plan, like.windows, like.number, like.length, like.overlap, like.film_seed)
        else:
            starts = scene_starts(plan, NodeProgress(partial(show_text, cls)))
            windows = plan_film_windows(starts, len(plan), length, overlap)
            if window >= len(windows):
                show_text(cls, f"There is no window {window}: the film has {_counted(len(windows))}. Nothing is done.")
                return io.NodeOutput(*3 * [ExecutionBlocker(None)], len(windows))
            chosen = ChosenWindow(plan, windows, window, length, overlap, seed)
        frames = chosen.window.frames
        show_text(
            cls,
            f"Window {chosen.number} of {_counted(len(chosen.windows))}: frames {frames.start} to {frames.stop - 1}, "
            f"from {plan.time_code(frames.start)} on.",
        )
        return io.NodeOutput(chosen.images(_NAME), chosen, chosen.seed, len(chosen.windows))


def _counted(windows: int) -> str:
    return f"{windows}, 0 to {windows - 1}" if windows > 1 else "one, 0"
