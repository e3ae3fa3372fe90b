"""What may be set of a fit of Gaussians to an image matrix; every default has its place here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .image_matrix import Cell


class Motion(str, Enum):
    """How a Gaussian's place and rotation at a frame are told while the fit runs; both end as knots."""

    CURVE = "curve"
    MLP = "mlp"


class Emphasis(str, Enum):
    """How much the cells of the matrix teach colors and opacities."""

    REFERENCE = "reference"
    EVEN = "even"


@dataclass(frozen=True)
class Rates:
    """Steps of Adam at the start, for a scene that a camera of ``Orbit`` sees; they fall exponentially.

    Attributes:
        position: in the world's unit.
        scale: of the logarithm.
        rotation: of the quaternion.
        opacity: of the logit.
        color: of the logit.
        common: of the places of the curves' control points, in the world's unit.
        move: of the places that each curve adds.
        turn: of the curves' quaternions.
        mlp: of its weights.
        end: what is left of each at the end of its stage, as a fraction.
        tuned: the share at which all but the motion starts again after the warm-up.
    """

    position: float = 4.5e-3
    scale: float = 2.2e-2
    rotation: float = 7.5e-3
    opacity: float = 6e-2
    color: float = 4.5e-2
    common: float = 6e-3
    move: float = 3e-4
    turn: float = 2e-3
    mlp: float = 2e-3
    end: float = 0.05
    tuned: float = 0.5


@dataclass(frozen=True)
class Losses:
    """Weights of the loss: (1 - similarity) (|C - I| + squared (C - I)^2) + similarity (1 - SSIM) + the others.

    Attributes:
        similarity: of the structural similarity, 0 to 1.
        squared: of the squared error beside the absolute one.
        rigidity: of how much the distances between neighbors change along curves; the MLP has none, as in Diffusion².
        shell: of what covers the pictures' background.
        opacity: of the mean opacity, so that what does not help fades and can be used elsewhere.
    """

    similarity: float = 0.2
    squared: float = 2.0
    rigidity: float = 10.0
    shell: float = 0.05
    opacity: float = 0.01


@dataclass(frozen=True)
class FitOptions:
    """How a fit is made.

    Attributes:
        gaussians: N, fixed from start to end.
        iterations: steps in all, of one picture each.
        warm_up: the first of them, which see the reference frame alone; 3,000 of 5,000 in Diffusion².
        motion: curve or mlp.
        emphasis: whether colors and opacities learn less away from the reference view and frame.
        reference: (view, frame) of the given picture or of the start; negative ones count from the end.
        held_out: every so many-th cell of the matrix is not fitted, and measures the fit; 0 holds none out.
        seed: 0 to 2**64 - 1.
        relocate: Gaussians that have faded are moved every so many steps.
        harmonics: of a curve, at most; no more than the frames can tell apart.
        layers: of the MLP.
        channels: of each of its layers.
        rates: of learning.
        losses: weights.

    Raises:
        ValueError: a value that makes no sense.
    """

    gaussians: int = 20000
    iterations: int = 5000
    warm_up: int = 1000
    motion: Motion = Motion.CURVE
    emphasis: Emphasis = Emphasis.REFERENCE
    reference: Cell = (-1, 0)
    held_out: int = 5
    seed: int = 0
    relocate: int = 100
    harmonics: int = 6
    layers: int = 4
    channels: int = 64
    rates: Rates = field(default_factory=Rates)
    losses: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        if min(self.gaussians, self.iterations, self.relocate, self.harmonics, self.layers, self.channels) < 1:
            raise ValueError("A fit needs at least 1 Gaussian and 1 iteration; none of its counts may be 0.")
        if not 0 < self.warm_up <= self.iterations:
            raise ValueError(
                f"warm_up: {self.warm_up} iterations do not fit into the {self.iterations} of the whole. Take at "
                "least 1 and at most all of them."
            )
        if self.held_out < 0 or self.held_out == 1:
            raise ValueError("held_out: hold out every second cell at most, or none with 0.")
