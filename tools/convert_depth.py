"""Convert a published file of Video Depth Anything to safetensors, once: python tools/convert_depth.py FILE.

The new file lies beside the old one. Run it with the Python of ComfyUI, which has torch and safetensors. Only tensors
are read of the old file: whatever else a pickle may hold is refused.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path

MARK = "head.motion_modules.0.temporal_transformer.proj_in.weight"  # as in nodes/depth/video_weights.py


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert a file of Video Depth Anything to safetensors.")
    parser.add_argument("file", type=Path, help="such as video_depth_anything_vits.pth")
    file = parser.parse_args().file
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        return _refuse(f"{error.name} is missing. Run this with the Python of ComfyUI.")
    converted = file.with_suffix(".safetensors")
    if converted.exists():
        return _refuse(f"{converted} is there already. Remove it first if it is to be made again.")
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        return _refuse(f"{file} cannot be read ({error.strerror}).")
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        return _refuse(f"{file} holds something other than weights, or is damaged. Fetch it again.")
    if not isinstance(weights, dict) or MARK not in weights:
        return _refuse(f"{file} is not a file of Video Depth Anything. Only those are converted.")
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    # The tensors do not tell what the network gives; the file's name does.
    metric = str("metric" in file.name.lower()).lower()
    save_file(tensors, converted, metadata={"metric": metric})
    print(f"{converted}: {'distances in metres' if metric == 'true' else 'relative depth'}, {len(tensors)} tensors")
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
