"""The right views of StereoDiffusion's tables, made with a checkpoint by the host's and the pack's nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stereo_core.warping import forward_warp
from tools.host.in_process import pack_module
from tools.host.node_inputs import gather

from .own_models import admit, naming
from .references import warp_and_stretch
from .scenes import Scene
from .stereodiffusion_published import ALONE, ATTENTION, BLANK, BOTH, EVERYTHING, REFERENCE, RENEWED, STRETCH

GUIDANCE = 7.5
_SHIFT = {"shift_at": 0.2, "shift_both": False, "shift": "truncated"}
_BASE = {**_SHIFT, "attention": "none", "fill": "zeros", "mask_every": 0.0}
_MASKED = {**_BASE, "mask_every": 0.2}
_BOTH = {**_MASKED, "attention": "left_kv"}
_EVERYTHING = {**_BOTH, "fill": "noise"}
_DEFAULTS = {**_BOTH, "fill": "background", "mask_every": 0.1, "shift": "sub_column"}
DEFAULTS, REPLAYED, OPTIMIZED = "the pack's defaults", "+ renewals, left_kv, 7.5, replay", "the same, null-text"
COMPOSITED, AUTOENCODER = "the pack's defaults, Stereo Composite", "left, through the VAE"

SAMPLED: dict[str, dict[str, Any]] = {
    ALONE: _BASE,
    RENEWED: _MASKED,
    ATTENTION: {**_BASE, "attention": "left_kv"},
    BOTH: _BOTH,
    **{f"+ renewals, {mode}": {**_BOTH, "attention": mode} for mode in ("joint", "right_joint", "left_query")},
    "+ renewals, Deblur": {**_MASKED, "fill": "noise"},
    EVERYTHING: _EVERYTHING,
    **{f"+ renewals, left_kv, fill {fill}": {**_BOTH, "fill": fill} for fill in ("left", "background")},
    **{f"+ renewals, left_kv, shift {form}": {**_BOTH, "shift": form} for form in ("rounded", "sub_column")},
    DEFAULTS: _DEFAULTS,
}
"""Stereo KSampler's widgets, from an inverted picture that is replayed without guidance."""

_RUN: dict[str, Any] = {"seed": 0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0, "preset": "custom"}
RECIPES: dict[str, dict[str, Any]] = {
    "all rows": {**_RUN, "cfg": 1.0},
    **SAMPLED,
    REPLAYED: {**_BOTH, "cfg": GUIDANCE},
    OPTIMIZED: {**_BOTH, "cfg": GUIDANCE, "learning_rate": 1e-2, "epsilon": 1e-5},
}
"""All that the sampled rows are set to; where a row says nothing, it is as all."""

OF_LEFT = (AUTOENCODER, REFERENCE)
"""Rows that show the left view and are compared with it: the best that the model could do."""


@dataclass(frozen=True)
class Network:
    """What the host's loaders make of a checkpoint, and the prompts."""

    model: Any
    vae: Any
    positive: list[Any]
    negative: list[Any]


def load_network(host: dict[str, Any], checkpoint: Path, prompt: str, option: str = "--checkpoint") -> Network:
    """Load a checkpoint from wherever it lies; ``option`` is what a user named it with.

    Raises:
        ValueError: the host cannot load it, or it has no text encoder or no VAE.
    """
    with naming(option, checkpoint, "Give a whole SD 1.5 checkpoint."):
        model, clip, vae = host["CheckpointLoaderSimple"]().load_checkpoint(admit("checkpoints", checkpoint))[:3]
    if model.get_model_object("latent_format").latent_dimensions != 2:
        kind = type(model.model).__name__
        raise ValueError(f"{option}: {checkpoint} is a checkpoint of {kind}. Give one of pictures, such as SD 1.5.")
    if clip is None or vae is None:
        raise ValueError(f"{option}: {checkpoint} has no text encoder or no VAE. Give a whole SD 1.5 checkpoint.")
    encode = host["CLIPTextEncode"]().encode
    return Network(model, vae, encode(clip, prompt)[0], encode(clip, "")[0])


def estimate_depth(host: dict[str, Any], folder: Path) -> Any:
    """Return a function of a left view (1, 3, H, W) that gives its relative inverse depth (1, 1, H, W) in [0, 1].

    Raises:
        ValueError: the host cannot load the network, or it is DepthCrafter.
    """
    name = admit("geometry_estimation", folder)
    if pack_module("nodes.depth.depthcrafter_files").is_depthcrafter(name):
        raise ValueError(f"--depth-model: {folder} is DepthCrafter, which is made for clips. Give a network like DPT.")
    with naming("--depth-model", folder, "Give a model of Load Depth Model."):
        source = host["Stereo_LoadDepthModel"].execute(name, "default").args[0]
    node = host["Stereo_DepthEstimate"]
    return lambda left: _core(node.execute(_image(left), source, "image", False, 0, 1, 0.0).args[0])[:, :1]


