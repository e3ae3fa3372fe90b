"""The points that a view uncovers, followed through the frames of a clip until one shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .hole_filling import find_hole_edges
from .point_cells import PointCells, read_points
from .rasterizing import TEAR, land_surfaces
from .registration import solve_steps
from .surface_motion import SurfaceMotion
from .warping import View

# Disparities that differ by less, in columns of a 512 wide view, belong to one surface.
_SURFACE = 4.0
# How far beside a hole, as a fraction of the width, and at how many pixels across, the surface behind is compared.
_BESIDE, _SAMPLES = 1 / 50, 8
# A point is looked at in so many frames on either side; each later one counts for this much of the one before.
_SIGHTS, _LATER = 4, 0.5
# A root mean square difference of colours, of 1, at which what is found counts for 0.6 of a hole's colour.
_ERROR = 0.05
# Over so many frames at the end of the reach, sights gain their weight, so that none appears at once.
_FADE = 4
# What is seen only farther away than the reach counts for so much: light and things may have changed meanwhile.
_FARTHER = 0.1
# Light may change a hole's colour by at most this much.
_MOST_LIGHT = 0.3
# Registration: the farthest step, in pixels, and how many points beside holes tell as much of a cell's light as the
# cells around it do. With few, a slope that lies apart in colour is taken for light, and what it tells is lost.
_FARTHEST, _LIGHT_SUPPORT = 1.5, 50.0
# Its steps onto the frame before, whose colours are read again and again from frame to frame.
_STEPS = 2


class Showing:
    """What a frame shows: the picture (C, H, W), its disparity (H, W), and the nearest disparity around each pixel."""

    def __init__(self, image: Tensor, disparity: Tensor, margin: int) -> None:
        self.image, self.disparity, self._margin = image, disparity, margin
        self._nearest: Tensor | None = None

    def nearest(self) -> Tensor:
        """(H, W)."""
        if self._nearest is None:
            size = 2 * self._margin + 1
            self._nearest = functional.max_pool2d(self.disparity[None], size, 1, self._margin)[0]
        return self._nearest

    def shows(self, points: Tensor, tolerance: Tensor) -> Tensor:
        """(N,) bool: points (3, N), column, row and disparity, lie in the frame and nothing nearer is close to them."""
        height, width = self.disparity.shape
        column, row, disparity = points
        inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
        at = (row.round().clamp_(0, height - 1) * width + column.round().clamp_(0, width - 1)).long()
        apart = self.nearest().flatten()[at] < disparity + tolerance
        shown: Tensor = inside & apart & (self.disparity.flatten()[at] > disparity - tolerance)
        return shown


class Sights(NamedTuple):
    """What was found on one side in time for N points.

    Attributes:
        colour: (C, N) mean over the frames that show a point.
        variance: (N,) of these.
        error: (N,), mean square by which the surface beside the hole differs in them.
        sure: (N,) 0 to 1, how much of a sight there is; 0 where none is.
        distance: (N,) frames to the first sight.
    """

    colour: Tensor
    variance: Tensor
    error: Tensor
    sure: Tensor
    distance: Tensor


class HiddenPoints:
    """The points behind a view's holes, and points of the same surfaces beside them, in one frame of a clip.

    Attributes:
        pixel: (N,) int64, row-major indices of the hole pixels.
    """

    def __init__(self, frame: Showing, hole: Tensor, view: View, fraction: float) -> None:
        """Place the points.

        Args:
            frame: that the view was made from.
            hole: (H, W) bool, of the view, true somewhere.
            view: which it is.
            fraction: of the disparity by which it is shifted, above 0.
        """
        height, width = hole.shape
        self._size = (height, width)
        self._shift = fraction if view is View.RIGHT else -fraction
        points, self.pixel, beside, side, limit = _behind(frame.disparity * fraction, hole, view)
        points[2] /= fraction
        tolerance = (limit / fraction).clamp_(TEAR, _SURFACE * width / 512)
        self._edge = self.pixel[beside] + side.long()
        beside, near = self._beside(frame, points[:, beside], side, tolerance[beside])
        self._points = torch.cat([points, beside], 1)
        self._tolerance = torch.cat([tolerance, near])
        self._colour = read_points(frame.image, beside)
        column = self._points[0] - self._shift * self._points[2]
        self._cells = PointCells(column, self._points[1], self._size)

    def _beside(self, frame: Showing, edge: Tensor, side: Tensor, tolerance: Tensor) -> tuple[Tensor, Tensor]:
        """Return points (3, M) of the surface behind that the frame shows beside the holes, and their tolerance."""
        width = self._size[1]
        step = max(1.0, _BESIDE * width / _SAMPLES)
        away = (torch.arange(_SAMPLES, device=edge.device) * step).round()
        points = edge[:, :, None].repeat(1, 1, _SAMPLES)
        points[0] = (points[0] + side[:, None] * away).round()
        points, tolerance = points.flatten(1), tolerance.repeat_interleave(_SAMPLES)
        shown = frame.shows(points, tolerance)
        return points[:, shown], tolerance[shown]

    def search(self, others: Iterable[tuple[SurfaceMotion, Showing]], reach: int, most: int) -> Sights:
        """Follow the points from frame to frame on one side in time.

        Args:
            others: frames one after another, with the motion to each from the one before.
            reach: frames within which a sight counts in full.
            most: the most frames that there may be.
        """
        count = len(self.pixel)
        points = self._points.clone()
        inner, beside = points[:, :count], points[:, count:]
        total = points.new_zeros(len(self._colour) + 4, count)  # colours, their squares, error, how sure, weight
        sights = points.new_zeros(count)
        distance = points.new_full((count,), float(most + 1))
        for away, (motion, frame) in enumerate(others, start=1):
            points[:2] += motion.at(points)
            known = self._move_onto(frame, points)
            shown = frame.shows(inner, self._tolerance[:count]) & (sights < _SIGHTS)
            index = shown.nonzero().flatten()
            if not len(index):
                continue
            light, error = self._compare(frame, beside, known, index)
            colour = read_points(frame.image, inner[:, index]) + light.clamp_(-_MOST_LIGHT, _MOST_LIGHT)
            weight = _LATER ** sights[index]
            sure = weight * min(1.0, (most + 1 - away) / _FADE)
            square = colour.square().mean(0)
            total[:, index] += torch.cat(
                [colour * weight, torch.stack([square * weight, error * weight, sure, weight])]
            )
            distance[index] = distance[index].clamp(max=away)
            sights[index] += 1
            if bool((sights >= _SIGHTS).all()):
                break
        mean = total[:-1] / total[-1].clamp(min=1e-6)
        colour, (square, error, sure) = mean[:-3], mean[-3:]
        sure = torch.where(distance > reach, _FARTHER * sure, sure)
        return Sights(colour, square - colour.square().mean(0), error, sure, distance)

    def combine(self, sides: Sequence[Sights]) -> tuple[Tensor, Tensor]:
        """Return the colours (C, N) seen before and after, the nearer in time counting more, and their trust (N,)."""
        one, two = sides
        share = two.distance * one.sure, one.distance * two.sure
        total = share[0] + share[1]
        part = share[1] / total.clamp(min=1e-6)
        colour = torch.lerp(one.colour, two.colour, part)
        apart = part * (1 - part) * (one.colour - two.colour).square().mean(0)
        wrong = torch.lerp(one.variance + one.error, two.variance + two.error, part) + apart
        index = (total > 0).nonzero().flatten()
        if len(index):  # of a pixel's neighbours as well, so that trust is no noise
            wrong = torch.maximum(
                self._cells.read(self._cells.means(wrong[None, index], index, 4.0))[0, : len(part)], wrong
            )
        sure = torch.maximum(one.sure, two.sure) * torch.exp(wrong.clamp(min=0) / (-2 * _ERROR**2))
        return colour, sure

    def with_edges(self, hole: Tensor) -> Tensor:
        """Return the holes (H, W) and, beside each, the pixel with which the surface behind begins."""
        behind = hole.clone()
        behind.view(-1)[self._edge] = True
        return behind

    def look_back(self, motion: SurfaceMotion, frame: Showing, view: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
        """Say what a view of the frame before shows at the points.

        Args:
            motion: to the frame before.
            frame: the frame before.
            view: (C + 1, H, W), the view that was made of it, and how sure its colours are, 0 to 1.
            behind: (H, W) bool, its holes and their edges, as ``with_edges`` returned them.

        Returns:
            The same at the points, (C + 1, N), in the light of this frame, and how far that holds, (N,) 0 to 1: 0
            outside ``behind``.
        """
        count = len(self.pixel)
        points = self._points.clone()
        points[:2] += motion.at(points)
        inner, beside = points[:, :count], points[:, count:]
        for _ in range(_STEPS):
            known = self._move_onto(frame, points)
        inner[0] -= self._shift * inner[2]
        column, row = inner[:2]
        inside = (column >= 0) & (column <= self._size[1] - 1) & (row >= 0) & (row <= self._size[0] - 1)
        held = inside & (read_points(behind[None].float(), inner)[0] > 0.99)
        light, error = self._compare(frame, beside, known, torch.arange(count, device=points.device))
        old = read_points(view, inner)
        old[:-1] += light
        return old, held * torch.exp(error / (-2 * _ERROR**2))

    def _move_onto(self, frame: Showing, points: Tensor) -> Tensor:
        """Bring points, in place, closer to where ``frame`` has them; return which of those beside it shows."""
        count = len(self.pixel)
        known = frame.shows(points[:, count:], self._tolerance[count:]).nonzero().flatten()
        if len(known):
            points[:2] += self._cells.read(self._register(frame, points[:, count:], known))
        return known

    def _register(self, frame: Showing, beside: Tensor, known: Tensor) -> Tensor:
        """Return the step in every cell, (2, rows, columns), that brings the surface beside to where ``frame`` has it.

        One step of Lucas and Kanade's method, with Huber's weights; what light changes over many cells is taken off.
        """
        at = beside[:2, known]
        across, down = at.new_tensor([[1.0], [0.0]]), at.new_tensor([[0.0], [1.0]])
        slope_across = (read_points(frame.image, at + across) - read_points(frame.image, at - across)) / 2
        slope_down = (read_points(frame.image, at + down) - read_points(frame.image, at - down)) / 2
        gap = self._colour[:, known] - read_points(frame.image, at)
        index = known + len(self.pixel)
        gap = gap - self._cells.read(self._cells.means(gap, index, _LIGHT_SUPPORT), index)
        weight = 0.1 / gap.abs().clamp(min=0.1)
        terms = [slope_across**2, slope_across * slope_down, slope_down**2, slope_across * gap, slope_down * gap]
        step = solve_steps(self._cells.sums((torch.stack(terms) * weight).sum(1), index))
        return step.clamp_(-_FARTHEST, _FARTHEST)

    def _compare(self, frame: Showing, beside: Tensor, known: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return how the surface beside has changed in colour, for the points ``index``, and the error beyond that."""
        if not len(known):
            return self._colour.new_zeros(len(self._colour), len(index)), self._colour.new_ones(len(index))
        gap = self._colour[:, known] - read_points(frame.image, beside[:, known])
        at = known + len(self.pixel)
        light = self._cells.means(gap, at, 0.5)
        error = (gap - self._cells.read(light, at)).square().mean(0, keepdim=True)
        found = torch.cat([light, self._cells.means(error, at, 0.5)])
        values = self._cells.read(found, index)
        return values[:-1], values[-1]


