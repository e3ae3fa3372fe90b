"""DissolveDepth: a depth map without fine detail, by one step of a diffusion model or by a low-pass filter."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.dissolving import STEPS, DissolveForm
from .depth.depthcrafter import dissolve_with
from .depth.dissolver import DepthDissolver
from .depth.low_pass import DissolveMethod, LowPass, amounts_to_show, caption, dissolve_clip, draw_strip
from .host import core_to_image, depth_to_core, describe_size, expect_memory, image_to_core, show_text
from .sampling.prompts import expect_prompt
from .widgets.sockets import DEPTH_MODEL


class DissolveDepth(io.ComfyNode):
    """Remove the fine detail of a depth map."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DissolveDepth",
            display_name="Simplify Depth",
            category="stereo/depth",
            description="Removes the fine detail of a depth map or clip, so that warped latents stay coherent: by one "
            "step of a diffusion model, or by a low-pass filter that needs no model.",
            search_aliases=[
                "Dissolve Depth",
                "dissolved depth",
                "smooth depth",
                "blur depth",
                "guided filter",
                "StereoCrafter-Zero",
            ],
            inputs=[
                # what to dissolve, and how far
                io.Image.Input("depth", tooltip="Depth map, white is near, or the maps of a clip's frames."),
                io.Combo.Input(
                    "method",
                    options=DissolveMethod,
                    default=DissolveMethod.DISSOLVE.value,
                    tooltip="dissolve: one step of the model (StereoCrafter-Zero); needs model, vae and "
                    "positive, or depth_model and image.\n"
                    "gaussian: blur by radius. resample: scale down and up. edge_aware: smooth surfaces by radius and "
                    "keep the edges between them. These three need no model.",
                ),
                io.Int.Input(
                    "strength",
                    default=40,
                    min=0,
                    max=STEPS,
                    tooltip=f"How much dissolve removes: the step of {STEPS} that the map is taken for; 0 is nothing.\n"
                    "StereoCrafter-Zero takes 45 at 1024x576, 40 at 512x320, 0 at 256x256, and 20 for scenes with fine "
                    "structure.",
                ),
                io.Float.Input(
                    "radius",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    tooltip="Radius in percent of the width: the std of gaussian, or half the window of edge_aware. "
                    "0 removes nothing.",
                ),
                io.Float.Input(
                    "scale",
                    default=0.25,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Size of the small map of resample, as a fraction of the full size. 1 removes nothing; "
                    "StereoCrafter-Zero takes 0.5 and 0.25.",
                ),
                # clips
                io.Int.Input(
                    "window",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Frames that a video model gets at once; 0, or more than there are, is the whole clip.\n"
                    "For clips that do not fit into memory, or are longer than those the model was trained on.\n"
                    "Picture models take each frame by itself. DepthCrafter was made for 110, with an overlap of 25.",
                ),
                io.Int.Input(
                    "overlap",
                    default=8,
                    min=0,
                    max=4095,
                    tooltip="Frames over which one window fades into the next, less than window.",
                ),
                # what is shown, and how the model is used
                io.Boolean.Input(
                    "strip",
                    default=False,
                    tooltip="Show the middle frame at several strengths, radii or scales to choose from.\nCosts one "
                    "more model run for each of five strengths, on that frame or on its window of a video model.",
                ),
                io.Combo.Input(
                    "form",
                    options=DissolveForm,
                    default=DissolveForm.RANGE_KEPT.value,
                    advanced=True,
                    tooltip="range_kept: the paper's, then the clip gets back its brightness and contrast, one gain "
                    "and offset for all its frames.\npaper: the map is taken for an x in DDIM's form, at a step of the "
                    "model's own 50; brightness and contrast rise with strength.\ncode: as StereoCrafter-Zero's code "
                    "does, in SVD's form, at a step of Karras' 50.",
                ),
                # the model
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="For dissolve: any diffusion or flow model, preferably the one that makes the picture.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="For dissolve: the model's own VAE."),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="For dissolve: an empty prompt for text models, the clip's conditioning for SVD.",
                ),
                DEPTH_MODEL.Input(
                    "depth_model",
                    optional=True,
                    tooltip="For dissolve: DepthCrafter from Load Depth Model, instead of model, vae and positive, as "
                    "StereoCrafter-Zero does it. Needs image.",
                ),
                io.Image.Input("image", optional=True, tooltip="For depth_model: the clip that depth was made from."),
            ],
            outputs=[
                io.Image.Output(
                    display_name="depth",
                    tooltip="The maps without fine detail, as many and as large, white is near.",
                )
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        # what to dissolve, and how far
        depth: Tensor,
        method: str,
        strength: int,
        radius: float,
        scale: float,
        # clips
        window: int,
        overlap: int,
        # what is shown, and how the model is used
        strip: bool,
        form: str,
        # the model
        model: Any = None,
        vae: Any = None,
        positive: Any = None,
        depth_model: Any = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        maps = depth_to_core(depth)
        expect_memory("Simplify Depth", describe_size(maps), 4 * maps.nbytes)  # the result, also as an IMAGE
        kind = DissolveMethod(method)
        amount = {DissolveMethod.DISSOLVE: strength, DissolveMethod.RESAMPLE: scale}.get(kind, radius)
        nothing, *others = amounts_to_show(kind, amount, strip)
        result, shown = maps, [maps[len(maps) // 2]]
        if others:
            worker = LowPass(kind)
            if kind is DissolveMethod.DISSOLVE:
                given = {"model": model, "vae": vae, "positive": positive}
                if depth_model is None:
                    _expect_all(given)
                    expect_prompt("positive", positive, model)
                else:
                    given = dissolve_with(depth_model, None if image is None else image_to_core(image, "image"), maps)
                worker = DepthDissolver(**given, form=DissolveForm(form), window=window, overlap=overlap)
            clip, frames = dissolve_clip(worker, maps, amount, others)
            shown += frames
            result = maps if clip is None else clip
        text = "row by row: " + ", ".join(caption(kind, each) for each in (nothing, *others))
        show_text(cls, text)
        preview = ui.PreviewImage(core_to_image(draw_strip(shown)), cls=cls)
        return io.NodeOutput(core_to_image(result.expand(-1, 3, -1, -1)), ui={**preview.as_dict(), "text": (text,)})


def _expect_all(given: dict[str, Any]) -> None:
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise ValueError(
            f"method: dissolve also needs {' and '.join(missing)}. Connect what is missing, or choose gaussian, "
            "resample or edge_aware, which need no model."
        )
