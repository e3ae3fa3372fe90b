"""DissolveDepth: a depth map without its fine detail, by one step of a diffusion model or by a low-pass."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.dissolving import STEPS, DissolveForm
from .depth.dissolver import DepthDissolver
from .depth.low_pass import DissolveMethod, LowPass, amounts_to_show, caption, draw_strip
from .host import core_to_image, depth_to_core, each_frame, show_text


class DissolveDepth(io.ComfyNode):
    """Take the fine detail out of a depth map."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DissolveDepth",
            display_name="Dissolve Depth",
            category="stereo/depth",
            description="Takes the fine detail out of a depth map or clip, so that warped latents stay coherent: by "
            "one step of a diffusion model, or by a low-pass that needs none.",
            search_aliases=["dissolved depth", "smooth depth", "blur depth", "guided filter", "StereoCrafter-Zero"],
            inputs=[
                io.Image.Input("depth", tooltip="Depth map, white is near, or the maps of a clip's frames."),
                io.Combo.Input(
                    "method",
                    options=DissolveMethod,
                    default=DissolveMethod.DISSOLVE.value,
                    tooltip="dissolve: one step of the model, the paper's; needs model, vae and positive.\n"
                    "gaussian: blur by radius. resample: scale down and up. edge_aware: smooth surfaces by radius, "
                    "keep the edges between them. These three need no model.",
                ),
                io.Int.Input(
                    "strength",
                    default=40,
                    min=0,
                    max=STEPS,
                    tooltip=f"How much dissolve takes away: the step of {STEPS} that the map is taken for, 0 nothing.\n"
                    "The paper: 45 at 1024x576, 40 at 512x320, 0 at 256x256; 20 for scenes with fine structure.",
                ),
                io.Float.Input(
                    "radius",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    tooltip="Of gaussian (its standard deviation) and edge_aware (half its window), in percent of the "
                    "width, 0 = nothing.",
                ),
                io.Float.Input(
                    "scale",
                    default=0.25,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Of resample: the small map's share of the size, 1 = nothing. The paper: 0.5 and 0.25.",
                ),
                io.Int.Input(
                    "window",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Frames that a video model gets at once; 0, or more than there are, is the whole clip.\n"
                    "For clips that do not fit into memory, or are longer than the model knows.\n"
                    "Picture models take each frame by itself.",
                ),
                io.Int.Input(
                    "overlap",
                    default=8,
                    min=0,
                    max=4095,
                    tooltip="Frames over which one window fades into the next, less than window.",
                ),
                io.Boolean.Input(
                    "strip",
                    default=False,
                    tooltip="Show the middle frame at several strengths, radii or scales to choose from.\nCosts one "
                    "more model run for each of five strengths, on the frame or on a video model's window.",
                ),
                io.Boolean.Input(
                    "keep_range",
                    default=True,
                    advanced=True,
                    tooltip="Give the dissolved clip the brightness and contrast it had: one gain and offset for all "
                    "its frames.\nWithout, it is the paper's formula alone, which makes both larger with strength.",
                ),
                io.Combo.Input(
                    "form",
                    options=DissolveForm,
                    default=DissolveForm.PAPER.value,
                    advanced=True,
                    tooltip="paper: the map is taken for a state in DDIM's form, a higher strength takes more away.\n"
                    "code: as the published code does, in SVD's form; strengths count from the noisy end, a lower one "
                    "takes more away (1 to 49).",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="For dissolve: any diffusion or flow model, best the one the depth was made with.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="For dissolve: the model's own VAE."),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="For dissolve: what the model is told, an empty prompt for text models, the clip for SVD.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="depth",
                    tooltip="The map without fine detail, of the same size and frames, white near.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        depth: Tensor,
        method: str,
        strength: int,
        radius: float,
        scale: float,
        window: int,
        overlap: int,
        strip: bool,
        keep_range: bool,
        form: str,
        model: Any = None,
        vae: Any = None,
        positive: Any = None,
    ) -> io.NodeOutput:
        maps = depth_to_core(depth)
        kind = DissolveMethod(method)
        amount = {DissolveMethod.DISSOLVE: strength, DissolveMethod.RESAMPLE: scale}.get(kind, radius)
        nothing, *others = amounts_to_show(kind, amount, strip)
        middle = len(maps) // 2
        result, shown = depth, [maps[middle]]
        if others:
            worker = LowPass(kind)
            if kind is DissolveMethod.DISSOLVE:
                given = {"model": model, "vae": vae, "positive": positive}
                _expect_all(given)
                worker = DepthDissolver(**given, form=form, keep_range=keep_range, window=window, overlap=overlap)
            whole, single = worker.ticks(len(maps))
            tick = partial(next, each_frame(sum(whole if other == amount else single for other in others)))
            for other in others:
                if other == amount:
                    clip = worker.clip(maps, amount, tick)
                    result = core_to_image(clip.expand(-1, 3, -1, -1))
                    shown.append(clip[middle])
                else:
                    shown.append(worker.frame(maps, middle, other, tick))
        text = "row by row: " + ", ".join(caption(kind, each) for each in (nothing, *others))
        show_text(cls, text)
        preview = ui.PreviewImage(core_to_image(draw_strip(shown)), cls=cls)
        return io.NodeOutput(result, ui={**preview.as_dict(), "text": (text,)})


def _expect_all(given: dict[str, Any]) -> None:
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise ValueError(
            f"method: dissolve needs {' and '.join(missing)} too. Connect what is missing, or choose gaussian, "
            "resample or edge_aware, which need no model."
        )
