"""The video samplers' nodes, recorded left views, and StereoCrafter-Zero as printed, slowly, to compare them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tools.host.node_inputs import gather

SHAPES = {"sd15": (1, 4, 4, 8), "svd": (2, 4, 4, 8), "wan": (1, 16, 1, 4, 8), "clip": (1, 16, 3, 4, 8)}
"""Latents of one view: a picture, two frames in the batch, a picture of a video model, and a clip of it."""

WIDGETS = {"max_disparity": 30.0, "convergence": 1.0, "exponent": 1.0}
"""Of eight latent columns the near block keeps its place, and what is behind it goes two to the right."""

HOLES = {"fill": "left", "shift": "truncated"}
"""StereoCrafter-Zero's own."""
RESTART = {"preset": "custom", "iterations": 3, "restart_until": 0.3, "form": "unrepeated", **HOLES}
REFINE = {
    "preset": "custom",
    "restart_until": 0.3,
    "warp_every": 0.2,
    "last_warp": 0.6,
    "most_repeats": 3,
    "fewest_repeats": 2,
    "form": "unrepeated",
    **HOLES,
}


def family(name: str) -> str:
    return "wan" if name == "clip" else name


def zeros(name: str) -> Tensor:
    return torch.zeros(SHAPES[name])


def record(name: str, sampler: str = "euler", samples: Tensor | None = None, **run: Any) -> tuple[Any, Tensor]:
    """A plain run's trajectory and what came out."""
    recorder = tiny.recorder(sampler)
    out, _ = tiny.sample(family(name), recorder, zeros(name) if samples is None else samples, **run)
    return recorder.trajectory, out


def restart(trajectory: Any, sampler: Any = "euler", depth: Tensor | None = None, **widgets: Any) -> Any:
    """Noisy Restart Sampler's SAMPLER."""
    return _execute("Stereo_NoisyRestartSampler", trajectory, sampler, depth, {**WIDGETS, **RESTART, **widgets})


def refine(trajectory: Any, sampler: Any = "euler", depth: Tensor | None = None, **widgets: Any) -> Any:
    """Iterative Refine Sampler's SAMPLER."""
    return _execute("Stereo_IterativeRefineSampler", trajectory, sampler, depth, {**WIDGETS, **REFINE, **widgets})


def both(trajectory: Any, sampler: Any = "euler", depth: Tensor | None = None, **widgets: Any) -> Any:
    """Both in one sampler, as the one-node way has it."""
    parts = [{name: value for name, value in widgets.items() if name in {*WIDGETS, *own}} for own in (RESTART, REFINE)]
    first, second = restart(trajectory, sampler, depth, **parts[0]), refine(trajectory, sampler, depth, **parts[1])
    first.settings = replace(first.settings, refine=second.settings.refine, fill=second.settings.fill)
    return first


def _execute(node: str, trajectory: Any, sampler: Any, depth: Tensor | None, widgets: dict[str, Any]) -> Any:
    import nodes

    sampler = tiny.inner(sampler) if isinstance(sampler, str) else sampler
    depth = tiny.depth_step() if depth is None else depth
    inputs = gather(node, depth, widgets)
    return nodes.NODE_CLASS_MAPPINGS[node].execute(trajectory=trajectory, sampler=sampler, **inputs).args[0]


