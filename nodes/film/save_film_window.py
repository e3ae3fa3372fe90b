"""SaveFilmWindow: the windows of a film put together again, as a stereo film with its sound."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import InputImpl, io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import VIDEO_FORMATS, Sphere, Tags, name_suffix, video_format
from ..delivery.file_inputs import prefix_input
from ..delivery.kept_workflow import workflow_texts
from ..delivery.video_codecs import Codec, Quality
from ..delivery.video_file import Container
from ..delivery.video_inputs import codec_input, container_input, format_input, quality_input, tags_input
from ..delivery.video_plan import FileOptions
from ..host import show_text
from ..widgets.sockets import FILM_WINDOW
from .chosen_window import ChosenWindow
from .window_film import WindowFilm, window_views
from .window_settings import about_changes

_OTHERS = (Sphere.VR180, StereoFormat.RGB_DEPTH)  # whose views are no pair of the film's


class SaveFilmWindow(io.ComfyNode):
    """Put one window to those that are finished, and write the film once all are there."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SaveFilmWindow",
            display_name="Save Film Window",
            category="stereo",
            description="Keeps each finished window of a film, fades from one to the next, and writes the 3D film with "
            "its sound once all are there. Windows that are done are not made again.",
            search_aliases=["film", "long video", "movie", "join", "blend", "resume", "SBS", "VR", "headset"],
            is_output_node=True,
            inputs=[
                # what to save
                FILM_WINDOW.Input("film_window", tooltip="From Film Window."),
                io.Image.Input(
                    "right",
                    lazy=True,
                    tooltip="The right view of all frames of the window; or both views in one batch, all left ones "
                    "first, of which the right ones are taken. Not computed again where the window is done.",
                ),
                # the file
                format_input([form for form in VIDEO_FORMATS if form not in _OTHERS]),
                codec_input(),
                quality_input(),
                prefix_input("%width% and %height%"),
                container_input(),
                tags_input(),
                # what else to save
                io.Image.Input(
                    "left",
                    optional=True,
                    lazy=True,
                    tooltip="The left view, where it is not the film's own picture: frames of another size, or changed "
                    "ones. Without it the film's frames are the left view, as they are.",
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The saved film, once all windows are there."),
                io.String.Output(display_name="path", tooltip="Where it is."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def check_lazy_status(cls, film_window: ChosenWindow, **inputs: Any) -> list[str]:
        """Ask for the views that are connected unless the window is done; say what is wrong before they are made."""
        views = [name for name in ("left", "right") if name in inputs]
        film = cls._open(film_window, **{name: value for name, value in inputs.items() if name not in views})
        if film.work.is_done:
            return []
        if "left" not in views:
            film.settle(film_window.plan.size, {})
        film.begin()
        return views

    @classmethod
    def execute(
        cls,
        # what to save
        film_window: ChosenWindow,
        # the file
        format: str,
        codec: str,
        quality: str,
        filename_prefix: str,
        container: str,
        tags: str,
        # what else to save
        left: Tensor | None = None,
        right: Tensor | None = None,
    ) -> io.NodeOutput:
        film = cls._open(film_window, format, codec, quality, filename_prefix, container, tags)
        try:
            return cls._save(film, left, right)
        except FileNotFoundError:
            if film.folder.about_gone is None:
                raise
            return cls._without_film(film.folder.about_gone)

    @classmethod
    def _save(cls, film: WindowFilm, left: Tensor | None, right: Tensor | None) -> io.NodeOutput:
        film_window = film.chosen
        size = film_window.plan.size if left is None else (left.shape[1], left.shape[2])
        if not film.work.is_done:
            film.begin()
            if right is None:
                raise ValueError("right: is missing. Connect the right view of the window.")
            views = window_views(film_window, left, right)
            video = film.settle(size, workflow_texts(cls))
            film.work.expect_alike(size, left is not None)
            film.work.make(*views, film.form, video.file)
        changed = [] if cls.hidden is None else about_changes(film.folder, cls.hidden.prompt, cls.hidden.unique_id)
        count, missing = len(film_window.windows), film.work.missing
        if missing:
            done = f"Window {film_window.number} is done. {count - len(missing)} of {count} are"
            return cls._without_film("\n".join((f"{done}; the first that is not is {missing[0]}.", *changed)))
        size = film.work.size
        video = film.settle(size, workflow_texts(cls))
        path = film.files.next(name_suffix(film.form), video.file.container.value)
        if not film.work.join(path, video.file):
            return cls._without_film(f"All {count} windows are done, and another ComfyUI is just writing the film.")
        remarks = (*changed, *video.remarks, *film.folder.remarks)
        show_text(cls, "\n".join((f"{path.name}: all {count} windows are done.", *remarks)))
        saved = ui.PreviewVideo([film.files.result(path)])
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), str(path), ui=saved)

    @classmethod
    def _without_film(cls, text: str) -> io.NodeOutput:
        show_text(cls, text)
        return io.NodeOutput(ExecutionBlocker(None), ExecutionBlocker(None))

    @classmethod
    def _open(
        cls,
        film_window: ChosenWindow,
        format: str,
        codec: str,
        quality: str,
        filename_prefix: str,
        container: str,
        tags: str,
    ) -> WindowFilm:
        options = FileOptions(Codec(codec), Quality(quality), Container(container), Tags(tags))
        return WindowFilm.open(film_window, video_format(format), options, filename_prefix)
