"""What a graph begins with: pictures, latents, tiny models, prompts, as nodes of the graph that take no links."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny import autoencoders, families, guides, video
from tests.host.tiny.families import FAMILIES

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Scene:
    """What most of a graph agrees on.

    Attributes:
        family: of the model.
        height, width: of the latent.
        batch: entries of the latent; frames, where those are the batch.
        frames: of a latent of video models.
        tame: whether everything has the scene's size and family; otherwise now and then something has not.
    """

    family: str
    height: int
    width: int
    batch: int
    frames: int
    tame: bool

    @staticmethod
    def draw(family: str, stream: random.Random) -> Scene:
        height, width = stream.choice([(4, 8), (4, 8), (8, 12), (6, 6), (5, 7), (2, 16), (1, 1), (8, 3)])
        batch, frames = stream.choice([1, 1, 1, 2, 3]), stream.choice([1, 2, 3])
        return Scene(family, height, width, batch, frames, stream.random() < 0.6)

    def mostly(self, stream: random.Random, usual: Any, *others: Any, chance: float = 0.15) -> Any:
        """``usual``, or rarely one of the others."""
        return stream.choice(others) if not self.tame and stream.random() < chance else usual

    @property
    def latent(self) -> tuple[int, ...]:
        """Shape of the latent."""
        shape = FAMILIES[self.family].latent
        return self.batch, shape[0], *([self.frames] if len(shape) == 4 else []), self.height, self.width

    @property
    def pictures(self) -> int:
        """How many pictures the latent stands for, as the host's video autoencoder counts them."""
        return 4 * self.frames - 3 if len(self.latent) == 5 else self.batch

    @property
    def vae(self) -> str:
        shape = self.latent
        return "picture" if shape[1] == 4 else "video" if len(shape) == 5 else "picture16"


@dataclass(frozen=True)
class Given:
    """A node without links.

    Attributes:
        kind: its output's type.
        draw: gives its settings, for the JSON of the graph.
        make: gives its value from them.
        suits: whether there is one for a family.
    """

    kind: str
    draw: Callable[[Scene, random.Random], dict[str, Any]]
    make: Callable[..., Any]
    suits: Callable[[str], bool] = lambda _: True


def _other_family(scene: Scene, stream: random.Random) -> str:
    return scene.mostly(stream, scene.family, *FAMILIES, chance=0.08)


def _draw_image(scene: Scene, stream: random.Random) -> dict[str, Any]:
    height, width = scene.mostly(
        stream, (8 * scene.height, 8 * scene.width), (1, 1), (9, 13), (64, 64), (1, 40), (33, 2), (128, 136)
    )
    return {
        "kind": stream.choice(["ramp", "block", "noise", "black", "white"]),
        "frames": scene.mostly(stream, scene.pictures, 1, 2, 5),
        "height": height,
        "width": width,
        "channels": stream.choice([3, 3, 3, 3, 1, 4]),
        "dtype": stream.choice(["float32"] * 6 + ["float16", "bfloat16"]),
        "layout": stream.choice(["plain"] * 6 + ["expanded", "strided"]),
        "seed": stream.randrange(3),
    }


