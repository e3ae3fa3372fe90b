"""The depth of a film's scenes, frame by frame, against Depth Estimate on the whole clip."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")
from tests.host.tiny import depth_networks, families  # noqa: E402
from tests.host.tiny.autoencoders import load_vae  # noqa: E402
from tests.host.tiny.guides import Vision  # noqa: E402
from tests.host.tiny.video_depth import make_video_depth  # noqa: E402

Pack = Callable[[str], ModuleType]
HEIGHT, WIDTH, SCENES = 56, 70, (7, 5, 1)
VIDEO = "video_depth_anything_vits.safetensors"


@pytest.fixture(scope="module")
def models(host: dict[str, type], pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One of each kind that Depth Estimate takes."""
    import folder_paths
    from comfy.cli_args import args
    from comfy_extras import nodes_depth_anything_3, nodes_moge

    base = tmp_path_factory.mktemp("models")
    depth_networks.make_depth_anything(base / "tiny")
    depth_networks.make_da3(base / "da3.safetensors")
    depth_networks.make_moge(base / "moge.safetensors")
    make_video_depth(base / VIDEO)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setitem(folder_paths.folder_names_and_paths, "geometry_estimation", ([str(base)], {".safetensors"}))
        patch.setattr(args, "fp32_text_enc", True)
        load = host["Stereo_LoadDepthModel"]
        return {
            "depth_model": load.execute("tiny", "fp32").args[0],
            "video_depth_anything": load.execute(VIDEO, "fp32").args[0],
            "depthcrafter": pack("nodes.depth.depthcrafter").DepthCrafterModel(
                families.load("svd"), load_vae("picture"), Vision()
            ),
            "da3": nodes_depth_anything_3.LoadDA3Model.execute("da3.safetensors", "default").args[0],
            "moge": nodes_moge.LoadMoGeModel.execute("moge.safetensors").args[0],
        }


def clip() -> Tensor:
    """(T, H, W, 3): scenes with bars of their own, with frames that repeat the one before."""
    scenes = []
    for number, frames in enumerate(SCENES):
        generator = torch.Generator().manual_seed(number)
        shot = torch.nn.functional.interpolate(
            torch.rand(1, 3, 6, 8, generator=generator), (HEIGHT, WIDTH), mode="bicubic"
        )
        scene = shot + 0.02 * torch.rand(frames, 3, HEIGHT, WIDTH, generator=generator)
        scene[2:4] = scene[1:2]
        bar = ((..., slice(0, 8), slice(None)), (..., slice(0, 9)), (..., slice(0, 0)))[number]
        scene[bar] = 0
        scenes.append(scene)
    return torch.cat(scenes).clamp(0, 1).movedim(1, -1).contiguous()


def pictures(image: Tensor, first: int = 0) -> Iterator[Tensor]:
    return (frame[None].movedim(-1, 1) for frame in image[first:])


def scene_slices() -> list[slice]:
    ends = [sum(SCENES[: number + 1]) for number in range(len(SCENES))]
    return [slice(end - frames, end) for end, frames in zip(ends, SCENES, strict=True)]


@pytest.mark.parametrize(
    ("source", "resolution", "edges"),
    [
        ("depth_model", 0, "as_given"),
        ("depth_model", 140, "sharpened"),
        ("da3", 70, "as_given"),
        ("moge", 70, "as_given"),
        ("video_depth_anything", 70, "as_given"),
        ("depthcrafter", 64, "as_given"),
    ],
)
def test_it_is_the_depth_of_depth_estimate_to_the_bit(
    host: dict[str, type],
    pack: Pack,
    models: dict[str, Any],
    tmp_path: Path,
    source: str,
    resolution: int,
    edges: str,
):
    image, model = clip(), models[source]
    settings = pack("nodes.film.film_settings").DepthSettings(resolution, 3, True, 2.0)
    module, enlarged = pack("nodes.film.scene_depth"), pack("nodes.depth.clip_depth").enlarged
    edges = pack("stereo_core.depth_edges").DepthEdges(edges)
    with torch.inference_mode():
        expected = (
            host["Stereo_DepthEstimate"].execute(image, model, "scene", True, resolution, 3, 2.0, edges.value).args[0]
        )
        for number, scene in enumerate(scene_slices()):
            path = tmp_path / f"{number}.npy"
            made = module.SceneDepth.make(path, partial(pictures, image[scene]), SCENES[number], model, settings)
            found = module.SceneDepth.read(path)
            assert made == found and len(found) == SCENES[number]
            maps = zip(found.maps(), pictures(image[scene]), strict=True)
            depth = torch.cat([enlarged(inverse, picture, edges) for inverse, picture in maps])
            assert torch.equal(depth[:, 0], expected[scene][..., 0])
            assert depth.std() > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.json", "0.npy", "1.json", "1.npy", "2.json", "2.npy"]


def test_any_part_of_a_scene_can_be_read(pack: Pack, models: dict[str, Any], tmp_path: Path):
    module, settings = pack("nodes.film.scene_depth"), pack("nodes.film.film_settings").DepthSettings()
    image = clip()[:7]
    with torch.inference_mode():
        scene = module.SceneDepth.make(tmp_path / "0.npy", partial(pictures, image), 7, models["depth_model"], settings)
    whole = torch.cat(list(scene.maps()))
    assert whole.shape[:2] == (7, 1) and (whole.min(), whole.max()) == (0, 1)
    assert torch.equal(torch.cat(list(scene.maps(2, 5))), whole[2:5])
    assert np.load(tmp_path / "0.npy").dtype == np.float32


