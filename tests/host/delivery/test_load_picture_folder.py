"""Load Pictures from Folder in the real host, alone and before Save Stereo Image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.host.server import Server

NODE = "Stereo_LoadPictureFolder"


@pytest.fixture
def load(host: dict[str, type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The node, over an input folder with one folder in it."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "holiday").mkdir()
    return host[NODE]


def paint(folder: Path, *names: str, width: int = 6) -> None:
    for level, name in enumerate(names):
        Image.new("RGB", (width, 4 + level), (10 * level, 0, 255)).save(folder / name)


def test_pictures_come_in_the_order_of_their_names_each_of_its_size(load, tmp_path: Path) -> None:
    paint(tmp_path / "holiday", "Beach.PNG", "abbey.jpg", "cliff.webp")
    (tmp_path / "holiday" / "notes.txt").write_text("no picture")
    images, names, _ = load.execute("holiday", 0, 0).result
    assert names == ["holiday/abbey", "holiday/Beach", "holiday/cliff"]
    assert [tuple(image.shape) for image in images] == [(1, 5, 6, 3), (1, 4, 6, 3), (1, 6, 6, 3)]
    assert torch.equal(images[1][0, 0, 0], torch.tensor([0.0, 0.0, 1.0]))


def test_a_photo_of_a_telephone_is_not_left_out_in_silence(load, tmp_path: Path) -> None:
    for name in ("a.jfif", "b.gif"):
        Image.new("RGB", (6, 4)).save(tmp_path / "holiday" / name, "JPEG" if name.endswith("jfif") else "GIF")
    (tmp_path / "holiday" / "c.HEIC").write_bytes(b"as Pillow alone does not read it")
    assert load.execute("holiday", 2, 0).result[1] == ["holiday/a", "holiday/b"]
    with pytest.raises(ValueError, match=r"^folder: c.HEIC cannot be read as a picture .* Save it as PNG or JPEG, or"):
        load.execute("holiday", 2, 1)


def test_hidden_files_are_no_pictures(load, tmp_path: Path) -> None:
    paint(tmp_path / "holiday", "a.png")
    (tmp_path / "holiday" / "._a.png").write_bytes(b"what macOS writes beside it")
    assert load.execute("holiday", 0, 0).result[1] == ["holiday/a"]


def test_parts_take_them_all_and_then_say_so(load, tmp_path: Path) -> None:
    paint(tmp_path / "holiday", "a.png", "b.png", "c.png")
    parts = [load.execute("holiday", 2, part).result[1] for part in (0, 1)]
    assert parts == [["holiday/a", "holiday/b"], ["holiday/c"]]
    with pytest.raises(ValueError, match="part: holiday holds 3 pictures, so the last part is 1. All are done"):
        load.execute("holiday", 2, 2)


def test_a_photo_on_its_side_is_turned_upright(load, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "holiday" / "phone.jpg", exif=turned)
    assert load.execute("holiday", 1, 0).result[0][0].shape == (1, 8, 4, 3)


def test_sixteen_bits_of_grey_stay_fine(load, tmp_path: Path) -> None:
    levels = np.arange(0, 65536, 1024, np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "holiday" / "grey.png")
    (image,) = load.execute("holiday", 1, 0).result[0]
    assert torch.allclose(image[0, ..., 0], torch.from_numpy(levels.astype(np.float32) / 65535), atol=1e-6)


def test_grey_in_fractions_stays_as_it_is(load, tmp_path: Path) -> None:
    levels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "holiday" / "grey.tif")
    assert torch.equal(load.execute("holiday", 1, 0).result[0][0][0, ..., 0], torch.from_numpy(levels))


def test_what_is_transparent_is_a_mask_as_load_image_gives_it(load, tmp_path: Path) -> None:
    import nodes

    folder = tmp_path / "holiday"
    Image.new("RGBA", (6, 4), (200, 100, 50, 64)).save(folder / "a.png")
    Image.new("LA", (6, 4), (90, 0)).save(folder / "b.png")
    Image.new("P", (6, 4)).save(folder / "c.gif", transparency=0)
    paint(folder, "d.jpg")
    images, _, masks = load.execute("holiday", 0, 0).result
    assert [tuple(mask.shape) for mask in masks] == [(1, *image.shape[1:3]) for image in images]
    assert [mask.unique().item() for mask in masks] == pytest.approx([1 - 64 / 255, 1, 1, 0])
    torch.testing.assert_close((images[0], masks[0]), nodes.LoadImage().load_image("holiday/a.png"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("levels", [np.full((8, 8), 2.5, np.float32), np.full((8, 8), 1 << 20, np.int32)])
def test_values_beyond_white_are_told_of(load, tmp_path: Path, levels: np.ndarray) -> None:
    Image.fromarray(levels).save(tmp_path / "holiday" / "metres.tif")
    with pytest.raises(ValueError, match="^folder: metres.tif holds values beyond black and white"):
        load.execute("holiday", 1, 0)


def test_a_picture_larger_than_pillow_opens_is_named(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "holiday", "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(ValueError, match="^folder: huge.png cannot be read as a picture"):
        load.execute("holiday", 1, 0)


def test_a_changed_file_is_read_again(load, tmp_path: Path) -> None:
    paint(tmp_path / "holiday", "a.png")
    before = load.fingerprint_inputs("holiday", 1, 0)
    assert load.fingerprint_inputs("holiday", 1, 0) == before
    paint(tmp_path / "holiday", "a.png", width=60)
    assert load.fingerprint_inputs("holiday", 1, 0) != before


@pytest.mark.parametrize("folder", ["elsewhere", "..", "../holiday", "/"])
def test_another_folder_is_refused(load, folder: str) -> None:
    with pytest.raises(ValueError, match=rf"^folder: there is no folder {folder} in ComfyUI's input folder"):
        load.execute(folder, 1, 0)


def test_an_empty_folder_and_a_broken_picture_are_told_of(load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^folder: holiday holds no pictures"):
        load.execute("holiday", 1, 0)
    paint(tmp_path / "holiday", "a.png")
    whole = (tmp_path / "holiday" / "a.png").read_bytes()
    for broken in (b"no picture", whole[: len(whole) // 2]):
        (tmp_path / "holiday" / "a.png").write_bytes(broken)
        with pytest.raises(ValueError, match="^folder: a.png cannot be read as a picture"):
            load.execute("holiday", 1, 0)


def test_a_folder_becomes_files_of_the_same_names(server: Server) -> None:
    """As in the workflow: every picture of its own size, twice."""
    folder = server.base / "input" / "voyage"
    folder.mkdir(parents=True)
    paint(folder, "abbey.jpg", "beach.png")
    widgets = {"format": "full_sbs", "file_type": "jpeg", "quality": 95, "name": "player", "numbering": "if_taken"}
    prompt = {
        "1": {"class_type": NODE, "inputs": {"folder": "voyage", "count": 0, "part": 0}},
        "2": {
            "class_type": "Stereo_SaveStereoImage",
            "inputs": {
                **widgets,
                "left": ["1", 0],
                "right": ["1", 0],
                "filename_prefix": ["1", 1],
                "wiggle_time": 150,
                "wiggle_between": 0,
            },
        },
    }
    files = server.run(prompt)
    assert [file.path.relative_to(server.base / "output").as_posix() for file in files] == [
        "voyage/abbey_LRF_Full_SBS.jpg",
        "voyage/beach_LRF_Full_SBS.jpg",
    ]
    assert [Image.open(file.path).size for file in files] == [(12, 4), (12, 6)]
