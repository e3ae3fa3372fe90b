"""Save Stereo Image in the real host: its files read back by Pillow, and what they keep beside the host's own files."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stereo_core.file_names import player_suffix
from stereo_core.formats import StereoFormat, combine
from stereo_core.picture_kinds import PICTURE_FORMATS
from tests.host.tiny.inputs import defaults

NODE = "Stereo_SaveStereoImage"
KEPT = {"prompt": {"3": {"class_type": NODE}}, "workflow": {"nodes": [], "words": "Größe"}}
FORMATS = [form for form in StereoFormat if form is not StereoFormat.WIGGLE]
Save = Callable[..., list[Path]]


def smooth(count: int = 1, height: int = 24, width: int = 32, seed: int = 0) -> Tensor:
    """Pictures of soft colours, which lossy files keep, too."""
    coarse = 0.25 + torch.rand(count, 3, 3, 4, generator=torch.Generator().manual_seed(seed)) / 2
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1).movedim(1, -1)


@pytest.fixture
def output(host: dict[str, type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


@pytest.fixture
def save(host: dict[str, type], output: Path) -> Save:
    """Run the node as the host does, and return the files that it shows."""
    from comfy_api.latest import io

    made = host[NODE].PREPARE_CLASS_CLONE(
        {"hidden_inputs": {io.Hidden.prompt: KEPT["prompt"], io.Hidden.extra_pnginfo: {"workflow": KEPT["workflow"]}}}
    )

    def run(left: Tensor, right: Tensor | None = None, **widgets: Any) -> list[Path]:
        given = {**defaults(host[NODE]), "filename_prefix": "beach", **widgets}
        shown = made.execute(left=left, right=right, **given).ui.as_dict()["images"]
        return [output / result["subfolder"] / result["filename"] for result in shown]

    return run


def pixels(path: Path, frame: int = 0) -> Tensor:
    """As Pillow reads them, (H, W, 3) in [0, 1]."""
    with Image.open(path) as image:
        image.seek(frame)
        return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255)


def off(path: Path, truth: Tensor, frame: int = 0) -> float:
    """Levels between a file and (H, W, 3), at most."""
    return float((pixels(path, frame) - truth).abs().max() * 255)


def mostly_off(path: Path, truth: Tensor, frame: int = 0) -> float:
    """The mean of them."""
    return float((pixels(path, frame) - truth).abs().mean() * 255)


def packed(left: Tensor, right: Tensor, form: StereoFormat, depth: Tensor) -> Tensor:
    views = (view.movedim(-1, 1) for view in (left, right))
    return combine(*views, form, depth.movedim(-1, 1)[:, :1]).movedim(1, -1)


@pytest.mark.parametrize("form", FORMATS)
def test_png_is_the_packed_picture_within_half_a_level(save: Save, form: StereoFormat) -> None:
    left, right, depth = (smooth(seed=seed) for seed in range(3))
    depth = depth[..., :1].expand(-1, -1, -1, 3)
    (path,) = save(left, right, format=form.value, depth=depth)
    assert path.name == f"beach_00001{player_suffix(form)}.png"
    assert off(path, packed(left, right, form, depth)[0]) <= 0.51


@pytest.mark.parametrize(
    ("file", "ending", "most"),
    [("jpeg", "jpg", 1.2), ("webp", "webp", 2.5), ("avif", "avif", 1.2), ("png", "png", 0.3)],
)
def test_every_type_of_file_shows_the_same(save: Save, file: str, ending: str, most: float) -> None:
    left, right = smooth(seed=0), smooth(seed=1)
    (path,) = save(left, right, file_type=file)
    assert path.suffix == f".{ending}"
    assert mostly_off(path, torch.cat([left, right], 2)[0]) <= most


@pytest.mark.parametrize("form", ["interlaced_rows", "checkerboard", "anaglyph_color"])
def test_webp_keeps_two_eyes_in_one_place_apart(save: Save, form: str) -> None:
    left, right = torch.rand(2, 1, 24, 32, 3)
    (path,) = save(left, right, format=form, file_type="webp")
    assert off(path, packed(left, right, StereoFormat(form), left)[0]) <= 0.51


@pytest.mark.parametrize("form", ["full_sbs", "mpo", "jps"])
def test_jpeg_colours_are_as_fine_as_its_pixels(save: Save, form: str) -> None:
    (path,) = save(*torch.rand(2, 1, 24, 32, 3), format=form, file_type="auto" if form != "full_sbs" else "jpeg")
    with Image.open(path) as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}


def test_mpo_holds_both_views(save: Save) -> None:
    left, right = smooth(seed=0), smooth(seed=1)
    (path,) = save(left, right, format="mpo")
    assert path.name == "beach_00001_.mpo"
    assert mostly_off(path, left[0], 0) <= 1 and mostly_off(path, right[0], 1) <= 1


def test_jps_begins_with_the_right_view(save: Save) -> None:
    left, right = smooth(seed=0), smooth(seed=1)
    (path,) = save(left, right, format="jps")
    assert path.suffix == ".jps"
    assert mostly_off(path, torch.cat([right, left], 2)[0]) <= 1


def test_vr_photo_shows_the_left_view(save: Save) -> None:
    left, right = smooth(width=24, seed=0), smooth(width=24, seed=1)
    (path,) = save(left, right, format="vr_photo")
    assert path.name == "beach_00001_.vr.jpg"
    assert mostly_off(path, left[0]) <= 1.2


def test_vr180_has_both_views_side_by_side(save: Save) -> None:
    left, right = smooth(width=24, seed=0), smooth(width=24, seed=1)
    (path,) = save(left, right, format="vr180")
    assert path.name == "beach_00001_180x180_3dh_LR.png"
    assert off(path, torch.cat([left, right], 2)[0]) <= 0.51


@pytest.mark.parametrize(("file", "most"), [("webp", 2.5), ("gif", 4)])
def test_wiggle_goes_there_and_back_through_what_lies_between(
    host: dict[str, type], save: Save, file: str, most: float
) -> None:
    """The views between are Image Stereo Shift's of a part of the strength."""
    left, depth = smooth(height=48, width=64), torch.zeros(1, 48, 64, 3)
    depth[:, 12:36, 16:48] = 1

    def shifted(part: float) -> Tensor:
        strength = host["Stereo_StereoStrength"]
        given = {**defaults(strength), "max_disparity": 6.0 * part, "screen": "value"}
        made = strength.execute(depth=depth, image=left, **given).args[0]
        return host["Stereo_ImageStereoShift"].execute(left, made, 0.0, "best", 0).args[1]

    strength = host["Stereo_StereoStrength"]
    whole = strength.execute(
        depth=depth, image=left, **{**defaults(strength), "max_disparity": 6.0, "screen": "value"}
    ).args[0]
    (path,) = save(left, shifted(1), format="wiggle", depth=whole, file_type=file, wiggle_between=2, wiggle_time=90)
    with Image.open(path) as image:
        assert image.n_frames == 6 and image.info["loop"] == 0
        image.seek(1)
        image.load()
        assert image.info["duration"] == 90
    for frame, part in enumerate((0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3)):
        assert mostly_off(path, shifted(part)[0], frame) <= most


