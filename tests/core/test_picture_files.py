"""Stereo pictures put together from JPEGs, read back by Pillow and, where it is there, by ExifTool."""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stereo_core.picture_files import multi_picture, stereo_jpeg, vr_photo

WIDTH, HEIGHT = 48, 32


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()


def pixels(data: bytes | Image.Image) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)) if isinstance(data, bytes) else data)


def tags(data: bytes, folder: Path, ending: str) -> dict[str, Any]:
    """As ExifTool names them."""
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not installed")
    file = folder / f"picture.{ending}"
    file.write_bytes(data)
    said = subprocess.run(
        ["exiftool", "-json", "-validate", "-all", "-a", "-G1", file], capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(said.stdout)[0]
    return {name.split(":")[-1] if ":MP" not in name else name: value for name, value in found.items()}


@pytest.fixture(params=["plain", "with EXIF"])
def left(request: pytest.FixtureRequest) -> bytes:
    kept = Image.Exif()
    kept[0x010F] = "workflow:{}"
    return jpeg(picture(0), **({} if request.param == "plain" else {"exif": kept}))


RIGHT = jpeg(picture(1))


def test_mpo_holds_both_views_whole(left: bytes):
    data = multi_picture(left, RIGHT)
    image = Image.open(BytesIO(data))
    assert (image.format, image.n_frames) == ("MPO", 2)
    for index, view in enumerate((left, RIGHT)):
        image.seek(index)
        assert np.array_equal(pixels(image.convert("RGB")), pixels(view))
    assert Image.open(BytesIO(data)).getexif() == Image.open(BytesIO(left)).getexif()


def test_mpo_says_that_it_is_stereo(left: bytes):
    entries = Image.open(BytesIO(multi_picture(left, RIGHT))).mpinfo[0xB002]
    kinds = [entry["Attribute"] for entry in entries]
    assert [kind["MPType"] for kind in kinds] == ["Multi-Frame Image: (Disparity)"] * 2
    assert [kind["RepresentativeImageFlag"] for kind in kinds] == [True, False]


def test_mpo_as_exiftool_reads_it(left: bytes, tmp_path: Path):
    data = multi_picture(left, RIGHT)
    found = tags(data, tmp_path, "mpo")
    for number in (1, 2):
        assert found[f"MPImage{number}:MPImageType"] == "Multi-frame Disparity"
    assert found["MPF0:MPIndividualNum"] == 1
    second = subprocess.run(
        ["exiftool", "-b", "-MPImage2", tmp_path / "picture.mpo"], capture_output=True, check=True
    ).stdout
    assert np.array_equal(pixels(second), pixels(RIGHT))
    assert data.endswith(second)
    assert tags(second, tmp_path, "jpg")["MPF0:MPIndividualNum"] == 2


def test_jps_as_exiftool_reads_it(left: bytes, tmp_path: Path):
    data = stereo_jpeg(left)
    assert np.array_equal(pixels(data), pixels(left))
    found = tags(data, tmp_path, "jps")
    assert [found[f"JPS{name}"] for name in ("Layout", "Type", "Flags")] == ["Side By Side", "Stereo", "(none)"]


@pytest.mark.parametrize(("width", "full", "start"), [(300, 600, 150), (600, 600, 0)], ids=["180", "360"])
def test_vr_photo_as_exiftool_reads_it(width: int, full: int, start: int, tmp_path: Path):
    """The right view takes several pieces of extended XMP, and comes out of them byte for byte."""
    left, right = (jpeg(picture(seed, width, 300)) for seed in (0, 1))
    assert len(right) > 2 * 65000
    data = vr_photo(left, right, (width, 300))
    assert np.array_equal(pixels(data), pixels(left))
    found = tags(data, tmp_path, "vr.jpg")
    assert (found["ProjectionType"], found["Validate"]) == ("equirectangular", "OK")
    names = ("CroppedAreaImageWidthPixels", "FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaLeftPixels")
    assert [found[name] for name in names] == [width, full, 300, start]
    taken = ["exiftool", "-b", "-XMP-GImage:ImageData", tmp_path / "picture.vr.jpg"]
    assert subprocess.run(taken, capture_output=True, check=True).stdout == right


@pytest.mark.parametrize("make", [stereo_jpeg, lambda data: multi_picture(data, RIGHT)])
def test_what_is_no_jpeg_is_refused(make: Any):
    with pytest.raises(ValueError, match="no JPEG"):
        make(b"\x89PNG\r\n")
