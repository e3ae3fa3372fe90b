"""The clips of StereoCrafter-Zero's tables, made with a video model by the host's and the pack's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.host.in_process import pack_module
from tools.host.node_inputs import gather, strength

from .clips_published import FILL, FORMS, FRAMES, FULL, ONCE, RESTART
from .own_models import UnfitError, admit, expect_loaded, naming
from .sampling import now
from .stereodiffusion_methods import Methods, Network, load_network
from .stereodiffusion_published import EVERYTHING

ATTENTION = "left_query"
_ENCODER = "Give that of --model, and its type with --text-type."
_PARTS = "Name its text encoder with --text-encoder and its VAE with --vae"
CRAFTED: dict[str, dict[str, Any]] = {
    FULL: {},
    FORMS: {"form": "paper", "fill": "left", "shift": "truncated"},
    ONCE: {"most_repeats": 1, "fewest_repeats": 1},
}
"""Widgets of Stereo Video Options and Stereo Refine Options besides their defaults, the preset 576x1024."""


@dataclass(frozen=True)
class ClipSettings:
    """Of every clip; what the figures depend on besides the files."""

    width: int
    height: int
    frames: int
    seed: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str
    negative: str
    max_disparity: float
    convergence: float

    @property
    def geometry(self) -> dict[str, float]:
        """Widgets of Stereo Strength."""
        return {"max_disparity": self.max_disparity, "convergence": self.convergence, "exponent": 1.0}


@dataclass(frozen=True)
class Left:
    """A left view.

    Attributes:
        image: an IMAGE (T, H, W, 3).
        positive: the conditioning of its prompt.
        trajectory: x at all noise levels.
    """

    image: Tensor
    positive: list[Any]
    trajectory: Any


class Video:
    """A video model of the user's own.

    Attributes:
        evaluations: clips that the network was given since this was set to 0; guidance doubles them.
    """

    evaluations = 0

    def __init__(self, host: dict[str, Any], settings: ClipSettings, model: Any, clip: Any, vae: Any) -> None:
        import comfy.samplers

        self.host, self.settings, self.model, self.vae = host, settings, model, vae
        self._encode = lambda text: host["CLIPTextEncode"]().encode(clip, text)[0]
        self._negative = self._encode(settings.negative)
        self._sampler = comfy.samplers.sampler_object(settings.sampler)
        sampling = model.get_model_object("model_sampling")
        self._sigmas = comfy.samplers.calculate_sigmas(sampling, settings.scheduler, settings.steps)
        model.model.diffusion_model.register_forward_pre_hook(self._count)
        self._empty()  # which refuses other sizes

    def left(self, prompt: str) -> Left:
        """Sample a clip as KSampler does, and record it.

        Raises:
            UnfitError: the model does not work with its text encoder or its VAE.
        """
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import RandomNoise

        positive = self._encode(prompt)
        guider = comfy.samplers.CFGGuider(self.model)
        guider.set_conds(positive, self._negative)
        guider.set_cfg(self.settings.cfg)
        noise = RandomNoise.execute(self.settings.seed).args[0]
        record = self.host["Stereo_LeftTrajectory"].execute
        try:
            out, _, trajectory = record(noise, guider, self._sampler, self._sigmas, self._empty(), "full").args
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:  # no clip would do better
            said = str(error).strip().splitlines()[0].removeprefix("guider: positive: ").rstrip(".")
            raise UnfitError(
                f"--model: it does not sample with this --text-encoder and this --vae: {said}. Give those that belong "
                "to it."
            ) from error
        return Left(self._decoded(out["samples"]), positive, trajectory)

    def right(self, row: str, left: Left, depth: Tensor, pictures: Pictures | None = None) -> Tensor:
        """Make the right view of a row, an IMAGE, from the left one and its depth IMAGE."""
        if row == FILL:
            stereo = strength(depth, dict(self.settings.geometry))
            shift = self.host["Stereo_ImageStereoShift"].execute
            return shift(left.image, stereo, 0.0, "best", 0, fill_from="clip").args[1]
        if row == FRAMES:
            if pictures is None:
                raise ValueError(f"{FRAMES} needs a picture model.")
            return pictures.right(left.image, depth, self.settings.geometry)
        if row == RESTART:
            return self._restarted(left, depth)
        one = self.settings
        widgets = {"seed": one.seed, "steps": one.steps, "cfg": one.cfg, "sampler_name": one.sampler}
        widgets |= {"scheduler": one.scheduler, "denoise": 1.0, "attention": ATTENTION, "trajectory": left.trajectory}
        inputs = gather("Stereo_StereoVideoKSampler", depth, {**widgets, **one.geometry, **CRAFTED[row]})
        node = self.host["Stereo_StereoVideoKSampler"]
        made = node.execute(self.model, left.positive, self._negative, self._empty(), **inputs).args[0]["samples"]
        return self._decoded(made.chunk(2)[1])

    def columns(self, depth: Tensor) -> Tensor:
        """The disparity (T, 1, H, W), in columns of the clip, of a depth IMAGE."""
        size = (self.settings.height, self.settings.width)
        return strength(depth, dict(self.settings.geometry)).for_pictures(len(depth), size).cpu()

    def dissolver(self) -> dict[str, Any]:
        """What Simplify Depth dissolves with, where the depth has no diffusion model of its own."""
        return {"model": self.model, "vae": self.vae, "positive": self._encode("")}

    def _restarted(self, left: Left, depth: Tensor) -> Tensor:
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        widgets = {**self.settings.geometry, "trajectory": left.trajectory, "sampler": self._sampler}
        node = "Stereo_NoisyRestartSampler"
        sampler = self.host[node].execute(**gather(node, depth, widgets)).args[0]
        model = self.host["Stereo_CrossViewAttentionPatch"].execute(self.model, ATTENTION, 0.0, 1.0, "", False).args[0]
        seed, cfg = self.settings.seed, self.settings.cfg
        rest = (left.positive, self._negative, sampler, self._sigmas, self._empty())
        return self._decoded(SamplerCustom.execute(model, True, seed, cfg, *rest).args[0]["samples"].chunk(2)[1])

    def _empty(self) -> dict[str, Tensor]:
        """An empty latent of the VAE's own form."""
        over_time, across = self.vae.temporal_compression_decode(), self.vae.spacial_compression_encode()
        if over_time is None:
            raise ValueError("--vae: makes pictures, not clips. Give the VAE of a video model, such as Wan's.")
        one = self.settings
        for option, size in (("--width", one.width), ("--height", one.height)):
            if size % across:
                raise ValueError(f"{option}: {size} is no multiple of {across}, as this VAE needs it.")
        if (one.frames - 1) % over_time:
            near = one.frames - (one.frames - 1) % over_time
            raise ValueError(f"--frames: this VAE makes {near} or {near + over_time}, not {one.frames}.")
        frames = (one.frames - 1) // over_time + 1
        return {"samples": torch.zeros(1, self.vae.latent_channels, frames, one.height // across, one.width // across)}

    def _decoded(self, latent: Tensor) -> Tensor:
        return self.host["VAEDecode"]().decode(self.vae, {"samples": latent})[0].float().clamp(0, 1).cpu()

    def _count(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self.evaluations += len(inputs[0])


class Pictures:
    """StereoDiffusion on each frame by itself, as published, with a picture model.

    Attributes:
        evaluations: pictures that the network was given since this was set to 0.
    """

    evaluations = 0

    def __init__(self, host: dict[str, Any], checkpoint: Path, steps: int) -> None:
        network: Network = load_network(host, checkpoint, "", "--picture-model")
        network.model.model.diffusion_model.register_forward_pre_hook(self._count)
        self._methods = Methods(host, network, steps)

    def right(self, left: Tensor, depth: Tensor, geometry: dict[str, float]) -> Tensor:
        """The right view of an IMAGE (T, H, W, 3) and its depth IMAGE."""
        frames = zip(left.split(1), depth.split(1), strict=True)
        views = [self._methods.view(frame, maps, geometry, EVERYTHING) for frame, maps in frames]
        return torch.cat(views).movedim(1, -1).contiguous()

    def _count(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self.evaluations += len(inputs[0])


def load_video(
    host: dict[str, Any], settings: ClipSettings, model: Path, text_encoder: Path | None, kind: str, vae: Path | None
) -> Video:
    """Load a whole checkpoint, or a diffusion model with its text encoder and VAE, from wherever they lie.

    Raises:
        ValueError: something is missing, or a name is none of the host's.
    """
    _expect_names(settings, kind)
    if text_encoder is None and vae is None:
        with naming("--model", model, f"{_PARTS} if it is a diffusion model by itself."):
            parts = host["CheckpointLoaderSimple"]().load_checkpoint(admit("checkpoints", model))[:3]
    elif text_encoder is None or vae is None:
        lacking = "--text-encoder" if text_encoder is None else "--vae"
        raise ValueError(f"{lacking}: is missing. A diffusion model by itself needs its text encoder and its VAE.")
    else:
        with naming("--model", model, "Give a diffusion model of text to video."):
            network = host["UNETLoader"]().load_unet(admit("diffusion_models", model), "default")[0]
        with naming("--text-encoder", text_encoder, _ENCODER), expect_loaded("--text-encoder", text_encoder, _ENCODER):
            clip = host["CLIPLoader"]().load_clip(admit("text_encoders", text_encoder), kind)[0]
        with naming("--vae", vae, "Give that of --model."):
            decoder = host["VAELoader"]().load_vae(admit("vae", vae))[0]
        parts = network, clip, decoder
    if parts[1] is None or parts[2] is None:
        raise ValueError(
            f"--model: {model} has no text encoder or no VAE in it. {_PARTS}; for Wan 2.1 these are "
            "umt5_xxl_fp8_e4m3fn_scaled.safetensors and wan_2.1_vae.safetensors."
        )
    _expect_video(parts[0], parts[2], model)
    return Video(host, settings, *parts)


def _expect_video(model: Any, vae: Any, file: Path) -> None:
    """Refuse models of pictures, those that go on from one, and a VAE of another model's latents."""
    form, kind = model.get_model_object("latent_format"), type(model.model).__name__
    if form.latent_dimensions != 3 or getattr(model.model, "image_to_video", False):
        what = "pictures, or of latents of pictures" if form.latent_dimensions != 3 else "image to video"
        raise ValueError(f"--model: {file} is a model of {what} ({kind}). Give one of text to video, such as Wan 2.1.")
    if form.latent_channels != vae.latent_channels:
        raise ValueError(
            f"--vae: its latents have {vae.latent_channels} channels, those of --model ({kind}) have "
            f"{form.latent_channels}. Give the VAE of that model."
        )


def _expect_names(settings: ClipSettings, kind: str) -> None:
    """Names that the host would take for another one, or stumble over when the first clip begins."""
    import comfy.samplers
    import comfy.sd

    for option, given, known in (
        ("--sampler", settings.sampler, comfy.samplers.SAMPLER_NAMES),
        ("--scheduler", settings.scheduler, comfy.samplers.SCHEDULER_NAMES),
        ("--text-type", kind, [each.name.lower() for each in comfy.sd.CLIPType]),
    ):
        if given not in known:
            raise ValueError(f"{option}: ComfyUI has no {given}. Name one of: {', '.join(known)}.")
    # As Record Left View, before anything is loaded.
    pack_module("nodes.sampling.host_samplers").expect_steppable(comfy.samplers.sampler_object(settings.sampler))


def timed(maker: Video | Pictures, make: Any) -> tuple[Any, dict[str, float]]:
    """Call ``make``; return what it makes, and the evaluations and seconds that it took."""
    maker.evaluations = 0
    start = now()
    made = make()
    return made, {"evaluations": float(maker.evaluations), "seconds": now() - start}
