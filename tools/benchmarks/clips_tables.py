"""The printed tables of clips, with the published rows beneath the rows that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from .clips_measures import CLIP_F, CLIP_T, FEATURES, IN_HOLES, MEASURES, MET3R, PSNR, SSIM, WARPING
from .clips_published import (
    DISSOLVED,
    FULL,
    METHODS,
    SCALES,
    TABLE_1,
    TABLE_3,
    TABLE_4,
    TABLE_6,
    TABLE_6_OTHERS,
    Published,
    row_name,
)
from .table import machine, print_table

LEFT = "left view"
_COLUMNS = (*MEASURES, "evaluations", "seconds")
_DIGITS = {CLIP_T: 2, CLIP_F: 2, MET3R: 2, FEATURES: 2, PSNR: 2, SSIM: 3, WARPING: 2, IN_HOLES: 2, "evaluations": 0}

Kept = dict[str, dict[str, float | None]]
"""The figures of one clip, by the row's name, then by the measure's."""


def print_tables(clips: Sequence[Kept], tables: Sequence[str], depths: Sequence[str], title: str, device: str) -> None:
    """Print the means over all clips, of the tables that are asked for."""
    printer = _Printer(clips)
    print(f"\n## StereoCrafter-Zero on {title}\n")
    print(f"{machine(device)}. Depth by {depths[0]}.")
    print("CLIP-T, CLIP-F, PSNR, SSIM: more is better; distances and errors: less. Features along d are our measure.\n")
    if "1" in tables:
        rows = printer.rows(LEFT)
        for name in METHODS:
            rows += printer.rows(name, TABLE_1.get(name, ()))
        printer.print("Table 1", rows)
    if "3" in tables:
        rows = printer.rows(FULL, (), f"depth by {depths[0]}")
        for depth in depths[1:]:
            rows += printer.rows(row_name(0, 1.0, depth), (), f"depth by {depth}")
        printer.print("Table 3, networks of depth", rows + [_published(row) for row in TABLE_3])
    if "4" in tables:
        rows = []
        for step in DISSOLVED:
            rows += printer.rows(row_name(step), TABLE_4[step])
        printer.print("Table 4, dissolved depth", rows)
    if "6" in tables:
        for scale in SCALES:
            rows = []
            for step in DISSOLVED:
                rows += printer.rows(row_name(step, scale), [TABLE_6[step, scale]])
            for depth in depths[1:]:
                rows += printer.rows(row_name(0, scale, depth))
            printer.print(
                f"Table 6, depth scaled by {scale:g}", rows + [_published(row) for row in TABLE_6_OTHERS[scale]]
            )


class _Printer:
    def __init__(self, clips: Sequence[Kept]) -> None:
        self._clips = clips

    def rows(self, name: str, paper: Sequence[Published] = (), shown: str | None = None) -> list[list[str]]:
        """The row of that name, unless it was not made, and the published ones."""
        published = [_published(row) for row in paper]
        if name in self._clips[0]:
            return [[shown or name, *(self._cell(name, column) for column in _COLUMNS)], *published]
        return [[f"{name}, {first}", *figures] for first, *figures in published]  # so that it is known of what

    def print(self, title: str, rows: list[list[str]]) -> None:
        print(f"### {title}\n")
        print_table(["", *_COLUMNS], rows)

    def _cell(self, name: str, column: str) -> str:
        known = [value for clip in self._clips if (value := clip.get(name, {}).get(column)) is not None]
        return f"{fmean(known):.{_DIGITS.get(column, 1)}f}" if known else ""


def _published(row: Published) -> list[str]:
    return [row.name, row.clip_t, row.clip_f, row.met3r, *[""] * (len(_COLUMNS) - 3)]
