"""Training in two phases, the autoencoder and then the U-Net."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import NO_CONDITION, Painter, make_vae, noise_levels
from .phases import Phase, Run
from .scenes import Pair, render_scenes

HELD_OUT = 10**12  # seeds from here on are never trained on
_VAE_SHARE, _END_SHARE = 0.3, 0.1  # of the time: for the autoencoder, and kept for the evaluation
_NO_CONDITION_SHARE = 0.12
_MOST_WEIGHT = 5.0  # of the signal-to-noise ratio, min-SNR weighting


@dataclass(frozen=True)
class Settings:
    """What determines a run; the same settings give the same run on the same machine unless time runs out."""

    seed: int = 0
    size: int = 128
    scenes: int = 40_000
    vae_steps: int = 30_000
    vae_batch: int = 64
    steps: int = 100_000
    batch: int = 256
    minutes: float = 25.0
    device: str = "cpu"


class Trainer(Run):
    """A run in a folder."""

    def __init__(self, settings: Settings, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.vae = Phase("vae", make_vae(settings.seed).to(settings.device), 5e-4, settings.vae_steps)
        self.painter = Phase("unet", Painter(settings.seed).to(settings.device), 3e-4, settings.steps)
        self.levels = noise_levels().to(settings.device)
        self.report_every = 200 if settings.device == "cuda" else 20
        same = ("seed", "size", "scenes", "vae_batch", "batch")
        super().__init__(settings, same, folder / "training.pt", (self.vae, self.painter), say)

    def run(self, pause_after: float | None = None, stop: tuple[str, int] | None = None) -> bool:
        """Train until both phases are done.

        Args:
            pause_after: minutes after which to save and return.
            stop: the phase and the step at which to save and return.

        Returns:
            Whether both phases are done.
        """
        if self.painter.done:
            return True
        settings, begin = self.settings, time.monotonic()
        budget = settings.minutes * 60
        with self.sitting(pause_after):
            self.say(f"rendering {settings.scenes} scenes")
            pictures, labels = make_pool(
                lambda seeds: render_scenes(seeds, settings.size, settings.device), settings.seed, settings.scenes
            )
            self.vae.seconds += time.monotonic() - begin  # the scenes belong to the first phase's time
            if not self.run_phase(self.vae, lambda g: self._vae_loss(pictures, g), budget * _VAE_SHARE, stop):
                return False
            begin = time.monotonic()
            latents = self._encoded(pictures)
            self.painter.seconds += time.monotonic() - begin
            left = budget * (1 - _END_SHARE) - self.vae.seconds
            return self.run_phase(self.painter, lambda g: self._unet_loss(latents, labels, g), left, stop)

    def _vae_loss(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures and their gradients again, from latents of mean 0 and deviation 1 that bear a little noise."""
        chosen = draw(len(pictures), self.settings.vae_batch, generator)
        true = pictures[chosen].float() / 255
        latents = self.vae.network.taesd_encoder(true)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        made = self.vae.network.taesd_decoder(latents + 0.05 * noise).float()
        spread = latents.float().transpose(0, 1).flatten(1)
        moments = spread.mean(1).square().mean() + (spread.std(1) - 1).square().mean()
        slopes = sum(F.l1_loss(made.diff(dim=axis), true.diff(dim=axis)) for axis in (-1, -2))
        return F.l1_loss(made, true) + 2 * F.mse_loss(made, true) + slopes + 0.02 * moments

    def _unet_loss(self, latents: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        chosen = draw(len(latents), self.settings.batch, generator)
        return noise_error(self.painter, self.levels, latents[chosen].float(), labels[chosen], generator)

    def _encoded(self, pictures: Tensor) -> Tensor:
        """The latents of all pictures, as the U-Net sees them, in half precision."""
        with self.vae.with_mean():
            chunks = [self.vae.network.taesd_encoder(part.float() / 255).half() for part in pictures.split(64)]
        return torch.cat(chunks)


def noise_error(painter: Phase, levels: Any, clean: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
    """The error of the noise in latents (B, 4, h, w) of the kinds ``label`` (B,), at levels that are drawn.

    It is less heavy at low noise, where it is easy to be exact and hard to matter.
    """
    count, device = len(clean), clean.device
    timestep = torch.randint(0, len(levels.sigmas), (count,), generator=generator, device=device)
    noise = torch.randn(clean.shape, generator=generator, device=device)
    dropped = torch.rand(count, generator=generator, device=device) < _NO_CONDITION_SHARE
    sigma = levels.sigmas[timestep].view(-1, 1, 1, 1)
    state = levels.calculate_input(sigma, clean + sigma * noise)
    predicted = painter.network(state, timestep.float(), torch.where(dropped, NO_CONDITION, label))
    errors = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
    ratio = sigma.flatten() ** -2
    return (errors * (_MOST_WEIGHT / ratio).clamp(max=1)).mean()


def make_pool(render: Callable[[range], Pair], seed: int, scenes: int) -> tuple[Tensor, Tensor]:
    """Both views of the scenes of a run (2 N, 3, H, W) uint8, and their labels."""
    first, chunk = seed * 10**7, 256
    pictures, labels = [], []
    for start in range(first, first + scenes, chunk):
        pair = render(range(start, min(start + chunk, first + scenes)))
        pictures += [(view * 255).round().to(torch.uint8) for view in (pair.left, pair.right)]
        labels += [pair.label, pair.label]
    return torch.cat(pictures), torch.cat(labels)


def draw(of: int, count: int, generator: torch.Generator) -> Tensor:
    """Which of ``of`` pictures a step learns from, (count,)."""
    return torch.randint(0, of, (count,), generator=generator, device=generator.device)


def psnr_of(error: float) -> float:
    return -10 * math.log10(max(error, 1e-12))
