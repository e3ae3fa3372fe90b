"""StereoVideoFile: a film to a stereo film, from file to file, however long it is."""

from __future__ import annotations

from functools import partial

from comfy_api.latest import Input, InputImpl, io, ui

from ...stereo_core.geometry import Screen, StereoGeometry
from ...stereo_core.rendering import Quality as Rendering
from ...stereo_core.video_formats import VIDEO_FORMATS, Sphere, name_suffix, video_format
from ..delivery.file_inputs import prefix_input
from ..delivery.kept_workflow import workflow_texts
from ..delivery.output_files import OutputFiles
from ..delivery.video_codecs import Codec, Quality
from ..delivery.video_inputs import codec_input, format_input, quality_input
from ..delivery.video_plan import FileOptions
from ..host import show_text
from ..widgets.geometry import geometry_inputs
from ..widgets.sockets import DEPTH_MODEL, FILM_DEPTH, FILM_OPTIONS
from .film import Film
from .film_depth import DepthGiven, depth_of
from .film_plan import FilmPlan
from .film_progress import NodeProgress
from .film_settings import DepthSettings, FilmOptions, FilmSettings, ShiftSettings
from .work import Work
from .work_folder import WorkFolder

_DEPTH = [DEPTH_MODEL, io.Custom("DA3_MODEL"), io.Custom("MOGE_MODEL"), io.Video]


class StereoVideoFile(io.ComfyNode):
    """Make a film's depth and both views frame by frame, and write them in pieces that are joined in the end."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoVideoFile",
            display_name="Stereo Video File",
            category="stereo",
            description="Turns a video of any length into a 3D video file, frame by frame, in little memory. Goes on "
            "where it was interrupted.",
            search_aliases=["2d to 3d", "film", "movie", "long video", "SBS", "VR", "headset", "resume"],
            is_output_node=True,
            inputs=[
                # what to turn
                io.Video.Input(
                    "video",
                    tooltip="The video file, from Load Video; cut it with Trim Video if you like. Sound, subtitles "
                    "and chapters are copied, and each frame keeps its time.",
                ),
                io.MultiType.Input(
                    "depth",
                    types=_DEPTH,
                    tooltip="A depth model (Load Depth Model, Load Depth Anything 3, Load MoGe Model), used as in "
                    "Depth Estimate.\nOr a video of depth maps, white is near, with as many frames as video.",
                ),
                # the views
                *geometry_inputs("try it on a few seconds first"),
                io.Combo.Input(
                    "rendering",
                    options=Rendering,
                    default=ShiftSettings().rendering.value,
                    tooltip="The quality of Image Stereo Shift.\nbest: exact surfaces and the smoothest fill. fast: "
                    "several times quicker.\ndetail: as best, and holes get the texture of the background; takes about "
                    "five times as long as best.",
                ),
                # the file
                format_input([form for form in VIDEO_FORMATS if form is not Sphere.VR180]),
                codec_input(),
                quality_input(),
                prefix_input("%year%, %month%, %day%, %width% and %height%"),
                # more settings
                FILM_OPTIONS.Input(
                    "options", optional=True, tooltip="Stereo Film Options, for more settings of views and file."
                ),
                FILM_DEPTH.Input(
                    "depth_options", optional=True, tooltip="Stereo Film Depth, for settings of the depth estimate."
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The saved film."),
                io.String.Output(display_name="path", tooltip="Where it is."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to turn
        video: Input.Video,
        depth: DepthGiven,
        # the views
        max_disparity: float,
        screen: str,
        convergence: float,
        rendering: str,
        # the file
        format: str,
        codec: str,
        quality: str,
        filename_prefix: str,
        # more settings
        options: FilmOptions | None = None,
        depth_options: DepthSettings | None = None,
    ) -> io.NodeOutput:
        more = options or FilmOptions()
        settings = FilmSettings(
            video_format(format),
            FileOptions(Codec(codec), Quality(quality), more.container, more.tags),
            depth_options or DepthSettings(),
            ShiftSettings(
                StereoGeometry(max_disparity, convergence, more.exponent, Screen(screen)),
                more.balance,
                Rendering(rendering),
                more.edge_growth,
                more.edges,
                more.fill_from,
            ),
            more.segment_seconds,
        )
        plan = FilmPlan.read(video)
        film = Film.read(plan, depth_of(plan, depth, settings.depth), settings, workflow_texts(cls))
        height, width = film.size
        files = OutputFiles(filename_prefix, width, height)
        folder = WorkFolder.open(files.folder, files.name, film.identity())
        work = Work(film, folder, NodeProgress(partial(show_text, cls)))
        try:
            work.make()
            path = files.next(name_suffix(settings.form), film.file.container.value)
            finished = work.finish(path)
        except FileNotFoundError as error:
            if folder.about_gone is None:
                raise
            raise ValueError(f"filename_prefix: {folder.about_gone}") from error
        if not finished:
            raise ValueError(
                f"filename_prefix: another ComfyUI is just writing this film in {files.folder}. Wait for it."
            )
        show_text(cls, "\n".join((f"{path.name}, {width}x{height}", *film.remarks, *work.remarks, *folder.remarks)))
        saved = ui.PreviewVideo([files.result(path)])
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), str(path), ui=saved)
