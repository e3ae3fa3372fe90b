"""Which inputs of a conditioning lie at a place of the picture, by model, and how each of them is moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.model_base as models
import torch
from comfy.samplers import CFGGuider
from torch import Tensor

from .placed import Placed

ENCODED = ("c_concat", "denoise_mask", "vace_context", "control_video", "pose_latents", "effnet")
"""What the host's models make of inputs that lie in the picture, by the names that their networks have for it."""

# Models whose extra channels show the picture that is made: what to keep of it, its edges or depth, what it was before.
_OF_THE_PICTURE = (
    models.IP2P,
    models.SD_X4Upscaler,
    models.Flux,
    models.HunyuanImage21Refiner,
    models.HunyuanVideo15_SR_Distilled,
)
# Models whose extra channels show a picture to start from, or an object to turn: the same one to both eyes, as
# StereoCrafter-Zero has it.
_OF_A_START = (
    models.SVD_img2vid,
    models.Stable_Zero123,
    models.WAN21,
    models.HunyuanVideo,
    models.CogVideoX,
    models.CosmosVideo,
    models.CosmosPredict2,
    models.Kandinsky5,
)
# Of the size of x, and yet no place in the picture that is made: references, times and poses of the camera.
_ELSEWHERE = {
    "attention_mask",
    "camera_conditions",
    "context_latents",
    "face_pixel_values",
    "guide_attention_entries",
    "image_cond",
    "keyframe_idxs",
    "ref_latent",
    "ref_latents",
    "reference_latent",
    "reference_motion",
    "time_dim_concat",
    "time_dim_replace",
}
# Patches of the host's that hold a picture, by their class, and the nodes that make them.
_PICTURE_PATCHES = {
    "AnimaLLLitePatch": "Anima LLLite",
    "DiffSynthCnetPatch": "the DiffSynth ControlNet of Qwen-Image",
    "WanUni3CCnetPatch": "the Uni3C ControlNet of Wan",
    "ZImageControlPatch": "the Fun ControlNet of Z-Image",
}
_NOT_MOVED = {"driving_mask_28ch": "masks of the people that SCAIL-2 animates"}


def expect_known(
    guider: CFGGuider, model_options: Mapping[str, Any], shape: Sequence[int], by_frame: bool = False
) -> None:
    """Raise where what guides a run lies in the picture and cannot be moved for the right eye.

    Args:
        guider: with its conditions processed.
        model_options: of the run.
        shape: (B, C, H, W) or (B, C, T, H, W) of x.
        by_frame: whether every frame has a depth map of its own.

    Raises:
        ValueError: a model whose extra channels are not known, a condition of the picture's size that is not, a
            ControlNet for a clip in one latent, a picture that patches of the model hold, or regions that would move
            within context windows.
    """
    patches = model_options.get("transformer_options", {}).get("patches", {})
    for kind in (type(patch).__name__ for group in patches.values() for patch in group):
        if kind in _PICTURE_PATCHES:
            raise ValueError(
                f"model: is guided by a picture through {_PICTURE_PATCHES[kind]}, which cannot be moved for the right "
                "eye. Disconnect that node; the picture of Apply ControlNet is moved."
            )
    model, windows = guider.inner_model, model_options.get("context_handler")
    windowed = by_frame and len(shape) == 5 and windows is not None and shape[2] > windows.context_length
    for name, entry in ((name, entry) for name, entries in guider.conds.items() for entry in entries):
        for key, what in _NOT_MOVED.items():
            if key in entry:
                raise ValueError(
                    f"{name}: holds {what}, which lie in the picture and cannot be moved for the right eye. "
                    "Remove the node that adds them."
                )
        if windowed and ("mask" in entry or "area" in entry):
            raise ValueError(
                f"{name}: holds a regional prompt, which moves from frame to frame, and context windows take no such "
                "region. Disconnect the context windows, or give one depth map for all frames."
            )
        if entry.get("control") is not None and len(shape) == 5 and shape[2] > 1:
            raise ValueError(
                f"{name}: holds a ControlNet, whose hint cannot be moved for the right eye of a clip. Remove it, or "
                "use a model that is made for control clips, such as Wan VACE."
            )
        for key, value in entry["model_conds"].items():
            if key == "c_concat" and "noise_concat" not in entry and not _knows_extra_channels(model):
                kind = type(model.model_config).__name__
                raise ValueError(
                    f"{name}: gives {kind} extra channels of the picture, and what they show is not "
                    "known here. Remove the node that adds them, or use another model."
                )
            if key not in _ELSEWHERE and key not in ENCODED and _lies_in_the_picture(value.cond, shape):
                raise ValueError(
                    f"{name}: holds {key}, which lies in the picture and is not known here, so it cannot be moved for "
                    "the right eye. Remove the node that adds it."
                )


