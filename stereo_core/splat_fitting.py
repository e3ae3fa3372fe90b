"""The second stage of Diffusion²: moving Gaussians that look like the pictures of an image matrix.

Source:
    Yang, Pan, Gu, Zhang, "Diffusion²: Dynamic 3D content generation via score composition of video and multi-view
    diffusion models", ICLR 2025, section 3.4. First the Gaussians alone on the views of the reference frame, then their
    motion on the whole matrix. What they leave open (the loss, the start, the weights) is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import cached_property, partial
from itertools import count
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from .cameras import Orbit
from .image_matrix import Cell
from .outline_agreement import Outlines, expect_agreement, own_side
from .same_places import places
from .seeds import Stream, make_generator
from .splat_gsplat import fitting_rasterizer
from .splat_losses import photometric_loss, rigidity_loss
from .splat_matrix import TargetMatrix, target_matrix
from .splat_model import USUAL_HALF, SplatModel
from .splat_neighbors import neighbors
from .splat_options import FitOptions, Motion
from .splat_scene import WHITE, SplatScene
from .splat_turning import whole_turn
from .splatting import rasterize
from .visual_hull import hull_points, seen_box, seen_half

_SPREADING = 0.5  # of the steps with motion, in which the frames are taken in
_TOLD_AFTER = 100  # steps: a shorter warm-up does not tell whether the views agree
_LAST_RELOCATION = 0.8  # of a stage: what was moved needs time to settle


class Task(str, Enum):
    """What a fit does before, between and after its iterations, in words for the user."""

    PICTURES = "looking at the pictures"
    START = "looking for where the object is"
    TURN = "looking for a turn of the whole"
    OUTLINES = "comparing the outlines"
    CHECK = "comparing with the pictures"


class Wait(NamedTuple):
    """How far one of these tasks is.

    Attributes:
        task: under way.
        done: from 0 to ``steps`` - 1.
        steps: of the task, at most.
    """

    task: Task
    done: int
    steps: int


class Progress(NamedTuple):
    """How far a fit is, after each of its iterations.

    Attributes:
        step: from 1 to ``steps``.
        steps: of the whole fit.
        psnr: in dB, of the picture that was just fitted.
        picture: draws the reference cell, (3, H, W) in [0, 1] on the fit's device; takes time.
    """

    step: int
    steps: int
    psnr: float
    picture: Callable[[], Tensor]


def fit(
    images: Tensor,
    orbit: Orbit,
    options: FitOptions,
    background: Sequence[float] = WHITE,
    masks: Tensor | None = None,
    on_step: Callable[[Progress], None] | None = None,
    device: torch.device | str = "cpu",
    on_wait: Callable[[Wait], None] = lambda _: None,
) -> SplatScene:
    """Fit Gaussians to an image matrix; with one frame, to its views.

    Args:
        images: (V, F, 3, H, W), uint8 or floating in [0, 1], of an object on one color.
        orbit: the cameras, with V azimuths.
        options: of the fit.
        background: three values in [0, 1], the color around the object.
        masks: (V, F, H, W) in [0, 1], 1 where the object is; ``None`` takes what is not background.
        on_step: called after each iteration; what it raises ends the fit.
        device: that computes; the pictures stay where they are.
        on_wait: called before each step of a ``Task``, of which there can be thousands; what it raises ends the fit.

    Returns:
        The scene, on the CPU, whose ``quality`` says how well it fits.

    Raises:
        ValueError: pictures that cannot be those of one object seen by these cameras, or of no object at all.
    """
    # The host calls nodes in inference mode, whose tensors have no gradients.
    with torch.inference_mode(False), torch.enable_grad():
        target = target_matrix(
            images, orbit, options, background, masks, lambda done, views: on_wait(Wait(Task.PICTURES, done, views))
        )
        fitting = _Fitting(target, options, torch.device(device), on_wait)
        for step, psnr in fitting.steps():
            if on_step is not None:
                on_step(Progress(step, options.iterations, psnr, fitting.picture))
        return fitting.scene()


class _Fitting:
    """A fit under way."""

    def __init__(
        self, target: TargetMatrix, options: FitOptions, device: torch.device, on_wait: Callable[[Wait], None]
    ) -> None:
        self._target, self._options, self._device, self._on_wait = target, options, device, on_wait
        self._generator = make_generator(options.seed, Stream.SPLATS)
        self._held_out = target.held_out(options.held_out)
        self._known = [cell for cell in target.cells if cell not in self._held_out]
        self._still = [cell for cell in self._known if cell[1] == target.reference[1]]
        half = seen_half(target.orbit)
        self._rigidity = options.losses.rigidity * USUAL_HALF / half
        points, colors, volume = hull_points(
            torch.stack([target.masks[cell] for cell in self._still]),
            torch.stack([target.image(cell) for cell in self._still]),
            [target.camera(cell) for cell in self._still],
            options.gaussians,
            seen_box(target.orbit, target.images.shape[-1], target.images.shape[-2]),
            self._generator,
            partial(self._wait, Task.START),
        )
        spacing = (volume / options.gaussians) ** (1 / 3)
        harmonics = min(options.harmonics, target.frames - 1)
        self._model = SplatModel(
            points.to(device), colors.to(device), spacing, half, options, harmonics, target.time(target.reference)
        )
        reference = target.camera(target.reference)
        self._doubt = ""
        self._rasterize = fitting_rasterizer(self._model.at(None), reference, target.background)

    def steps(self) -> Iterator[tuple[int, float]]:
        """Take all steps; after each, its number and the PSNR of its picture."""
        options, known, still = self._options, self._known, self._still
        warm_up = options.iterations if self._target.frames == 1 else options.warm_up
        for step, cell in enumerate(self._drawn(still, warm_up)):
            rate = options.rates.end ** (step / warm_up)
            yield step + 1, self._step(cell, None, rate, 0.0)
            self._relocate(step, warm_up)
        if warm_up >= _TOLD_AFTER:
            self._doubt = self._expect_agreement(still)
        moving = options.iterations - warm_up
        if moving > 0:
            tell = partial(self._wait, Task.TURN)
            self._model.turn(whole_turn(self._model.at(None), self._target, known, tell))
        near = self._settled()
        for step, cell in enumerate(self._spreading(known, moving)):
            rate = options.rates.end ** max((step / moving - _SPREADING) / (1 - _SPREADING), 0)
            yield warm_up + step + 1, self._step(cell, near, rate * options.rates.tuned, rate)
            if self._relocate(step, moving):
                near = self._settled()

    def picture(self) -> Tensor:
        """(3, H, W) the reference cell as it is now."""
        with torch.no_grad():
            return self._draw(self._target.reference).clamp(0, 1)

    def scene(self) -> SplatScene:
        """Return what is fitted, and how well."""
        with torch.no_grad():
            knots = list(self._model.knots(self._target.frames))
            still = self._model.at(None)
            return SplatScene(
                torch.stack([positions for positions, _ in knots]).cpu(),
                torch.stack([rotations for _, rotations in knots]).cpu(),
                still.scales.cpu(),
                still.opacities.cpu(),
                still.colors.cpu(),
                self._target.orbit,
                self._target.background,
                self._quality(),
            )

    def _expect_agreement(self, fitted: Sequence[Cell]) -> str:
        """What is doubtful about the views, after a space."""
        target, frame = self._target, self._target.reference[1]
        held = sorted(cell for cell in self._held_out if cell[1] == frame)
        if not held:
            return ""
        pictures = [target.image(cell) for cell in held]
        mean = torch.stack([target.image(cell) for cell in fitted]).mean(dim=0)
        blind = fmean(_psnr(mean, picture) for picture in pictures)

        @torch.no_grad()
        def own() -> float:
            of_place, drawn = places(target.orbit.azimuths), []
            for view in range(len(of_place)):
                self._wait(Task.CHECK, view, len(of_place))
                drawn.append(self._draw((view, frame)).cpu())
            return own_side(torch.stack(drawn), mean.cpu(), [p.cpu() for p in pictures], [v for v, _ in held], of_place)

        return expect_agreement(fmean(self._psnrs(held)), blind, self._outlines, own)

    @cached_property
    def _outlines(self) -> Outlines:
        """Those of the reference frame."""
        target, views = self._target, len(self._target.orbit.azimuths)
        looked = count()
        return Outlines(
            target.masks[:, target.reference[1]],
            target.orbit,
            lambda: self._wait(Task.OUTLINES, next(looked) % views, views),
        )

    def _drawn(self, cells: list[Cell], count: int) -> Iterator[Cell]:
        """All cells in a new order each time, until there are so many."""
        for _ in range(-(-count // len(cells))):
            order = torch.randperm(len(cells), generator=self._generator).tolist()
            yield from (cells[index] for index in order[:count])
            count -= len(cells)

    def _spreading(self, cells: list[Cell], count: int) -> Iterator[Cell]:
        """First cells of the frames next to the reference, then of more and more: far ones show where near ones led."""
        frame = self._target.reference[1]
        reaches = sorted({abs(cell[1] - frame) for cell in cells} - {0})
        each = int(_SPREADING * count) // max(len(reaches), 1)
        for reach in reaches:
            yield from self._drawn([cell for cell in cells if abs(cell[1] - frame) <= reach], each)
        yield from self._drawn(cells, count - each * len(reaches))

    def _settled(self) -> Tensor:
        """Tell the motion where the Gaussians are, and return their neighbors, (N, 0) where nothing asks for them."""
        self._model.settle()
        positions = self._model.positions
        if self._options.motion is Motion.CURVE:
            return neighbors(positions)
        return torch.zeros(len(positions), 0, dtype=torch.long, device=positions.device)

    def _step(self, cell: Cell, near: Tensor | None, still: float, moving: float) -> float:
        target, losses = self._target, self._options.losses
        picture = target.image(cell).to(self._device)
        gaussians = self._model.at(
            None if near is None else target.time(cell), target.share(cell, self._options.emphasis)
        )
        seen = self._rasterize(gaussians, target.camera(cell), target.background)
        loss = photometric_loss(seen.color, picture, losses)
        loss = loss + losses.shell * (seen.alpha * ~target.masks[cell].to(self._device)).mean()
        loss = loss + losses.opacity * gaussians.opacities.mean()
        if near is not None and near.shape[1] > 0:
            loss = loss + self._rigidity * rigidity_loss(self._model.positions, gaussians.positions, near)
        loss.backward()  # type: ignore[no-untyped-call]
        self._model.step(still, moving)
        return _psnr(seen.color.detach(), picture)

    def _relocate(self, step: int, steps: int) -> bool:
        due = (step + 1) % self._options.relocate == 0 and step < _LAST_RELOCATION * steps
        return due and self._model.relocate(self._generator) > 0

    def _draw(self, cell: Cell) -> Tensor:
        target = self._target
        return rasterize(self._model.at(target.time(cell)), target.camera(cell), target.background).color

    def _wait(self, task: Task, done: int, steps: int) -> None:
        self._on_wait(Wait(task, done, steps))

    @torch.no_grad()
    def _psnrs(self, cells: Sequence[Cell]) -> list[float]:
        found = []
        for done, cell in enumerate(cells):
            self._wait(Task.CHECK, done, len(cells))
            found.append(_psnr(self._draw(cell), self._target.image(cell).to(self._device)))
        return found

    def _quality(self) -> str:
        held, known = sorted(self._held_out), len(self._known)
        doubt = self._doubt + self._outlines.doubt
        found = self._psnrs([*self._known, *held])
        fitted = f"{fmean(found[:known]):.1f} dB on the {known} pictures that were fitted"
        if held:
            return f"{fitted}, {fmean(found[known:]):.1f} dB on the {len(held)} that were held out.{doubt}"
        why = "there are too few views to hold any out" if self._options.held_out else "none was held out"
        return f"{fitted}; {why}, so nothing is known of the views between.{doubt}"


def _psnr(made: Tensor, true: Tensor) -> float:
    return float(-10 * (made.clamp(0, 1) - true).square().mean().clamp(min=1e-10).log10())
