"""LoadDepthModel: a depth network from a Hugging Face folder, or one for clips from a file."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .depth.depthcrafter_files import is_depthcrafter, list_depthcrafters, load_depthcrafter
from .depth.folders import find_depth_model, list_depth_models
from .depth.networks import WEIGHT_DTYPES, load_depth_model
from .depth.video_files import find_video_model, is_file_name, list_video_models
from .depth.video_networks import load_video_model
from .widgets.sockets import DEPTH_MODEL


class LoadDepthModel(io.ComfyNode):
    """Load a depth network for Depth Estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_LoadDepthModel",
            display_name="Load Depth Model",
            category="stereo/depth",
            description="Loads a depth network from models/geometry_estimation: a Hugging Face folder, or a file of "
            "Video Depth Anything or DepthCrafter.",
            search_aliases=[
                "midas",
                "dpt",
                "depth anything",
                "zoe",
                "zoedepth",
                "depth pro",
                "glpn",
                "video depth anything",
                "depthcrafter",
            ],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=sorted([*list_depth_models(), *list_video_models(), *list_depthcrafters()], key=str.lower),
                    tooltip="Folder below models/geometry_estimation with config.json, preprocessor_config.json and "
                    "model.safetensors: DPT/MiDaS, Depth Anything 1 and 2, ZoeDepth, Depth Pro, GLPN.\n"
                    "Or a .safetensors file of Video Depth Anything, for clips: small (vits) is free for any use, base "
                    "(vitb) and large (vitl) forbid commercial use (CC-BY-NC-4.0).\n"
                    "Or DepthCrafter's diffusion_pytorch_model.safetensors, for clips: academic use only; it needs vae "
                    "and clip_vision.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=["default", *WEIGHT_DTYPES],
                    default="default",
                    tooltip="Precision of the weights.\ndefault: fp16 where the device and the model support it well, "
                    "otherwise fp32.\nfp16 and bf16 halve the memory; fp32 is exact.",
                ),
                # what DepthCrafter shares with the model that it was trained from
                io.Vae.Input("vae", optional=True, tooltip="For DepthCrafter: the VAE of a checkpoint of SVD."),
                io.ClipVision.Input(
                    "clip_vision", optional=True, tooltip="For DepthCrafter: the vision encoder of the same checkpoint."
                ),
            ],
            outputs=[DEPTH_MODEL.Output(display_name="depth_model", tooltip="For the source input of Depth Estimate.")],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None = None) -> bool | str:
        if model_name is None:  # linked: known only when the node runs
            return True
        if is_depthcrafter(model_name):
            return True
        try:
            (find_video_model if is_file_name(model_name) else find_depth_model)(model_name)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, model_name: str, weight_dtype: str, vae: Any = None, clip_vision: Any = None) -> io.NodeOutput:
        if is_depthcrafter(model_name):
            return io.NodeOutput(load_depthcrafter(model_name, weight_dtype, vae, clip_vision))
        load = load_video_model if is_file_name(model_name) else load_depth_model
        return io.NodeOutput(load(model_name, weight_dtype))