def image(kind: str, frames: int, height: int, width: int, channels: int, dtype: str, layout: str, seed: int) -> Tensor:
    """An IMAGE (B, H, W, C) in [0, 1]; ``expanded`` repeats its first frame, ``strided`` is not contiguous."""
    columns = torch.linspace(0, 1, width).expand(frames, height, width).clone()
    if kind == "noise":
        columns = torch.rand(frames, height, width, generator=torch.Generator().manual_seed(seed))
    elif kind in ("black", "white"):
        columns.fill_(float(kind == "white"))
    elif kind == "block":
        columns[:, height // 4 : height - height // 4, width // 4 : width - width // 4] = 1
    picture = columns.unsqueeze(-1).expand(-1, -1, -1, channels).to(DTYPES[dtype]).contiguous()
    if layout == "expanded":
        return picture[:1].expand(frames, -1, -1, -1)
    return picture.movedim(-1, 1).contiguous().movedim(1, -1) if layout == "strided" else picture


def _draw_latent(scene: Scene, stream: random.Random) -> dict[str, Any]:
    shape = scene.mostly(stream, scene.latent, *_odd_latents(scene, stream))
    mask = scene.mostly(stream, (), (scene.batch, 8 * scene.height, 8 * scene.width), (1, 9, 5), (2, 1, 4, 4))
    return {
        "shape": shape,
        "kind": stream.choice(["zeros"] + ["noise"] * 5),
        "dtype": scene.mostly(stream, "float32", "float16", "bfloat16", chance=0.1),
        "mask": mask,
        "batch_index": stream.random() < 0.05,
    }


def _odd_latents(scene: Scene, stream: random.Random) -> list[tuple[int, ...]]:
    batch, channels, *rest = scene.latent
    other = FAMILIES[stream.choice(list(FAMILIES))].latent
    turned = (batch, channels, *rest[1:]) if len(rest) == 3 else (batch, channels, 1, *rest)
    return [(batch, *other), turned, (batch, channels, *rest[:-1], rest[-1] + 3)]


def latent(shape: tuple[int, ...], kind: str, dtype: str, mask: tuple[int, ...], batch_index: bool) -> dict[str, Any]:
    """A LATENT."""
    stream = torch.Generator().manual_seed(3)
    samples = torch.zeros(shape) if kind == "zeros" else torch.randn(shape, generator=stream)
    found: dict[str, Any] = {"samples": samples.to(DTYPES[dtype])}
    if mask:
        found["noise_mask"] = torch.rand(mask, generator=stream)
    if batch_index:
        found["batch_index"] = [2 * entry for entry in range(shape[0])]
    return found


def conditioning(family: str, seed: int, entries: int, size: tuple[int, ...]) -> list[Any]:
    """A CONDITIONING; pictures, masks and maps in it have the latent's ``size``, (T, H, W) or (H, W)."""
    found = [entry for one in range(entries) for entry in video.family(family).conditioning(seed + 10 * one)]
    stream = torch.Generator().manual_seed(seed)
    for _, values in found:
        for name in ("concat_latent_image", "concat_mask"):
            if name in values:
                shape = values[name].shape
                values[name] = torch.rand(*shape[:2], *_last(size, len(shape) - 2), generator=stream)
        if family == "sd2_depth":  # it does not run without
            values["noise_concat"] = torch.zeros(1, 1, *size[-2:])
    return found


def _last(size: tuple[int, ...], axes: int) -> tuple[int, ...]:
    return (*[1] * (axes - len(size)), *size[-axes:])


@functools.cache
def control_net() -> Any:
    """A CONTROL_NET for SD 1.x."""
    import folder_paths

    import nodes

    file = Path(folder_paths.get_folder_paths("controlnet")[0], "fuzz_depth.safetensors")
    guides.make_control_net(file, guides.NARROW)
    return nodes.NODE_CLASS_MAPPINGS["ControlNetLoader"]().load_controlnet(file.name)[0]


def mask(frames: int, height: int, width: int, seed: int) -> Tensor:
    """A MASK (B, H, W)."""
    return torch.rand(frames, height, width, generator=torch.Generator().manual_seed(seed)).round(decimals=1)


def geometry(frames: int, height: int, width: int, sky: bool) -> dict[str, Tensor]:
    """Depth in metres as the host's depth nodes give it."""
    metres = 1 + 9 * torch.rand(frames, height, width, generator=torch.Generator().manual_seed(2))
    return {"depth": metres, **({"sky": torch.zeros_like(metres)} if sky else {})}


@functools.cache
def moge() -> Any:
    """A MOGE_MODEL in full precision: half does not run on a CPU."""
    import folder_paths
    from comfy.cli_args import args
    from comfy_extras import nodes_moge

    from tests.host.tiny import depth_networks

    file = Path(folder_paths.get_folder_paths("geometry_estimation")[0], "fuzz_moge.safetensors")
    depth_networks.make_moge(file)
    usual, args.fp32_text_enc = args.fp32_text_enc, True
    try:
        return nodes_moge.LoadMoGeModel.execute(file.name).args[0]
    finally:
        args.fp32_text_enc = usual


@functools.cache
def clip_vision(seed: int) -> Any:
    return guides.clip_vision(seed)


def _draw_mask(scene: Scene, stream: random.Random) -> dict[str, Any]:
    height, width = scene.mostly(stream, (8 * scene.height, 8 * scene.width), (1, 1), (7, 5), (64, 64))
    return {
        "frames": scene.mostly(stream, 1, scene.pictures, 3),
        "height": height,
        "width": width,
        "seed": stream.randrange(3),
    }


def _draw_geometry(scene: Scene, stream: random.Random) -> dict[str, Any]:
    return {
        "frames": scene.mostly(stream, scene.pictures, 1, 4),
        "height": 8 * scene.height,
        "width": 8 * scene.width,
        "sky": stream.random() < 0.5,
    }


GIVEN = {
    "Given_Image": Given("IMAGE", _draw_image, image),
    "Given_Mask": Given("MASK", _draw_mask, mask),
    "Given_Latent": Given("LATENT", _draw_latent, latent),
    "Given_Model": Given("MODEL", lambda scene, s: {"name": _other_family(scene, s)}, families.load),
    "Given_Conditioning": Given(
        "CONDITIONING",
        lambda scene, s: {
            "family": _other_family(scene, s),
            "seed": s.choice([1, 2, 3]),
            "entries": s.choice([1] * 9 + [2]),
            "size": scene.latent[2:],
        },
        conditioning,
    ),
    "Given_VAE": Given(
        "VAE",
        lambda scene, s: {"name": scene.mostly(s, scene.vae, "picture", "picture16", "video", chance=0.08)},
        autoencoders.load_vae,
    ),
    "Given_ClipVision": Given("CLIP_VISION", lambda _, s: {"seed": s.choice([1, 2])}, clip_vision),
    "Given_ControlNet": Given("CONTROL_NET", lambda *_: {}, control_net, lambda family: family.startswith("sd15")),
    "Given_MoGe": Given("MOGE_MODEL", lambda *_: {}, moge),
    "Given_Geometry": Given("MOGE_GEOMETRY", _draw_geometry, geometry),
}


def make_files() -> None:
    """Put the files into the host's folders that its own and our loaders list."""
    import folder_paths

    from tests.host.tiny import depth_networks
    from tests.host.tiny.weights import save

    stream, width = torch.Generator().manual_seed(14), guides.NARROW
    unet = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
    lora = {
        f"{unet}.lora_down.weight": torch.randn(1, width, generator=stream) / width**0.5,
        f"{unet}.lora_up.weight": torch.randn(width, 1, generator=stream),
        f"{unet}.alpha": torch.tensor(1.0),
    }
    save(lora, Path(folder_paths.get_folder_paths("loras")[0], "fuzz.safetensors"))
    depth_networks.make_glpn(Path(folder_paths.get_folder_paths("geometry_estimation")[0], "fuzz_glpn"))
