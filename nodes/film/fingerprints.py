"""What a depth model is known by, so that a film is not gone on with another one."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

# Values looked at, at either end of each tensor: all of a network's would take as long as to load it.
_ENDS = 256


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
