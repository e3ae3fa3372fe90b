"""Every shipped workflow: opens in the real frontend, is saved by it as it is shipped, and runs.

Small random-weight files stand in for the models, under the names that the workflows ask for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.host.tiny.depth_networks import make_da3
from tests.host.tiny.files import make_clip_checkpoint, make_lora, make_sd2_depth, make_sd15, make_video_models
from tests.host.tiny.guides import make_control_net
from tests.host.tiny.video_depth import make_video_depth
from tools.frontend.browser import browse
from tools.host.server import OutputFile, Server
from tools.host.workflow_file import file_of, frozen, load, load_prompt, names, nodes_of
from tools.workflows import api_form, changes, resaved

PICTURES = {  # and clips: saved ones, and those shown on nodes
    "composed_stereo_video": 9,
    "depth_to_stereo": 4,
    "film_to_stereo_diffusion": 5,
    "film_to_stereo_film": 1,
    "folder_to_stereo": 4,
    "image_depth_to_stereo": 6,
    "image_to_4d": 4,
    "image_to_stereo": 5,
    "image_to_stereo_diffusion": 4,
    "image_to_stereo_video": 4,
    "latent_shift_inpaint": 4,
    "look_at_it": 4,
    "mixed_stereo": 6,
    "orbit_to_4d": 4,
    "restart_then_plain": 9,
    "split_experts": 10,
    "text_to_stereo": 5,
    "text_to_stereo_video": 4,
    "video_depth_to_stereo_video": 3,
    "video_to_4d": 4,
    "video_to_stereo": 3,
    "views_to_4d_stereo": 10,
}
# Sampling at 512x512 takes minutes on a CPU: these run with few steps on small pictures.
MATRIX = {"composed_stereo_video", "image_to_4d", "orbit_to_4d", "video_to_4d"}
SAMPLING = {
    "depth_to_stereo",
    "film_to_stereo_diffusion",
    "image_to_stereo_diffusion",
    "image_to_stereo_video",
    "mixed_stereo",
    "restart_then_plain",
    "split_experts",
    "text_to_stereo",
    "text_to_stereo_video",
    "views_to_4d_stereo",
    *MATRIX,
}
SMALLER = {
    "megapixels": 0.01,
    "width": 96,
    "height": 64,
    "length": 9,
    "video_frames": 3,
    "steps": 4,
    "step": 2,
    "iterations": 2,
    "most_repeats": 2,
    "fewest_repeats": 1,
}
# Networks of depth see pictures of this many pixels, but for one workflow that runs wholly as it is shipped.
RESOLUTION = 112
AS_SHIPPED = "image_depth_to_stereo"
# Clips run over HTTP only: what the Run button does is the same for all.
CLIPS = {"film_to_stereo_film", "video_depth_to_stereo_video", "video_to_stereo"}
COSTLY = MATRIX | {"image_to_stereo_video"}
OLDER = frozen()
SMALLEST = {
    "width": 64,
    "height": 64,
    "length": 3,
    "views": 3,
    "video_frames": 3,
    "steps": 2,
    "iterations": 2,
    "gaussians": 64,
}


@pytest.fixture(scope="module")
def furnished(server: Server, host: dict[str, type], host_path: Path) -> Server:
    """The server with a picture, a clip with sound, and a stand-in for every model."""
    assert "KSampler" in host  # the stand-ins are made of the host's own network classes
    models = server.base / "models"
    make_da3(models / "geometry_estimation" / "depth_anything_3_mono_large.safetensors")
    make_video_depth(models / "geometry_estimation" / "video_depth_anything_vits.safetensors")
    make_sd15(models / "checkpoints" / "v1-5-pruned-emaonly-fp16.safetensors", host_path)
    make_sd2_depth(models / "checkpoints" / "512-depth-ema.safetensors", host_path)
    make_control_net(models / "controlnet" / "control_v11f1p_sd15_depth_fp16.safetensors")
    make_lora(models / "loras" / "lcm-lora-sdv1-5.safetensors")
    make_video_models(models, host_path)
    make_clip_checkpoint(models / "checkpoints" / "sv3d_p.safetensors", "sv3d_p", host_path)
    write_clip(server.base / "input" / "example.mp4")
    write_picture(server.base / "input" / "example.png")
    (server.base / "input" / "photos").mkdir(exist_ok=True)
    write_picture(server.base / "input" / "photos" / "beach.png")
    return server


def pattern(frame: int) -> np.ndarray:
    y, x = np.mgrid[:64, :96]
    return np.stack([(x + 3 * frame) * 2, y * 3, x + y], -1).astype(np.uint8)


def write_picture(file: Path) -> None:
    from PIL import Image

    Image.fromarray(pattern(0)).save(file)


def write_clip(file: Path, frames: int = 8, rate: int = 8) -> None:
    with av.open(str(file), "w") as container:
        video = container.add_stream("mpeg4", rate=rate)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        for frame in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pattern(frame), format="rgb24")))
        wave = np.sin(np.arange(44100) / 20, dtype=np.float32)[None] * 0.2
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate = 44100
        container.mux(sound.encode(samples))
        for stream in (video, sound):
            container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def opened(furnished: Server, screenshots: Path) -> dict[str, dict[str, Any]]:
    """What the frontend makes of each workflow: opened, run by its Run button, seen; all in one session."""
    jobs = [
        {
            "name": name,
            "workflow": load(name),
            "screenshot": str(screenshots / f"{name}.png"),
            "queue": name not in SAMPLING | CLIPS,
        }
        for name in names()
    ]
    jobs += [{"name": name, "workflow": workflow} for name, (workflow, _) in OLDER.items()]
    return dict(zip([*names(), *OLDER], browse(furnished.url, jobs), strict=True))


@pytest.mark.browser
@pytest.mark.parametrize("name", names())
def test_opens_in_the_real_frontend_without_a_missing_node(opened: dict[str, dict[str, Any]], name: str):
    assert opened[name]["missing"] == []
    assert opened[name]["errors"] == []


@pytest.mark.browser
@pytest.mark.parametrize("name", names())
def test_the_frontend_saves_it_as_it_is_shipped(opened: dict[str, dict[str, Any]], name: str):
    assert list(changes(load(name), resaved(load(name), opened[name]["workflow"]))) == []


@pytest.mark.browser
@pytest.mark.parametrize("name", names())
def test_the_frontend_makes_the_prompt_that_is_saved_beside(
    opened: dict[str, dict[str, Any]], furnished: Server, name: str
):
    made = api_form(opened[name]["prompt"], furnished.object_info())
    assert list(changes(load_prompt(name), made)) == [], "run python tools/workflows.py"


@pytest.mark.browser
@pytest.mark.parametrize("name", OLDER)
def test_a_workflow_of_an_older_version_opens_and_means_what_it_meant(opened: dict[str, dict[str, Any]], name: str):
    answer, (_, promised) = opened[name], OLDER[name]
    assert answer["missing"] == [] and answer["errors"] == []
    for id, node in promised.items():
        now = answer["prompt"][id]
        kept = {key: now["inputs"].get(key) for key in node["inputs"]}  # beside them there may be new ones
        assert (now["class_type"], kept) == (node["class_type"], node["inputs"]), id


@pytest.fixture(scope="module")
def run(furnished: Server) -> Callable[[str], list[OutputFile]]:
    """Runs a workflow, once."""
    return functools.cache(lambda name: furnished.run(small(name)))


def small(name: str) -> dict[str, dict[str, Any]]:
    """A workflow's prompt, at a size that takes seconds."""
    prompt = load_prompt(name)
    if name in SAMPLING:
        for node in prompt.values():
            inputs = node["inputs"]
            for key, most in (SMALLER | SMALLEST if name in COSTLY else SMALLER).items():
                if isinstance(inputs.get(key), list):  # a number that several nodes share
                    shared = prompt[inputs[key][0]]["inputs"]
                    shared["value"] = min(shared["value"], most)
                elif key in inputs:
                    inputs[key] = min(inputs[key], most)
    for id in nodes_of(prompt, "Stereo_DepthEstimate") if name != AS_SHIPPED else ():
        prompt[id]["inputs"]["resolution"] = RESOLUTION
    show_an_object(prompt)
    return prompt