def test_what_is_not_whole_is_not_there(pack: Pack, models: dict[str, Any], tmp_path: Path):
    module, settings = pack("nodes.film.scene_depth"), pack("nodes.film.film_settings").DepthSettings()

    def interrupted(first: int) -> Iterator[Tensor]:
        assert first == 0
        yield from pictures(clip()[:6])
        raise KeyboardInterrupt

    path, model = tmp_path / "0.npy", models["depth_model"]
    with torch.inference_mode():
        with pytest.raises(KeyboardInterrupt):
            module.SceneDepth.make(path, interrupted, 7, model, settings)
        for frames in (6, 8):
            with pytest.raises(ValueError, match=f"video: 7 pictures came for a scene of {frames}"):
                module.SceneDepth.make(path, partial(pictures, clip()[:7]), frames, model, settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stabilize", [True, False])
def test_a_long_scene_is_gone_on_with_where_it_was_interrupted(
    pack: Pack, models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stabilize: bool
):
    module, model = pack("nodes.film.scene_depth"), models["depth_model"]
    settings = pack("nodes.film.film_settings").DepthSettings(0, 3, stabilize)
    for name in ("nodes.film.scene_depth", "nodes.depth.sources"):
        monkeypatch.setattr(pack(name), "CHUNK", 4)
    image, started = torch.cat([clip()[:7], clip()[:5]]), []
    image[7:, :, :9] = 0  # no bar, since the frames before have none there
    image[8:] = image[7]  # the same picture before and after the place where one goes on

    def interrupted(stop: int, first: int) -> Iterator[Tensor]:
        started.append(first)
        for frame, picture in enumerate(pictures(image, first), first):
            if frame == stop:
                raise KeyboardInterrupt
            yield picture

    with torch.inference_mode():
        expected = module.SceneDepth.make(tmp_path / "whole.npy", partial(pictures, image), 12, model, settings)
        path = tmp_path / "0.npy"
        for stop in (2, 6, 9, 11):
            with pytest.raises(KeyboardInterrupt):
                module.SceneDepth.make(path, partial(interrupted, stop), 12, model, settings)
            assert not path.exists()
        found = module.SceneDepth.make(path, partial(interrupted, 12), 12, model, settings)
    assert started == [0, 0, 4, 8, 8]
    assert found.range == expected.range
    assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.json", "0.npy", "whole.json", "whole.npy"]


def test_geometry_of_a_clip_is_refused(pack: Pack, tmp_path: Path):
    module, settings = pack("nodes.film.scene_depth"), pack("nodes.film.film_settings").DepthSettings()
    geometry = {"depth": torch.rand(7, HEIGHT, WIDTH)}
    with pytest.raises(ValueError, match="depth: geometry holds a clip as a whole. Connect the model itself"):
        module.SceneDepth.make(tmp_path / "0.npy", partial(pictures, clip()[:7]), 7, geometry, settings)


@pytest.mark.parametrize("still", [False, True])
def test_pictures_are_let_go(pack: Pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, still: bool):
    module, settings = pack("nodes.film.scene_depth"), pack("nodes.film.film_settings").DepthSettings(0, 4)
    model = (lambda frames: frames.mean(1, keepdim=True), torch.nn.Identity())
    monkeypatch.setattr(pack("nodes.depth.sources"), "_model", lambda *_: model)

    def coming(frames: int, held: list[int], _first: int) -> Iterator[Tensor]:
        pictures: list[weakref.ref[Tensor]] = []
        for index in range(frames):
            stream = torch.Generator().manual_seed(0 if still else index)
            picture = torch.rand(1, 3, 8, 10, generator=stream)
            pictures.append(weakref.ref(picture))
            held.append(sum(picture() is not None for picture in pictures))
            yield picture
            del picture

    most = []
    for frames in (10, 100):
        held: list[int] = []
        module.SceneDepth.make(tmp_path / f"{frames}.npy", partial(coming, frames, held), frames, "any", settings)
        most.append(max(held))
    assert most[0] == most[1] <= (3 if still else 10)


def test_a_source_is_known_by_what_its_weights_do_not_tell(models: dict[str, Any], pack: Pack):
    identity = pack("nodes.film.identity").source_identity

    def known(name: str, **changes: Any) -> str:
        return json.dumps(identity(replace(models[name], **changes)))

    video, single = models["video_depth_anything"], models["depth_model"]
    plain, distances = known("video_depth_anything"), known("video_depth_anything", metric=not video.metric)
    assert plain == known("video_depth_anything") != distances
    darker = replace(single.preprocessing, mean=(0.4, 0.4, 0.4))
    assert known("depth_model") == known("depth_model") != known("depth_model", preprocessing=darker)
    vision = [SimpleNamespace(model=torch.nn.Linear(size, 2)) for size in (3, 4)]
    crafted = [known("depthcrafter", clip_vision=each) for each in (vision[0], vision[0], vision[1])]
    crafted.append(known("depthcrafter", clip_vision=vision[0], vae=load_vae("picture", seed=1)))
    assert crafted[0] == crafted[1]
    assert len(set(crafted)) == 3
    assert identity(models["da3"]) != identity(models["moge"])
