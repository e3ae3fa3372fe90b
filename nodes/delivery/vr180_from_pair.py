"""VR180FromPair: two flat views on half a sphere, for headsets."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.equirectangular import natural_size, parallel_angle, project_flat
from ...stereo_core.viewing import EYES
from ..host import compute_device, core_to_image, describe_size, each_frame, expect_memory, show_text
from ..widgets.views import both_views, left_input, right_input

# More than headsets decode for one eye.
_LARGEST = 4096


class VR180FromPair(io.ComfyNode):
    """Put both views of a pair where a headset's eyes see them as a screen in space."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_VR180FromPair",
            display_name="Flat Pair to VR180",
            category="stereo",
            description="Turns two flat views into VR180: each on half a sphere, as YouTube and headsets take it.",
            search_aliases=["VR180", "equirectangular", "180", "headset", "YouTube VR", "3D 180"],
            inputs=[
                left_input(),
                io.Float.Input(
                    "field_of_view",
                    default=70.0,
                    min=10.0,
                    max=170.0,
                    step=1.0,
                    tooltip="How wide the picture is in the headset, in degrees, 10 to 170; around it all is black.\n"
                    "The camera's own angle looks right: 70 is a wide lens, 40 a normal one.",
                ),
                io.Float.Input(
                    "distance",
                    default=2.0,
                    min=0.3,
                    max=100.0,
                    step=0.1,
                    tooltip="Distance in metres at which the screen appears, 0.3 to 100.\nIf it is too far away, "
                    "things behind it would lie beyond infinity; the node says so.",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=8192,
                    step=2,
                    tooltip="Width and height of each view, up to 8192. 0: as fine as the picture straight ahead, "
                    f"{_LARGEST} at most.",
                ),
                right_input(),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="Equirectangular, 180 by 180 degrees."),
                io.Image.Output(display_name="right", tooltip="The same for the right eye."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, left: Tensor, field_of_view: float, distance: float, size: int, right: Tensor | None = None
    ) -> io.NodeOutput:
        views = both_views(left, right)
        count, channels, _, width = views[0].shape
        size = size or min(natural_size(width, field_of_view), _LARGEST)
        made_bytes = 2 * count * channels * size**2 * torch.float32.itemsize
        expect_memory("Flat Pair to VR180", describe_size(views[0]), made_bytes, 12 * size**2 * torch.float32.itemsize)
        turned = parallel_angle(distance, EYES) / 2
        # Beyond this share of the width behind the screen the eyes would have to diverge.
        show_text(
            cls,
            f"each view {size}x{size}; up to {100 * 2 * turned / field_of_view:.1f} % of the width may lie behind the "
            "screen, what is farther would be beyond infinity",
        )
        made = [torch.empty(count, channels, size, size) for _ in views]
        for index in each_frame(count):
            for view, side, out in zip(views, (turned, -turned), made, strict=True):
                frame = view[index : index + 1].to(compute_device())
                out[index] = project_flat(frame, field_of_view, size, side)[0].cpu()
        return io.NodeOutput(*map(core_to_image, made))
