"""The conditioning of each strip, row or column, of an image matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_base
import torch
from torch import Tensor

from ...stereo_core.image_matrix import is_full_turn

Conditioning = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Strip:
    """The conditioning of one row or column of the matrix.

    Attributes:
        positive, negative: CONDITIONING for one clip, as SVD_img2vid_Conditioning and SV3D_Conditioning make it.
        guidance: a guidance scale for each entry of the strip, in order.
    """

    positive: Conditioning
    negative: Conditioning
    guidance: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MatrixConditioning:
    """The conditioning of an image matrix.

    Attributes:
        rows: one for each view, over the frames, for the video model.
        columns: one for each frame, over the views, for the multi-view model; the reference view is the last.
        azimuths: of each view, in degrees as the core's ``to_reference`` writes them; ``None`` for a stereo clip.
        elevations: of each view, in degrees above the object's middle; ``None`` for a stereo clip.
    """

    rows: tuple[Strip, ...]
    columns: tuple[Strip, ...]
    azimuths: tuple[float, ...] | None = None
    elevations: tuple[float, ...] | None = None

    @property
    def video_latents(self) -> Tensor:
        """The reference view's video, (F, C, H, W) in the scale of the host's LATENT: what the columns are shown.

        Raises:
            ValueError: no columns.
        """
        if not self.columns:
            raise ValueError(
                "keep_video: conditioning holds no video of the reference view. Turn it off, or connect Image Matrix "
                "Conditioning."
            )
        return torch.cat([column.positive[0][1]["concat_latent_image"] for column in self.columns])

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """The latent of one cell: (C, H, W)."""
        channels, height, width = self.rows[0].positive[0][1]["concat_latent_image"].shape[1:]
        return channels, height, width


def refuse_fixed_orbit(name: str, model: Any, azimuths: Sequence[float]) -> None:
    """Raise ``ValueError`` if the MODEL in an input would ignore ``azimuths``: SV3D_u knows only its own full turn."""
    if isinstance(model.model, comfy.model_base.SV3D_u) and not is_full_turn(azimuths):
        raise ValueError(f"{name}: is SV3D_u, which makes a full turn only. Load SV3D_p for other azimuths.")
