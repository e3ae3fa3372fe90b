"""The edge between the host and the core: tensors, noise form, memory, progress, text on a node."""

from __future__ import annotations

from collections.abc import Iterator

import comfy.model_management
import comfy.model_sampling
import comfy.utils
import torch
from comfy_api.latest import io
from server import PromptServer
from torch import Tensor

from ..stereo_core.checks import expect_finite
from ..stereo_core.noise_forms import NoiseForm

# A depth map that was resized with an overshooting filter still counts as one in [0, 1].
_OVERSHOOT = 0.1


def image_to_core(image: Tensor, name: str) -> Tensor:
    """Turn a host IMAGE (B, H, W, 1, 3 or 4) into (B, 3, H, W); alpha is dropped, grey repeated.

    Raises:
        ValueError: no picture at all, or another number of channels.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"{name}: expected an IMAGE (B, H, W, 3), got {tuple(image.shape)}. Connect a picture or clip."
        )
    if 0 in image.shape:
        raise ValueError(f"{name}: the batch is empty, {tuple(image.shape)}. Connect at least one picture.")
    return image[..., :3].expand(-1, -1, -1, 3).movedim(-1, 1)


def core_to_image(image: Tensor) -> Tensor:
    """Turn (B, C, H, W) into a host IMAGE (B, H, W, C) where the host keeps values between nodes."""
    return (
        image.movedim(1, -1)
        .to(device=comfy.model_management.intermediate_device(), dtype=comfy.model_management.intermediate_dtype())
        .contiguous()
    )


def depth_to_core(depth: Tensor, name: str = "depth") -> Tensor:
    """Turn a depth IMAGE (T, H, W, C), white near, into inverse depth (T, 1, H, W) in [0, 1].

    Raises:
        ValueError: empty, not finite, or outside [0, 1].
    """
    grey = image_to_core(depth, name).float().mean(dim=1, keepdim=True)
    expect_finite(name, grey)
    low, high = grey.min().item(), grey.max().item()
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise ValueError(
            f"{name}: values must lie between 0 (far) and 1 (near), got {low:.3g} to {high:.3g}. "
            "Use Depth Estimate, or scale the map to that range."
        )
    return grey.clamp(0, 1)


def expect_size_of_image(depth: Tensor, image: Tensor) -> None:
    """Raise ``ValueError`` unless the two IMAGEs ``depth`` and ``image`` have the same rows and columns."""
    if depth.shape[1:3] != image.shape[1:3]:
        raise ValueError(
            f"depth is {depth.shape[2]}x{depth.shape[1]} and image is {image.shape[2]}x{image.shape[1]}. "
            "Make the depth map from this image, or scale it to that size with Upscale Image, method nearest-exact."
        )


def noise_form(model_sampling: object) -> NoiseForm:
    """Tell how x holds its noise, from a model's ``model_sampling``."""
    return NoiseForm.FLOW if isinstance(model_sampling, comfy.model_sampling.CONST) else NoiseForm.VE


def compute_device() -> torch.device:
    """Where the host wants work done."""
    return comfy.model_management.get_torch_device()


def refuse_beyond_memory(needed: int, what: str) -> None:
    """Raise before the work starts when ``needed`` bytes are not free on the device that would do it.

    Raises:
        ValueError: with both amounts and what to do.
    """
    free = comfy.model_management.get_free_memory(compute_device())
    if needed > free:
        raise ValueError(
            f"{what} needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free. "
            "Use a smaller picture or fewer frames at once."
        )


def each_frame(frames: int) -> Iterator[int]:
    """Count through a clip with progress on the node, stopping at once when the user interrupts."""
    progress = comfy.utils.ProgressBar(frames)
    for frame in range(frames):
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield frame
        progress.update(1)


def show_text(node: type[io.ComfyNode], text: str) -> None:
    """Show a line of text on the node in the graph editor; needs ``io.Hidden.unique_id`` in the schema."""
    if node.hidden is not None and node.hidden.unique_id:
        PromptServer.instance.send_progress_text(text, node.hidden.unique_id)
