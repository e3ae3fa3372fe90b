"""What StereoCrafter-Zero publishes: its Tables 1, 3, 4 and 6 (Shi et al., 2024).

CLIP-T and CLIP-F are cosines and MEt3R a distance, all times 100. Its clips are DynamiCrafter's, with depth by
DepthCrafter where nothing else is said.
"""

from __future__ import annotations

from typing import NamedTuple

FULL, FORMS = "full method", "full method, forms as published"
RESTART, ONCE = "restart alone", "no repeats"
FILL, FRAMES = "warp and fill", "StereoDiffusion frame by frame"
METHODS = (FULL, FORMS, RESTART, ONCE, FILL, FRAMES)
DISSOLVED = (0, 10, 20, 30, 40)
SCALES = (1.0, 0.5, 0.25)
_SIZES = {1.0: "", 0.5: ", half size", 0.25: ", quarter size"}


class Published(NamedTuple):
    """A row of a table; empty where it has no such figure."""

    name: str
    clip_t: str
    clip_f: str
    met3r: str


def row_name(dissolved: int, scale: float = 1.0, depth: str | None = None) -> str:
    """Name the full method with a simplified depth, by the network that made it where it is not the first one."""
    parts = [FULL, f", depth by {depth}" if depth else "", f", dissolved {dissolved}" if dissolved else ""]
    return "".join([*parts, _SIZES[scale]])


TABLE_1 = {
    FORMS: [Published("published", "29.64", "97.16", "4.95")],
    FILL: [
        Published("published: ProPainter", "29.37", "96.45", "8.82"),
        Published("published: ImmersePro", "29.58", "96.99", "5.69"),
    ],
    FRAMES: [Published("published", "28.72", "91.09", "6.09")],
}
TABLE_3 = [
    Published("published: Depth Pro", "30.21", "97.92", "6.78"),
    Published("published: Depth Anything", "30.41", "98.02", "6.71"),
    Published("published: Video Depth Anything", "30.08", "97.92", "6.79"),
    Published("published: DepthCrafter", "30.15", "98.04", "6.70"),
]
TABLE_4 = {
    dissolved: [
        Published("published: simple scene", "", "", simple),
        Published("published: complex scene", "", "", rich),
    ]
    for dissolved, simple, rich in zip(
        DISSOLVED,
        ("8.59", "8.78", "8.94", "8.67", "7.46"),
        ("5.72", "4.65", "4.37", "4.85", "4.93"),
        strict=True,
    )
}
TABLE_6 = {
    (dissolved, scale): Published("published: DepthCrafter", "", "", figure)
    for scale, figures in zip(
        SCALES,
        (
            ("6.70", "7.34", "6.90", "6.49", "6.72"),
            ("6.47", "6.47", "5.91", "5.52", "5.67"),
            ("6.57", "5.67", "5.54", "4.95", "4.96"),
        ),
        strict=True,
    )
    for dissolved, figure in zip(DISSOLVED, figures, strict=True)
}
TABLE_6_OTHERS = {
    scale: [
        Published(f"published: {name}", "", "", figure)
        for name, figure in zip(("Depth Pro", "Depth Anything", "Video Depth Anything"), figures, strict=True)
    ]
    for scale, figures in zip(
        SCALES, (("6.78", "6.71", "6.79"), ("6.59", "6.57", "5.91"), ("5.81", "6.07", "6.20")), strict=True
    )
}
