"""The rod's training: one phase, in as many sittings as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tools.toy.networks import noise_levels
from tools.toy.phases import Phase, Run
from tools.toy.scenes import Pair
from tools.toy.training import HELD_OUT, draw, make_pool, noise_error

from .network import encode, make_painter, render_grid

_HELD_OUT_DRAWS = 2  # of noise levels and noise for each held-out picture


@dataclass(frozen=True)
class Settings:
    """What determines a run; the same settings give the same run on the same machine unless time runs out.

    Attributes:
        columns: of the latent, and rows of a frame.
        frames: of a clip; 1 for pictures.
        scenes: to learn from, both views of each.
        held_out: scenes that are never trained on, by which it is judged.
        minutes: of all sittings together; with more of them a run that has ended goes on.
        begun_from: SHA-256 of the weights that it begins from; none begins from scratch.
    """

    seed: int = 0
    columns: int = 16
    frames: int = 1
    scenes: int = 4096
    held_out: int = 64
    steps: int = 1_000_000
    batch: int = 16
    minutes: float = 240.0
    begun_from: str = ""
    device: str = "cpu"


class Trainer(Run):
    """A run in a file."""

    report_every = 100

    def __init__(
        self,
        settings: Settings,
        file: Path,
        say: Callable[[str], None] = print,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Begin, or go on where the file was left.

        Args:
            settings: of the run.
            file: for the state.
            say: is told how far it is.
            start: the network's weights at the very beginning, such as those of a run of fewer columns.

        Raises:
            ValueError: the file holds a run with other settings.
        """
        self.painter = Phase("unet", make_painter(settings.seed), 6e-4, settings.steps)
        self.levels = noise_levels()
        self.unseen: Pair | None = None
        if start is not None:
            self.painter.network.load_state_dict(start)
            self.painter.mean = [weight.detach().clone() for weight in self.painter.trained]
        same = ("seed", "columns", "frames", "scenes", "held_out", "batch", "begun_from")
        super().__init__(settings, same, file, (self.painter,), say)

    @property
    def seen(self) -> int:
        """How many pictures it was shown, each time that one was shown counted."""
        return self.painter.step * self.settings.batch

    def run(self, pause_after: float | None = None, stop: int | None = None) -> bool:
        """Train until the minutes or the steps are used up.

        Args:
            pause_after: minutes after which to save and return.
            stop: the step at which to save and return.

        Returns:
            Whether they are used up.
        """
        settings = self.settings
        self.painter.done = False  # there may be more minutes than there were
        with self.sitting(pause_after):
            self.say(f"rendering {settings.scenes} scenes")
            pictures, labels = make_pool(self._render, settings.seed, settings.scenes)

            def loss_of(generator: torch.Generator) -> Tensor:
                chosen = draw(len(pictures), settings.batch, generator)
                clean = encode(pictures[chosen].float() / 255)
                return noise_error(self.painter, self.levels, clean, labels[chosen], generator)

            stop_at = None if stop is None else (self.painter.name, stop)
            return self.run_phase(self.painter, loss_of, settings.minutes * 60, stop_at)

    def report(self, phase: Phase, loss: float) -> None:
        super().report(phase, loss)
        phase.held_out.append((phase.step, self.held_out_loss()))
        self.say(f"  {self.seen} pictures seen, held-out loss {phase.held_out[-1][1]:.4f}")

    def held_out_loss(self) -> float:
        """The loss of the running mean on held-out left views, with the same noise every time."""
        if self.unseen is None:
            self.unseen = self._render(range(HELD_OUT, HELD_OUT + self.settings.held_out))
        generator = torch.Generator().manual_seed(0)
        clean, label = encode(self.unseen.left), self.unseen.label
        with self.painter.with_mean():
            errors = [noise_error(self.painter, self.levels, clean, label, generator) for _ in range(_HELD_OUT_DRAWS)]
        return torch.stack(errors).mean().item()

    def _render(self, seeds: range) -> Pair:
        return render_grid(seeds, self.settings.columns, self.settings.frames)
