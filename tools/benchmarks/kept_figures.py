"""Figures of a long run, kept file by file, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor


def keep_settings(out: Path, wanted: dict[str, Any]) -> None:
    """Write ``settings.json`` where there is none, and refuse to mix figures of different settings.

    Raises:
        ValueError: the folder holds figures of other settings.
    """
    file = out / "settings.json"
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(name for name in wanted if kept.get(name) != wanted[name])
        if differing:
            raise ValueError(
                f"--out: {out} holds figures with another {', '.join(differing)}. Name another folder, or delete it."
            )
    write_json(file, wanted)


def write_json(file: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(unfinished, file)


def as_number(value: Tensor) -> float | None:
    """A figure that JSON can hold; equal views have no PSNR."""
    return float(value) if bool(value.isfinite()) else None


def describe_file(file: Path | None) -> str | None:
    """Name weights by what tells them apart without reading them: file name and size."""
    return None if file is None else f"{file.name}, {file.stat().st_size} bytes"
