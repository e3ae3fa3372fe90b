"""What every node of the pack can be given: its sockets, with tiny models, and the defaults of its widgets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.host.film.films import film
from tests.host.matrix.runs import schedule as karras
from tests.host.matrix.runs import words
from tests.host.tiny import inversion
from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import load
from tests.host.tiny.guides import Vision, clip_vision
from tests.host.tiny.sampling import conditioning, depth_step, empty, inner, schedule
from tools.host.in_process import pack_module

Host = dict[str, type]
Inputs = dict[str, Any]

SIZE = (4, 8)
"""Of the latents, in rows and columns."""
STEPS = 3


def pictures(count: int = 1, height: int = 32, width: int = 64) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(count))


def prompts(name: str = "sd15") -> Inputs:
    return {"model": load(name), "positive": conditioning(name, 1), "negative": conditioning(name, 2)}


def trajectory(host: Host, name: str = "sd15") -> Any:
    given = {"model": inversion.load(name), "positive": conditioning(name, 1), "latent": inversion.latent(name)}
    return host["Stereo_DDIMInversion"].execute(**given, sigmas=schedule(name, STEPS), refine=0).args[1]


def guider(name: str = "sd15") -> Any:
    import comfy.samplers

    made = comfy.samplers.CFGGuider(load(name))
    made.set_conds(conditioning(name, 1), conditioning(name, 2))
    return made


def left_trajectory(_: Host) -> Inputs:
    from comfy_extras.nodes_custom_sampler import RandomNoise

    noise, latent = RandomNoise.execute(5).args[0], {"samples": empty("sd15")}
    run = {"sampler": inner("euler"), "sigmas": schedule("sd15", STEPS), "latent_image": latent}
    return {"noise": noise, "guider": guider(), **run}


def recorded(host: Host) -> Inputs:
    return {
        "depth": depth_step(),
        "trajectory": host["Stereo_LeftTrajectory"].execute(**left_trajectory(host), precision="full").args[2],
    }


def ksampler(_: Host) -> Inputs:
    return {**prompts(), "latent_image": {"samples": empty("sd15")}, "depth": depth_step(), "steps": STEPS}


def dissolve(_: Host) -> Inputs:
    models = {"model": load("sd15"), "vae": load_vae("picture"), "positive": conditioning("sd15", 1)}
    return {"depth": depth_step(), "method": "dissolve", **models}


def depthcrafter(_: Host) -> Inputs:
    crafter = pack_module("nodes.depth.depthcrafter").DepthCrafterModel
    model = crafter(load("svd"), load_vae("picture"), Vision())
    return {"depth": depth_step(), "method": "dissolve", "depth_model": model, "image": pictures()}


def strips(_: Host) -> Inputs:
    strip = {"view_strip": pictures(3), "frame_strip": pictures(2), "reference": pictures()}
    orbit = [[torch.zeros(1, 1, 1024), {"azimuth": [120.0, 240.0, 0.0], "elevation": [0.0] * 3}]]
    video = [[torch.zeros(1, 1, 1024), {"motion_bucket_id": 90, "fps": 8}]]
    models = {"video_clip_vision": clip_vision(1), "video_vae": load_vae("picture", seed=2)}
    others = {"multiview_clip_vision": clip_vision(3), "multiview_vae": load_vae("picture", seed=4)}
    return {**strip, **models, **others, "orbit_positive": orbit, "video_positive": video}


def stereo_clip(_: Host) -> Inputs:
    told = {"motion_bucket_id": 127, "fps": 6, "augmentation_level": 0.0}
    names = ("left_positive", "left_negative", "right_positive", "right_negative")
    sides = {name: words(seed, SIZE, **told) for seed, name in enumerate(names)}
    return {**sides, "latent": {"samples": torch.zeros(2, 4, *SIZE)}}


def expert(_: Host) -> Inputs:
    return {"model": load("svd"), "depth": depth_step(2)}


def composition(host: Host) -> Inputs:
    widgets = defaults(host["Stereo_ShiftCoupledViewExpert"])
    made = host["Stereo_ShiftCoupledViewExpert"].execute(**{**widgets, **expert(host)}).args[0]
    clip = host["Stereo_StereoClipConditioning"]
    told = clip.execute(**{**defaults(clip), **stereo_clip(host)}).args[0]
    return {"video_model": load("svd"), "multiview_model": made, "conditioning": told, "sigmas": karras(2)}


def matrix(_: Host) -> Inputs:
    samples = {"samples": torch.ones(4, 4, *SIZE), "stereo_matrix": (2, 2)}
    return {"matrix": samples, "vae": load_vae("picture")}


def inverted(host: Host) -> Inputs:
    return {**prompts(), "model": inversion.load("sd15"), "trajectory": trajectory(host), "inner_steps": 1}


class BallVAE:
    """Decodes any latent to a ball on white, which is the same from all sides."""

    latent_channels = 4

    def spacial_compression_decode(self) -> int:
        return 8

    def decode(self, samples: Tensor) -> Tensor:
        return balls(len(samples), 8 * samples.shape[2])


def balls(count: int, side: int = 32) -> Tensor:
    """Pictures of a ball with a stripe around it, (count, side, side, 3)."""
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    inside = place[:, None].square() + place.square() < 0.36
    color = torch.where(
        (place[:, None, None].abs() < 0.2), torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.8])
    )
    return torch.where(inside[..., None], color.expand(side, side, 3), 1.0).repeat(count, 1, 1, 1)


FIT = {"views": 4, "size": 32, "gaussians": 64, "iterations": 4}


def fitted(_: Host) -> Inputs:
    return {**FIT, "images": balls(8)}


def fitted_matrix(_: Host) -> Inputs:
    return {**FIT, "matrix": {"samples": torch.ones(8, 4, *SIZE)}, "vae": BallVAE()}


def splat(_: Host) -> Inputs:
    made = pack_module("stereo_core.splat_scene").SplatScene
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(3, 20, 3, generator=generator) - 0.5
    rotations = torch.tensor([1.0, 0, 0, 0]).expand(3, 20, 4)
    return {"splat": made(positions, rotations, torch.full((20, 3), 0.1), torch.ones(20, 1), torch.rand(20, 3))}


def seen_splat(host: Host) -> Inputs:
    return {**splat(host), "width": 32, "height": 24}


def folder_of_pictures() -> str:
    """In the host's input folder, with two pictures of two sizes."""
    import folder_paths
    from PIL import Image

    folder = Path(folder_paths.get_input_directory()) / "holiday"
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in (("beach.jpg", (64, 32)), ("abbey.png", (48, 64))):
        Image.new("RGB", size, "teal").save(folder / name)
    return folder.name


