"""SplatAt: a moving scene as splats of the host."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.splat_scene import SplatScene
from ..host import expect_memory
from ..widgets.sockets import SPLAT_4D
from .host_splats import to_host

_BYTES = 4 * (3 + 3 + 4 + 1 + 3)  # of a Gaussian


class SplatAt(io.ComfyNode):
    """Take one time, or all frames, out of a moving scene."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatAt",
            display_name="Splat 4D at Time",
            category="stereo/multiview",
            description="Takes one moment, or every frame, of a moving scene as splats for ComfyUI's own nodes.",
            search_aliases=["gaussian splat", "4D", "freeze", "preview splat", "render splat", "ply"],
            inputs=[
                SPLAT_4D.Input("splat", tooltip="The moving scene, from Splat 4D Reconstruct."),
                io.Float.Input(
                    "time",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="From 0, the first frame, to 1, the last; also between frames. Not used with all_frames.",
                ),
                io.Boolean.Input(
                    "all_frames",
                    default=False,
                    tooltip="All frames as a batch instead, which Render Splat plays from one camera. Preview Splat "
                    "and the nodes that save take the first of a batch only.",
                ),
            ],
            outputs=[io.Splat.Output(display_name="splat", tooltip="For ComfyUI's nodes that show and save splats.")],
        )

    @classmethod
    def execute(cls, splat: SplatScene, time: float, all_frames: bool) -> io.NodeOutput:
        last = max(splat.frames - 1, 1)
        times = [frame / last for frame in range(splat.frames)] if all_frames else [time]
        what = f"{len(times)} frames of {splat.count} Gaussians" if all_frames else f"{splat.count} Gaussians"
        expect_memory(
            "Splat 4D at Time", what, 2 * len(times) * splat.count * _BYTES, advice="Use time instead of all_frames."
        )
        return io.NodeOutput(to_host(splat, times))
