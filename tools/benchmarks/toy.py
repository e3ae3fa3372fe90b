"""The sampling methods on the small trained model: right views against the true ones, on scenes it never saw."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stereo_core.metrics import consistency, psnr, ssim
from stereo_core.warping import forward_warp
from tools.host.in_process import load_host
from tools.host.node_inputs import gather
from tools.host.server import find_host
from tools.toy import weights
from tools.toy.scenes import Pair, render_scenes
from tools.toy.training import HELD_OUT

from .references import warp_and_stretch
from .table import machine, print_table

_SCENES, _AT_ONCE, _SIZE, _STEPS = 64, 16, 128, 50
_DRAWING = "euler_ancestral"  # StereoCrafter-Zero's, which is DDIM with noise
_GUIDANCE = 2.5  # of text to stereo, and where null-text optimization is compared with replay
_BASE = {"attention": "none", "fill": "zeros", "mask_every": 0.0}
_MASKED = {**_BASE, "mask_every": 0.2}
_EVERYTHING = {**_MASKED, "attention": "left_kv", "fill": "noise"}

SAMPLED: dict[str, dict[str, Any]] = {
    "shift only": _BASE,
    "+ masked denoising": _MASKED,
    "+ attention left_kv": {**_MASKED, "attention": "left_kv"},
    "+ attention joint": {**_MASKED, "attention": "joint"},
    "+ attention right_joint": {**_MASKED, "attention": "right_joint"},
    "+ attention left_query": {**_MASKED, "attention": "left_query"},
    "+ masked denoising + Deblur": {**_MASKED, "fill": "noise"},
    "everything": _EVERYTHING,
    "everything, holes from the left": {**_EVERYTHING, "fill": "left"},
}
"""Stereo KSampler's widgets, from an inverted picture; each attention mode comes on top of masked denoising."""

CRAFTED: dict[str, tuple[str, dict[str, Any]]] = {
    "restart alone": ("Stereo_NoisyRestartSampler", {}),
    "refinement alone": ("Stereo_IterativeRefineSampler", {}),
    "refinement alone, no repeats": ("Stereo_IterativeRefineSampler", {"most_repeats": 1, "fewest_repeats": 1}),
    "both": ("", {}),
    "both, no repeats": ("", {"most_repeats": 1, "fewest_repeats": 1}),
    "both, attention none": ("", {"attention": "none"}),
    "both, form paper": ("", {"form": "paper"}),
    "both, form code": ("", {"form": "code"}),
    "both, holes from the left": ("", {"fill": "left"}),
    "both, shift truncated": ("", {"shift": "truncated"}),
}
"""A sampler's node, or Stereo Video KSampler, and widgets besides its options' defaults: from an inverted picture."""


