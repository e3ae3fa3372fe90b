"""Which formats go into which files."""

from __future__ import annotations

import pytest
import torch

from stereo_core.formats import StereoFormat, combine, packed_size
from stereo_core.picture_kinds import PICTURE_FORMATS, FileType, PictureFormat, PictureKind


@pytest.mark.parametrize("form", PICTURE_FORMATS)
def test_auto_suits_every_format(form: StereoFormat | PictureFormat):
    kind = PictureKind.choose(form.value, "auto")
    assert kind.form is form and kind.file is not FileType.AUTO
    assert (kind.suffix("player") == "") is (kind.extension in ("mpo", "jps", "vr.jpg"))
    assert kind.suffix("plain") == ""


def test_every_format_is_there_once():
    assert len(PICTURE_FORMATS) == len(set(PICTURE_FORMATS)) == len(StereoFormat) + len(PictureFormat)


@pytest.mark.parametrize(
    ("form", "file", "said"),
    [
        ("mpo", "png", "mpo is a file of its own kind. Set file_type to auto"),
        ("wiggle", "png", "wiggle moves, which png is not for. Set file_type to auto, or to webp or gif"),
        ("full_sbs", "gif", "full_sbs does not move, which gif is not for. .* to png, jpeg, webp or avif"),
    ],
)
def test_what_does_not_fit_is_refused(form: str, file: str, said: str):
    with pytest.raises(ValueError, match=f"^file_type: {said}"):
        PictureKind.choose(form, file)


@pytest.mark.parametrize(
    ("form", "extension"), [("full_sbs", "png"), ("mpo", "mpo"), ("jps", "jps"), ("vr_photo", "vr.jpg")]
)
def test_extensions(form: str, extension: str):
    assert PictureKind.choose(form, "auto").extension == extension
    assert PictureKind.choose("full_sbs", "jpeg").extension == "jpg"


def test_a_picture_that_a_file_cannot_hold_is_refused():
    PictureKind.choose("full_sbs", "png").expect_size(20000, 100)
    with pytest.raises(ValueError, match="webp holds at most 16383 pixels a side, and the picture has 20000x100"):
        PictureKind.choose("full_sbs", "webp").expect_size(20000, 100)


@pytest.mark.parametrize(
    ("form", "file", "advice"),
    [
        ("full_sbs", "avif", r"^file_type: avif holds .* Choose png or jpeg, or make the views smaller"),
        ("wiggle", "webp", r"^file_type: webp holds .* Choose gif, or make the views smaller"),
    ],
)
def test_only_files_that_can_hold_it_are_advised(form: str, file: str, advice: str):
    with pytest.raises(ValueError, match=advice):
        PictureKind.choose(form, file).expect_size(40000, 2)


@pytest.mark.parametrize("form", ["mpo", "jps", "vr_photo"])
def test_a_file_of_its_own_kind_is_named_by_its_format(form: str):
    with pytest.raises(ValueError, match=rf"^format: {form} holds at most 65535 .* 66000x2. Make the views smaller"):
        PictureKind.choose(form, "auto").expect_size(66000, 2)


def test_vr180_is_square_and_named_as_such():
    kind = PictureKind.choose("vr180", "jpeg")
    assert (kind.suffix("player"), kind.extension) == ("_180x180_3dh_LR", "jpg")
    kind.expect_views(64, 64)
    with pytest.raises(ValueError, match="vr180 takes square views of half a sphere, and left is 128x64"):
        kind.expect_views(128, 64)


def test_a_flat_picture_is_no_vr_photo():
    kind = PictureKind.choose("vr_photo", "auto")
    kind.expect_views(64, 64)
    kind.expect_views(128, 64)
    with pytest.raises(ValueError, match="vr_photo takes equirectangular views, .* and left is 96x64"):
        kind.expect_views(96, 64)


@pytest.mark.parametrize("form", [form for form in StereoFormat if form is not StereoFormat.WIGGLE])
@pytest.mark.parametrize(("width", "height"), [(6, 4), (5, 3)])
def test_the_packed_size_is_that_of_the_packed_picture(form: StereoFormat, width: int, height: int):
    left, right = torch.rand(2, 1, 3, height, width)
    packed = combine(left, right, form, torch.rand(1, 1, height, width))
    assert packed_size(form, width, height) == (packed.shape[-1], packed.shape[-2])