def _behind(shift: Tensor, hole: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Find the points behind the holes of a view.

    Args:
        shift: (H, W), by which the view is shifted.
        hole: (H, W) bool, of the view.
        view: which it is; the left one is the right one of the mirrored scene.

    Returns:
        Points (3, N), column and row in the source, and shift; their pixels (N,) in the view; for each of the R holes
        of a row that has an edge, one of its points (R,), and which way (R,) its surface lies; for each point (N,) the
        difference in shift beyond which it is closer to the surface in front.
    """
    width = hole.shape[1]
    mirror = view is View.LEFT
    if mirror:
        shift, hole = shift.flip(-1), hole.flip(-1)
    landing = land_surfaces(shift)
    near = landing.point() - torch.arange(width, device=hole.device)
    pixel, edge = find_hole_edges(hole, near.masked_fill_(landing.hole, torch.inf))
    behind = near.flatten()[edge]
    behind = torch.where(behind.isfinite(), behind, 0.0)  # a row that is one hole
    row, column = pixel // width, pixel % width
    first = torch.ones_like(pixel, dtype=torch.bool)
    first[1:] = (pixel[1:] != pixel[:-1] + 1) | (column[1:] == 0)
    run = first.cumsum(0) - 1
    length = run.bincount()
    first = first.nonzero().flatten()
    last = first + length - 1
    border = (column[first] == 0) | (column[last] == width - 1)
    limit = torch.where(border, float(width), length / 2)[run]
    side = (edge[first] - pixel[first]).sign()
    # The point of a run that lies at its edge, one column short of it.
    beside = torch.where(side > 0, last, first)[side != 0]
    side = side[side != 0].float()
    points = torch.stack([column + behind, row.float(), behind])
    if mirror:
        points[0] = width - 1 - points[0]
        pixel = row * width + width - 1 - column
        side = -side
    return points, pixel, beside, side, limit