def move_inputs(entry: Mapping[str, Any], model: models.BaseModel, placed: Placed) -> dict[str, Any]:
    """Return what of a condition's inputs lies in the picture, as one view sees it.

    Args:
        entry: a condition, with the inputs that nodes gave it.
        model: of the run.
        placed: of that view.
    """
    movers = _movers(entry, model, placed)
    return {name: move(entry[name]) for name, move in movers.items() if entry.get(name) is not None}


def _movers(entry: Mapping[str, Any], model: models.BaseModel, placed: Placed) -> dict[str, Callable[[Any], Any]]:
    movers: dict[str, Callable[[Any], Any]] = {"noise_concat": lambda value: _extra_channels(value, placed)}
    # What a model does not read stays: it was made for another one, whose latents may have another form.
    if isinstance(model, models.WAN21_Vace):
        movers["vace_frames"] = lambda clips: [placed.latents(clip) for clip in clips]
        movers["vace_mask"] = lambda masks: [placed.packed_masks(mask) for mask in masks]
    elif isinstance(model, models.WAN21):
        movers |= {"control_video": placed.latents, "pose_video_latent": placed.pictures}
    elif isinstance(model, models.StableCascade_B):
        movers["stable_cascade_prior"] = placed.pictures
    shown = entry.get("concat_latent_image")
    if _inpaints(model):
        return {
            **movers,
            "concat_latent_image": lambda latent: _masked(latent, model, placed),
            "concat_mask": placed.masks,
        }
    if isinstance(model, _OF_THE_PICTURE):
        return {
            **movers,
            "concat_latent_image": placed.latents,
            "concat_mask": placed.masks,
            "concat_image": placed.pictures,
        }
    channels = placed.shape[1]
    if isinstance(model, models.WAN21) and shown is not None and shown.shape[1] == 2 * channels:
        return {**movers, "concat_latent_image": lambda clip: _controlled(clip, channels, placed)}
    if isinstance(model, models.CogVideoX) and shown is not None and shown.ndim == 5 and len(placed.shape) == 5:
        whole = shown.shape[2] >= placed.shape[2]  # a clip to work over rather than a picture to start from
        return {**movers, "concat_latent_image": placed.latents} if whole else movers
    return movers


def _knows_extra_channels(model: models.BaseModel) -> bool:
    return _inpaints(model) or isinstance(model, (*_OF_THE_PICTURE, *_OF_A_START))


def _inpaints(model: models.BaseModel) -> bool:
    return "masked_image" in model.concat_keys


def _lies_in_the_picture(value: object, shape: Sequence[int]) -> bool:
    return isinstance(value, Tensor) and value.ndim >= 4 and tuple(value.shape[-2:]) == tuple(shape[-2:])


def _extra_channels(value: Tensor, placed: Placed) -> Tensor:
    """Channels as Depth Conditioning gives them, for both views; or as others do, for the left one."""
    if len(value) == 2 * placed.shape[0]:
        return value.chunk(2)[placed.side]
    return placed.latents(value)


def _masked(latent: Tensor, model: models.BaseModel, placed: Placed) -> Tensor:
    """The picture whose part to be painted is grey; so are the holes, for they must be painted, too."""
    moved = placed.latents(latent)
    grey = model.process_latent_out(model.blank_inpaint_image_like(torch.ones_like(moved)))
    return torch.where(placed.holes() > 0, grey, moved)


def _controlled(clip: Tensor, channels: int, placed: Placed) -> Tensor:
    """Wan Fun Control: the clip that controls is moved; beside it the picture to start from, as it is."""
    clip = placed.fit(clip)
    control = placed.latents(clip[:, :channels])
    return torch.cat([control, clip[:, channels:].to(control)], dim=1)
