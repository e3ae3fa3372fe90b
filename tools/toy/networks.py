"""The networks, of the host's own classes: a tiny autoencoder and the smallest U-Net of the shape of SD 1.5.

Only what training needs of the host is imported, so that a machine with torch and little else can train.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .scenes import PALETTES

TOKENS, WIDTH = 4, 768  # of a condition; the width is SD 1.5's
NO_CONDITION = len(PALETTES)  # the row for guidance's other side
LATENT_SCALE = 0.18215  # of SD 1.5's latents, which the host applies; the network sees them with deviation 1

# 320 channels at one resolution, attention once on the way in and once on the way out, no middle: 16 million.
_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [1],
    "channel_mult": [1],
    "transformer_depth": [1],
    "transformer_depth_output": [0, 1],
    "transformer_depth_middle": -2,
    "context_dim": WIDTH,
    "num_heads": 8,
    "legacy": False,
    "use_spatial_transformer": True,
}


def import_host(host: Path, cpu: bool) -> None:
    """Put the host first on the path and tell it where to compute, unless it is loaded already."""
    if "comfy" in sys.modules:
        return
    sys.path.insert(0, str(host))
    arguments = sys.argv
    sys.argv = ["main.py", "--use-pytorch-cross-attention", *(["--cpu"] if cpu else [])]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.cli_args  # noqa: F401  # it reads the arguments now
    finally:
        sys.argv = arguments


def make_vae(seed: int) -> nn.Module:
    """The host's TAESD with 4 channels: ``taesd_encoder`` and ``taesd_decoder``, for pictures in [0, 1]."""
    from comfy.taesd.taesd import TAESD

    network = TAESD(latent_channels=4)
    network.vae_scale.data.fill_(LATENT_SCALE)
    network.vae_scale.requires_grad_(False)
    network.vae_shift.requires_grad_(False)
    return _initialized(network, seed)


class Painter(nn.Module):
    """The U-Net and the table of its conditions; ``shape`` is what the host's class takes."""

    def __init__(self, seed: int, shape: dict[str, Any] = _UNET) -> None:
        super().__init__()
        import comfy.ops
        from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

        operations = comfy.ops.disable_weight_init
        self.unet = UNetModel(**shape, dtype=torch.float32, device="cpu", operations=operations)
        _initialized(self.unet, seed)
        # Each branch adds nothing at first.
        for name, module in self.unet.named_modules():
            if name.endswith(("out_layers.3", "proj_out", "out.2")):
                nn.init.zeros_(module.weight)
        generator = torch.Generator().manual_seed(seed)
        self.conditions = nn.Parameter(torch.randn(NO_CONDITION + 1, TOKENS, shape["context_dim"], generator=generator))

    def forward(self, state: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise (B, 4, h, w) in a variance-preserving state; ``condition`` is (B,) rows of the table."""
        return self.unet(state, timestep, context=self.conditions[condition])


def noise_levels() -> Any:
    """The host's schedule of 1000 noise levels for EPS models: ``sigmas`` and ``calculate_input``."""
    from comfy.model_sampling import EPS, ModelSamplingDiscrete

    class Levels(ModelSamplingDiscrete, EPS):
        pass

    return Levels()


def _initialized(network: nn.Module, seed: int) -> nn.Module:
    """Draw the weights as torch does; the host's layers hold garbage when made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            for kind in (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm):
                if isinstance(module, kind):
                    kind.reset_parameters(module)
    return network