@dataclass(frozen=True)
class Methods:
    """Makes every row of one scene."""

    host: dict[str, Any]
    network: Network
    steps: int = 50
    inner_steps: int = 10
    refine: int = 1

    def views(self, scene: Scene) -> Iterator[tuple[str, Tensor]]:
        """Yield the name of each row and its view (1, 3, H, W) in [0, 1], on the CPU."""
        yield BLANK, forward_warp(scene.left, scene.disparity).image
        yield STRETCH, warp_and_stretch(scene.left, scene.disparity)
        image, (depth, geometry) = _image(scene.left), _depth(scene.disparity)
        strength = gather("Stereo_StereoShiftSampler", depth, dict(geometry))["depth"]
        yield (
            "Image Stereo Shift",
            _core(self.host["Stereo_ImageStereoShift"].execute(image, strength, 0.0, "best", 0).args[1]),
        )
        latent = self.host["VAEEncode"]().encode(self.network.vae, image)[0]
        noise, known, sigmas = self._inverted(latent)
        for name, widgets in SAMPLED.items():
            made = self._decoded(self._sample(latent, depth, 1.0, {**geometry, **widgets}, known))[1:]
            yield name, made
            if name == DEFAULTS:
                composite = self.host["Stereo_StereoComposite"].execute
                yield COMPOSITED, _core(composite(image, strength, _image(made), 0.5, "local", "best").args[1])
        guided = {**geometry, **_BOTH}
        yield REPLAYED, self._decoded(self._sample(latent, depth, GUIDANCE, guided, known))[1:]
        left, right = self._decoded(self._null_text(noise, known, sigmas, depth, guided)).chunk(2)
        yield OPTIMIZED, right
        yield AUTOENCODER, self._decoded(latent)
        yield REFERENCE, left

    def view(self, image: Tensor, depth: Tensor, geometry: dict[str, float], row: str) -> Tensor:
        """Make one sampled row alone.

        Args:
            image: the left view, an IMAGE of one picture.
            depth: its depth, an IMAGE.
            geometry: widgets of Stereo Strength.
            row: of ``SAMPLED``.

        Returns:
            The right view (1, 3, H, W) in [0, 1], on the CPU.
        """
        latent = self.host["VAEEncode"]().encode(self.network.vae, image)[0]
        known = self._inverted(latent)[1]
        return self._decoded(self._sample(latent, depth, 1.0, {**geometry, **SAMPLED[row]}, known))[1:]

    def _sample(self, latent: Any, depth: Tensor, cfg: float, widgets: dict[str, Any], known: Any) -> dict[str, Any]:
        rest = {**_RUN, "steps": self.steps, "cfg": cfg, "trajectory": known}
        inputs = gather("Stereo_StereoKSampler", depth, {**rest, **widgets})
        net = self.network
        return (
            self.host["Stereo_StereoKSampler"].execute(net.model, net.positive, net.negative, latent, **inputs).args[0]
        )

    def _null_text(
        self, noise: Any, known: Any, sigmas: Tensor, depth: Tensor, widgets: dict[str, Any]
    ) -> dict[str, Any]:
        """The pair from the inversion's noise, with optimised negative embeddings in place of the known states."""
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        net = self.network
        optimize, rates = self.host["Stereo_NullTextOptimization"].execute, RECIPES[OPTIMIZED]
        rest = (GUIDANCE, self.inner_steps, rates["learning_rate"], rates["epsilon"])
        negative = optimize(net.model, net.positive, net.negative, known, *rest).args[0]
        shift = {name: value for name, value in widgets.items() if name != "attention"}
        inputs = gather("Stereo_StereoShiftSampler", depth, {**shift, "trajectory": None})
        euler = comfy.samplers.sampler_object("euler")
        sampler = self.host["Stereo_StereoShiftSampler"].execute(**inputs, sampler=euler).args[0]
        patch = self.host["Stereo_CrossViewAttentionPatch"].execute
        model = patch(net.model, widgets["attention"], 0.0, 1.0, "", False).args[0]
        return SamplerCustom.execute(model, False, 0, GUIDANCE, net.positive, negative, sampler, sigmas, noise).args[0]

    def _inverted(self, latent: dict[str, Any]) -> tuple[Any, Any, Tensor]:
        """The noise, the trajectory and the schedule of DDIM Inversion."""
        import comfy.samplers

        sampling = self.network.model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", self.steps)
        node = self.host["Stereo_DDIMInversion"]
        return node.execute(self.network.model, self.network.positive, latent, sigmas, self.refine).args

    def _decoded(self, latent: dict[str, Any]) -> Tensor:
        return _core(self.host["VAEDecode"]().decode(self.network.vae, latent)[0])


def _depth(disparity: Tensor) -> tuple[Tensor, dict[str, float]]:
    """A depth IMAGE and the widgets of Stereo Strength that together give the disparity (1, 1, H, W), in columns."""
    nearest = float(disparity.max().clamp(min=1e-6))
    depth = (disparity / nearest).clamp(0, 1).expand(-1, 3, -1, -1)
    share = 100 * nearest / disparity.shape[-1]
    return _image(depth), {"max_disparity": share, "convergence": 0.0, "exponent": 1.0}


def _image(core: Tensor) -> Tensor:
    return core.movedim(1, -1).contiguous()


def _core(image: Tensor) -> Tensor:
    return image.movedim(-1, 1).float().clamp(0, 1).cpu()