@dataclass(frozen=True)
class Bench:
    """The host's nodes, the model, and how much to do."""

    host: dict[str, Any]
    toy: weights.Toy
    scenes: int = _SCENES
    size: int = _SIZE
    steps: int = _STEPS
    inner_steps: int = 10
    device: str = "cpu"

    def batches(self) -> Iterator[Pair]:
        for start in range(0, self.scenes, _AT_ONCE):
            seeds = range(HELD_OUT + start, HELD_OUT + min(start + _AT_ONCE, self.scenes))
            yield Pair(*(part.cpu() for part in render_scenes(seeds, self.size, self.device)))

    def right_views(self, pair: Pair) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) of each method, from the left one and its true disparity."""
        made = {
            "leave blank": forward_warp(pair.left, pair.disparity).image,
            "stretch": warp_and_stretch(pair.left, pair.disparity),
        }
        image = _image(pair.left)
        depth, share = _depth(pair)
        geometry = {"max_disparity": share, "convergence": 0.0, "exponent": 1.0}
        strength = self.host["Stereo_StereoStrength"].execute(
            depth, share, "value", convergence=0.0, exponent=1.0, invert=False
        )
        stereo_depth = strength.args[0]
        shift = self.host["Stereo_ImageStereoShift"].execute(image, stereo_depth, 0.0, "best", 0).args
        made["Image Stereo Shift"] = _core(shift[1])
        latent = self.host["VAEEncode"]().encode(self.toy.vae, image)[0]
        kinds = self._words(pair.label)
        noise, known, sigmas = self._inverted(latent, kinds)
        for name, widgets in SAMPLED.items():
            stereo = self._sample(kinds, latent, depth, 1.0, {**geometry, **widgets}, known)
            made[name] = self._decoded(stereo)[len(image) :]
        guided = {**geometry, **_EVERYTHING}
        stereo = self._sample(kinds, latent, depth, _GUIDANCE, guided, known)
        made[f"everything, guidance {_GUIDANCE}, replay"] = self._decoded(stereo)[len(image) :]
        if self.inner_steps:
            stereo = self._null_text(kinds, noise, known, sigmas, depth, guided)
            made[f"everything, guidance {_GUIDANCE}, null-text"] = self._decoded(stereo)[len(image) :]
        composite = self.host["Stereo_StereoComposite"].execute
        blend = {"feather": 2.0, "color_match": "local", "quality": "best"}
        made["everything, composited"] = _core(
            composite(image, stereo_depth, _image(made["everything"]), **blend).args[1]
        )
        again = self.host["VAEEncode"]().encode(self.toy.vae, _image(pair.right))[0]
        made["the true view through the autoencoder"] = self._decoded(again)
        return made

    def crafted(self, pair: Pair) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) by each part of StereoCrafter-Zero, of clips of one frame."""
        depth, share = _depth(pair)
        latent = self.host["VAEEncode"]().encode(self.toy.vae, _image(pair.left))[0]
        kinds = self._words(pair.label)
        noise, known, sigmas = self._inverted(latent, kinds)
        made = {}
        for name, (node, widgets) in CRAFTED.items():
            rest = {"max_disparity": share, "convergence": 0.0, "exponent": 1.0, "trajectory": known, **widgets}
            if node:
                stereo = self._by_sampler(node, gather(node, depth, rest), kinds, noise, sigmas)
            else:
                run = {"seed": 0, "steps": self.steps, "cfg": 1.0, "sampler_name": _DRAWING, "scheduler": "normal"}
                inputs = {"denoise": 1.0, "attention": "left_query", **run, **rest}
                node = "Stereo_StereoVideoKSampler"
                crafter, none = self.host[node].execute, self.toy.conditioning()
                stereo = crafter(self.toy.model, kinds, none, latent, **gather(node, depth, inputs)).args[0]
            made[name] = self._decoded(stereo)[len(pair.left) :]
        return made

    def generated(self, pair: Pair, attention: str) -> Tensor:
        """Both views (2B, 3, H, W) painted from noise, shifted by the disparity of scenes of the same kind."""
        depth, share = _depth(pair)
        latent = {"samples": torch.zeros(len(pair.left), 4, self.size // 8, self.size // 8)}
        widgets = {"max_disparity": share, "convergence": 0.0, "exponent": 1.0, **_MASKED, "fill": "left"}
        widgets["attention"] = attention
        return self._decoded(self._sample(self._words(pair.label), latent, depth, _GUIDANCE, widgets, None))

    def _sample(
        self, kinds: list[Any], latent: dict[str, Any], depth: Tensor, cfg: float, widgets: dict[str, Any], known: Any
    ) -> dict[str, Any]:
        rest = {"seed": 0, "steps": self.steps, "cfg": cfg, "sampler_name": "euler", "scheduler": "normal"}
        rest |= {"denoise": 1.0, "preset": "custom", "shift_at": 0.2, "shift_both": False, "shift": "sub_column"}
        rest["trajectory"] = known
        node = self.host["Stereo_StereoKSampler"]
        none = self.toy.conditioning()
        inputs = gather("Stereo_StereoKSampler", depth, {**rest, **widgets})
        return node.execute(self.toy.model, kinds, none, latent, **inputs).args[0]

    def _by_sampler(self, node: str, inputs: dict[str, Any], kinds: list[Any], noise: Any, sigmas: Tensor) -> Any:
        """The pair by a node that gives a sampler, with the views coupled."""
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        sampler = self.host[node].execute(**inputs, sampler=comfy.samplers.sampler_object(_DRAWING)).args[0]
        model = self.host["Stereo_CrossViewAttentionPatch"].execute(self.toy.model, "left_query", 0.0, 1.0, "", False)
        told = (kinds, self.toy.conditioning(), sampler, sigmas, noise)
        return SamplerCustom.execute(model.args[0], False, 0, 1.0, *told).args[0]

    def _null_text(
        self, kinds: list[Any], noise: Any, known: Any, sigmas: Tensor, depth: Tensor, widgets: dict[str, Any]
    ) -> dict[str, Any]:
        """The pair from the inversion's noise, with optimised negative embeddings in place of the known states."""
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        none = [[self.toy.conditioning()[0][0].expand(len(kinds[0][0]), -1, -1), {}]]  # each picture its own
        optimize = self.host["Stereo_NullTextOptimization"].execute
        negative = optimize(
            self.toy.model, kinds, none, known, _GUIDANCE, self.inner_steps, learning_rate=1e-2, epsilon=1e-5
        ).args[0]
        shift = {name: value for name, value in widgets.items() if name != "attention"}
        shift |= {"shift_at": 0.2, "shift_both": False, "shift": "sub_column", "trajectory": None}
        euler = comfy.samplers.sampler_object("euler")
        inputs = gather("Stereo_StereoShiftSampler", depth, shift)
        sampler = self.host["Stereo_StereoShiftSampler"].execute(**inputs, sampler=euler).args[0]
        patch = self.host["Stereo_CrossViewAttentionPatch"].execute
        model = patch(self.toy.model, widgets["attention"], 0.0, 1.0, "", False).args[0]
        return SamplerCustom.execute(model, False, 0, _GUIDANCE, kinds, negative, sampler, sigmas, noise).args[0]

    def _inverted(self, latent: dict[str, Any], kinds: list[Any]) -> tuple[Any, Any, Tensor]:
        """The noise, the trajectory and the schedule of DDIM Inversion."""
        import comfy.samplers

        sampling = self.toy.model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", self.steps)
        node = self.host["Stereo_DDIMInversion"]
        return node.execute(self.toy.model, kinds, latent, sigmas, 1).args

    def _words(self, label: Tensor) -> list[Any]:
        return [[self.toy.conditions[label].float(), {}]]

    def _decoded(self, latent: dict[str, Any]) -> Tensor:
        return _core(self.host["VAEDecode"]().decode(self.toy.vae, latent)[0])


def measure_right_views(bench: Bench, make: Callable[[Pair], dict[str, Tensor]]) -> dict[str, dict[str, float]]:
    """Means over the scenes: PSNR and SSIM on all pixels, on those both eyes see, and on those the left does not."""
    found: dict[str, list[dict[str, Tensor]]] = {}
    for pair in bench.batches():
        masks = {"all": None, "visible": ~pair.right_only, "disoccluded": pair.right_only}
        for name, made in make(pair).items():
            figures = {
                f"{kind} {where}": measure(made, pair.right, mask)
                for where, mask in masks.items()
                for kind, measure in (("PSNR", psnr), ("SSIM", ssim))
            }
            found.setdefault(name, []).append(figures)
    return {name: _means(parts) for name, parts in found.items()}


def measure_generated(bench: Bench) -> dict[str, dict[str, float]]:
    """How well the views of generated pairs agree under the disparity that they were made with."""
    found: dict[str, list[dict[str, Tensor]]] = {}
    for pair in bench.batches():
        for attention in ("none", "left_kv", "joint", "right_joint", "left_query"):
            left, right = bench.generated(pair, attention).chunk(2)
            agreed = consistency(left, right, pair.disparity)
            found.setdefault(attention, []).append({"PSNR": agreed.psnr, "SSIM": agreed.ssim})
    return {name: _means(parts) for name, parts in found.items()}


def main(options: Sequence[str] = (), folder: Path = weights.FOLDER) -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python tools/bench.py toy", description=__doc__)
    parser.add_argument("--scenes", type=int, default=_SCENES, help=f"default {_SCENES}; on a CPU each takes minutes")
    parser.add_argument("--steps", type=int, default=_STEPS, help=f"of sampling; default {_STEPS}")
    parser.add_argument("--inner-steps", type=int, default=Bench.inner_steps, help="of null-text; 0 leaves it out")
    parser.add_argument(
        "--clips", action="store_true", help="the parts of StereoCrafter-Zero instead, on clips of one frame"
    )
    given = parser.parse_args(options)
    crafted = vars(given).pop("clips")
    try:
        weights.expect(folder)
    except FileNotFoundError as error:
        print(f"{error}\n")
        return 1
    cuda = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as base, torch.inference_mode():
        host = load_host(find_host(), Path(base), cpu=not cuda)
        device = "cuda" if cuda else "cpu"
        bench = Bench(host, weights.load(folder), device=device, **vars(given))
        print(f"## The small model: {bench.scenes} held-out scenes, {bench.size}x{bench.size}, {bench.steps} steps\n")
        print(f"{machine(bench.device)}. Image to stereo: DDIM inversion, replay without guidance, true disparity.\n")
        if crafted:
            print("By StereoCrafter-Zero, each picture a clip of one frame, left_query where nothing else is said.\n")
            _print(measure_right_views(bench, bench.crafted))
            return 0
        _print(measure_right_views(bench, bench.right_views))
        print("Text to stereo: left-right consistency by warping, by the coupling of the views.\n")
        _print(measure_generated(bench))
    return 0


def _print(figures: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(figures.values())))
    rows = [[name, *(_figure(c, found[c]) for c in columns)] for name, found in figures.items()]
    print_table(["", *columns], rows)


def _figure(column: str, value: float) -> str:
    return f"{value:.3f}" if column.startswith("SSIM") else f"{value:.2f}"


def _means(parts: list[dict[str, Tensor]]) -> dict[str, float]:
    """Means over all scenes; one without a pixel of the kind does not count."""
    return {column: float(torch.cat([part[column] for part in parts]).nanmean()) for column in parts[0]}


def _depth(pair: Pair) -> tuple[Tensor, float]:
    """Depth maps (IMAGE) and the widget max_disparity that together give the true disparity."""
    nearest = float(pair.disparity.max())
    depth = (pair.disparity / nearest).expand(-1, 3, -1, -1)
    return _image(depth), 100 * nearest / pair.disparity.shape[-1]


def _image(core: Tensor) -> Tensor:
    return core.movedim(1, -1).contiguous()


def _core(image: Tensor) -> Tensor:
    return image.movedim(-1, 1).float().clamp(0, 1).cpu()