def test_wiggle_without_depth_has_both_views_alone(save: Save) -> None:
    left, right = smooth(seed=0), smooth(seed=1)
    (path,) = save(left, right, format="wiggle", wiggle_between=4)
    with Image.open(path) as image:
        assert image.n_frames == 2


def test_every_picture_of_a_batch_becomes_a_file(save: Save) -> None:
    left, right = smooth(3, seed=0), smooth(3, seed=1)
    for given in ({"left": left, "right": right}, {"left": torch.cat([left, right])}):
        paths = save(**given)
        assert [off(path, torch.cat([left, right], 2)[index]) <= 0.51 for index, path in enumerate(paths)] == [True] * 3


def test_names_are_counted_as_the_host_counts(save: Save, host: dict[str, type]) -> None:  # noqa: ARG001
    import folder_paths

    left = smooth(2)
    names = [path.name for path in save(left, filename_prefix="trip/%width%x%height%")]
    assert names == ["64x24_00001_LRF_Full_SBS.png"]
    (plain,) = save(left, filename_prefix="trip/64x24", name="plain", file_type="jpeg")
    assert plain.name == "64x24_00002_.jpg"
    assert folder_paths.get_save_image_path("trip/64x24", folder_paths.get_output_directory())[2] == 3


def test_a_number_only_where_the_name_is_taken(save: Save) -> None:
    names = [save(smooth(2), numbering="if_taken")[0].name for _ in range(3)]
    assert names == ["beach_LRF_Full_SBS.png", "beach_00001_LRF_Full_SBS.png", "beach_00002_LRF_Full_SBS.png"]