def film_window(host: Host) -> Inputs:
    import folder_paths
    from comfy_api.latest import InputImpl

    folder = Path(folder_paths.get_input_directory())
    folder.mkdir(parents=True, exist_ok=True)
    path = film(folder, size=(32, 64), frames=3, name="three")
    node = host["Stereo_FilmWindow"]
    widgets = {**defaults(node), "length": 2, "overlap": 1}
    chosen = node.execute(**widgets, video=InputImpl.VideoFromFile(str(path))).args[1]
    return {"film_window": chosen, "left": pictures(2), "right": pictures(2)}


CASES: dict[str, Callable[[Host], Inputs]] = {
    "DepthEstimate": lambda _: {"image": pictures(2), "source": {"depth": 1 + pictures(2)[..., 0]}},
    "StereoStrength": lambda _: {"depth": depth_step(2), "image": pictures(2)},
    "DisparityPropagate": lambda _: {"depth": depth_step(2), "image": pictures(2)},
    "DissolveDepth": dissolve,
    "DissolveDepth gaussian": lambda _: {"depth": depth_step(), "method": "gaussian"},
    "DissolveDepth depthcrafter": depthcrafter,
    "DissolveDepth nothing": lambda _: {"depth": depth_step(), "method": "gaussian", "radius": 0.0},
    "ImageStereoShift": lambda _: {"image": pictures(), "depth": depth_step()},
    "StereoComposite": lambda _: {"image": pictures(), "depth": depth_step(), "diffusion": pictures(2)},
    "LatentStereoShift": lambda _: {"samples": {"samples": torch.ones(1, 4, *SIZE)}, "depth": depth_step()},
    "DepthConditioning": lambda _: {
        **{name: value for name, value in prompts("sd2_depth").items() if name != "model"},
        "latent": {"samples": torch.zeros(1, 4, *SIZE)},
        "depth": depth_step(),
    },
    "DDIMInversion": lambda _: {
        "model": inversion.load("sd15"),
        "positive": conditioning("sd15", 1),
        "latent": inversion.latent("sd15"),
        "sigmas": schedule("sd15", STEPS),
    },
    "NullTextOptimization": inverted,
    "StereoKSampler": ksampler,
    "StereoVideoKSampler": ksampler,
    "StereoPictureOptions": lambda _: {},
    "StereoShiftSampler": lambda _: {"depth": depth_step()},
    "StereoVideoOptions": lambda _: {},
    "StereoRefineOptions": lambda _: {},
    "SecondModel": lambda _: {"model": load("wan")},
    "LeftTrajectory": left_trajectory,
    "NoisyRestartSampler": recorded,
    "IterativeRefineSampler": recorded,
    "OrbitConditioning": lambda _: {
        "clip_vision": clip_vision(1),
        "init_image": pictures(height=64),
        "vae": load_vae("picture", seed=2),
        "width": 64,
        "height": 64,
        "views": 3,
    },
    "ImageMatrixConditioning": strips,
    "StereoClipConditioning": stereo_clip,
    "ShiftCoupledViewExpert": expert,
    "ScoreCompositionSampler": composition,
    "ScoreCompositionOptions": lambda _: {},
    "ImageMatrixView": matrix,
    "ImageMatrixSheet": matrix,
    "SplatExample": lambda _: {},
    "SplatReconstruct": fitted,
    "SplatReconstruct matrix": fitted_matrix,
    "SplatOptions": lambda _: {},
    "SplatStereo": seen_splat,
    "SplatPath": lambda _: {},
    "SplatAt": splat,
    "SplatSave": splat,
    "CrossViewAttentionPatch": lambda _: {"model": load("sd15")},
    "SBSCombine": lambda _: {"left": pictures(2), "right": pictures(2)},
    "SBSCombine rgb_depth": lambda _: {"left": pictures(2), "depth": depth_step(2), "format": "rgb_depth"},
    "StereoComfort": lambda _: {"depth": depth_step(2), "left": pictures(2)},
    "StereoComfort views": lambda _: {"left": pictures(2), "right": pictures(2)},
    "VR180FromPair": lambda _: {"left": pictures(2), "right": pictures(2)},
    "VR180FromPanorama": lambda _: {"image": pictures(2), "depth": depth_step(2)},
    "StereoPreview": lambda _: {"left": pictures(2), "right": pictures(2), "depth": depth_step(2)},
    "SaveStereoImage": lambda _: {"left": pictures(2), "right": pictures(2)},
    "SaveStereoImage rgb_depth": lambda _: {"left": pictures(2), "depth": depth_step(2), "format": "rgb_depth"},
    "SaveStereoImage wiggle": lambda _: {
        "left": pictures(),
        "right": pictures(),
        "depth": depth_step(),
        "format": "wiggle",
    },
    "LoadPictureFolder": lambda _: {"folder": folder_of_pictures(), "count": 0},
    "SaveStereoVideo": lambda _: {"left": pictures(2), "right": pictures(2)},
    "SaveStereoVideo rgb_depth": lambda _: {"left": pictures(2), "depth": depth_step(2), "format": "rgb_depth"},
    "SaveFilmWindow": film_window,
    "SBSSplit": lambda _: {"image": pictures(2)},
}
"""For each node, by its class and perhaps a word on the case: what is connected, and widgets that are not as usual."""


def node_of(host: Host, case: str) -> Any:
    return host[f"Stereo_{case.split()[0]}"]


def defaults(node: Any) -> Inputs:
    """The widgets' values in a new node."""
    inputs = {input.id: input for input in node.define_schema().inputs}
    return {
        name: input.default if input.default is not None else input.options[0]
        for name, input in inputs.items()
        if hasattr(input, "default") and (input.default is not None or getattr(input, "options", None))
    }


def given(host: Host, case: str) -> Inputs:
    """All inputs of the node."""
    return {**defaults(node_of(host, case)), **CASES[case](host)}


def kinds(node: Any) -> dict[str, str]:
    """The type of each input; of those that take several, IMAGE if it is among them."""
    types = {input.id: input.get_io_type() for input in node.define_schema().inputs}
    return {name: "IMAGE" if "IMAGE" in kind.split(",") else kind for name, kind in types.items()}
