"""What both models of a score composition are told about each strip of the image matrix."""

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
        guidance: one scale for each entry of the strip, in its order.
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
        custom_azimuths: the columns name other azimuths than the full turn of the host's SV3D_Conditioning.
    """

    rows: tuple[Strip, ...]
    columns: tuple[Strip, ...]
    custom_azimuths: bool = False

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one cell's latent."""
        channels, height, width = self.rows[0].positive[0][1]["concat_latent_image"].shape[1:]
        return channels, height, width


def refuse_fixed_orbit(model: Any) -> None:
    """Raise ``ValueError`` where ``model`` (a MODEL) takes no azimuths, so that custom ones would do nothing.

    Call it only where custom azimuths are asked for.
    """
    if isinstance(model.model, comfy.model_base.SV3D_u):
        raise ValueError(
            "azimuths: this model is SV3D_u, which knows only its own full turn. Load SV3D_p for other azimuths, or "
            "leave azimuths empty."
        )
