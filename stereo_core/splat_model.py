"""The Gaussians while they are fitted: their parameters, steps of Adam, and the moving of those that have faded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .splat_motion import Curves, DeformationField, MotionModel
from .splat_options import FitOptions, Motion
from .splat_turning import turned
from .splatting import Gaussians

_START_OPACITY = 0.3
_START_SCALE = 0.5  # of the mean distance between points
_FADED = 0.005
_COPIES = 20  # of one Gaussian at once, at most
USUAL_HALF = 0.608  # half of what the usual camera shows: rates of places are for a scene of that size


class SplatModel:
    """N canonical Gaussians and their motion.

    Args:
        points: (N, 3) where they start.
        colors: (N, 3) in [0, 1].
        spacing: mean distance between points.
        half: how far the pictures show to each side of the origin, in the world's unit.
        options: of the fit.
        harmonics: of a curve; 0 for a scene that stands still.
        reference_time: from 0 to 1, of the frame that the canonical Gaussians are.
    """

    def __init__(
        self,
        points: Tensor,
        colors: Tensor,
        spacing: float,
        half: float,
        options: FitOptions,
        harmonics: int,
        reference_time: float,
    ) -> None:
        count, device = len(points), points.device
        quaternions = torch.zeros(count, 4, device=device)
        quaternions[:, 0] = 1
        self._own = {
            "position": points.clone(),
            "scale": torch.full((count, 3), math.log(_START_SCALE * spacing), device=device),
            "rotation": quaternions,
            "opacity": torch.full((count, 1), _logit(_START_OPACITY), device=device),
            "color": colors.clamp(0.02, 0.98).logit(),
        }
        for tensor in self._own.values():
            tensor.requires_grad_()
        size, rates = half / USUAL_HALF, options.rates
        base = {
            "position": rates.position * size,
            "scale": rates.scale,
            "rotation": rates.rotation,
            "opacity": rates.opacity,
            "color": rates.color,
        }
        groups = [{"params": [self._own[name]], "base": rate, "moving": False} for name, rate in base.items()]
        self._motion: MotionModel | None = None
        if harmonics > 0 and options.motion is Motion.CURVE:
            curves = Curves(count, harmonics, reference_time, device)
            self._own |= {"move": curves.moves, "turn": curves.turns}
            groups.append({"params": [curves.common], "base": rates.common * size, "moving": True})
            groups.append({"params": [curves.moves], "base": rates.move * size, "moving": True})
            groups.append({"params": [curves.turns], "base": rates.turn, "moving": True})
            self._motion = curves
        elif harmonics > 0:
            with torch.random.fork_rng(devices=[]):  # layers draw their start from the one generator of all
                torch.default_generator.manual_seed(options.seed)
                field = DeformationField(options.layers, options.channels, reference_time, half).to(device)
            groups.append({"params": list(field.parameters()), "base": rates.mlp, "moving": True})
            self._motion = field
        self._moves = False
        self._turns: list[float] = []
        self._adam = torch.optim.Adam(groups, lr=0.0, eps=1e-15)

    @property
    def positions(self) -> Tensor:
        """(N, 3) canonical, without gradients."""
        return self._own["position"].detach()

    def at(self, time: float | None, share: float = 1.0) -> Gaussians:
        """Return the Gaussians at a time, or the canonical ones.

        Args:
            time: of a frame, 0 to 1; ``None`` stands for the reference time. Before ``settle`` nothing moves.
            share: what of the gradients colors and opacities get.
        """
        own = self._own
        positions, rotations = own["position"], own["rotation"]
        if time is not None and self._motion is not None and self._moves:
            change = self._motion(positions, time)
            positions, rotations = positions + change.positions, rotations + change.rotations
        opacities, colors = own["opacity"].sigmoid(), own["color"].sigmoid()
        if share < 1:
            opacities, colors = (share * part + (1 - share) * part.detach() for part in (opacities, colors))
        gaussians = Gaussians(positions, rotations, own["scale"].exp(), opacities, colors)
        if time is None or not any(self._turns):
            return gaussians
        return turned(gaussians, self._turns[round(time * (len(self._turns) - 1))])

    def turn(self, degrees: Sequence[float]) -> None:
        """Let the whole turn by so much at each frame; what each Gaussian moves comes on top of that."""
        self._turns = list(degrees)

    def settle(self) -> None:
        """Let the Gaussians move from now on, and tell the motion where they are, also when some were relocated."""
        self._moves = True
        if self._motion is not None:
            self._motion.settle(self.positions)

    def step(self, still: float, moving: float) -> None:
        """Follow the gradients, and forget them.

        Args:
            still: the share of the rates of all but the motion.
            moving: that of the motion's.
        """
        for group in self._adam.param_groups:
            group["lr"] = group["base"] * (moving if group["moving"] else still)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def relocate(self, generator: torch.Generator) -> int:
        """Move faded Gaussians onto others, drawn by opacity, so that the picture stays (Kheradmand et al., "3D
        Gaussian splatting as Markov chain Monte Carlo", 2024, Eq. 9). Return how many.
        """
        opacities = self._own["opacity"].sigmoid()[:, 0].cpu()
        faded = (opacities < _FADED).nonzero()[:, 0]
        alive = (opacities >= _FADED).nonzero()[:, 0]
        if len(faded) == 0 or len(alive) == 0:
            return 0
        chosen = alive[torch.multinomial(opacities[alive], len(faded), replacement=True, generator=generator)]
        copies = torch.bincount(chosen, minlength=len(opacities))[chosen].clamp(max=_COPIES - 1) + 1
        opacity, shrink = _shared(opacities[chosen].double(), copies)
        device = self.positions.device
        to, of = faded.to(device), chosen.to(device)
        for name, tensor in self._own.items():
            value = tensor[of]
            if name == "opacity":
                value = opacity.clamp(2 * _FADED, 1 - 1e-4).logit().to(value)[:, None]
            elif name == "scale":
                value = value + shrink.log().to(value)[:, None]
            tensor[to] = tensor[of] = value
            state = self._adam.state.get(tensor, {})
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key][to] = state[key][of] = 0
        return len(faded)

    @torch.no_grad()
    def knots(self, frames: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give (N, 3) positions and (N, 4) unit quaternions at every frame."""
        for frame in range(frames):
            still = self.at(frame / (frames - 1) if frames > 1 else None)
            yield still.positions.clone(), functional.normalize(still.rotations, dim=-1)


def _shared(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """The opacity of each of so many copies that stand for one, and the factor of their scales."""
    opacity = 1 - (1 - opacities) ** (1 / copies)
    total = torch.zeros_like(opacities)
    for copy in range(1, _COPIES + 1):
        terms = [math.comb(copy - 1, k) * (-1) ** k / math.sqrt(k + 1) * opacity ** (k + 1) for k in range(copy)]
        total += torch.stack(terms).sum(0) * (copy <= copies)
    return opacity, opacities / total


def _logit(value: float) -> float:
    return math.log(value / (1 - value))
