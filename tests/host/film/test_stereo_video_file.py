"""Stereo Video File in the real host: what it writes, and what becomes of it when it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest
import torch
from torch import Tensor

from tests.host.delivery.clips import pixels, times
from tests.host.film.films import damaged, film
from tests.host.tiny.depth_networks import make_depth_anything

Pack = Callable[[str], ModuleType]
Host = dict[str, type]
HEIGHT, WIDTH, FRAMES = 24, 32, 40
WIDGETS = {
    "max_disparity": 8.0,
    "screen": "value",
    "convergence": 0.3,
    "rendering": "best",
    "format": "full_sbs",
    "codec": "h264",
    "quality": "best",
    "filename_prefix": "film/film",
}
OPTIONS = {
    "exponent": 1.0,
    "balance": 0.0,
    "edge_growth": 0,
    "depth_edges": "sharpened",
    "fill_from": "frame",
    "container": "auto",
    "tags": "container",
    "segment_seconds": 0.5,
}


@pytest.fixture
def output(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001  # it loads the host
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    return tmp_path / "output" / "film"


@pytest.fixture(scope="module")
def depth_model(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import folder_paths

    folder = tmp_path_factory.mktemp("depth_models")
    make_depth_anything(folder / "tiny")
    folder_paths.add_model_folder_path("geometry_estimation", str(folder))
    return host["Stereo_LoadDepthModel"].execute("tiny", "fp32").args[0]


def video(path: Path, start: float = 0.0, duration: float = 0.0) -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path), start_time=start, duration=duration)


def run(host: Host, source: Any, depth: Any, **widgets: Any) -> Any:
    """Run the node; its options lie on a node of their own."""
    given = {name: widgets.pop(name, value) for name, value in OPTIONS.items()}
    options = host["Stereo_StereoFilmOptions"].execute(**given).args[0]
    return host["Stereo_StereoVideoFile"].execute(source, depth, **{**WIDGETS, **widgets}, options=options)


def as_nodes_for_clips(host: Host, image: Tensor, depth: Tensor, **widgets: Any) -> Tensor:
    """Both views (T, H, 2 W, 3), made of the whole clip at once."""
    chosen = {**WIDGETS, **OPTIONS, **widgets}
    strength = {name: chosen[name] for name in ("max_disparity", "screen", "convergence", "exponent")}
    stereo = host["Stereo_StereoStrength"].execute(depth, **strength, invert=False, image=image).args[0]
    shift = {name: chosen[name] for name in ("balance", "edge_growth", "depth_edges", "fill_from")}
    left, right, *_ = host["Stereo_ImageStereoShift"].execute(image, stereo, quality="best", **shift).args
    return torch.cat([left, right], 2)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A film, and a film of its depth maps."""
    folder = tmp_path_factory.mktemp("films")
    size = (HEIGHT, WIDTH)
    maps = film(folder, size=size, frames=FRAMES, name="maps", pixels="yuvj420p", codec="mjpeg", suffix=".mov")
    return film(folder, size=size, frames=FRAMES), maps


def test_the_film_is_what_the_nodes_for_clips_make_of_it(host: Host, films: tuple[Path, Path], output: Path):
    source, maps = map(video, films)
    saved, path = run(host, source, maps).args
    assert Path(path).parent == output and Path(path).name == "film_00001_LRF_Full_SBS.mp4"
    assert saved.get_dimensions() == (2 * WIDTH, HEIGHT)
    assert times(Path(path)) == times(films[0])
    assert sorted(each.name for each in output.iterdir()) == [Path(path).name]

    image, depth = source.get_components().images, maps.get_components().images
    expected = as_nodes_for_clips(host, image, depth)
    found = pixels(Path(path))
    assert found.shape == expected.shape
    assert (found - expected).abs().mean() < 0.02 and (found - expected.flip(0)).abs().mean() > 0.03


@pytest.mark.parametrize(("screen", "fill"), [("value", "frame"), ("subject", "frame"), ("percentile", "clip")])
def test_depth_of_a_model_is_that_of_depth_estimate(
    host: Host,
    pack: Pack,
    depth_model: Any,
    output: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    screen: str,
    fill: str,
):
    del output
    source = video(film(tmp_path, size=(HEIGHT, WIDTH), frames=30, cuts=(11, 20)))
    module, given = pack("nodes.film.work"), []
    write = module.write_segment

    def kept(path: Path, encoding: Any, rate: Any, size: Any, pictures: Any) -> int:
        def noted():
            for picture in pictures:
                given.append(picture.picture.clone())
                yield picture

        return write(path, encoding, rate, size, noted())

    monkeypatch.setattr(module, "write_segment", kept)
    widgets = {"screen": screen, "convergence": 0.4, "fill_from": fill, "segment_seconds": 1.0}
    run(host, source, depth_model, **widgets)

    image = source.get_components().images
    depth = host["Stereo_DepthEstimate"].execute(image, depth_model, "scene", True, 0, 4, 0.5).args[0]
    expected = as_nodes_for_clips(host, image, depth, **widgets).movedim(-1, 1)
    assert [len(part) for part in (given, expected)] == [30, 30]
    different = [
        index for index, (one, other) in enumerate(zip(given, expected, strict=True)) if not torch.equal(one, other)
    ]
    # With fill_from clip a piece that begins within a scene knows no more than the frames of its window.
    assert different == []


