"""The pictures of an image matrix as what Gaussians are fitted to, and which of them are held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .cameras import Camera, Orbit
from .checks import expect_shape
from .image_matrix import Cell, position
from .same_places import expect_alike, places
from .splat_losses import emphasis
from .splat_options import Emphasis, FitOptions
from .visual_hull import silhouettes

_FEWEST_VIEWS = 5  # of one frame, of which one can be held out
_SMALLEST = 16  # pixels of a side
_MARGIN = 0.5  # of the pictures' edge must be background
_INVERTED = 0.9  # of the edge of one picture: what is seen from one distance does not fill that and others not
_OTHER = 0.1  # between two colors that are not one background: that of generated pictures drifts by less


@dataclass(frozen=True)
class TargetMatrix:
    """Views by frames, with their cameras.

    Attributes:
        images: (V, F, 3, H, W), uint8 or in [0, 1].
        masks: (V, F, H, W) bool, the object.
        orbit: their cameras; V azimuths.
        background: three values in [0, 1].
        reference: (view, frame).
    """

    images: Tensor
    masks: Tensor
    orbit: Orbit
    background: tuple[float, float, float]
    reference: Cell

    @property
    def frames(self) -> int:
        """F."""
        return self.images.shape[1]

    @property
    def cells(self) -> list[Cell]:
        """All, view by view."""
        return [(view, frame) for view in range(self.images.shape[0]) for frame in range(self.frames)]

    def image(self, cell: Cell) -> Tensor:
        """(3, H, W) float32 in [0, 1]."""
        return _as_float(self.images[cell].clone())  # the host's own tensors have no gradients

    def camera(self, cell: Cell) -> Camera:
        """Return the camera of a cell."""
        height, width = self.images.shape[-2:]
        return self.orbit.camera(self.orbit.azimuths[cell[0]], width, height)

    def time(self, cell: Cell) -> float:
        """From 0, the first frame, to 1, the last."""
        return cell[1] / max(self.frames - 1, 1)

    def share(self, cell: Cell, weights: Emphasis) -> float:
        """Return how much a cell teaches colors and opacities."""
        if weights is Emphasis.EVEN:
            return 1.0
        view, frame = self.reference
        azimuth = self.orbit.azimuths[cell[0]] - self.orbit.azimuths[view]
        return emphasis(azimuth, cell[1] - frame, self.frames)

    def held_out(self, every: int) -> set[Cell]:
        """Return the cells that are not fitted: every so many-th of each view and frame, never the reference.

        Views from one place are held out together: of one that is fitted the other is no test.
        """
        firsts = places(self.orbit.azimuths)
        numbers = {first: number for number, first in enumerate(sorted(set(firsts)))}
        place = [numbers[first] for first in firsts]
        if every == 0 or (self.frames == 1 and len(numbers) < _FEWEST_VIEWS):
            return set()
        view, frame = self.reference
        step = 2 if every > 2 else 1
        return {
            cell
            for cell in self.cells
            if (place[cell[0]] - place[view] + step * (cell[1] - frame)) % every == every // 2
        }


def target_matrix(
    images: Tensor,
    orbit: Orbit,
    options: FitOptions,
    background: Sequence[float],
    masks: Tensor | None,
    on_wait: Callable[[int, int], None] = lambda _done, _views: None,
) -> TargetMatrix:
    """Check what is to be fitted.

    Args:
        images: (V, F, 3, H, W), uint8 or floating in [0, 1].
        orbit: their cameras.
        options: whose reference is meant.
        background: three values in [0, 1], the color that surrounds the object.
        masks: (V, F, H, W) in [0, 1], 1 where the object is, which is then put on the background; ``None`` takes what
            is not background.
        on_wait: called before each view that is looked at, with how many were and how many there are; what it raises
            ends that.

    Raises:
        ValueError: a shape that does not fit, one view, pictures that do not have this background, or that differ
            though they are from one place.
    """
    expect_shape("images", images, "V F 3 H W")
    views, frames, _, height, width = images.shape
    if views == 1:
        raise ValueError("A scene cannot be made from one view: it has no depth. Give pictures from several azimuths.")
    if len(orbit.azimuths) != views:
        raise ValueError(f"{views} views need {views} azimuths; got {len(orbit.azimuths)}.")
    if len(set(places(orbit.azimuths))) == 1:
        raise ValueError("All azimuths are the same: one view alone has no depth. Give pictures from several azimuths.")
    if min(height, width) < _SMALLEST:
        raise ValueError(
            f"The pictures are {width}x{height}, and a fit needs at least {_SMALLEST} pixels a side. Give larger ones."
        )
    color = (float(background[0]), float(background[1]), float(background[2]))
    reference = (position("view", options.reference[0], views), position("frame", options.reference[1], frames))
    if masks is None:
        found = torch.empty(views, frames, height, width, dtype=torch.bool, device=images.device)
        far = torch.empty(views, frames, device=images.device)
        for view in range(views):
            on_wait(view, views)
            found[view] = silhouettes(_as_float(images[view]), color)
            edges = _as_float(_edges(images[view]))[..., None]  # as pictures of one column
            far[view] = silhouettes(edges, color, _OTHER).float().mean(dim=(-2, -1))
        _expect_background(found, far, color)
        return _of_one_picture_a_place(TargetMatrix(images, found, orbit, color, reference))
    expect_shape("masks", masks, "V F H W", V=views, F=frames, H=height, W=width)
    shown = masks > 0.5
    if not shown.flatten(2).any(dim=-1).all():
        raise ValueError(
            "One of the masks is empty: nowhere is it above one half. White is where the object is: check whether they "
            "are inverted."
        )
    _expect_objects(shown)
    behind = torch.tensor(color, device=images.device)[:, None, None]
    composed = torch.empty_like(images)
    for view in range(views):
        on_wait(view, views)
        share = masks[view].to(images.device).float()[:, None]
        mixed = _as_float(images[view]) * share + behind * (1 - share)
        composed[view] = mixed if images.is_floating_point() else (mixed * 255).round()
    return _of_one_picture_a_place(TargetMatrix(composed, shown, orbit, color, reference))


def _of_one_picture_a_place(target: TargetMatrix) -> TargetMatrix:
    frame = target.reference[1]
    expect_alike(
        target.orbit.azimuths, lambda view: target.image((view, frame)), lambda view: target.masks[view, frame]
    )
    return target


def _expect_objects(masks: Tensor) -> None:
    white = _edges(masks).float().mean(dim=-1)
    inverted, count = int((white > _INVERTED).sum()), white.numel()
    if not inverted and white.mean() <= _MARGIN:
        return
    which = f"{inverted} of the {count} masks are" if 0 < inverted < count else "The masks are"
    raise ValueError(
        f"{which} white along the pictures' edges, where there is no object. White is where it is: invert them, or "
        "give pictures that show all of it."
    )


def _expect_background(masks: Tensor, far: Tensor, color: tuple[float, float, float]) -> None:
    odd, count = int((far > _INVERTED).sum()), far.numel()
    if odd or (~_edges(masks)).float().mean() < _MARGIN:
        some = f"The edges of {odd} of the {count} pictures" if 0 < odd < count else "The pictures' edges"
        raise ValueError(
            f"{some} do not have the background colour ({', '.join(f'{part:.2g}' for part in color)}). "
            "Remove the background, give masks of the object, or name the colour that surrounds it."
        )
    if not masks.flatten(2).any(dim=-1).all():
        raise ValueError("A picture of the matrix shows nothing but its background. Leave it out, or check the masks.")


def _edges(masks: Tensor) -> Tensor:
    """What (..., H, W) has along its four edges, in a row."""
    return torch.cat([masks[..., 0, :], masks[..., -1, :], masks[..., :, 0], masks[..., :, -1]], dim=-1)


def _as_float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
