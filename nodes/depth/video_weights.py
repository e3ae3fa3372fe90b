"""The tensors of a Video Depth Anything file: what they say of its network, and the host's names for them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ...stereo_core.depth_windows import WINDOW

PATCH = 14  # pixels

# Only these networks have it, by whatever name their file goes.
MARK = "head.motion_modules.0.temporal_transformer.proj_in.weight"

_PLACES_IN_TIME = "head.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"
_LEVELS = 4  # of the decoder

# Published names of the encoder's tensors, and the host's.
_HOST_NAMES = {
    r"^pretrained\.(cls_token|mask_token)$": r"pretrained.embeddings.\1",
    r"^pretrained\.pos_embed$": "pretrained.embeddings.position_embeddings",
    r"^pretrained\.patch_embed\.proj\.": "pretrained.embeddings.patch_embeddings.projection.",
    r"^pretrained\.norm\.": "pretrained.layernorm.",
    r"^pretrained\.blocks\.(\d+)\.": r"pretrained.encoder.layer.\1.",
    r"\.attn\.proj\.": ".attention.output.dense.",
    r"\.ls([12])\.gamma$": r".layer_scale\1.lambda1",
    r"\.temporal_transformer\.": ".",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the sizes of a file's tensors say of its network.

    Attributes:
        layers, width: of the encoder.
        side: of the square of patches that the encoder's positions were learned for.
        channels: of the four levels that the decoder makes of the encoder's layers.
        features: channels of the decoder.
        frames: most that attend to each other along time.
    """

    layers: int
    width: int
    side: int
    channels: tuple[int, ...]
    features: int
    frames: int

    @property
    def taken(self) -> tuple[int, ...]:
        """The encoder's layers that the decoder reads: the last of each quarter, but for one in the large network."""
        return (4, 11, 17, 23) if self.layers == 24 else tuple(self.layers * part // 4 - 1 for part in (1, 2, 3, 4))

    def activations(self, window: int, batch_size: int) -> float:
        """Return how many numbers a run holds at most for each pixel of a picture.

        Args:
            window: pictures.
            batch_size: of these at once where time does not matter.
        """
        first, second, third, fourth = (share / PATCH**2 for share in (16, 4, 1, 1 / 4))  # of the pixels, by level
        levels = (first + second) * self.features + third * self.channels[2] + fourth * self.channels[3]
        # Of every picture the levels, while they are put together and in order, and what is made of the second.
        kept = window * (3 * levels + 4 * second * self.features)
        # And then what all of them have along time, at the second level, or those at once in a layer of the encoder or
        # in the decoder's finest maps.
        along_time = window * 14 * second * self.features
        encoder = third * self.width * 20
        decoder = self.features + 64 + 12 * first * self.features
        return kept + max(along_time, min(batch_size, window) * max(encoder, decoder))


def read_shape(sizes: Mapping[str, Sequence[int]]) -> Shape:
    """Read the network's shape from the sizes of a published file's tensors.

    Raises:
        ValueError: tensors that tell it are missing, or of sizes that no such network has.
    """
    layers = {name.split(".")[2] for name in sizes if name.startswith("pretrained.blocks.")}
    _, positions, width = _size(sizes, "pretrained.pos_embed", 3)
    _, frames, _ = _size(sizes, _PLACES_IN_TIME, 3)
    if len(layers) < _LEVELS or width < 1 or positions < 2 or frames < WINDOW:
        raise ValueError(
            f"{len(layers)} layers of {width} channels with {positions} positions and {frames} moments in time"
        )
    return Shape(
        layers=len(layers),
        width=width,
        side=math.isqrt(positions - 1),
        channels=tuple(_size(sizes, f"head.projects.{level}.weight", 4)[0] for level in range(_LEVELS)),
        features=_size(sizes, "head.scratch.layer1_rn.weight", 4)[0],
        frames=frames,
    )


def _size(sizes: Mapping[str, Sequence[int]], name: str, axes: int) -> Sequence[int]:
    if name not in sizes:
        raise ValueError(f"{name} is missing")
    if len(sizes[name]) != axes:
        raise ValueError(f"{name} has the shape {tuple(sizes[name])}")
    return sizes[name]


def expect_whole(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise unless tensors are those of a network, by their names and shapes.

    Raises:
        ValueError: with one that is missing, left over, or of another shape.
    """
    if odd := found.keys() ^ expected.keys():
        raise ValueError(f"{len(odd)} tensors are missing or left over, {min(odd)} among them")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)} instead of {tuple(expected[name].shape)}")


def host_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the tensors of a published file as ``VideoDepthAnything`` does; the encoder's joint q, k, v are parted."""
    weights = {}
    for name, tensor in published.items():
        for pattern, replacement in _HOST_NAMES.items():
            name = re.sub(pattern, replacement, name)
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                weights[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = third
        else:
            weights[name] = tensor
    return weights
