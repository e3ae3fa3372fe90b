"""SaveStereoVideo: two views of a clip to one file for headsets, 3D screens, glasses, or the naked eye."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import Input, InputImpl, io, ui
from torch import Tensor

from ...stereo_core.file_names import NameStyle
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.video_formats import VIDEO_FORMATS, Tags, name_suffix, video_format
from ..host import each_frame, show_text
from ..widgets.geometry import depth_input
from ..widgets.views import left_input, right_input
from .file_inputs import name_input, prefix_input
from .kept_workflow import workflow_texts
from .output_files import OutputFiles, written
from .source_clip import SourceClip
from .video_codecs import Codec, Quality
from .video_file import Container
from .video_inputs import codec_input, container_input, format_input, quality_input, tags_input
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
                format_input(list(VIDEO_FORMATS)),
                # the file
                codec_input(),
                quality_input(),
                prefix_input("%year%, %month%, %day%, %width% and %height%"),
                name_input(),
                container_input(),
                tags_input(),
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
        clip = None if source is None else SourceClip.read(source, size=tuple(views.left.shape[-2:]))
        plan = VideoPlan.make(views, fps, options, workflow_texts(cls), clip, audio)
        height, width = views.size
        files = OutputFiles(filename_prefix, width, height)
        files.expect_room(plan.most_bytes(views.size))
        suffix = name_suffix(views.form) if NameStyle(name) is NameStyle.PLAYER else ""
        path = files.next(suffix, plan.file.container.value)
        with written(path) as partial:
            plan.file.write(partial, map(views.frame, each_frame(len(views))), views.size)
        show_text(cls, "\n".join((f"{path.name}, {width}x{height}", *plan.remarks)))
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), ui=ui.PreviewVideo([files.result(path)]))
