"""LoadDepthModel: a depth network from a Hugging Face folder."""

from __future__ import annotations

from comfy_api.latest import io

from .depth.folders import find_depth_model, list_depth_models
from .depth.networks import WEIGHT_DTYPES, load_depth_model
from .widgets.sockets import DEPTH_MODEL


class LoadDepthModel(io.ComfyNode):
    """Load a depth network for Depth Estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_LoadDepthModel",
            display_name="Load Depth Model",
            category="stereo/depth",
            description="Loads a depth network from a Hugging Face folder in models/geometry_estimation.",
            search_aliases=["midas", "dpt", "depth anything", "zoe", "zoedepth", "depth pro", "glpn", "depth loader"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=list_depth_models(),
                    tooltip="Folder below models/geometry_estimation with config.json, preprocessor_config.json and "
                    "model.safetensors.\nDPT/MiDaS, Depth Anything 1 and 2, ZoeDepth, Depth Pro, GLPN.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=["default", *WEIGHT_DTYPES],
                    default="default",
                    tooltip="Precision of the weights.\ndefault: fp16 where the device and the model support it well, "
                    "otherwise fp32.\nfp16 and bf16 halve the memory; fp32 is exact.",
                ),
            ],
            outputs=[DEPTH_MODEL.Output(display_name="depth_model", tooltip="For the source input of Depth Estimate.")],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None = None) -> bool | str:
        if model_name is None:  # linked: known only when the node runs
            return True
        try:
            find_depth_model(model_name)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, model_name: str, weight_dtype: str) -> io.NodeOutput:
        return io.NodeOutput(load_depth_model(model_name, weight_dtype))
