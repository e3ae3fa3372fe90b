"""StereoVideoFile: a film to a stereo film, from file to file, however long it is."""

from __future__ import annotations

from functools import partial

from comfy_api.latest import Input, InputImpl, io, ui

from ...stereo_core.clip_filling import FillFrom
from ...stereo_core.depth_edges import DepthEdges
from ...stereo_core.file_names import NameStyle
from ...stereo_core.geometry import Screen, StereoGeometry
from ...stereo_core.rendering import Quality as Rendering
from ...stereo_core.video_formats import VIDEO_FORMATS, Sphere, Tags, name_suffix, video_format
from ..delivery.file_inputs import name_input, prefix_input
from ..delivery.kept_workflow import workflow_texts
from ..delivery.output_files import OutputFiles
from ..delivery.video_codecs import Codec, Quality
from ..delivery.video_file import Container
from ..delivery.video_inputs import codec_input, container_input, format_input, quality_input, tags_input
from ..delivery.video_plan import FileOptions
from ..host import show_text
from ..widgets.geometry import geometry_inputs
from .film import Film
from .film_depth import DepthGiven, depth_of
from .film_inputs import depth_input, estimate_inputs, shift_inputs
from .film_plan import FilmPlan
from .film_progress import NodeProgress
from .film_settings import DepthSettings, FilmSettings, ShiftSettings
from .work import Work
from .work_folder import WorkFolder


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
                    tooltip="The video file, from Load Video; cut it with Video Slice if you like. Sound, subtitles "
                    "and chapters are copied, and each frame keeps its time.",
                ),
                depth_input(),
                # the views
                *geometry_inputs(),
                *shift_inputs(),
                # the file
                format_input([form for form in VIDEO_FORMATS if form is not Sphere.VR180]),
                codec_input(),
                quality_input(),
                prefix_input("%year%, %month%, %day%, %width% and %height%"),
                name_input(advanced=True),
                container_input(),
                tags_input(),
                # the work
                *estimate_inputs(),
                io.Float.Input(
                    "segment_seconds",
                    default=FilmSettings().segment_seconds,
                    min=1.0,
                    max=600.0,
                    step=1.0,
                    advanced=True,
                    tooltip="About how long the pieces are in which the film is made, 1 to 600 seconds. At most one "
                    "piece is lost when ComfyUI is interrupted or crashes.",
                ),
                io.Boolean.Input(
                    "keep_segments",
                    default=False,
                    advanced=True,
                    tooltip="Leave the pieces in their folder beside the film, once it is whole.",
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
        exponent: float,
        rendering: str,
        balance: float,
        edge_growth: int,
        depth_edges: str,
        fill_from: str,
        invert: bool,
        # the file
        format: str,
        codec: str,
        quality: str,
        filename_prefix: str,
        name: str,
        container: str,
        tags: str,
        # the work
        resolution: int,
        batch_size: int,
        stabilize: bool,
        percentile: float,
        segment_seconds: float,
        keep_segments: bool,
    ) -> io.NodeOutput:
        settings = FilmSettings(
            video_format(format),
            FileOptions(Codec(codec), Quality(quality), Container(container), Tags(tags)),
            DepthSettings(resolution, batch_size, stabilize, percentile),
            ShiftSettings(
                StereoGeometry(max_disparity, convergence, exponent, Screen(screen)),
                balance,
                Rendering(rendering),
                edge_growth,
                DepthEdges(depth_edges),
                FillFrom(fill_from),
            ),
            segment_seconds,
        )
        plan = FilmPlan.read(video)
        film = Film.read(plan, depth_of(plan, depth, settings.depth, invert), settings, workflow_texts(cls))
        height, width = film.size
        files = OutputFiles(filename_prefix, width, height)
        folder = WorkFolder.open(files.folder, files.name, film.identity())
        work = Work(film, folder, NodeProgress(partial(show_text, cls)))
        work.make()
        suffix = name_suffix(settings.form) if NameStyle(name) is NameStyle.PLAYER else ""
        path = files.next(suffix, film.file.container.value)
        work.finish(path, keep_segments)
        show_text(cls, "\n".join((f"{path.name}, {width}x{height}", *film.remarks, *folder.remarks)))
        saved = ui.PreviewVideo([files.result(path)])
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), str(path), ui=saved)
