"""SBSSplit: a stereo format back to two views."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.formats import SPLITTABLE, StereoFormat, Trim, packed_views, split, trimmed
from ..host import core_to_image, describe_size, expect_memory, image_to_core


class SBSSplit(io.ComfyNode):
    """Unpack the two views of a stereo picture or clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SBSSplit",
            display_name="Stereo Split",
            category="stereo",
            description="Unpacks the left and right view of a stereo picture or clip.",
            search_aliases=["SBS", "side by side", "unpack", "top bottom", "deinterlace"],
            inputs=[
                io.Image.Input("image", tooltip="A stereo picture or clip in one of these formats."),
                io.Combo.Input(
                    "format",
                    options=[form.value for form in SPLITTABLE],
                    default=StereoFormat.FULL_SBS.value,
                    tooltip="How the picture is packed. Half-size views are scaled back to full size;\n"
                    "lines that interlacing dropped are filled in from their neighbours.",
                ),
                io.Combo.Input(
                    "trim",
                    options=Trim,
                    default=Trim.NONE.value,
                    optional=True,
                    advanced=True,
                    tooltip="What to leave out of each view: the last column or row, which Stereo Combine has repeated "
                    "where the views were of odd width or height.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="The left view."),
                io.Image.Output(display_name="right", tooltip="The right view."),
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, format: str, trim: str = Trim.NONE.value) -> io.NodeOutput:
        packed, form = image_to_core(image, "image"), StereoFormat(format)
        expect_memory("Stereo Split", describe_size(packed), 2 * packed.nbytes // packed_views(form))
        left, right = (trimmed(view, Trim(trim)) for view in split(packed, form))
        return io.NodeOutput(core_to_image(left), core_to_image(right))
