"""A comfort report as a picture: where in the frame it is too near or too far, and how near and far all of it is."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...stereo_core.comfort import DisparityReport, Spread
from ...stereo_core.disparity_preview import disparity_preview
from ...stereo_core.viewing import Viewing

_WIDTH, _CHART, _MARGIN, _LABEL = 960, 240, 56, 15
_TALLEST = 2 * _WIDTH  # a picture that is higher has paper beside it
_PAPER, _INK, _GRID, _COMFORT = (250, 250, 250), (40, 40, 40), (190, 190, 190), (214, 236, 214)
_NEAR, _MIDDLE, _FAR = (190, 60, 40), (90, 90, 90), (40, 80, 180)
_TINT = 0.6  # of the picture, so that one still sees what is too near
_TOO_NEAR, _TOO_FAR = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0])


def draw_comfort(disparity: Tensor, report: DisparityReport, viewing: Viewing, bounds: tuple[float, float]) -> Tensor:
    """Draw the report.

    Args:
        disparity: (1, 1, H, W) in columns, of the frame to show: warm in front of the screen, cool behind it; magenta
            is too near for comfort and cyan too far.
        report: of all frames.
        viewing: the screen and the eyes.
        bounds: the comfortable disparities, shares of the width, the least and the largest.

    Returns:
        (1, 3, H', W') in [0, 1].
    """
    frame = _frame(disparity, bounds)
    chart = _chart(report.frames, viewing, bounds)
    return torch.cat([frame, chart], dim=2)


def _frame(disparity: Tensor, bounds: tuple[float, float]) -> Tensor:
    width = disparity.shape[-1]
    shown = disparity_preview(disparity).cpu()
    share = disparity.cpu() / width
    for beyond, colour in ((share > bounds[1], _TOO_NEAR), (share < bounds[0], _TOO_FAR)):
        shown = torch.where(beyond, shown.lerp(colour.view(1, 3, 1, 1), _TINT), shown)
    scale = min(_WIDTH / width, _TALLEST / disparity.shape[-2])
    size = [max(1, round(side * scale)) for side in disparity.shape[-2:]]
    picture = torch.nn.functional.interpolate(shown, size, mode="nearest-exact")
    paper = (torch.tensor(_PAPER) / 255).view(1, 3, 1, 1).repeat(1, 1, size[0], _WIDTH)
    beside = (_WIDTH - size[1]) // 2
    paper[..., beside : beside + size[1]] = picture
    return paper


def _chart(frames: tuple[Spread, ...], viewing: Viewing, bounds: tuple[float, float]) -> Tensor:
    """Draw near, middle and far over the frames, in degrees; the comfortable range is green."""
    image = Image.new("RGB", (_WIDTH, _CHART), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(_LABEL)
    values = [[viewing.degrees(share) for share in frame] for frame in frames]
    top = 1.15 * max(*(abs(viewing.degrees(bound)) for bound in bounds), *(abs(v) for each in values for v in each))

    def height(degrees: float) -> float:
        return _CHART / 2 - degrees / top * (_CHART / 2 - 8)

    draw.rectangle((_MARGIN, height(viewing.degrees(bounds[1])), _WIDTH, height(viewing.degrees(bounds[0]))), _COMFORT)
    draw.line((_MARGIN, height(0), _WIDTH, height(0)), _GRID)
    for share in (bounds[1], 0.0, bounds[0]):
        degrees = viewing.degrees(share)
        draw.text((4, height(degrees) - _LABEL / 2), f"{degrees:+.2f}°" if share else "screen", _INK, font)
    places = np.linspace(_MARGIN, _WIDTH - 1, max(2, len(values)))
    for line, colour in enumerate((_FAR, _MIDDLE, _NEAR)):
        heights = [height(each[line]) for each in values] * (2 if len(values) == 1 else 1)
        draw.line(list(zip(places.tolist(), heights, strict=True)), colour, 3)
    for word, colour, at in (("near", _NEAR, 0), ("middle", _MIDDLE, 60), ("far", _FAR, 130)):
        draw.text((_WIDTH - 180 + at, 4), word, colour, font)
    return torch.from_numpy(np.asarray(image).copy()).movedim(-1, 0)[None] / 255
