"""Where a mask is true."""

from __future__ import annotations

import torch
from torch import Tensor

# Bools that are looked at at once.
_WORD = 8


def true_places(mask: Tensor) -> Tensor:
    """Return where ``mask``, of any shape, is true: flat indices (N,) int64, in order.

    Equals ``mask.flatten().nonzero().flatten()``; on a CPU a word of eight is looked at at once, several times faster
    where few values are true.
    """
    flat = mask.flatten()
    whole = len(flat) // _WORD * _WORD
    if flat.device.type != "cpu" or not whole or flat.storage_offset() % _WORD:
        return flat.nonzero().flatten()
    word = flat[:whole].view(torch.int64).nonzero()
    place = (word * _WORD + torch.arange(_WORD)).flatten()
    place = place[flat[place]]
    rest = flat[whole:].nonzero().flatten()
    return torch.cat((place, rest + whole)) if len(rest) else place
