"""SaveStereoImage: two views to one file for headsets, 3D screens, glasses, or the naked eye."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.formats import StereoFormat
from ...stereo_core.picture_kinds import PICTURE_FORMATS, FileType, PictureKind
from ...stereo_core.stereo_depth import StereoDepth
from ..host import each_frame, show_text
from ..widgets.geometry import depth_input
from ..widgets.views import left_input, right_input
from .file_inputs import name_input, prefix_input
from .kept_workflow import workflow_texts
from .output_files import Numbering, OutputFiles, written
from .picture_encoding import Encoding, encode, expect_encoder, loses_workflow, to_picture
from .picture_views import PictureViews


class SaveStereoImage(io.ComfyNode):
    """Pack both views and write them, under a name by which players know how."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SaveStereoImage",
            display_name="Save Stereo Image",
            category="stereo",
            description="Saves two views as one 3D picture that headsets, 3D screens and browsers open as what it is.",
            search_aliases=["SBS", "MPO", "JPS", "VR", "anaglyph", "wiggle", "GIF", "3D photo", "export", "headset"],
            is_output_node=True,
            inputs=[
                # what to save
                left_input(),
                io.Combo.Input(
                    "format",
                    options=[form.value for form in PICTURE_FORMATS],
                    default=StereoFormat.FULL_SBS.value,
                    tooltip="full_sbs, full_tb: for headsets and players. half_*: squeezed, for 3D televisions.\n"
                    "mpo: both views whole in one file, as 3D cameras write it; other programs show the left view.\n"
                    "cross_eyed: for free viewing. anaglyph_*: for coloured glasses.\n"
                    "interlaced_*, checkerboard: for passive and DLP screens. rgb_depth: picture and depth map.\n"
                    "wiggle: moves from eye to eye, to share. jps: for older 3D programs, right view first.\n"
                    "vr180: from Flat Pair to VR180 or Panorama to VR180. vr_photo: the same, for Google's viewers.",
                ),
                # the file
                io.Combo.Input(
                    "file_type",
                    options=FileType,
                    default=FileType.AUTO.value,
                    tooltip="auto: png, and webp for wiggle. jpeg: small, opened everywhere. avif: smallest, for new "
                    "programs.\nwiggle is webp or gif. mpo, jps and vr_photo have files of their own: leave auto.",
                ),
                io.Int.Input(
                    "quality",
                    default=95,
                    min=1,
                    max=100,
                    advanced=True,
                    tooltip="For jpeg, webp, avif, mpo, jps and vr_photo, 1 to 100; png and gif have none. Webp keeps "
                    "anaglyphs and interlaced pictures without loss.",
                ),
                prefix_input("%year%, %month%, %day%, %width%, %height% and %batch_num%"),
                name_input(),
                io.Combo.Input(
                    "numbering",
                    options=Numbering,
                    default=Numbering.ALWAYS.value,
                    advanced=True,
                    tooltip="always: every name gets a number, as in Save Image.\n"
                    "if_taken: only where there is such a file already. No file is ever overwritten.",
                ),
                # wiggle
                io.Int.Input(
                    "wiggle_time",
                    default=150,
                    min=20,
                    max=2000,
                    step=10,
                    advanced=True,
                    tooltip="Milliseconds that each frame of a wiggle stays.",
                ),
                io.Int.Input(
                    "wiggle_between",
                    default=1,
                    min=0,
                    max=16,
                    advanced=True,
                    tooltip="Views between left and right in a wiggle, which make it swing instead of jump. "
                    "They are rendered from `depth`; without it there are none.",
                ),
                # what else to save
                right_input(),
                depth_input(
                    "left view, for rgb_depth and for the views between of a wiggle",
                    "One map for each picture, or one for all.",
                    optional=True,
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to save
        left: Tensor,
        format: str,
        # the file
        file_type: str,
        quality: int,
        filename_prefix: str,
        name: str,
        numbering: str,
        # wiggle
        wiggle_time: int,
        wiggle_between: int,
        # what else to save
        right: Tensor | None = None,
        depth: StereoDepth | Tensor | None = None,
    ) -> io.NodeOutput:
        kind = PictureKind.choose(format, file_type)
        expect_encoder(kind)
        views = PictureViews.read(kind, left, right, depth, wiggle_between)
        kind.expect_size(*views.size)
        files = OutputFiles(filename_prefix, *views.size, Numbering(numbering))
        files.expect_room(kind.most_bytes(views.pixels))
        how = Encoding(quality, wiggle_time, workflow_texts(cls))
        paths: list[Path] = []
        for index in each_frame(len(views)):
            data = encode(kind, [to_picture(frame) for frame in views.frames(index)], how)
            paths.append(files.next(kind.suffix(name), kind.extension))
            with written(paths[-1]) as partial:
                partial.write_bytes(data)
        show_text(cls, _what_was_saved(paths, views, loses_workflow(kind, how.texts)))
        saved = [files.result(path) for path in paths]
        return io.NodeOutput(ui=ui.SavedImages(saved, is_animated=kind.moves))


def _what_was_saved(paths: list[Path], views: PictureViews, without_workflow: bool) -> str:
    width, height = views.size
    lines = [f"{paths[-1].name}, {width}x{height}"]
    if len(paths) > 1:
        lines.insert(0, f"{len(paths)} files, the last of them")
    if without_workflow:
        lines.append("The workflow is too large for a JPEG file, and is not kept in it. png and webp files keep it.")
    elif not views.kind.opens_in_editor:
        lines.append("The editor opens workflows from png, webp and avif files only.")
    return "\n".join(lines)
