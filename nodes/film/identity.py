"""What a file or a depth model is known by, so that a film is not gone on with another one."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor, nn

from ..depth.depthcrafter import DepthCrafterModel
from ..depth.networks import DepthModel
from ..depth.sources import Source
from ..depth.video_networks import VideoDepthModel

# Values looked at, at either end of each tensor: all of a network's would take as long as to load it.
_ENDS = 256
_PROGRAMS = ("stereo_core", "nodes/film", "nodes/depth", "nodes/delivery", "nodes/widgets")
# Bytes looked at, at either end of a file: all of a film's would take minutes.
_MEGABYTE = 2**20


def file_identity(file: str | io.BytesIO) -> str:
    """Return a SHA-256 of a file's size, time and ends; of all of it, where it is in memory."""
    if isinstance(file, io.BytesIO):
        return hashlib.sha256(file.getbuffer()).hexdigest()
    stat = Path(file).stat()
    digest = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    with Path(file).open("rb") as opened:
        digest.update(opened.read(_MEGABYTE))
        opened.seek(max(0, stat.st_size - _MEGABYTE), os.SEEK_SET)
        digest.update(opened.read(_MEGABYTE))
    return digest.hexdigest()


def pack_identity() -> str:
    """Return a SHA-256 of the programs of this pack that a film is made with."""
    pack, digest = Path(__file__).parents[2], hashlib.sha256()
    for folder in _PROGRAMS:
        for path in sorted((pack / folder).glob("*.py")):
            digest.update(path.relative_to(pack).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def programs_identity() -> dict[str, Any]:
    """Return all programs that a film depends on, as JSON has it."""
    return {
        "pack": pack_identity(),
        "av": av.__version__,
        "libraries": av.library_versions,
        "torch": torch.__version__,
    }


def source_identity(source: Source) -> dict[str, Any]:
    """Return what the depth of a model depends on, as JSON has it: its weights, and what these do not tell."""
    network = getattr(source, "patcher", source).model
    known: dict[str, Any] = {"network": network_fingerprint(network)}
    if isinstance(source, DepthModel):
        known |= {"metric": network.metric, "preprocessing": asdict(source.preprocessing)}
        known["config"] = network.network.config.to_json_string()
    elif isinstance(source, VideoDepthModel):
        known["metric"] = source.metric  # of two files with the same weights, the name tells which are distances
    elif isinstance(source, DepthCrafterModel):
        known["vae"] = network_fingerprint(source.vae.first_stage_model)
        known["clip_vision"] = network_fingerprint(source.clip_vision.model)
    return known


def network_fingerprint(network: nn.Module) -> str:
    """Return a SHA-256 of a network's names, shapes and some of its weights, the same wherever these are held."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(_ends(tensor))
    return digest.hexdigest()


def _ends(tensor: Tensor) -> bytes:
    flat = tensor.detach().reshape(-1)
    ends = torch.cat([flat[:_ENDS], flat[-_ENDS:]]).cpu()
    return ends.view(torch.uint8).numpy().tobytes()
