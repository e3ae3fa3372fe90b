"""SaveStereoVideo: two views of a clip to one file for headsets, 3D screens, glasses, or the naked eye."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import Input, InputImpl, io, ui
from torch import Tensor

from ...stereo_core.file_names import NameStyle
from ...stereo_core.formats import StereoFormat
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.video_formats import VIDEO_FORMATS, Tags, name_suffix, video_format
from ..host import each_frame, show_text
from ..widgets.geometry import depth_input
from ..widgets.views import left_input, right_input
from .file_inputs import name_input, prefix_input
from .kept_workflow import workflow_texts
from .output_files import OutputFiles, written
from .video_codecs import Codec, Quality
from .video_file import Container
from .video_plan import FileOptions, VideoPlan
from .video_views import VideoViews


class SaveStereoVideo(io.ComfyNode):
    """Pack both views and write them, with the sound, and tags by which players know how they are packed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SaveStereoVideo",
            display_name="Save Stereo Video",
            category="stereo",
            description="Saves two views of a clip as one 3D video, with the sound and timing of the video that it was "
            "made from.",
            search_aliases=["SBS", "VR", "headset", "3D video", "export", "mp4", "mkv", "HEVC", "AV1", "anaglyph"],
            is_output_node=True,
            inputs=[
                # what to save
                left_input(),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=0.01,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames per second. With a `source` of as many frames, its own times are kept instead.",
                ),
                io.Combo.Input(
                    "format",
                    options=[form.value for form in VIDEO_FORMATS],
                    default=StereoFormat.FULL_SBS.value,
                    tooltip="full_sbs, full_tb: for headsets and players. half_*: squeezed, for 3D televisions.\n"
                    "cross_eyed: for free viewing. anaglyph_*: for coloured glasses.\n"
                    "interlaced_*, checkerboard: for passive and DLP screens; never let a player scale those.\n"
                    "rgb_depth: picture and depth map. vr180: from Flat Pair to VR180 or Panorama to VR180.",
                ),
                # the file
                io.Combo.Input(
                    "codec",
                    options=Codec,
                    default=Codec.H264.value,
                    tooltip="h264: played everywhere, up to 4096 pixels wide. hevc: half the size, for headsets and "
                    "wide pictures.\nav1: smallest, for new devices. *_10bit: skies and fog without bands; "
                    "h264_10bit is played by computers only.",
                ),
                io.Combo.Input(
                    "quality",
                    options=Quality,
                    default=Quality.HIGH.value,
                    tooltip="best: to be worked on further, large. high: no difference to be seen.\n"
                    "medium: half the size of high. small: to send to someone.",
                ),
                prefix_input("%year%, %month%, %day%, %width% and %height%"),
                name_input(),
                io.Combo.Input(
                    "container",
                    options=Container,
                    default=Container.AUTO.value,
                    advanced=True,
                    tooltip="auto: mp4, or mkv where the source has sound or subtitles that mp4 cannot hold. The "
                    "editor opens workflows from mp4 only.",
                ),
                io.Combo.Input(
                    "tags",
                    options=Tags,
                    default=Tags.CONTAINER.value,
                    advanced=True,
                    tooltip="container: the file says within how its views are packed, besides by its name.\n"
                    "container_and_stream: the pictures' stream, too, for 3D televisions; h264 only.\n"
                    "none: for programs that show but one view of a tagged file, such as Windows Photos.",
                ),
                # what else to save
                right_input(),
                depth_input("left view, for rgb_depth", "One map for each frame, or one for all.", optional=True),
                io.Video.Input(
                    "source",
                    optional=True,
                    tooltip="The video that the frames were made from. Its sound and subtitles are copied as they are, "
                    "and with as many frames as left has, the exact time of each is kept.",
                ),
                io.Audio.Input(
                    "audio", optional=True, tooltip="Sound from elsewhere, instead of the source's. Saved as AAC."
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The saved file.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to save
        left: Tensor,
        fps: float,
        format: str,
        # the file
        codec: str,
        quality: str,
        filename_prefix: str,
        name: str,
        container: str,
        tags: str,
        # what else to save
        right: Tensor | None = None,
        depth: StereoDepth | Tensor | None = None,
        source: Input.Video | None = None,
        audio: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        views = VideoViews.read(video_format(format), left, right, depth)
        options = FileOptions(Codec(codec), Quality(quality), Container(container), Tags(tags))
        plan = VideoPlan.make(views, fps, options, workflow_texts(cls), source, audio)
        height, width = views.size
        files = OutputFiles(filename_prefix, width, height)
        files.expect_room(plan.most_bytes(views.size))
        suffix = name_suffix(views.form) if NameStyle(name) is NameStyle.PLAYER else ""
        path = files.next(suffix, plan.file.container.value)
        with written(path) as partial:
            plan.file.write(partial, map(views.frame, each_frame(len(views))), views.size)
        show_text(cls, "\n".join((f"{path.name}, {width}x{height}", *plan.remarks)))
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), ui=ui.PreviewVideo([files.result(path)]))
