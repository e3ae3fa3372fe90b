"""Video Depth Anything: Depth Anything V2 whose decoder attends along time, made of the host's own parts.

Chen et al., Video Depth Anything: Consistent Depth Estimation for Super-Long Videos, CVPR 2025 (arXiv 2501.12375).
"""

from __future__ import annotations

import comfy.model_management
import torch
from comfy.image_encoders.dino2 import Dinov2Model
from comfy.ldm.depth_anything_3.dpt import DPT, FeatureFusionBlock
from comfy.ldm.modules.attention import CrossAttention, FeedForward
from torch import Tensor, nn

from .video_weights import PATCH, Shape

_HEAD_WIDTH = 64  # of the encoder's attention
_TIME_HEADS, _TIME_LAYERS, _GROUPS = 8, 2, 32
# Places of a picture that attend along time at once: all of them would need more memory than the rest of the network.
_PLACES = 4096


class VideoDepthAnything(nn.Module):
    """The network, for all frames of one window together."""

    def __init__(self, shape: Shape, dtype: torch.dtype, device: torch.device | str, operations: type) -> None:
        """Make it without weights.

        Args:
            shape: see ``read_shape``.
            dtype, device, operations: of the weights and layers, as for the host's own networks.
        """
        super().__init__()
        placed = {"dtype": dtype, "device": device, "operations": operations}
        self.taken = shape.taken
        encoder = {
            "num_hidden_layers": shape.layers,
            "hidden_size": shape.width,
            "num_attention_heads": shape.width // _HEAD_WIDTH,
            "layer_norm_eps": 1e-6,
            "use_swiglu_ffn": False,
            "patch_size": PATCH,
            "image_size": shape.side * PATCH,
        }
        self.pretrained = Dinov2Model(encoder, **placed)
        self.head = DPT(
            shape.width, PATCH, features=shape.features, out_channels=shape.channels, use_sky_head=False, **placed
        )
        # The half of it that nothing enters is in the published files, too.
        self.head.scratch.refinenet4 = FeatureFusionBlock(shape.features, **placed)
        widths = (*shape.channels[2:], shape.features, shape.features)
        self.head.motion_modules = nn.ModuleList(_TimeModule(width, shape.frames, **placed) for width in widths)

    def forward(self, pixels: Tensor, order: Tensor, batch_size: int) -> Tensor:
        """Estimate depth, or inverse depth, whichever the weights were trained for.

        Args:
            pixels: (N, 3, H, W), normalised, both sides multiples of ``PATCH``.
            order: (T,) which of these pictures each frame of the window shows.
            batch_size: pictures at once, where time does not matter; the result is the same.

        Returns:
            (T, 1, H, W) float32, not below 0.
        """
        size = tuple(pixels.shape[-2:])
        scratch, motion = self.head.scratch, self.head.motion_modules
        parts = [self._levels(part) for part in pixels.split(batch_size)]
        first, second, third, fourth = (torch.cat(level)[order] for level in zip(*parts, strict=True))
        third, fourth = motion[0](third), motion[1](fourth)
        third, fourth = scratch.layer3_rn(third), scratch.layer4_rn(fourth)
        path = motion[2](scratch.refinenet4(fourth, size=third.shape[2:]))
        path = motion[3](scratch.refinenet3(path, third, size=second.shape[2:]))
        chunks = zip(*(level.split(batch_size) for level in (path, second, first)), strict=True)
        return torch.cat([self._depth(*chunk, size) for chunk in chunks])

    def _levels(self, pixels: Tensor) -> list[Tensor]:
        """Return the four levels (N, C, h, w) that the decoder makes of the encoder's layers, finest first."""
        head, grid = self.head, [side // PATCH for side in pixels.shape[-2:]]
        tokens = self.pretrained.get_intermediate_layers(pixels, self.taken)
        maps = [patches.transpose(1, 2).unflatten(2, grid) for patches, _ in tokens]
        levels = [
            resize(project(x)) for x, project, resize in zip(maps, head.projects, head.resize_layers, strict=True)
        ]
        return [head.scratch.layer1_rn(levels[0]), head.scratch.layer2_rn(levels[1]), *levels[2:]]

    def _depth(self, path: Tensor, second: Tensor, first: Tensor, size: tuple[int, int]) -> Tensor:
        scratch = self.head.scratch
        path = scratch.refinenet2(path, second, size=first.shape[2:])
        path = scratch.output_conv1(scratch.refinenet1(path, first))
        path = nn.functional.interpolate(path, size, mode="bilinear", align_corners=True)
        return scratch.output_conv2(path.float()).relu()  # as published: half precision would band the depth


class _TimeAttention(CrossAttention):
    def __init__(self, width: int, frames: int, dtype: torch.dtype, device: torch.device | str, operations: type):
        super().__init__(
            width, heads=_TIME_HEADS, dim_head=width // _TIME_HEADS, dtype=dtype, device=device, operations=operations
        )
        self.pos_encoder = nn.Module()
        self.pos_encoder.register_buffer("pe", torch.empty(1, frames, width, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        place = comfy.model_management.cast_to_device(self.pos_encoder.pe, x.device, x.dtype)
        return super().forward(x + place[:, : x.shape[1]])


class _TimeBlock(nn.Module):
    def __init__(self, width: int, frames: int, **placed: object) -> None:
        super().__init__()
        norm = placed["operations"].LayerNorm
        plain = {key: placed[key] for key in ("dtype", "device")}
        self.attention_blocks = nn.ModuleList(_TimeAttention(width, frames, **placed) for _ in range(_TIME_LAYERS))
        self.norms = nn.ModuleList(norm(width, **plain) for _ in range(_TIME_LAYERS))
        self.ff = FeedForward(width, glu=True, **placed)
        self.ff_norm = norm(width, **plain)

    def forward(self, x: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            x = x + attention(norm(x))
        return x + self.ff(self.ff_norm(x))


class _TimeModule(nn.Module):
    """Lets every place of the picture attend along time."""

    def __init__(self, width: int, frames: int, dtype: torch.dtype, device: torch.device | str, operations: type):
        super().__init__()
        plain = {"dtype": dtype, "device": device}
        self.norm = operations.GroupNorm(_GROUPS, width, eps=1e-6, **plain)
        self.proj_in = operations.Linear(width, width, **plain)
        self.transformer_blocks = nn.ModuleList([_TimeBlock(width, frames, operations=operations, **plain)])
        self.proj_out = operations.Linear(width, width, **plain)

    def forward(self, x: Tensor) -> Tensor:  # (T, C, h, w)
        places = self.norm(x).flatten(2).permute(2, 0, 1)  # (h w, T, C)
        moved = torch.cat([self._attend(part) for part in places.split(_PLACES)])
        return x + moved.permute(1, 2, 0).unflatten(2, x.shape[2:])

    def _attend(self, x: Tensor) -> Tensor:
        return self.proj_out(self.transformer_blocks[0](self.proj_in(x)))
