"""What a trained model can do, in figures and in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import NO_CONDITION
from .phases import Phase
from .scenes import PALETTES, render_scenes
from .training import HELD_OUT, Trainer, noise_error, psnr_of

_STEPS, _GUIDANCE = 40, 2.5


def evaluate(trainer: Trainer, scenes: int = 64, samples: int = 4) -> dict[str, float]:
    """Measure held-out scenes and write ``reconstructions.png`` and ``samples.png`` into the run's folder.

    Returns:
        ``vae_psnr`` in dB of the autoencoder alone, and ``unet_loss``, both on scenes that were never trained on.
    """
    settings = trainer.settings
    pair = render_scenes(range(HELD_OUT, HELD_OUT + scenes), settings.size, settings.device)
    with trainer.vae.with_mean():
        latents = trainer.vae.network.taesd_encoder(pair.left)
        again = trainer.vae.network.taesd_decoder(latents).clamp(0, 1)
    error = F.mse_loss(again, pair.left).item()
    shown = torch.stack([pair.left[:16], again[:16]], dim=1).flatten(0, 1)
    write_sheet(trainer.folder / "reconstructions.png", shown, columns=8)

    generator = torch.Generator(settings.device).manual_seed(settings.seed)
    with trainer.painter.with_mean():
        errors = [noise_error(trainer.painter, trainer.levels, latents, pair.label, generator) for _ in range(4)]
        loss = torch.stack(errors).mean().item()
    labels = torch.arange(len(PALETTES), device=settings.device).repeat_interleave(samples)
    write_sheet(trainer.folder / "samples.png", sample(trainer, labels), columns=2 * samples)
    return {"vae_psnr": psnr_of(error), "unet_loss": loss}


def sample(trainer: Trainer, labels: Tensor) -> Tensor:
    """Paint pictures (B, 3, H, W) in [0, 1] of the kinds ``labels`` (B,)."""
    rows = trainer.settings.size // 8
    latents = paint(trainer.painter, trainer.levels, labels, rows, rows)
    with trainer.vae.with_mean():
        return trainer.vae.network.taesd_decoder(latents).clamp(0, 1)


def paint(painter: Phase, levels: Any, labels: Tensor, rows: int, columns: int, steps: int = _STEPS) -> Tensor:
    """Latents (B, 4, rows, columns) of the kinds ``labels`` (B,), by Euler steps from noise, with guidance."""
    sigmas = levels.sigmas[torch.linspace(len(levels.sigmas) - 1, 0, steps, device=labels.device).round().long()]
    generator = torch.Generator().manual_seed(0)  # one stream on every device
    noise = torch.randn(len(labels), 4, rows, columns, generator=generator).to(labels.device)
    state = noise * sigmas[0]
    with painter.with_mean():
        both = torch.cat([labels, torch.full_like(labels, NO_CONDITION)])
        for sigma, following in zip(sigmas, [*sigmas[1:], torch.zeros_like(sigmas[0])], strict=True):
            seen = levels.calculate_input(sigma, state).repeat(2, 1, 1, 1)
            timestep = levels.timestep(sigma).float().expand(len(both))
            wanted, other = painter.network(seen, timestep, both).float().chunk(2)
            state = state + (other + _GUIDANCE * (wanted - other)) * (following - sigma)
    return state


def write_sheet(file: Path, pictures: Tensor, columns: int) -> None:
    """Write pictures (B, 3, H, W) as one PNG, row by row; B is a multiple of ``columns``."""
    from PIL import Image

    grid = pictures.unflatten(0, (-1, columns)).permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    Image.fromarray((grid * 255).round().byte().cpu().numpy()).save(file)
