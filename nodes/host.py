"""The edge between the host and the core: images, noise form, memory, progress, text on a node."""

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
    """Turn a host IMAGE into (B, 3, H, W); an alpha channel is dropped, grey is repeated.

    Args:
        image: (B, H, W, C) in [0, 1], C being 1, 3 or 4.
        name: of the input, for messages.

    Raises:
        ValueError: an empty batch, another number of channels, or values that are not finite.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        found = f"has {image.shape[-1]} channels" if image.ndim == 4 else "is no picture or clip"
        raise ValueError(f"{name}: {found}. Connect a picture with 1 (grey), 3 (RGB) or 4 channels (RGB and alpha).")
    if 0 in image.shape:
        raise ValueError(f"{name}: the batch is empty. Connect at least one picture.")
    for frame in image:  # one at a time: a look at all of a clip that is a part of another would copy it
        expect_finite(name, frame)
    return image[..., :3].expand(-1, -1, -1, 3).movedim(-1, 1)


def core_to_image(image: Tensor) -> Tensor:
    """Turn (B, C, H, W) into a host IMAGE (B, H, W, C), on the device where the host keeps values between nodes."""
    return (
        image.movedim(1, -1)
        .to(device=comfy.model_management.intermediate_device(), dtype=comfy.model_management.intermediate_dtype())
        .contiguous()
    )


def depth_to_core(depth: Tensor, name: str = "depth") -> Tensor:
    """Turn a depth IMAGE into inverse depth (T, 1, H, W) in [0, 1].

    Args:
        depth: (T, H, W, C) in [0, 1], white is near.
        name: of the input, for messages.

    Raises:
        ValueError: an empty batch, or values that are not finite or lie outside [0, 1].
    """
    first, *others = image_to_core(depth, name).float().split(1, dim=1)
    if all(torch.equal(first, other) for other in others):  # as good as always
        grey = first.clone(memory_format=torch.contiguous_format)
    else:
        grey = first + sum(other - first for other in others) / 3  # the mean; of equal channels it would be their value
    low, high = (each.item() for each in grey.aminmax())
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise ValueError(
            f"{name}: values must lie between 0 (far) and 1 (near), got {low:.3g} to {high:.3g}. "
            "Use Depth Estimate, or scale the map to that range."
        )
    return grey if low >= 0 and high <= 1 else grey.clamp(0, 1)


def noise_form(model_sampling: object) -> NoiseForm:
    """Return the form in which x holds its noise, from a model's ``model_sampling``."""
    return NoiseForm.FLOW if isinstance(model_sampling, comfy.model_sampling.CONST) else NoiseForm.VE


def compute_device() -> torch.device:
    """Return the device on which the host wants work done."""
    return comfy.model_management.get_torch_device()


def expect_memory(
    node: str, what: str, kept: int, working: int = 0, fewer: str = "frames at once", advice: str = ""
) -> None:
    """Raise before the work starts unless there is memory for it.

    Args:
        node: display name of the node, for the message.
        what: it works on, as ``describe_size`` says it, for the message.
        kept: bytes of whole clips that it holds at once, where the host keeps values between nodes.
        working: bytes that it needs besides, where it computes.
        fewer: what takes less memory when there are fewer of it, for the message.
        advice: what to do, where neither size nor number of pictures matters.

    Raises:
        ValueError: with the memory that is needed and free, in GiB, and what to do.
    """
    home, device = comfy.model_management.intermediate_device(), compute_device()
    needed = {home: kept}
    needed[device] = needed.get(device, 0) + working
    for place, amount in needed.items():
        if place.type != "cpu" and amount:
            comfy.model_management.free_memory(amount, place)  # models that are not in use move out
        free = comfy.model_management.get_free_memory(place)
        if amount > free:
            kind = "memory" if place.type == "cpu" else "the graphics card's memory"
            raise ValueError(
                f"{node}: {what} needs about {amount / 2**30:.1f} GiB of {kind}, and {free / 2**30:.1f} GiB are free. "
                + (advice or f"Use smaller pictures or fewer {fewer}.")
            )


def expect_memory_for_views(node: str, source: Tensor, working: int) -> None:
    """Raise before the work starts unless there is memory to make both views of a clip, and their disparity and holes.

    Args:
        node: display name of the node, for the message.
        source: (B, C, H, W), the clip; each view is as large.
        working: bytes that are needed besides, for one frame at a time.
    """
    maps = 3 * source[:, 0].numel() * torch.float32.itemsize
    expect_memory(node, describe_size(source), 2 * source.nbytes + maps, working)


def describe_size(pictures: Tensor) -> str:
    """Say how many pictures (B, C, H, W) holds, and how large they are."""
    count, _, height, width = pictures.shape
    return f"a picture of {width}x{height}" if count == 1 else f"a clip of {count} frames of {width}x{height}"


def each_frame(frames: int) -> Iterator[int]:
    """Count the frames of a clip, showing progress on the node; stops at once when the user interrupts."""
    progress = comfy.utils.ProgressBar(frames)
    for frame in range(frames):
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield frame
        progress.update(1)


def show_text(node: type[io.ComfyNode], text: str) -> None:
    """Show text on the node in the graph editor; needs ``io.Hidden.unique_id`` in the schema."""
    if node.hidden is not None and node.hidden.unique_id:
        PromptServer.instance.send_progress_text(text, node.hidden.unique_id)
