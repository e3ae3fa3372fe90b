"""DepthCrafter on the host's tiny SVD, against the published pipeline step by step on the bare network."""

from __future__ import annotations

import itertools
import re
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tests.host.tiny import families
from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.guides import Vision
from tests.host.tiny.unets import SHAPES, admit_narrow, unet
from tests.host.tiny.weights import save


def clip(frames: int, height: int = 64, width: int = 64) -> Tensor:
    noise = torch.rand(frames, 3, 5, 6, generator=torch.Generator().manual_seed(frames))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


def literal(model: Any, vae: Any, video: Tensor, window: int, overlap: int) -> Tensor:
    """The published pipeline, one frame after the other, with latents in the network's own scale."""
    network, scale = model.model.diffusion_model, 0.18215
    stream = torch.Generator().manual_seed(42)
    frames = len(video)
    if frames <= window:
        window, overlap = frames, 0
    noisy = video + 0.01 * torch.cat([torch.randn(part.shape, generator=stream) for part in video.split(8)])
    told = torch.cat([vae.encode(frame.movedim(1, -1)) for frame in noisy.split(1)])
    seen = Vision().encode_image(video.movedim(1, -1), crop=False).image_embeds.unsqueeze(1)
    embed = model.model.embedder
    y = torch.cat([embed(torch.tensor([value])) for value in (7.0, 127.0, 0.02)]).flatten().unsqueeze(0)
    sigmas = [(700 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 700 ** (1 / 7))) ** 7 for i in range(5)] + [0.0]
    initial = (700**2 + 1) ** 0.5
    noise = torch.randn(window, 4, *told.shape[-2:], generator=stream) * initial
    made, start = None, 0
    while start < frames - overlap or made is None:
        end = min(start + window, frames)
        x = noise[: end - start].clone()
        noise = torch.cat([noise[window - overlap :], noise[: window - overlap]])
        if made is not None:
            x[:overlap] = made[-overlap:] + x[:overlap] / initial * sigmas[0]
        for sigma, after in itertools.pairwise(sigmas):
            given = torch.cat([x / (sigma**2 + 1) ** 0.5, told[start:end]], dim=1)
            time = torch.full((end - start,), 0.25 * torch.tensor(sigma).log().item())
            count = end - start
            out = network(given, time, context=seen[start:end], y=y.expand(count, -1), num_video_frames=count)
            x0 = -sigma / (sigma**2 + 1) ** 0.5 * out + x / (sigma**2 + 1)
            x = x + (x - x0) / sigma * (after - sigma)
        if made is None:
            made = x
        else:
            for i in range(overlap):
                share = i / (overlap - 1)
                made[len(made) - overlap + i] = share * x[i] + (1 - share) * made[len(made) - overlap + i]
            made = torch.cat([made, x[overlap:]])
        start += window - overlap
    pixels = torch.cat([vae.decode(part / scale) for part in made.split(8)])
    return pixels.mean(-1).unsqueeze(1)


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 12])
def test_it_is_the_published_pipeline(pack: Any, monkeypatch: pytest.MonkeyPatch, frames: int):
    import comfy.utils

    module = pack("nodes.depth.depthcrafter")
    monkeypatch.setattr(module, "WINDOW", 5)
    monkeypatch.setattr(module, "OVERLAP", 2)
    steps: list[tuple[int, int]] = []
    monkeypatch.setattr(comfy.utils.ProgressBar, "update", lambda bar, more: steps.append((more, bar.total)))
    model, vae, video = families.load("svd"), load_vae("picture"), clip(frames)
    with torch.inference_mode():
        ours = torch.cat(list(module.DepthCrafterModel(model, vae, Vision()).scene(video.split(1), frames, 0, 1)))
        expected = literal(model, vae, video, 5, 2)
    assert expected.std() > 0.01
    torch.testing.assert_close(ours, expected, atol=2e-3, rtol=0)
    count = 5 * max(1, -(-(frames - 2) // 3)) if frames > 5 else 5
    assert steps == [(1, count)] * count


def test_the_network_under_its_published_names_gives_the_published_values(pack: Any):
    """Made once by the published code; the stored file's own metadata say how, and name the tensors."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep, UNetModel

    with safe_open(Path(__file__).with_name("depthcrafter.safetensors"), "pt") as file:
        published, names = file.get_tensor("depth"), file.metadata()["names"].split()
    shape = {**SHAPES["svd"], "image_size": 8, "model_channels": 32, "out_channels": 4, "num_head_channels": 32}
    depths = {"transformer_depth": [1, 0], "transformer_depth_output": [1, 1, 0, 0], "transformer_depth_middle": 1}
    levels = {"num_res_blocks": [1, 1], "channel_mult": [1, 2], "operations": comfy.ops.disable_weight_init}
    given = {"use_spatial_transformer": True, "legacy": False, "use_checkpoint": False, "dtype": torch.float32}
    network = UNetModel(**shape, **depths, **levels, **given).eval()
    host_weights = pack("nodes.depth.depthcrafter_weights").host_weights
    own, places = network.state_dict(), dict(zip(host_weights(dict.fromkeys(names)), names, strict=True))
    drawn = {name: by_name(name, own[place].shape) for place, name in places.items()}
    network.load_state_dict(host_weights(drawn))  # every tensor, and none left over
    stream = torch.Generator().manual_seed(1)
    sample, seen = (torch.randn(size, generator=stream)[0] for size in ((1, 3, 8, 8, 16), (1, 3, 1024)))
    told = torch.cat([Timestep(256)(torch.tensor([value])) for value in (7.0, 127.0, 0.02)]).flatten().expand(3, -1)
    with torch.inference_mode():
        ours = network(sample, torch.full((3,), 0.6866), context=seen.unsqueeze(1), y=told, num_video_frames=3)
    torch.testing.assert_close(ours, published, atol=1e-4, rtol=1e-3)


def by_name(name: str, size: torch.Size) -> Tensor:
    noise = torch.randn(size, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if len(size) > 1:
        return noise / noise[0].numel() ** 0.5
    return 0.1 * noise + (1 if "norm" in name and name.endswith("weight") else 0)


def test_its_levels_are_those_of_svds_own_scheduler(host: dict[str, type]):  # noqa: ARG001
    """As diffusers' EulerDiscreteScheduler makes them of SVD's scheduler_config.json, for five steps."""
    import comfy.k_diffusion.sampling

    sampling = families.load("svd").get_model_object("model_sampling")
    levels = comfy.k_diffusion.sampling.get_sigmas_karras(5, float(sampling.sigma_min), float(sampling.sigma_max))
    expected = torch.tensor([700.0, 134.8544464, 15.58996773, 0.6781460047, 0.002, 0.0])
    torch.testing.assert_close(levels, expected, rtol=3e-6, atol=0)
    times = torch.tensor([1.637770057, 1.226048946, 0.686656892, -0.097098164, -1.553652048])
    torch.testing.assert_close(torch.stack([sampling.timestep(level) for level in levels[:-1]]), times)


def test_its_settings_are_the_published_ones(pack: Any):
    module = pack("nodes.depth.depthcrafter")
    assert (module.WINDOW, module.OVERLAP, module.STEPS) == (110, 25, 5)
    sizes = {
        (1080, 1920, 0): (576, 1024),
        (480, 640, 0): (512, 640),
        (20, 20, 0): (64, 64),
        (1080, 1920, 640): (384, 640),
    }
    assert {given: module.network_size(*given) for given in sizes} == sizes


def test_every_level_of_the_published_file_has_its_place(pack: Any):
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    pairs = {
        "down_blocks.0.resnets.1.spatial_res_block.norm1.weight": "input_blocks.2.0.in_layers.0.weight",
        "down_blocks.1.resnets.0.spatial_res_block.conv_shortcut.weight": "input_blocks.4.0.skip_connection.weight",
        "down_blocks.2.attentions.1.time_mixer.mix_factor": "input_blocks.8.1.time_mixer.mix_factor",
        "down_blocks.2.downsamplers.0.conv.weight": "input_blocks.9.0.op.weight",
        "down_blocks.3.resnets.1.temporal_res_block.conv2.weight": "input_blocks.11.0.time_stack.out_layers.3.weight",
        "mid_block.resnets.1.time_mixer.mix_factor": "middle_block.2.time_mixer.mix_factor",
        "mid_block.attentions.0.temporal_transformer_blocks.0.norm_in.bias": "middle_block.1.time_stack.0.norm_in.bias",
        "up_blocks.0.resnets.2.spatial_res_block.conv1.bias": "output_blocks.2.0.in_layers.2.bias",
        "up_blocks.0.upsamplers.0.conv.weight": "output_blocks.2.1.conv.weight",
        "up_blocks.1.attentions.2.time_pos_embed.linear_2.bias": "output_blocks.5.1.time_pos_embed.2.bias",
        "up_blocks.1.upsamplers.0.conv.bias": "output_blocks.5.2.conv.bias",
        "up_blocks.2.attentions.0.proj_in.weight": "output_blocks.6.1.proj_in.weight",
        "up_blocks.3.resnets.2.spatial_res_block.time_emb_proj.bias": "output_blocks.11.0.emb_layers.1.bias",
        "add_embedding.linear_2.weight": "label_emb.0.2.weight",
        "conv_norm_out.weight": "out.0.weight",
    }
    assert list(pack("nodes.depth.depthcrafter_weights").host_weights(dict.fromkeys(pairs))) == list(pairs.values())
    shape = {**SHAPES["svd"], "image_size": 32, "model_channels": 320, "out_channels": 4, "num_head_channels": 64}
    depths = {"transformer_depth": [1] * 6 + [0] * 2, "transformer_depth_output": [1] * 9 + [0] * 3}
    levels = {"num_res_blocks": [2] * 4, "channel_mult": [1, 2, 4, 4], "transformer_depth_middle": 1}
    given = {"use_spatial_transformer": True, "legacy": False, "use_checkpoint": False}
    network = UNetModel(**shape, **depths, **levels, **given, device="meta")
    assert pairs.keys() and not set(pairs.values()) - network.state_dict().keys()


def diffusers_names() -> dict[str, Tensor]:
    """The tiny SVD under the names that diffusers gives its tensors."""
    ends = {
        "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
        "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
        "label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2",
    }  # fmt: skip
    layers = {
        "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj",
        "out_layers.0": "norm2", "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
    }  # fmt: skip
    named = {}
    for name, tensor in unet("svd", 14).items():
        end = next((end for end in ends if name.startswith(f"{end}.")), None)
        if end:
            named[ends[end] + name[len(end) :]] = tensor
            continue
        side, row, part, rest = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)", name).groups()
        index = int(row) - (side == "input")
        if part == "1":
            rest = rest.replace("time_stack", "temporal_transformer_blocks")
            rest = rest.replace("time_pos_embed.0", "time_pos_embed.linear_1")
            rest = rest.replace("time_pos_embed.2", "time_pos_embed.linear_2")
            kind = "attentions"
        else:
            kind, prefix = "resnets", "temporal_res_block." if rest.startswith("time_stack.") else "spatial_res_block."
            rest = rest.removeprefix("time_stack.")
            for old, new in layers.items():
                rest = rest.replace(old, new)
            rest = rest if rest.startswith("time_mixer") else prefix + rest
        named[f"{'down' if side == 'input' else 'up'}_blocks.0.{kind}.{index}.{rest}"] = tensor
    return named


@pytest.fixture
def file(host: dict[str, type]) -> Any:  # noqa: ARG001  # it loads the host
    import folder_paths

    admit_narrow()
    path = Path(folder_paths.get_folder_paths("geometry_estimation")[0]) / "DepthCrafter" / "unet.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save(diffusers_names(), path)
    yield path
    path.unlink()


@pytest.mark.usefixtures("file")
def test_a_file_becomes_depth(host: dict[str, type]):
    vae, video = load_vae("picture"), clip(2, 60, 80).movedim(1, -1)
    with torch.inference_mode():
        load = host["Stereo_LoadDepthModel"]
        assert load.validate_inputs("DepthCrafter/unet.safetensors") is True
        model = load.execute("DepthCrafter/unet.safetensors", "fp32", vae, Vision()).args[0]
        weights = model.model.model.diffusion_model.state_dict()
        assert all(torch.equal(weights[name], tensor) for name, tensor in unet("svd", 14).items())
        depth = host["Stereo_DepthEstimate"].execute(video, model, "clip", True, 0, 4, 0.0).args[0]
    assert depth.shape == video.shape
    assert (depth.min(), depth.max()) == (0, 1)


@pytest.mark.parametrize(("broken", "way"), [("model", "fetch them again"), ("vae", "vae: .*--fp32-vae")])
def test_values_that_are_not_finite_name_where_they_are_from(broken: str, way: str, pack: Any):
    model, vae, video = families.load("svd"), load_vae("picture"), clip(1)
    nan = torch.full((1, 4, 8, 8) if broken == "model" else (1, 64, 64, 3), float("nan"))
    crafter = pack("nodes.depth.depthcrafter").DepthCrafterModel
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode(), pytest.raises(ValueError, match=way):
        if broken == "model":
            patch.setattr(crafter, "_window", lambda *_: nan)
        else:
            patch.setattr(vae, "decode", lambda _: nan)
        list(crafter(model, vae, Vision()).scene(video.split(1), 1, 0, 1))


def vae_of(channels: int = 4, dimensions: int = 2, cell: int = 8) -> Any:
    return SimpleNamespace(latent_channels=channels, latent_dim=dimensions, spacial_compression_encode=lambda: cell)


def vision_of(projection: object) -> Any:
    return SimpleNamespace(model=SimpleNamespace(visual_projection=projection))


@pytest.mark.parametrize(
    ("vae", "vision", "told"),
    [
        (vae_of(channels=16), Vision(), "vae: its latents have 16 channels, DepthCrafter's have 4. Connect that of"),
        (vae_of(dimensions=3), Vision(), "vae: its latents have other cells than those of SVD"),
        (vae_of(cell=4), Vision(), "vae: its latents have other cells than those of SVD"),
        (vae_of(), vision_of(torch.nn.Linear(8, 768)), "clip_vision: its embeddings are 768 wide, DepthCrafter's are"),
        (vae_of(), vision_of(lambda pooled: pooled), "clip_vision: it has no embeddings of CLIP"),
        (vae_of(), SimpleNamespace(model=torch.nn.Linear(8, 8)), "clip_vision: it has no embeddings of CLIP"),
    ],
)
@pytest.mark.usefixtures("file")
def test_encoders_of_another_model_are_refused(host: dict[str, type], vae: Any, vision: Any, told: str):
    with pytest.raises(ValueError, match=told):
        host["Stereo_LoadDepthModel"].execute("DepthCrafter/unet.safetensors", "fp32", vae, vision)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"conv_out.weight": (1, 64, 3, 3), "conv_out.bias": (1,)}, "it makes 1 channels, DepthCrafter 4"),
        ({"conv_out.weight": (8, 64, 3, 3), "conv_out.bias": (8,)}, "it makes 8 channels, DepthCrafter 4"),
        ({"add_embedding.linear_1.weight": (256, 256)}, "it is SV3D_u, not Stable Video Diffusion"),
        ({"add_embedding.linear_1.weight": (256, 1280)}, "it is SV3D_p, not Stable Video Diffusion"),
    ],
)
def test_networks_for_other_latents_or_conditions_are_refused(
    host: dict[str, type], file: Path, changed: dict[str, tuple[int, ...]], told: str
):
    weights = diffusers_names()
    assert all(len(weights[name].shape) == len(size) for name, size in changed.items())
    save(weights | {name: torch.ones(size) for name, size in changed.items()}, file)
    with pytest.raises(ValueError, match=f"unet.safetensors: the weights could not be loaded .*{told}"):
        host["Stereo_LoadDepthModel"].execute("DepthCrafter/unet.safetensors", "fp32", load_vae("picture"), Vision())


def test_what_is_missing_is_told(host: dict[str, type], file: Path):
    load, name = host["Stereo_LoadDepthModel"], "DepthCrafter/unet.safetensors"
    with pytest.raises(ValueError, match="also needs clip_vision. Connect Image Only"):
        load.execute(name, "fp32", load_vae("picture"))
    weights = diffusers_names()
    del weights["up_blocks.0.resnets.1.spatial_res_block.conv1.weight"]
    save(weights, file)
    with pytest.raises(ValueError, match="unet.safetensors: the weights could not be loaded .* Fetch the file again"):
        load.execute(name, "fp32", load_vae("picture"), Vision())
    part = file.with_name("unet-00001-of-00002.safetensors")
    save(weights, part)
    with pytest.raises(ValueError, match="Fetch the whole network as one file, not one of its parts"):
        load.execute(f"DepthCrafter/{part.name}", "fp32", load_vae("picture"), Vision())
    part.unlink()


@pytest.mark.parametrize("strength", [1, 20, 45])
def test_dissolving_is_equation_5_conditioned_on_the_clip(host: dict[str, type], pack: Any, strength: int):
    model, vae, video, depth = families.load("svd"), load_vae("picture"), clip(3), clip(3)[:, :1].flip(0)
    crafter = pack("nodes.depth.depthcrafter").DepthCrafterModel(model, vae, Vision())
    widgets = {"radius": 1.0, "scale": 0.25, "window": 0, "overlap": 0, "strip": False, "form": "paper"}
    maps, pictures = depth.movedim(1, -1).expand(-1, -1, -1, 3), video.movedim(1, -1)
    node, given = host["Stereo_DissolveDepth"], {"method": "dissolve", "strength": strength, **widgets}
    with torch.inference_mode():
        ours = node.execute(maps, **given, depth_model=crafter, image=pictures).result[0]
        stream = torch.Generator().manual_seed(42)
        told = vae.encode(pictures + 0.01 * torch.randn(video.shape, generator=stream).movedim(1, -1))
        seen = Vision().encode_image(pictures, crop=False).image_embeds.unsqueeze(1)
        embed = model.model.embedder
        y = torch.cat([embed(torch.tensor([value])) for value in (7.0, 127.0, 0.02)]).flatten().expand(3, -1)
        level = model.get_model_object("model_sampling").sigmas[20 * strength - 1]
        x, abar = 0.18215 * vae.encode(maps), 1 / (1 + level**2)
        time = (level.log() / 4).expand(3)
        out = model.model.diffusion_model(torch.cat([x, told], 1), time, context=seen, y=y, num_video_frames=3)
        noise = abar.sqrt() * out + (1 - abar).sqrt() * x
        expected = vae.decode(((1 / abar).sqrt() * x - (1 / abar - 1).sqrt() * noise) / 0.18215)
    torch.testing.assert_close(ours[..., :1], expected.mean(-1, keepdim=True), atol=1e-3, rtol=0)
    for wrong, named in (({"image": pictures[:2]}, "image: .* 3 frames, and got 2"), ({}, "image: .* got 0")):
        with pytest.raises(ValueError, match=named):
            node.execute(maps, **given, depth_model=crafter, **wrong)
    with pytest.raises(ValueError, match="depth_model: only DepthCrafter"):
        node.execute(maps, **given, depth_model=object(), image=pictures)


def test_it_dissolves_at_the_size_at_which_it_estimates(host: dict[str, type], pack: Any):
    """The published pipeline has no larger latents, and U-Nets of SVD run out of memory at them."""
    model, vae = families.load("svd"), load_vae("picture")
    crafter = pack("nodes.depth.depthcrafter").DepthCrafterModel(model, vae, Vision())
    widgets = {"radius": 1.0, "scale": 0.25, "window": 0, "overlap": 0, "strip": False, "form": "paper"}

    def dissolved(maps: Tensor, pictures: Tensor) -> Tensor:
        maps, pictures = maps.movedim(1, -1).expand(-1, -1, -1, 3), pictures.movedim(1, -1)
        given = {"method": "dissolve", "strength": 20, **widgets, "depth_model": crafter, "image": pictures}
        return host["Stereo_DissolveDepth"].execute(maps, **given).result[0][..., :1].movedim(-1, 1)

    def brought(frames: Tensor, size: tuple[int, int]) -> Tensor:
        return torch.nn.functional.interpolate(frames, size, mode="bilinear", antialias=True)

    video, depth = clip(2, 80, 150), clip(2, 80, 150)[:, :1].flip(0)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(pack("nodes.depth.depthcrafter"), "LONGEST", 128)
        ours = dissolved(depth, video)
        within = dissolved(brought(depth, (64, 128)), brought(video, (64, 128)))
    torch.testing.assert_close(ours, brought(within, (80, 150)), atol=1e-4, rtol=0)