@pytest.mark.parametrize("name", names())
def test_runs_to_its_end(run: Callable[[str], list[OutputFile]], name: str):
    files = run(name)
    assert len(files) == PICTURES[name]
    assert all(file.path.stat().st_size > 0 for file in files)


def show_an_object(prompt: dict[str, dict[str, Any]]) -> None:
    """Put the pack's example in the place of a matrix: what random weights paint is no object, and is refused."""
    for id in nodes_of(prompt, "Stereo_SplatReconstruct"):
        if prompt[id]["inputs"].pop("matrix", None):
            del prompt[id]["inputs"]["vae"]
            prompt["example"] = {"class_type": "Stereo_SplatExample", "inputs": {}}
            prompt[id]["inputs"] |= {"images": ["example", 0], "views": ["example", 1], "size": 32}


def test_nothing_but_its_files_asks_for_a_window(server: Server):
    """A preview would have windows sampled again that are done."""
    info, nodes = server.object_info(), load_prompt("film_to_stereo_diffusion").values()
    asking = {node["class_type"] for node in nodes if info[node["class_type"]]["output_node"]}
    assert asking == {"Stereo_StereoVideoFile", "Stereo_SaveFilmWindow"}


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_the_clip_keeps_its_sound_and_frame_rate(run: Callable[[str], list[OutputFile]], name: str):
    (clip,) = [file.path for file in run(name) if file.path.suffix == ".mp4"]
    with av.open(str(clip)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate)) == (2 * 96, 64, 8.0)
        assert sum(1 for _ in container.decode(video)) == 8
        assert sound.sample_rate == 44100 and float(sound.duration * sound.time_base) > 0.9


@pytest.mark.parametrize("name", names())
def test_is_complete_for_a_stranger(name: str):
    workflow = load(name)
    assert workflow["version"] == 0.4
    assert file_of(name).with_suffix(".jpg").is_file()
    assert workflow["groups"] and any(node["type"] == "MarkdownNote" for node in workflow["nodes"])
    for node in workflow["nodes"]:
        if node["type"].startswith("Stereo_"):
            assert node["properties"]["cnr_id"] == "latent-stereo"
        if "Load" in node["type"] and node["type"] not in ("LoadImage", "LoadVideo", "Stereo_LoadPictureFolder"):
            assert {"name", "url", "directory"} <= node["properties"]["models"][0].keys()


@pytest.mark.parametrize("name", [name for name in names() if "linearData" in load(name)["extra"]])
def test_the_app_form_shows_no_setting_that_the_editor_folds_away(server: Server, name: str):
    workflow, info = load(name), server.object_info()
    kinds = {str(node["id"]): info[node["type"]]["input"] for node in workflow["nodes"] if node["type"] in info}
    for id, widget in workflow["extra"]["linearData"]["inputs"]:
        (options,) = [section[widget][1] for section in kinds[id].values() if widget in section]
        assert not options.get("advanced"), f"{widget} would have a label and no field"
