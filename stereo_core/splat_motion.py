"""How Gaussians move while they are fitted: a curve for each, or a network for all.

Both give the change since the reference time, so that the canonical Gaussians are those of the reference frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

_OCTAVES_OF_PLACE = 4
_OCTAVES_OF_TIME = 3
_CONTROLS = 64
_SHARING = 4  # control points that move a Gaussian


class Change(NamedTuple):
    """Since the reference time: (N, 3) of the positions, and (N, 4) that is added to the quaternions."""

    positions: Tensor
    rotations: Tensor


class MotionModel(Protocol):
    """What a fit asks of a form of motion."""

    def __call__(self, positions: Tensor, time: float) -> Change:
        """Return the change of Gaussians at canonical ``positions`` (N, 3) until a time from 0 to 1."""

    def settle(self, positions: Tensor) -> None:
        """Learn where the Gaussians are, before they begin to move and when some were relocated."""


class Curves:
    """A sum of cosines for each Gaussian: sum_k (cos(k pi t) - cos(k pi t_0)) a_k / k, k from 1 on.

    With as many harmonics as there are frames less one it can be anywhere at any frame; the division by k lets it learn
    slow motion first. Its a_k are its own plus those of the control points around it, so that what lies together moves
    together before each Gaussian finds its own way (control points as in Huang et al., "SC-GS", 2024).
    """

    def __init__(self, count: int, harmonics: int, reference_time: float, device: torch.device) -> None:
        self.moves = torch.zeros(count, harmonics, 3, device=device, requires_grad=True)
        self.turns = torch.zeros(count, harmonics, 4, device=device, requires_grad=True)
        self.common = torch.zeros(min(_CONTROLS, count), harmonics, 3, device=device, requires_grad=True)
        self._steps = torch.arange(1, harmonics + 1, device=device)
        self._start = self._steps * math.pi * reference_time
        self._controls: Tensor | None = None

    def __call__(self, positions: Tensor, time: float) -> Change:  # noqa: ARG002
        basis = ((self._steps * math.pi * time).cos() - self._start.cos()) / self._steps
        common = (self.common * basis[:, None]).sum(1)
        moved = (self.moves * basis[:, None]).sum(1) + (common[self._near] * self._shares[..., None]).sum(1)
        return Change(moved, (self.turns * basis[:, None]).sum(1))

    def settle(self, positions: Tensor) -> None:
        """Share each Gaussian out among the control points next to it, which stay where they are at first."""
        if self._controls is None:
            self._controls = _spread_out(positions, len(self.common))
        apart, self._near = torch.cdist(positions, self._controls).topk(
            min(_SHARING, len(self._controls)), largest=False
        )
        width = apart[:, -1:].clamp(min=1e-6)
        shares = (-2 * (apart / width).square()).exp()
        self._shares = shares / shares.sum(dim=1, keepdim=True)


def _spread_out(positions: Tensor, count: int) -> Tensor:
    """Choose so many of the positions, each the farthest from those before (Gonzalez, 1985)."""
    chosen = [positions.mean(dim=0)]
    apart = torch.full_like(positions[:, 0], torch.inf)
    for _ in range(count):
        apart = torch.minimum(apart, (positions - chosen[-1]).square().sum(dim=1))
        chosen.append(positions[apart.argmax()])
    return torch.stack(chosen[1:])


class DeformationField(nn.Module):
    """An MLP of place and time (Yang et al., "Deformable 3D Gaussians", 2024), less what it says of the reference time.

    Places and times come in octaves of sine and cosine. The size of the Gaussians stays.
    """

    def __init__(self, layers: int, channels: int, reference_time: float, half: float) -> None:
        super().__init__()
        self._reference, self._half = reference_time, half
        width = 3 * (1 + 2 * _OCTAVES_OF_PLACE) + 1 + 2 * _OCTAVES_OF_TIME
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Linear(width if layer == 0 else channels, channels), nn.ReLU()]
        self._layers = nn.Sequential(*parts)
        self._out = nn.Linear(channels, 7)
        nn.init.normal_(self._out.weight, std=1e-3)
        nn.init.zeros_(self._out.bias)

    def forward(self, positions: Tensor, time: float) -> Change:
        place = _octaves(positions.detach() / self._half, _OCTAVES_OF_PLACE)
        now, then = (self._told(place, moment) for moment in (time, self._reference))
        change = now - then
        return Change(change[:, :3] * self._half, change[:, 3:])

    def settle(self, positions: Tensor) -> None:
        """Do nothing: places are told with every call."""

    def _told(self, place: Tensor, time: float) -> Tensor:
        moment = _octaves(place.new_tensor([[time]]), _OCTAVES_OF_TIME)
        told: Tensor = self._out(self._layers(torch.cat([place, moment.expand(len(place), -1)], dim=-1)))
        return told


def _octaves(values: Tensor, count: int) -> Tensor:
    scaled = values[..., None, :] * (2.0 ** torch.arange(count, device=values.device))[:, None] * math.pi
    return torch.cat([values, scaled.sin().flatten(-2), scaled.cos().flatten(-2)], dim=-1)