def test_a_film_that_was_stopped_goes_on_and_is_the_same(
    host: Host, pack: Pack, films: tuple[Path, Path], output: Path, monkeypatch: pytest.MonkeyPatch
):
    source, maps = map(video, films)
    whole = Path(run(host, source, maps).args[1]).read_bytes()
    progress = pack("nodes.film.film_progress").NodeProgress
    step, steps = progress.step, []

    def stop(self: Any, picture: Tensor | None = None) -> None:
        steps.append(1)
        if len(steps) == 30:
            raise KeyboardInterrupt
        step(self, picture)

    monkeypatch.setattr(progress, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        run(host, source, maps)
    (work,) = output.glob("*.segments")
    assert sorted(each.name for each in work.iterdir()) == ["000000.mp4", "000001.mp4", "manifest.json"]
    again = Path(run(host, source, maps).args[1])
    assert len(steps) == 30 + FRAMES - 26
    assert again.name == "film_00002_LRF_Full_SBS.mp4" and again.read_bytes() == whole
    assert not list(output.glob("*.segments"))


def test_other_settings_begin_anew_and_the_unfinished_work_stays(
    host: Host, pack: Pack, films: tuple[Path, Path], output: Path, monkeypatch: pytest.MonkeyPatch
):
    source, maps = map(video, films)
    folder = pack("nodes.film.work_folder").WorkFolder
    monkeypatch.setattr(folder, "remove", lambda _: None)
    run(host, source, maps)
    told = []
    monkeypatch.setattr(pack("nodes.film.stereo_video_file"), "show_text", lambda _, text: told.append(text))
    run(host, source, maps, max_disparity=4.0)
    assert len(list(output.glob("*.segments"))) == 2
    assert "Unfinished, with other settings: film." in told[-1]


def test_a_part_of_a_film_is_made(host: Host, films: tuple[Path, Path], output: Path):
    del output
    window = (0.2, 0.6)
    _, path = run(host, video(films[0], *window), video(films[1], *window)).args
    with av.open(path) as container:
        assert container.streams.video[0].frames == 15


@pytest.mark.parametrize(
    ("widgets", "message"),
    [
        ({"filename_prefix": "../film"}, "filename_prefix"),
        ({"tags": "container_and_stream", "codec": "hevc"}, "tags: container_and_stream"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(
    host: Host, films: tuple[Path, Path], output: Path, widgets: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        run(host, *map(video, films), **widgets)
    assert not output.exists() or not list(output.iterdir())


def test_depth_of_another_film_is_refused(host: Host, films: tuple[Path, Path], output: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="depth: has 12 frames, and video 40"):
        run(host, video(films[0]), video(film(tmp_path)))
    with pytest.raises(ValueError, match="^depth is 24x24, of another shape than the picture"):
        run(host, video(films[0]), video(film(tmp_path, size=(24, 24), frames=FRAMES, name="square")))
    assert not list(output.glob("*"))
    with pytest.raises(ValueError, match="video: its pictures are 33x24"):
        odd = film(tmp_path, size=(24, 33), pixels="yuv444p", name="odd")
        run(host, video(odd), video(odd))
    with pytest.raises(ValueError, match="video: holds frames in memory"):
        run(host, components(video(films[0])), video(films[1]))


def components(source: Any) -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromComponents(source.get_components())


def test_frames_that_cannot_be_decoded_are_told(
    host: Host, pack: Pack, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    del output
    whole = film(tmp_path, codec="mjpeg", pixels="yuvj420p", suffix=".avi")
    told = []
    monkeypatch.setattr(pack("nodes.film.stereo_video_file"), "show_text", lambda _, text: told.append(text))
    run(host, video(damaged(whole, [3, 7])), video(whole))
    assert "2 frames of video cannot be decoded and show those before, the first at 0:00:00.12." in told[-1]


def test_a_disk_that_is_too_small_is_told_and_what_is_finished_is_kept(
    host: Host, pack: Pack, films: tuple[Path, Path], output: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = pack("nodes.film.film").shutil.disk_usage(output.anchor)
    monkeypatch.setattr(pack("nodes.film.film").shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ValueError, match="filename_prefix: the film needs about 0.0 GiB more"):
        run(host, *map(video, films))
    (work,) = output.glob("*.segments")
    assert (work / "000000.mp4").exists() and not list(output.glob("*.mp4"))


def test_a_disk_that_is_too_small_for_the_depth_of_a_scene_is_told(
    host: Host, pack: Pack, depth_model: Any, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    del output
    module = pack("nodes.film.film_depth")
    monkeypatch.setattr(module, "map_bytes", lambda *_: 2**50)
    with pytest.raises(ValueError, match="filename_prefix: the depth of a scene of 8 frames needs .* GiB there"):
        run(host, video(film(tmp_path)), depth_model)
