"""Figures of a long run, kept file by file, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

RECIPE, RUN_WITH = "recipe", "run with"
"""Settings: the widgets of each row, and the versions and machines of the sittings."""
_SAMPLES, _SAMPLE = 64, 1 << 14  # parts of a file that the checksum reads, and bytes of each


def keep_settings(
    out: Path, wanted: dict[str, Any], additions: Sequence[str] = (), surroundings: str | None = None
) -> None:
    """Write ``settings.json`` where there is none, and refuse to mix figures of different settings.

    Args:
        out: the folder of the figures.
        wanted: what they depend on.
        additions: names of what only adds rows: it may come later or be left out, but not change; of a dictionary
            each of its values.
        surroundings: versions and machine of this sitting, which are added to those of the ones before.

    Raises:
        ValueError: the folder holds figures of other settings or settings of something else, cannot be written to, or
            is none.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {out} is a file. Name a folder.")
    file = out / "settings.json"
    kept = read_json(file) if file.is_file() else {}
    if not isinstance(kept, dict) or kept and not kept.keys() & wanted.keys():
        raise ValueError(f"--out: {file} is of something else. Name another folder.")
    sittings = []
    # Settings of a run that ended before its first figure bind nobody.
    if kept and any(other != file for other in out.rglob("*.json")):
        sittings = [each for each in kept.get(RUN_WITH, ()) if each != surroundings]
        wanted = {**wanted, **{name: kept.get(name) for name in additions if wanted[name] is None}}
        kept |= {name: wanted[name] for name in additions if kept.get(name) is None}
        for name in (name for name in additions if isinstance(wanted[name], dict)):
            wanted[name], kept[name] = kept[name] | wanted[name], wanted[name] | kept[name]
        differing = sorted(name for name in wanted if kept.get(name) != wanted[name])
        if differing:
            raise ValueError(
                f"--out: {out} holds figures with another {', '.join(differing)}. Name another folder, or delete it."
            )
    if surroundings is not None:
        wanted = {**wanted, RUN_WITH: [*sittings, surroundings]}
    try:
        write_json(file, wanted)
    except OSError as error:
        raise ValueError(f"--out: {out} cannot be written to ({error.strerror}). Name another folder.") from error


def write_json(file: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(unfinished, file)


def write_png(file: Path, picture: Image.Image) -> None:
    """Write a picture whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    picture.save(unfinished, "PNG")
    os.replace(unfinished, file)


def keep_figures(file: Path, figures: Any, sources: Iterable[Path]) -> None:
    """Write figures as JSON, and beside them what files they were made from."""
    file.unlink(missing_ok=True)  # an interrupt must not leave old figures beside the new record
    file.parent.mkdir(parents=True, exist_ok=True)
    _sources_of(file).write_text(_describe_files(sources), encoding="utf-8")
    write_json(file, figures)


def outdated(figures: Path, sources: Iterable[Path]) -> bool:
    """Tell whether figures that are there were made from other files, whatever the dates of these."""
    record = _sources_of(figures)
    return figures.is_file() and not (
        record.is_file() and record.read_text(encoding="utf-8") == _describe_files(sources)
    )


def _sources_of(figures: Path) -> Path:
    return figures.with_suffix(".sources")


def _describe_files(files: Iterable[Path]) -> str:
    return "".join(f"{describe_file(file)}\n" for file in files if file.is_file())


def read_json(file: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"--out: {file} is damaged: {error}. Name another folder, or delete the file.") from error


def as_number(value: Tensor) -> float | None:
    """A figure that JSON can hold; equal views have no PSNR."""
    return float(value) if bool(value.isfinite()) else None


def describe_file(file: Path | None) -> str | None:
    """Name weights by what tells them apart without reading all of them: name, size, and a checksum of parts.

    Fine-tuned models often have the name and the size of another one, or another VAE alone; the parts lie all over.
    """
    if file is None:
        return None
    size, checksum = file.stat().st_size, 0
    with file.open("rb") as stream:
        for part in range(_SAMPLES):
            stream.seek(max(0, (2 * part + 1) * size // (2 * _SAMPLES) - _SAMPLE // 2))
            checksum = zlib.crc32(stream.read(_SAMPLE), checksum)
    return f"{file.name}, {size} bytes, {checksum:08x}"


def describe_network(path: Path | None) -> str | None:
    """Name a network that is a file, or a Hugging Face folder with its weights."""
    if path is None or path.is_file():
        return describe_file(path)
    weights = [file for suffix in ("*.safetensors", "*.bin") for file in sorted(path.glob(suffix))]
    return ", ".join([path.name, *(str(describe_file(file)) for file in weights[:1])])