@dataclass
class Literal:
    """The paper's procedure as printed, in the variance-preserving form of DDIM, for one disparity of all frames.

    Both views are denoised in one batch at every step.

    Attributes:
        left: the left view's states, in the model's own form.
        disparity: (H, W), whole columns.
        restarted: K.
        iterations: L.
        repeats: how often each step with a warp is taken.
        code: follow the published code instead of the paper.
        eta: DDIM's.
        flow: the model's states are (1 - sigma) x0 + sigma e.
        fixed: the noise of Eq. 2, one for each restarted step.
        seed: of the noise that DDIM adds.
        repeated: gives the noise of a repeated step's holes where DDIM adds none, by the step.
        taken: gives the noise that DDIM adds in all repeats of a step but the last, by the step and the repeat.
        attention: takes the place of a U-Net's self-attention.
    """

    left: tuple[Tensor, ...]
    disparity: Tensor
    restarted: int
    iterations: int
    repeats: dict[int, int]
    code: bool = False
    eta: float = 0.0
    flow: bool = False
    fixed: list[Tensor] = field(default_factory=list)
    seed: int = 5
    repeated: Callable[[int], torch.Generator] | None = None
    taken: Callable[[int, int], torch.Generator] | None = None
    attention: Any = None

    def sampler(self) -> Any:
        from comfy.samplers import KSAMPLER

        return KSAMPLER(self._run)

    def _run(self, model: Any, x: Tensor, sigmas: Tensor, extra_args: Any, callback: Any, disable: bool) -> Tensor:  # noqa: ARG002
        last = len(sigmas) - 1
        scale = [float(((1 - s) ** 2 + s**2).sqrt() if self.flow else (1 + s**2).sqrt()) for s in sigmas]
        abar = [float((1 - s) ** 2 / ((1 - s) ** 2 + s**2) if self.flow else 1 / (1 + s**2)) for s in sigmas.double()]
        if self.attention:
            every = {(part, number): self.attention for part in ("input", "middle", "output") for number in range(12)}
            options = extra_args["model_options"]
            attending = {**options["transformer_options"], "patches_replace": {"attn1": every}}
            extra_args = {**extra_args, "model_options": {**options, "transformer_options": attending}}
        left = [state / scale[i] for i, state in enumerate(self.left)]
        mask, border = self._mask(), self._border()
        share = 0.9 if self.code else 1.0

        def deviation(i: int) -> float:
            return ((1 - abar[i + 1]) / (1 - abar[i])) ** 0.5 * (1 - abar[i] / abar[i + 1]) ** 0.5

        def rescaling(i: int) -> float:
            return 1.0 if i == 0 or i == last - 1 else deviation(i) / deviation(i - 1)

        def warped(i: int, filling: Tensor, cleaned: bool = True) -> Tensor:
            if cleaned:
                filling = torch.where(border, share * left[i] + (1 - share) * filling, filling)  # Eq. 3
            return torch.where(mask, self._shift(left[i]), filling)  # Eq. 7

        def step(right: Tensor, i: int, stream: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
            pair = torch.cat([left[i], right])
            clean = model(pair * scale[i], sigmas[i].expand(len(pair)), **extra_args)
            noise = (pair - abar[i] ** 0.5 * clean) / (1 - abar[i]) ** 0.5
            sigma = self.eta * deviation(i)
            rest = (1 - abar[i + 1] - sigma**2) ** 0.5 * noise
            if sigma > 0:
                drawn = torch.randn(x.shape, generator=stream)
                rest = rest + sigma * torch.cat([drawn, drawn])  # the same for both views
            after = abar[i + 1] ** 0.5 * clean + rest  # Eq. 8
            return after[len(x) :], clean[len(x) :], rest[len(x) :]

        fillings: list[Tensor] = []
        for iteration in range(self.iterations):
            stream = torch.Generator().manual_seed(self.seed + 1)  # as the host's samplers seed theirs
            right, recorded = left[0], []
            for i in range(self.restarted):
                right = warped(i, fillings[i] if iteration > 0 else right)
                right, _, _ = step(right, i, stream)
                a = abar[i] ** 0.5
                kept = right * (1 - a) * (rescaling(i) if self.code else 1.0)
                recorded.append(kept + deviation(i) * self.fixed[i] * a)  # Eq. 2
            fillings = recorded
        if self.restarted == 0:
            right = torch.where(mask, self._shift(left[0]), left[0])

        for i in range(self.restarted, last):
            if i not in self.repeats:
                right, _, _ = step(right, i, stream)
                continue
            right = start = warped(i, right, cleaned=self.code)  # the paper cleans in the restart alone
            again = self.repeated(i)
            for j in range(self.repeats[i]):
                # The repeat that goes on has the noise of the left view, which is known: the same for both views.
                goes_on = j == self.repeats[i] - 1
                after, clean, rest = step(start, i, stream if goes_on else self.taken(i, j))
                if self.code:
                    right = after
                    start = torch.where(mask, start, after * rescaling(i))
                    continue
                if j == 0:
                    average = clean
                else:  # Eq. 4
                    average = torch.where(mask, average, clean * abar[i] ** 0.5 + average * (1 - abar[i] ** 0.5))
                right = abar[i + 1] ** 0.5 * average + rest
                if self.eta == 0:
                    fresh = (1 - abar[i] / abar[i + 1]) / (1 - abar[i])
                    own = start - abar[i] ** 0.5 * clean
                    drawn = (1 - abar[i]) ** 0.5 * torch.randn(x.shape, generator=again)
                    noisy = abar[i] ** 0.5 * average + (1 - fresh) ** 0.5 * own + fresh**0.5 * drawn
                    start = torch.where(mask, start, noisy)
                elif i < last - 1:
                    noisy = abar[i] ** 0.5 * average + rest * ((1 - abar[i]) / (1 - abar[i + 1])) ** 0.5
                    start = torch.where(mask, start, noisy)  # what both show keeps the left view's noise
        return torch.cat([self.left[last], right * scale[last]])

    def _shift(self, z: Tensor) -> Tensor:
        out = torch.zeros_like(z)
        height, width = self.disparity.shape
        for y in range(height):
            # To the right from the right, to the left from the left: the nearer comes later where two meet.
            for x in sorted(range(width), key=lambda x, y=y: self.disparity[y, x].item()):
                target = x - int(self.disparity[y, x])
                if 0 <= target < width:
                    out[..., y, target] = z[..., y, x]
        return out

    def _mask(self) -> Tensor:
        return self._shift(torch.ones(1, 1, *self.disparity.shape))[0, 0] > 0

    def _border(self) -> Tensor:
        """The empty columns at either side."""
        empty = [not column.any() for column in self._mask().T]
        width = len(empty)
        found = [all(empty[: x + 1]) or all(empty[x:]) for x in range(width)]
        return torch.tensor(found).expand(self.disparity.shape)