def test_a_number_for_each_of_a_batch_overwrites_no_earlier_run(save: Save) -> None:
    runs = [save(smooth(4, seed=seed), filename_prefix="beach_%batch_num%", name="plain") for seed in (1, 2)]
    names = [[path.name for path in files] for files in runs]
    assert names == [["beach_0_00001_.png", "beach_1_00002_.png"], ["beach_0_00002_.png", "beach_1_00003_.png"]]


def kept_in(path: Path) -> dict[str, Any]:
    """What the editor reads, wherever a file keeps it."""
    with Image.open(path) as image:
        if image.format == "PNG":
            return {name: json.loads(text) for name, text in image.text.items()}
        pairs = (value.split(":", 1) for value in image.getexif().values() if isinstance(value, str))
        return {name: json.loads(text) for name, text in pairs}


@pytest.mark.parametrize(
    ("form", "file"),
    [
        *(("full_sbs", file) for file in ("png", "jpeg", "webp", "avif")),
        *((form, "auto") for form in ("mpo", "jps", "vr_photo", "wiggle")),
    ],
)
def test_the_workflow_is_kept_unless_the_host_is_told_not_to(
    save: Save, form: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfy.cli_args import args

    left = smooth(2, width=24)
    (path,) = save(left, format=form, file_type=file)
    assert kept_in(path) == KEPT
    monkeypatch.setattr(args, "disable_metadata", True)
    (path,) = save(left, format=form, file_type=file)
    assert kept_in(path) == {}


def test_it_is_kept_where_the_hosts_own_nodes_keep_it(save: Save, output: Path) -> None:
    from types import SimpleNamespace

    from comfy_api.latest import io, ui

    node = SimpleNamespace(
        hidden=SimpleNamespace(prompt=KEPT["prompt"], extra_pnginfo={"workflow": KEPT["workflow"]}, unique_id=None)
    )
    (png,), (webp,) = (save(smooth(2), file_type=file) for file in ("png", "webp"))
    (host_png,) = ui.ImageSaveHelper.save_images(smooth(), "host", io.FolderType.output, node)
    host_webp = ui.ImageSaveHelper.save_animated_webp(smooth(), "host", io.FolderType.output, node, 8.0, True, 80, 4)
    with Image.open(output / host_png.filename) as theirs, Image.open(png) as ours:
        assert ours.text == theirs.text
    with Image.open(output / host_webp.filename) as theirs, Image.open(webp) as ours:
        assert dict(ours.getexif()) == dict(theirs.getexif())


def test_what_is_too_long_for_a_jpeg_is_left_out_of_it(save: Save) -> None:
    KEPT["prompt"]["4"] = {"long": "x" * 60000}
    try:
        assert set(kept_in(save(smooth(2), file_type="jpeg")[0])) == {"prompt", "workflow"}
        KEPT["prompt"]["4"] = {"long": "x" * 66000}
        assert set(kept_in(save(smooth(2), file_type="jpeg")[0])) == {"workflow"}
        assert set(kept_in(save(smooth(2), file_type="webp")[0])) == {"prompt", "workflow"}
    finally:
        del KEPT["prompt"]["4"]


def test_a_workflow_that_is_too_long_for_a_jpeg_is_told(pack, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pack("nodes.delivery.save_stereo_image"), "show_text", lambda _, text: told.append(text))
    monkeypatch.setitem(KEPT["workflow"], "long", "x" * 66000)
    for kind in ({"file_type": "jpeg"}, {"format": "mpo"}, {"file_type": "webp"}):
        save(smooth(2), **kind)
    assert ["too large for a JPEG file, and is not kept in it" in text for text in told] == [True, True, False]
    assert not any("The editor opens" in text for text in told)


def test_it_is_told_which_files_the_editor_cannot_open(pack, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pack("nodes.delivery.save_stereo_image"), "show_text", lambda _, text: told.append(text))
    save(smooth(4))
    save(smooth(2), format="mpo")
    assert told[0] == "2 files, the last of them\nbeach_00002_LRF_Full_SBS.png, 64x24"
    assert told[1].splitlines() == [
        "beach_00003_.mpo, 32x24",
        "The editor opens workflows from png, webp and avif files only.",
    ]


REFUSED = {
    "two sizes": ({"right": smooth(width=30)}, "left is one picture of 32x24 and right is one picture of 30x24"),
    "alpha": ({"left": torch.rand(2, 24, 32, 4)}, "left: has an alpha channel"),
    "alpha on the right": ({"right": torch.rand(1, 24, 32, 4)}, "right: has an alpha channel"),
    "NaN": ({"left": torch.full((2, 24, 32, 3), float("nan"))}, "left: holds NaN"),
    "one view": ({}, "left holds one picture and right is not connected"),
    "a path out of the folder": ({"filename_prefix": "../beach"}, "filename_prefix: ../beach lies outside"),
    "a path within a path": ({"filename_prefix": "a/../../beach"}, "filename_prefix: a/../../beach lies outside"),
    "an absolute path": ({"filename_prefix": "/beach"}, "filename_prefix: /beach lies outside"),
    "no name": ({"filename_prefix": " "}, "filename_prefix: is empty"),
    "a folder's name": ({"filename_prefix": "./"}, "filename_prefix: is empty"),
    "a type that does not move": ({"format": "wiggle", "file_type": "png"}, "file_type: wiggle moves"),
    "flat VR180": ({"format": "vr180"}, "format: vr180 takes square views"),
    "a flat VR photo": ({"format": "vr_photo"}, "format: vr_photo takes equirectangular views"),
    "no depth": ({"format": "rgb_depth"}, "format rgb_depth needs depth"),
    "depth of another size": ({"format": "rgb_depth", "depth": smooth(width=30)}, "depth is 30x24 and left is 32x24"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_written(save: Save, output: Path, case: str) -> None:
    given, said = REFUSED[case]
    single = case in ("one view", "two sizes", "alpha on the right", "no depth", "depth of another size")
    with pytest.raises(ValueError) as caught:
        save(**{"left": smooth(1 if single else 2), **given})
    assert said in str(caught.value)
    assert list(output.rglob("*")) == []


def test_a_folder_in_which_nothing_can_be_written_is_told_of(save: Save, output: Path) -> None:
    (output / "stereo").write_text("no folder")
    with pytest.raises(ValueError, match=r"^filename_prefix: stereo/beach cannot be written: .* Choose another folder"):
        save(smooth(2), filename_prefix="stereo/beach")


@pytest.mark.parametrize("prefix", ["12:30", "beach?", "a<b/c"])
def test_a_name_that_windows_does_not_allow_is_told_of_there(
    pack: Callable[[str], Any], save: Save, output: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack("nodes.delivery.output_files"), "_ON_WINDOWS", True)
    with pytest.raises(
        ValueError, match=r'^filename_prefix: .* holds one of " \* : < > \? \|, which Windows allows in no'
    ):
        save(smooth(2), filename_prefix=prefix)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("prefix", ["nul", "Aux.7/beach", "photos/com1"])
def test_a_device_of_windows_is_told_of_there(
    pack: Callable[[str], Any], save: Save, output: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack("nodes.delivery.output_files"), "_ON_WINDOWS", True)
    with pytest.raises(ValueError, match=r"^filename_prefix: (nul|Aux.7|com1) is the name of a device on Windows"):
        save(smooth(2), filename_prefix=prefix)
    assert list(output.iterdir()) == []
    save(smooth(2), filename_prefix="console/comment10")


@pytest.mark.parametrize("prefix", ["x" * 210, "ü" * 105, "y" * 256 + "/beach"])
def test_a_name_that_is_too_long_is_told_of_before_the_work(
    pack: Callable[[str], Any], save: Save, output: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(pack("nodes.delivery.save_stereo_image"), "encode")
    with pytest.raises(ValueError, match=r"^filename_prefix: (.*) is too long for the name of a file. Type a shorter"):
        save(smooth(2), filename_prefix=prefix)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("format", ["full_sbs", "anaglyph_half_color", "vr_photo"])
def test_a_name_that_is_just_short_enough_fits_with_every_ending(save: Save, output: Path, format: str) -> None:
    save(smooth(2, height=16, width=16), filename_prefix="x" * 195, format=format)
    assert len(list(output.iterdir())) == 1


def test_a_folder_without_permission_is_told_of(save: Save, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(ValueError, match="beach cannot be written: Permission denied. Choose another folder"):
        save(smooth(2))
    assert list(output.iterdir()) == []


def test_a_full_disk_is_told_of_before_the_work(save: Save, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(ValueError, match=r"filename_prefix: the files need up to 0 MiB, and 0 MiB are free in"):
        save(smooth(2))
    assert list(output.iterdir()) == []


def test_a_disk_that_is_full_in_the_middle_leaves_no_part(
    save: Save, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_bytes

    def fill(path: Path, data: bytes) -> int:
        whole(path, data[:100])
        if "00002" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(ValueError, match="beach_00002_LRF_Full_SBS.png cannot be written: No space left on device"):
        save(smooth(4))
    assert [path.name for path in output.iterdir()] == ["beach_00001_LRF_Full_SBS.png"]
    assert off(output / "beach_00001_LRF_Full_SBS.png", torch.cat([smooth(4)[:1], smooth(4)[2:3]], 2)[0]) <= 0.51


def test_an_interrupt_leaves_whole_files_only(save: Save, output: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management as management

    module = pack("nodes.delivery.save_stereo_image")
    encode = module.encode

    def interrupted(*args: Any) -> bytes:
        management.interrupt_current_processing()
        return encode(*args)

    monkeypatch.setattr(module, "encode", interrupted)
    with pytest.raises(management.InterruptProcessingException):
        save(smooth(4))
    assert [path.name for path in output.iterdir()] == ["beach_00001_LRF_Full_SBS.png"]


def test_every_format_is_offered(host: dict[str, type]) -> None:
    (combo,) = [each for each in host[NODE].define_schema().inputs if each.id == "format"]
    assert combo.options == [form.value for form in PICTURE_FORMATS]
    assert combo.options[:2] == ["full_sbs", "mpo"]


def test_two_programs_with_one_folder_do_not_write_the_same_file(pack: Callable[[str], Any], tmp_path: Path) -> None:
    written, path = pack("nodes.delivery.output_files").written, tmp_path / "beach_00001_LR.png"
    with written(path) as partial:
        assert path.exists(), "the name is taken from the beginning, so that another program goes on to the next"
        with pytest.raises(ValueError, match="another program has just written beach_00001_LR.png"), written(path):
            pass
        partial.write_bytes(b"picture")
    assert path.read_bytes() == b"picture" and list(tmp_path.iterdir()) == [path]
