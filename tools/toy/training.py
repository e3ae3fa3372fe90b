"""Training in two phases, the autoencoder and then the U-Net, that can stop and go on anywhere.

What a step draws follows from the seed and the step's number, so a run that was interrupted goes on as it would have.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import NO_CONDITION, Painter, make_vae, noise_levels
from .scenes import render_scenes

HELD_OUT = 10**12  # seeds from here on are never trained on
_VAE_SHARE, _END_SHARE = 0.3, 0.1  # of the time: for the autoencoder, and kept for the evaluation
_SAVE_SECONDS = 120
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


@dataclass
class Phase:
    """One network on its way: its weights, their running mean, the optimizer."""

    name: str
    network: nn.Module
    rate: float
    steps: int
    step: int = 0
    seconds: float = 0.0
    done: bool = False
    losses: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        fused = self.trained[0].is_cuda
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=self.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=fused
        )
        self.mean = [p.detach().clone() for p in self.trained]

    def update(self, loss: Tensor, progress: float) -> None:
        """One optimizer step; the rate rises at first and falls over the last third of ``progress``, 0 to 1."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        rate = self.rate * min((self.step + 1) / 200, 1.0, max((1 - progress) * 3, 0.01))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        keep = min(0.999, self.step / (self.step + 10))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.trained], 1 - keep)

    @contextlib.contextmanager
    def with_mean(self) -> Iterator[None]:
        """The network with the running mean of its weights, which is what is used and saved."""
        own = [p.detach().clone() for p in self.trained]
        torch._foreach_copy_([p.data for p in self.trained], self.mean)
        try:
            with torch.no_grad():
                yield
        finally:
            torch._foreach_copy_([p.data for p in self.trained], own)

    def state(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in ("step", "seconds", "done", "losses", "mean")}
        return {**kept, "network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch._foreach_copy_(self.mean, state["mean"])
        for name in ("step", "seconds", "done", "losses"):
            setattr(self, name, state[name])


class Trainer:
    """A run in a folder: ``training.pt`` holds all that is needed to go on."""

    def __init__(self, settings: Settings, folder: Path, say: Callable[[str], None] = print) -> None:
        self.settings, self.folder, self.say = settings, folder, say
        self.vae = Phase("vae", make_vae(settings.seed).to(settings.device), 5e-4, settings.vae_steps)
        self.painter = Phase("unet", Painter(settings.seed).to(settings.device), 3e-4, settings.steps)
        self.levels = noise_levels().to(settings.device)
        self.file = folder / "training.pt"
        folder.mkdir(parents=True, exist_ok=True)
        if self.file.is_file():
            self._resume()
        self._stop_at: float | None = None

    def run(self, pause_after: float | None = None, stop: tuple[str, int] | None = None) -> bool:
        """Train until both phases are done.

        Args:
            pause_after: minutes after which to save and return.
            stop: the phase and the step at which to save and return.

        Returns:
            Whether both phases are done.
        """
        import comfy.model_management

        if self.painter.done:
            return True
        begin = time.monotonic()
        self._stop_at = None if pause_after is None else begin + pause_after * 60
        budget = self.settings.minutes * 60
        comfy.model_management.in_training = True
        try:
            pictures, labels = self._pool()
            self.vae.seconds += time.monotonic() - begin  # the scenes belong to the first phase's time
            if not self._run_phase(self.vae, lambda g: self._vae_loss(pictures, g), budget * _VAE_SHARE, stop):
                return False
            begin = time.monotonic()
            latents = self._encoded(pictures)
            self.painter.seconds += time.monotonic() - begin
            left = budget * (1 - _END_SHARE) - self.vae.seconds
            return self._run_phase(self.painter, lambda g: self._unet_loss(latents, labels, g), left, stop)
        finally:
            comfy.model_management.in_training = False

    def save(self) -> None:
        """Write the state beside the old one and put it in its place."""
        state = {"settings": self._identity(), "vae": self.vae.state(), "unet": self.painter.state()}
        partial = self.file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.file)

    def _run_phase(
        self, phase: Phase, loss_of: Callable[[torch.Generator], Tensor], budget: float, stop: tuple[str, int] | None
    ) -> bool:
        """Returns whether the phase is done; else the state is saved."""
        settings, before = self.settings, phase.seconds
        begin = saved = time.monotonic()
        generator = torch.Generator(settings.device)
        total, count = torch.zeros((), device=settings.device), 0
        phase.network.train()
        while not phase.done and phase.step < phase.steps and phase.seconds < budget:
            if stop == (phase.name, phase.step) or (self._stop_at is not None and time.monotonic() > self._stop_at):
                self.save()
                return False
            generator.manual_seed((settings.seed * 2 + (phase.name == "unet")) * 10**9 + phase.step)
            with torch.autocast(settings.device, torch.bfloat16, enabled=settings.device == "cuda"):
                loss = loss_of(generator)
            phase.update(loss, max(phase.step / phase.steps, phase.seconds / budget))
            total, count = total + loss.detach(), count + 1
            phase.seconds = before + time.monotonic() - begin
            if phase.step % (200 if settings.device == "cuda" else 20) == 0:
                self._report(phase, float(total) / count)
                total, count = torch.zeros_like(total), 0
            if time.monotonic() - saved > _SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        phase.network.eval()
        if count:
            self._report(phase, float(total) / count)
        if not phase.done:
            phase.done = True
            self.save()
        return True

    def _report(self, phase: Phase, loss: float) -> None:
        """``loss`` is the mean since the last report."""
        phase.losses.append((phase.step, loss))
        self.say(f"{phase.name} step {phase.step}  loss {loss:.4f}  {phase.seconds / 60:.1f} minutes")

    def _vae_loss(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures and their gradients again, from latents of mean 0 and deviation 1 that bear a little noise."""
        chosen = _draw(len(pictures), self.settings.vae_batch, generator)
        true = pictures[chosen].float() / 255
        latents = self.vae.network.taesd_encoder(true)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        made = self.vae.network.taesd_decoder(latents + 0.05 * noise).float()
        spread = latents.float().transpose(0, 1).flatten(1)
        moments = spread.mean(1).square().mean() + (spread.std(1) - 1).square().mean()
        slopes = sum(F.l1_loss(made.diff(dim=axis), true.diff(dim=axis)) for axis in (-1, -2))
        return F.l1_loss(made, true) + 2 * F.mse_loss(made, true) + slopes + 0.02 * moments

    def _unet_loss(self, latents: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The error of the noise, less heavy at low noise, where it is easy to be exact and hard to matter."""
        chosen = _draw(len(latents), self.settings.batch, generator)
        return self.noise_error(latents[chosen].float(), labels[chosen], generator)

    def noise_error(self, clean: Tensor, label: Tensor, generator: torch.Generator) -> Tensor:
        count, device = len(clean), clean.device
        timestep = torch.randint(0, len(self.levels.sigmas), (count,), generator=generator, device=device)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        dropped = torch.rand(count, generator=generator, device=device) < _NO_CONDITION_SHARE
        sigma = self.levels.sigmas[timestep].view(-1, 1, 1, 1)
        state = self.levels.calculate_input(sigma, clean + sigma * noise)
        predicted = self.painter.network(state, timestep.float(), torch.where(dropped, NO_CONDITION, label))
        errors = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
        ratio = sigma.flatten() ** -2
        return (errors * (_MOST_WEIGHT / ratio).clamp(max=1)).mean()

    def _pool(self) -> tuple[Tensor, Tensor]:
        """Both views of all scenes (2 N, 3, S, S) uint8, and their labels."""
        settings = self.settings
        first, chunk = settings.seed * 10**7, 256
        pictures, labels = [], []
        self.say(f"rendering {settings.scenes} scenes")
        for start in range(0, settings.scenes, chunk):
            seeds = range(first + start, first + min(start + chunk, settings.scenes))
            pair = render_scenes(seeds, settings.size, settings.device)
            pictures += [(view * 255).round().to(torch.uint8) for view in (pair.left, pair.right)]
            labels += [pair.label, pair.label]
        return torch.cat(pictures), torch.cat(labels)

    def _encoded(self, pictures: Tensor) -> Tensor:
        """The latents of all pictures, as the U-Net sees them, in half precision."""
        with self.vae.with_mean():
            chunks = [self.vae.network.taesd_encoder(part.float() / 255).half() for part in pictures.split(64)]
        return torch.cat(chunks)

    def _identity(self) -> dict[str, Any]:
        """What must stay the same when a run goes on."""
        return {name: getattr(self.settings, name) for name in ("seed", "size", "scenes", "vae_batch", "batch")}

    def _resume(self) -> None:
        state = torch.load(self.file, map_location=self.settings.device, weights_only=True)
        if state["settings"] != self._identity():
            raise ValueError(
                f"{self.folder} holds a run with {state['settings']}, not {self._identity()}. "
                "Give the same settings to go on, or another folder to start over."
            )
        self.vae.load(state["vae"])
        self.painter.load(state["unet"])
        self.say(f"going on: vae step {self.vae.step}, unet step {self.painter.step}")


def _draw(of: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, of, (count,), generator=generator, device=generator.device)


def psnr_of(error: float) -> float:
    return -10 * math.log10(max(error, 1e-12))
