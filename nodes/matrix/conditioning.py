"""The conditioning of each strip, row or column, of an image matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_base

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
        custom_azimuths: whether the columns have other azimuths than the full turn of the host's SV3D_Conditioning.
    """

    rows: tuple[Strip, ...]
    columns: tuple[Strip, ...]
    custom_azimuths: bool = False

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """The latent of one cell: (C, H, W)."""
        channels, height, width = self.rows[0].positive[0][1]["concat_latent_image"].shape[1:]
        return channels, height, width


def refuse_fixed_orbit(model: Any) -> None:
    """Raise ``ValueError`` if ``model``, a MODEL that is given custom azimuths, would ignore them."""
    if isinstance(model.model, comfy.model_base.SV3D_u):
        raise ValueError(
            "azimuths: this model is SV3D_u, which makes a full turn only. Load SV3D_p for other azimuths, or leave "
            "azimuths empty."
        )
