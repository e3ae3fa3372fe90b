"""A film that nodes for clips work on window by window, in the real host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from stereo_core.windows import blend_windows
from tests.host.delivery.clips import film as film_with_sound
from tests.host.delivery.clips import pixels, times
from tests.host.film.test_stereo_video_file import video
from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import load
from tests.host.tiny.inputs import defaults
from tests.host.tiny.sampling import conditioning, schedule
from tools.host.server import PromptError, Server

Pack = Callable[[str], ModuleType]
Host = dict[str, type]
SIZE, FRAMES, CUT, LENGTH, OVERLAP = (24, 32), 20, 12, 5, 2
FILE = {
    "format": "full_sbs",
    "codec": "h264",
    "quality": "best",
    "filename_prefix": "film/film",
    "container": "auto",
    "tags": "container",
}


@pytest.fixture
def output(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001  # it loads the host
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    return tmp_path / "output" / "film"


def with_a_cut(path: Path, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Path:
    """Write a film that becomes lighter from left to right, and from frame ``CUT`` on from top to bottom."""
    y, x = np.mgrid[: size[0], : size[1]] / size[1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "crf": "4"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            values = 40 + 160 * (x if index < CUT else y) + index
            picture = np.stack([values, values, 0 * x + 120], -1).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return with_a_cut(tmp_path / "film.mp4")


def window(host: Host, path: Path, number: int, **widgets: Any) -> tuple[Any, ...]:
    chosen = {"length": LENGTH, "overlap": OVERLAP, "seed": 7, **widgets}
    return host["Stereo_FilmWindow"].execute(video(path), number, **chosen).args


def save(host: Host, film_window: Any, make: Callable[[], Tensor], left: Tensor | None = None, **file: Any) -> Any:
    """As the host does it: the view is made when the node asks for it."""
    node, given = host["Stereo_SaveFilmWindow"], {**FILE, **file}
    linked = {"right": None} if left is None else {"right": None, "left": None}
    wanted = node.check_lazy_status(film_window, **given, **linked)
    views = {"right": make(), "left": left} if wanted else {}
    return node.execute(film_window, **given, **views)


def blocked(value: Any) -> bool:
    from comfy_execution.graph_utils import ExecutionBlocker

    return isinstance(value, ExecutionBlocker)


def test_windows_follow_each_other_and_the_cut(host: Host, output: Path, source: Path):
    del output
    frames = video(source).get_components().images
    first, chosen, seed, count = window(host, source, 0)
    assert count == len(chosen.windows) == 6
    assert torch.equal(first, frames[:LENGTH])
    assert torch.equal(window(host, source, 3)[0], frames[7:12])
    assert torch.equal(window(host, source, 4)[0], frames[12:17])
    assert len({seed, *(window(host, source, number)[2] for number in range(count))}) == count
    assert blocked(window(host, source, count)[0]) and window(host, source, count)[3] == count


def test_a_scene_that_is_shorter_repeats_its_last_frame(host: Host, output: Path, source: Path):
    del output
    frames = video(source).get_components().images
    images, chosen, *_ = window(host, source, 1, length=9)
    assert torch.equal(images[:8], window(host, source, 1, length=9)[0][:8])
    images, chosen, *_ = window(host, source, 1, length=15)
    assert torch.equal(images, torch.cat([frames[12:], frames[-1:].expand(7, -1, -1, -1)]))
    assert chosen.window.frames == range(12, 20)


def test_another_video_has_the_same_windows(host: Host, output: Path, source: Path, tmp_path: Path):
    del output
    maps = with_a_cut(tmp_path / "maps.mp4", size=(48, 64))
    chosen = window(host, source, 4)[1]
    node = host["Stereo_FilmWindow"]
    images, other, seed, _ = node.execute(video(maps), 0, 1, 0, 0, like=chosen).args
    assert torch.equal(images, video(maps).get_components().images[12:17])
    assert other.windows == chosen.windows and seed == chosen.seed
    short = with_a_cut(tmp_path / "short.mp4", FRAMES - 1)
    with pytest.raises(ValueError, match="has 19 frames, and that of like 20"):
        node.execute(video(short), 0, 1, 0, 0, like=chosen)


@pytest.mark.parametrize("given", [False, True])
def test_the_film_has_all_frames_and_fades_from_window_to_window(host: Host, output: Path, source: Path, given: bool):
    """Each window is brighter than the one before; the film fades between them, but for the cut."""
    rights = []
    count = window(host, source, 0)[3]
    for number in range(count):
        images, chosen, *_ = window(host, source, number)
        rights.append(torch.full_like(images, 0.1 + 0.1 * number))
        done = save(host, chosen, rights[-1].clone, images if given else None)
        assert all(map(blocked, done.args)) == (number < count - 1)
    saved, path = done.args
    assert [each.name for each in output.iterdir()] == [Path(path).name] == ["film_00001_LRF_Full_SBS.mp4"]
    assert times(Path(path)) == times(source) and saved.get_dimensions() == (64, 24)

    places = [slice(each.frames.start, each.frames.stop) for each in chosen.windows]
    expected = blend_windows(rights, places)
    expected[12:] = blend_windows(rights[4:], [slice(place.start - 12, place.stop - 12) for place in places[4:]])
    found = pixels(Path(path))
    assert (found - expected.mean((1, 2, 3))[:, None, None, None])[:, 4:20, 36:60].abs().max() < 0.02
    assert (found[:, :, :32] - video(source).get_components().images).abs().mean() < 0.02


def test_sound_and_uneven_times_are_kept(host: Host, output: Path, tmp_path: Path):
    source = film_with_sound(tmp_path / "sound.mp4")
    count = window(host, source, 0)[3]
    for number in range(count):
        images, chosen, *_ = window(host, source, number)
        done = save(host, chosen, (images * 0.5).clone)
    path = Path(done.args[1])
    assert path.parent == output and times(path) == times(source)
    with av.open(str(path)) as container, av.open(str(source)) as original:
        kinds = [[stream.type for stream in each.streams] for each in (container, original)]
        sounds = [[bytes(packet) for packet in each.demux(audio=0)] for each in (container, original)]
    assert kinds[0] == kinds[1] and sounds[0] == sounds[1]


def test_what_is_done_is_not_asked_for_and_other_settings_begin_anew(host: Host, output: Path, source: Path):
    images, chosen, *_ = window(host, source, 0)
    save(host, chosen, images.clone)

    def never() -> Tensor:
        pytest.fail("the view of a window that is done is asked for")

    again = save(host, chosen, never)
    assert all(map(blocked, again.args))
    node = host["Stereo_SaveFilmWindow"]
    assert node.check_lazy_status(chosen, **{**FILE, "quality": "high"}, right=None) == ["right"]
    assert node.check_lazy_status(window(host, source, 0, seed=8)[1], **FILE, right=None) == ["right"]
    assert len(list(output.iterdir())) == 3


def test_a_window_goes_on_after_an_error(
    host: Host, pack: Pack, output: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    images, chosen, *_ = window(host, source, 0)
    save(host, chosen, images.clone)
    images, chosen, *_ = window(host, source, 1)
    module = pack("nodes.film.window_work")
    with monkeypatch.context() as broken:
        broken.setattr(module, "write_segment", lambda *_: (_ for _ in ()).throw(ValueError("disk")))
        with pytest.raises(ValueError, match="disk"):
            save(host, chosen, images.clone)
    save(host, chosen, images.clone)
    (folder,) = output.iterdir()
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["000000.mp4", "000001.mp4", "000001.npy", "manifest.json", "views.json"]


def test_what_is_wrong_is_told_before_the_view_is_made(host: Host, output: Path, source: Path):
    del output
    chosen = window(host, source, 3)[1]
    node = host["Stereo_SaveFilmWindow"]
    with pytest.raises(ValueError, match="window: 3 fades from window 2, which is not done. Queue window 0 first"):
        node.check_lazy_status(chosen, **FILE, right=None)
    with pytest.raises(ValueError, match="filename_prefix: %day% changes"):
        node.check_lazy_status(chosen, **{**FILE, "filename_prefix": "film_%day%"}, right=None)
    with pytest.raises(ValueError, match="tags: container_and_stream"):
        wrong = {**FILE, "tags": "container_and_stream", "format": "anaglyph_dubois"}
        node.check_lazy_status(window(host, source, 4)[1], **wrong, right=None)
    assert node.check_lazy_status(window(host, source, 4)[1], **FILE, right=None) == ["right"]


def test_views_that_do_not_fit_are_told(host: Host, output: Path, source: Path):
    del output
    images, chosen, *_ = window(host, source, 0)
    with pytest.raises(ValueError, match="right: holds 4 pictures, and the window 5"):
        save(host, chosen, lambda: images[:4])
    with pytest.raises(ValueError, match="right: is 16x12, and the film's frames are 32x24"):
        save(host, chosen, lambda: images[:, ::2, ::2])
    save(host, chosen, lambda: torch.cat([images, images]))
    images, chosen, *_ = window(host, source, 1)
    small = images[:, ::2, ::2]
    with pytest.raises(ValueError, match=r"right: this window is 16x12 with left connected, and those before are 32"):
        save(host, chosen, small.clone, small)


def test_only_the_frames_of_a_window_are_decoded(
    host: Host, pack: Pack, output: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    del output
    window(host, source, 0)  # it looks at all frames, once
    module, read = pack("nodes.film.chosen_window"), []
    given = module.read_frames

    def noted(*args: Any):
        for frame in given(*args):
            read.append(frame)
            yield frame

    monkeypatch.setattr(module, "read_frames", noted)
    monkeypatch.setattr(module, "scenes_of", lambda *_: pytest.fail("the film is looked at again"))
    window(host, source, 5)
    assert len(read) == LENGTH


def test_queued_runs_make_the_film_and_those_too_many_do_nothing(server: Server, tmp_path: Path):
    """As in the editor: one graph, whose window counts up."""
    name = server.place(with_a_cut(tmp_path / "queued.mp4"))
    widgets = {"length": LENGTH, "overlap": OVERLAP, "seed": 7}
    given = {**FILE, "filename_prefix": "queued/film"}

    def run(number: int) -> list[str]:
        graph = {
            "load": {"class_type": "LoadVideo", "inputs": {"file": name}},
            "window": {
                "class_type": "Stereo_FilmWindow",
                "inputs": {"video": ["load", 0], "window": number, **widgets},
            },
            "right": {"class_type": "ImageInvert", "inputs": {"image": ["window", 0]}},
            "save": {
                "class_type": "Stereo_SaveFilmWindow",
                "inputs": {"film_window": ["window", 1], "right": ["right", 0], **given},
            },
        }
        return [file.path.name for file in server.run(graph)]

    with pytest.raises(PromptError, match="window: 1 fades from window 0"):
        run(1)
    assert [run(number) for number in (0, 1, 0, 2, 3, 4, 6)] == 7 * [[]]
    (settings,) = (server.base / "output" / "queued").glob("*.segments/settings.json")
    assert '"window overlap"' in settings.read_text() and '"window window"' not in settings.read_text()
    assert run(5) == ["film_00001_LRF_Full_SBS.mp4"]
    saved = server.base / "output" / "queued" / "film_00001_LRF_Full_SBS.mp4"
    assert pixels(saved).shape == (FRAMES, SIZE[0], 2 * SIZE[1], 3)


def test_a_video_model_paints_the_holes_of_a_window(host: Host, output: Path, tmp_path: Path):
    """Inversion, both views through the sampler of StereoCrafter-Zero, and the holes alone taken from it."""
    del output
    model, vae = load("wan"), load_vae("video")
    words = {"positive": conditioning("wan", 1), "negative": conditioning("wan", 2)}
    source, maps = (with_a_cut(tmp_path / name, 12, (32, 64)) for name in ("film.mp4", "maps.mp4"))
    for number in range(window(host, source, 0)[3]):
        images, chosen, seed, _ = window(host, source, number)
        depth = host["Stereo_FilmWindow"].execute(video(maps), 0, 1, 0, 0, like=chosen).args[0]
        latent = {"samples": vae.encode(images)}
        inverted = host["Stereo_DDIMInversion"].execute(model, words["positive"], latent, schedule("wan", 3), 0).args
        run = {"seed": seed, "steps": 3, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
        given = {**run, **words, "model": model, "latent_image": latent, "depth": depth, "trajectory": inverted[1]}
        node = host["Stereo_StereoVideoKSampler"]
        both = vae.decode(node.execute(**{**defaults(node), **given}).args[0]["samples"])
        both = both.reshape(-1, *both.shape[-3:])
        composite = host["Stereo_StereoComposite"].execute(images, depth, both, 0.5, "local", "fast").args
        done = save(host, chosen, composite[1].clone)
    assert pixels(Path(done.args[1])).shape == (12, 32, 128, 3)
