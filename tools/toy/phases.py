"""Training that can stop and go on anywhere, phase by phase, each with one network.

What a step draws follows from the seed and the step's number, so a run that was interrupted goes on as it would have.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_SAVE_SECONDS = 120


@dataclass
class Phase:
    """One network on its way: its weights, their running mean, the optimizer.

    Attributes:
        losses: the step and the mean loss since the one before.
        held_out: the step and the loss of the running mean on what is never trained on, where that is measured.
    """

    name: str
    network: nn.Module
    rate: float
    steps: int
    step: int = 0
    seconds: float = 0.0
    done: bool = False
    losses: list[tuple[int, float]] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)

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
        kept = {name: getattr(self, name) for name in ("step", "seconds", "done", "losses", "held_out", "mean")}
        return {**kept, "network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch._foreach_copy_(self.mean, state["mean"])
        for name in ("step", "seconds", "done", "losses", "held_out"):
            setattr(self, name, state[name])


class Run:
    """Phases one after the other; a file holds all that is needed to go on.

    Attributes:
        report_every: steps between two reports.
    """

    report_every = 200

    def __init__(
        self, settings: Any, same: tuple[str, ...], file: Path, phases: tuple[Phase, ...], say: Callable[[str], None]
    ) -> None:
        """Begin, or go on where the file was left.

        Args:
            settings: a dataclass with ``seed`` and ``device``, among others.
            same: names of the settings that must stay the same when a run goes on.
            file: for the state; its folder is made.
            phases: in their order.
            say: is told how far it is.

        Raises:
            ValueError: the file holds a run with other settings.
        """
        self.settings, self.file, self.phases, self.say = settings, file, phases, say
        self._identity = {name: getattr(settings, name) for name in same}
        self._stop_at: float | None = None
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            self._resume()

    def save(self) -> None:
        """Write the state beside the old one and put it in its place."""
        state = {"settings": self._identity, **{phase.name: phase.state() for phase in self.phases}}
        partial = self.file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.file)

    @contextlib.contextmanager
    def sitting(self, minutes: float | None) -> Iterator[None]:
        """Let the host train; after so many minutes, if any, phases stop."""
        import comfy.model_management

        self._stop_at = None if minutes is None else time.monotonic() + minutes * 60
        comfy.model_management.in_training = True
        try:
            yield
        finally:
            comfy.model_management.in_training = False

    def run_phase(
        self, phase: Phase, loss_of: Callable[[torch.Generator], Tensor], budget: float, stop: tuple[str, int] | None
    ) -> bool:
        """Take a phase's steps until they or its seconds are used up; returns whether they are; else it is saved."""
        settings, before = self.settings, phase.seconds
        begin = saved = time.monotonic()
        generator = torch.Generator(settings.device)
        total, count = torch.zeros((), device=settings.device), 0
        phase.network.train()
        while not phase.done and phase.step < phase.steps and phase.seconds < budget:
            if stop == (phase.name, phase.step) or (self._stop_at is not None and time.monotonic() > self._stop_at):
                self.save()
                return False
            stream = settings.seed * len(self.phases) + self.phases.index(phase)
            generator.manual_seed(stream * 10**9 + phase.step)
            with torch.autocast(settings.device, torch.bfloat16, enabled=settings.device == "cuda"):
                loss = loss_of(generator)
            phase.update(loss, max(phase.step / phase.steps, phase.seconds / budget))
            total, count = total + loss.detach(), count + 1
            phase.seconds = before + time.monotonic() - begin
            if phase.step % self.report_every == 0:
                self.report(phase, float(total) / count)
                total, count = torch.zeros_like(total), 0
            if time.monotonic() - saved > _SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        phase.network.eval()
        if count:
            self.report(phase, float(total) / count)
        if not phase.done:
            phase.done = True
            self.save()
        return True

    def report(self, phase: Phase, loss: float) -> None:
        """``loss`` is the mean since the last report."""
        phase.losses.append((phase.step, loss))
        self.say(f"{phase.name} step {phase.step}  loss {loss:.4f}  {phase.seconds / 60:.1f} minutes")

    def _resume(self) -> None:
        state = torch.load(self.file, map_location=self.settings.device, weights_only=True)
        if state["settings"] != self._identity:
            raise ValueError(
                f"{self.file.parent} holds a run with {state['settings']}, not {self._identity}. "
                "Give the same settings to go on, or another folder to start over."
            )
        for phase in self.phases:
            phase.load(state[phase.name])
        steps = ", ".join(f"{phase.name} step {phase.step}" for phase in self.phases)
        self.say(f"going on: {steps}")
