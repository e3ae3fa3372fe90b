"""Convert a file of Video Depth Anything or DepthCrafter to safetensors, once: python tools/convert_depth.py FILE.

The new file lies beside the old one. Run it with the Python of ComfyUI, which has torch and safetensors. Only tensors
are read of the old file: whatever else a pickle may hold is refused. Names of tensors become the published ones where
a program for training has saved them under another name, or with one before theirs.
"""

from __future__ import annotations

import argparse
import pickle
import struct
import sys
from pathlib import Path

MARK = "head.motion_modules.0.temporal_transformer.proj_in.weight"  # as in nodes/depth/video_weights.py
CRAFTER_MARK = "down_blocks.0.resnets.0.temporal_res_block.conv1.weight"  # as in nodes/depth/depthcrafter_weights.py

# What reading a pickle raises, wherever it is damaged.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Convert a file of Video Depth Anything or DepthCrafter to safetensors."
    )
    parser.add_argument("file", type=Path, help="such as video_depth_anything_vits.pth")
    file = parser.parse_args().file
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        return _refuse(f"{error.name} is missing. Run this with the Python of ComfyUI.")
    converted = file.with_suffix(".safetensors")
    if file.suffix.lower() == converted.suffix:
        return _refuse(f"{file} needs no conversion. Put it into models/geometry_estimation as it is.")
    if converted.exists():
        return _refuse(f"{converted} is there already. Remove it first if it is to be made again.")
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        return _refuse(f"{file} cannot be read ({error.strerror or error}).")
    except _DAMAGED:
        return _refuse(f"{file} holds something other than weights, or is damaged. Fetch it again.")
    weights = _published(weights)
    if weights is None:
        return _refuse(f"{file} is not a file of Video Depth Anything or DepthCrafter. Choose another file.")
    for name, tensor in weights.items():
        dense = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not isinstance(name, str) or not dense or not tensor.is_floating_point():
            return _refuse(f"{file} holds more than the weights of a network: {str(name)[:200]!r}. Fetch it again.")
    # Copies, since two tensors that share memory cannot be saved.
    tensors = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    # The tensors do not tell what Video Depth Anything gives; the file's name does.
    metric = str(MARK in weights and "metric" in file.name.lower()).lower()
    unfinished = converted.with_name(f"{converted.name}.part")
    try:
        save_file(tensors, unfinished, metadata={"metric": metric})
        unfinished.replace(converted)
    except (OSError, SafetensorError) as error:
        return _refuse(f"{converted} cannot be written ({error}). Make room there, or put {file.name} elsewhere first.")
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{converted}: {'distances in metres' if metric == 'true' else 'relative depth'}, {len(tensors)} tensors")
    return 0


def _published(saved: object) -> dict | None:
    """Return the weights among what was saved, under their published names; ``None`` if there are none."""
    held = list(saved.values()) if isinstance(saved, dict) else []
    for weights in (saved, *held):
        names = [name for name in weights if isinstance(name, str)] if isinstance(weights, dict) else []
        for mark in (MARK, CRAFTER_MARK):
            before = sorted((name.removesuffix(mark) for name in names if name.endswith(mark)), key=len)
            if before and not before[0]:
                return weights
            if before and before[0].endswith("."):
                return {name.removeprefix(before[0]): weights[name] for name in names if name.startswith(before[0])}
    return None


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
