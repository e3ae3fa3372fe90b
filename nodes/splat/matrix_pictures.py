"""The pictures of a matrix of views and frames as a fit takes them: small, and in eight bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from ...stereo_core.cameras import Orbit
from ...stereo_core.image_matrix import MatrixSize, as_matrix, full_turn, parse_degrees, view_clip
from ..host import each_frame, image_to_core
from ..matrix.decoding import decode_clip
from ..matrix.latents import expect_decodable, read_matrix_orbit, read_matrix_size

_NODE = "Splat 4D Reconstruct"
_STRETCH = 1.1  # of masks that were made at another size, with sides rounded to whole blocks
_SOLID = 0.5  # alpha from which on a pixel is the object's


@dataclass(frozen=True, slots=True)
class Pictures:
    """A matrix whose pictures are read a view at a time.

    Attributes:
        size: views and frames.
        orbit: the views' cameras.
        sides: height and width of the pictures that ``view`` gives.
        view: reads the pictures of one view, (F, 3, H, W).
        cover: reads what the object covers in those, (F, 1, h, w) in [0, 1]; ``None`` if nothing says it.
    """

    size: MatrixSize
    orbit: Orbit
    sides: tuple[int, int]
    view: Callable[[int], Tensor]
    cover: Callable[[int], Tensor] | None = None

    def scaled(self, side: int) -> tuple[int, int]:
        """Return (H, W) with a smaller side of so many pixels, or of its own if that is less."""
        height, width = self.sides
        share = min(1.0, side / min(height, width))
        return max(1, round(share * height)), max(1, round(share * width))

    def read(self, side: int) -> tuple[Tensor, Tensor | None]:
        """Return (V, F, 3, H, W) uint8, scaled, and (V, F, H, W) what the object covers, or ``None``.

        Shows progress, and stops when the user interrupts.
        """
        sides, pictures, covers = self.scaled(side), [], []
        for index in each_frame(self.size.views):
            seen = self.view(index)
            if self.cover is None:
                pictures.append(_eight_bits(_scaled(seen, sides)))
                continue
            # The colors of the object alone: at its rim, those of what is behind it would be scaled in.
            cover = _scaled(self.cover(index), self.sides).to(seen)
            share = _scaled(cover, sides)
            pictures.append(_eight_bits(_scaled(seen * cover, sides) / share.clamp(min=1 / 255)))
            covers.append(share[:, 0].cpu())
        return torch.stack(pictures), torch.stack(covers) if covers else None


def read_images(images: Tensor, views: int, azimuths: str, elevation: float) -> Pictures:
    """Read an IMAGE (V * F, H, W, C), view by view; alpha, if it hides anything, says what the object covers.

    Args:
        images: all frames of the first view, then of the second, and so on.
        views: V; 0 if each picture is a view.
        azimuths: what was typed; nothing for once around.
        elevation: degrees, of all views.

    Raises:
        ValueError: a count that is no multiple of the views, azimuths that do not fit them, or a picture all of which
            is transparent.
    """
    core = image_to_core(images, "images")
    count = views or len(core)
    if len(core) % count:
        raise ValueError(
            f"views is {views} and images holds {len(core)} pictures, which is not a whole number of frames for each. "
            "Give all frames of the first view, then all of the second, and so on, and their number of views."
        )
    size = MatrixSize(count, len(core) // count)
    if len(core) == 1:  # also what nodes give that load a folder: the node then runs for each picture alone
        raise ValueError(
            "images is one picture, and one view alone has no depth. Give pictures from several azimuths as one batch: "
            "Batch Images joins single ones, Rebatch Images those of a folder."
        )
    _expect_views(size.views)
    orbit, sides = _orbit(azimuths, elevation, size.views), (core.shape[2], core.shape[3])
    pictures = Pictures(size, orbit, sides, _by_view(core, size))
    if images.shape[-1] < 4 or images[..., 3].min() > _SOLID:
        return pictures
    alpha = images[..., 3:].movedim(-1, 1).clamp(0, 1)
    empty = int((alpha.amax(dim=(1, 2, 3)) <= _SOLID).sum())
    if empty:
        raise ValueError(
            f"images: the alpha channel of {empty} of the {len(core)} pictures hides all of it. Alpha says what the "
            "object is, 1 where it can be seen; take it away with Split Image with Alpha, or invert it."
        )
    return replace(pictures, cover=_by_view(alpha, size))


def read_matrix(matrix: dict[str, Any], vae: Any, views: int, azimuths: str, elevation: float) -> Pictures:
    """Read an image matrix, which is decoded a view at a time.

    Args:
        matrix: LATENT; one that knows its views and cameras goes before the other arguments.
        vae: the VAE.
        views: V, for a latent that does not know.
        azimuths: what was typed, for such a latent; nothing for once around.
        elevation: degrees, for such a latent.

    Raises:
        ValueError: no VAE or another model's, no matrix, or azimuths that do not fit it.
    """
    size = read_matrix_size(matrix, views)
    if vae is None:
        raise ValueError("matrix needs vae, which decodes its pictures. Connect the VAE of the video model.")
    _expect_views(size.views)
    cells = as_matrix(matrix["samples"], size)
    expect_decodable(_NODE, vae, cells, size.frames)
    orbit = read_matrix_orbit(matrix, size.views) or _orbit(azimuths, elevation, size.views)
    scale = vae.spacial_compression_decode()
    height, width = (scale * side for side in cells.shape[-2:])

    def view(index: int) -> Tensor:
        return decode_clip(vae, cells, view_clip(size, index)).movedim(-1, 1)

    return Pictures(size, orbit, (height, width), view)


def with_masks(pictures: Pictures, masks: Tensor) -> Pictures:
    """Return pictures whose object is where a MASK (V * F, h, w) is white, whatever their alpha says.

    Raises:
        ValueError: another number of masks, of another shape than the pictures, or values that are not finite.
    """
    views, frames = pictures.size
    core = image_to_core(masks[..., None], "masks")[:, :1]
    if len(core) != views * frames:
        held = "1 mask" if len(core) == 1 else f"{len(core)} masks"
        raise ValueError(
            f"masks holds {held} for {views * frames} pictures. Connect one for each picture, in the same order."
        )
    (height, width), (rows, columns) = core.shape[-2:], pictures.sides
    if not 1 / _STRETCH < width * rows / (height * columns) < _STRETCH:
        raise ValueError(
            f"masks are {width}x{height} and the pictures {columns}x{rows}, which is another shape. Crop or resize "
            "them in the same way."
        )
    return replace(pictures, cover=_by_view(core.clamp(0, 1), pictures.size))


def edge_color(pictures: Iterable[Tensor]) -> tuple[float, float, float]:
    """Return the color in [0, 1] that is most usual along the edges of uint8 pictures, each (..., 3, H, W)."""
    edges = [
        torch.cat([part[..., 0, :], part[..., -1, :], part[..., :, 0], part[..., :, -1]], dim=-1) for part in pictures
    ]
    flat = torch.cat([edge.movedim(-2, -1).flatten(0, -2) for edge in edges]).float() / 255
    red, green, blue = flat.median(dim=0).values.tolist()
    return red, green, blue


def _by_view(pictures: Tensor, size: MatrixSize) -> Callable[[int], Tensor]:
    return lambda view: pictures[view * size.frames : (view + 1) * size.frames]


def _expect_views(views: int) -> None:
    if views < 2:
        raise ValueError("views is 1, and one view alone has no depth. Give pictures from several azimuths.")


def _orbit(azimuths: str, elevation: float, views: int) -> Orbit:
    angles = parse_degrees(azimuths, views) if azimuths.strip() else full_turn(views)
    return Orbit(tuple(angles), elevation)


def _scaled(pictures: Tensor, sides: tuple[int, int]) -> Tensor:
    height, width = sides
    return comfy.utils.common_upscale(pictures.float(), width, height, "area", "disabled")


def _eight_bits(pictures: Tensor) -> Tensor:
    return (pictures.clamp(0, 1) * 255).round().to(device="cpu", dtype=torch.uint8)
