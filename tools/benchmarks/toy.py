"""The sampling methods on the small trained model: right views against the true ones, on scenes it never saw."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stereo_core.metrics import consistency, psnr, ssim
from stereo_core.warping import forward_warp
from tools.host.in_process import load_host
from tools.host.node_inputs import gather, strength
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


class Inverted(NamedTuple):
    """Left views by DDIM Inversion: their latent and conditioning, the noise, the trajectory and the schedule."""

    latent: dict[str, Any]
    kinds: list[Any]
    noise: dict[str, Any]
    known: Any
    sigmas: Tensor


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
            yield Pair(*(part.cpu() for part in self.render(seeds)))

    def render(self, seeds: range) -> Pair:
        """The scenes of these seeds."""
        return render_scenes(seeds, self.size, self.device)

    def figures(self, made: Tensor, pair: Pair) -> dict[str, Tensor]:
        """How good right views are, (B,): on all pixels, on those both eyes see, and on those the left does not."""
        masks = {"all": None, "visible": ~pair.right_only, "disoccluded": pair.right_only}
        return {
            f"{kind} {where}": measure(made, pair.right, mask)
            for where, mask in masks.items()
            for kind, measure in (("PSNR", psnr), ("SSIM", ssim))
        }

    def inverted(self, pair: Pair) -> Inverted:
        """The left views, as a path from noise to each of them."""
        import comfy.samplers

        latent, kinds = self._encoded(pair.left), [[self.toy.conditions[pair.label].float(), {}]]
        sampling = self.toy.model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", self.steps)
        node = self.host["Stereo_DDIMInversion"]
        return Inverted(latent, kinds, *node.execute(self.toy.model, kinds, latent, sigmas, 1).args)

    def warped(self, pair: Pair) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) without diffusion, from the left one and its true disparity."""
        shift = self.host["Stereo_ImageStereoShift"].execute(_image(pair.left), strength(*_depth(pair)), 0.0, "best", 0)
        return {
            "leave blank": forward_warp(pair.left, pair.disparity).image,
            "stretch": warp_and_stretch(pair.left, pair.disparity),
            "Image Stereo Shift": _core(shift.args[1]),
        }

    def sampled(self, pair: Pair, left: Inverted, rows: Mapping[str, dict[str, Any]]) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) of each row of Stereo KSampler's widgets, replayed without guidance."""
        return {name: self._right(self._sample(pair, left, widgets)) for name, widgets in rows.items()}

    def right_views(self, pair: Pair) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) of each method, from the left one and its true disparity."""
        left = self.inverted(pair)
        made = {**self.warped(pair), **self.sampled(pair, left, SAMPLED)}
        guided = self._sample(pair, left, _EVERYTHING, _GUIDANCE)
        made[f"everything, guidance {_GUIDANCE}, replay"] = self._right(guided)
        if self.inner_steps:
            made[f"everything, guidance {_GUIDANCE}, null-text"] = self._right(self._null_text(pair, left))
        composite = self.host["Stereo_StereoComposite"].execute
        views = _image(pair.left), strength(*_depth(pair)), _image(made["everything"])
        made["everything, composited"] = _core(
            composite(*views, feather=2.0, color_match="local", quality="best").args[1]
        )
        made["the true view through the autoencoder"] = self._decoded(self._encoded(pair.right))
        return made

    def crafted(self, pair: Pair, left: Inverted) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) by each part of StereoCrafter-Zero; to the nodes a picture is a clip."""
        depth, geometry = _depth(pair)
        made = {}
        for name, (node, widgets) in CRAFTED.items():
            rest = {**geometry, "trajectory": left.known, **widgets}
            if node:
                stereo = self._by_sampler(node, gather(node, depth, rest), _DRAWING, left, "left_query")
            else:
                run = {"seed": 0, "steps": self.steps, "cfg": 1.0, "sampler_name": _DRAWING, "scheduler": "normal"}
                inputs = {"denoise": 1.0, "attention": "left_query", **run, **rest}
                node = "Stereo_StereoVideoKSampler"
                crafter, none = self.host[node].execute, self.toy.conditioning()
                inputs = gather(node, depth, inputs)
                stereo = crafter(self.toy.model, left.kinds, none, left.latent, **inputs).args[0]
            made[name] = self._right(stereo)
        return made

    def generated(self, pair: Pair, attention: str) -> Tensor:
        """Both views (2B, 3, H, W) painted from noise, shifted by the disparity of scenes of the same kind."""
        left = self._encoded(torch.zeros_like(pair.left))["samples"]
        kinds = [[self.toy.conditions[pair.label].float(), {}]]
        empty = Inverted({"samples": torch.zeros_like(left)}, kinds, {}, None, torch.empty(0))
        widgets = {**_MASKED, "fill": "left", "attention": attention}
        return self._decoded(self._sample(pair, empty, widgets, _GUIDANCE))

    def _sample(self, pair: Pair, left: Inverted, widgets: dict[str, Any], cfg: float = 1.0) -> dict[str, Any]:
        """Both views by Stereo KSampler."""
        depth, geometry = _depth(pair)
        rest = {"seed": 0, "steps": self.steps, "cfg": cfg, "sampler_name": "euler", "scheduler": "normal"}
        rest |= {"denoise": 1.0, "preset": "custom", "shift_at": 0.2, "shift_both": False, "shift": "sub_column"}
        inputs = gather("Stereo_StereoKSampler", depth, {**rest, **geometry, "trajectory": left.known, **widgets})
        node = self.host["Stereo_StereoKSampler"]
        return node.execute(self.toy.model, left.kinds, self.toy.conditioning(), left.latent, **inputs).args[0]

    def _null_text(self, pair: Pair, left: Inverted) -> dict[str, Any]:
        """Everything from the inversion's noise, with optimised negative embeddings in place of the known states."""
        none = [[self.toy.conditioning()[0][0].expand(len(pair.left), -1, -1), {}]]  # each picture its own
        optimize = self.host["Stereo_NullTextOptimization"].execute
        negative = optimize(
            self.toy.model, left.kinds, none, left.known, _GUIDANCE, self.inner_steps, learning_rate=1e-2, epsilon=1e-5
        ).args[0]
        depth, geometry = _depth(pair)
        shift = {**geometry, **_EVERYTHING, "shift_at": 0.2, "shift_both": False, "shift": "sub_column"}
        attention, node = shift.pop("attention"), "Stereo_StereoShiftSampler"
        inputs = gather(node, depth, {**shift, "trajectory": None})
        return self._by_sampler(node, inputs, "euler", left, attention, _GUIDANCE, negative)

    def _by_sampler(
        self,
        node: str,
        inputs: dict[str, Any],
        steps: str,
        left: Inverted,
        attention: str,
        cfg: float = 1.0,
        negative: Any = None,
    ) -> dict[str, Any]:
        """Both views by a node that gives a sampler, around the host's one of the name ``steps``."""
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        sampler = self.host[node].execute(**inputs, sampler=comfy.samplers.sampler_object(steps)).args[0]
        model = self.host["Stereo_CrossViewAttentionPatch"].execute(self.toy.model, attention, 0.0, 1.0, "", False)
        told = (left.kinds, negative or self.toy.conditioning(), sampler, left.sigmas, left.noise)
        return SamplerCustom.execute(model.args[0], False, 0, cfg, *told).args[0]

    def _encoded(self, views: Tensor) -> dict[str, Any]:
        return self.host["VAEEncode"]().encode(self.toy.vae, _image(views))[0]

    def _decoded(self, latent: dict[str, Any]) -> Tensor:
        return _core(self.host["VAEDecode"]().decode(self.toy.vae, latent)[0])

    def _right(self, stereo: dict[str, Any]) -> Tensor:
        return self._decoded(stereo).chunk(2)[1]


def measure_scenes(bench: Bench, make: Callable[[Pair], dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """The figures (N,) of all scenes, by row and column."""
    found: dict[str, list[dict[str, Tensor]]] = {}
    for pair in bench.batches():
        for name, made in make(pair).items():
            found.setdefault(name, []).append(bench.figures(made, pair))
    return {name: {c: torch.cat([part[c] for part in parts]) for c in parts[0]} for name, parts in found.items()}


def measure_right_views(bench: Bench, make: Callable[[Pair], dict[str, Tensor]]) -> dict[str, dict[str, float]]:
    """Means of the figures of all scenes, by row and column."""
    return means(measure_scenes(bench, make))


def measure_generated(bench: Bench) -> dict[str, dict[str, float]]:
    """How well the views of generated pairs agree under the disparity that they were made with."""
    found: dict[str, list[dict[str, Tensor]]] = {}
    for pair in bench.batches():
        for attention in ("none", "left_kv", "joint", "right_joint", "left_query"):
            left, right = bench.generated(pair, attention).chunk(2)
            agreed = consistency(left, right, pair.disparity)
            found.setdefault(attention, []).append({"PSNR": agreed.psnr, "SSIM": agreed.ssim})
    return means({n: {c: torch.cat([part[c] for part in parts]) for c in parts[0]} for n, parts in found.items()})


def means(figures: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, float]]:
    """Means over the scenes; one without a pixel of the kind does not count."""
    return {name: {c: float(found.nanmean()) for c, found in columns.items()} for name, columns in figures.items()}


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
            show(measure_right_views(bench, lambda pair: bench.crafted(pair, bench.inverted(pair))))
            return 0
        show(measure_right_views(bench, bench.right_views))
        print("Text to stereo: left-right consistency by warping, by the coupling of the views.\n")
        show(measure_generated(bench))
    return 0


def show(figures: dict[str, dict[str, float]]) -> None:
    """Print figures by row and column."""
    columns = list(next(iter(figures.values())))
    rows = [[name, *(_figure(c, found[c]) for c in columns)] for name, found in figures.items()]
    print_table(["", *columns], rows)


def _figure(column: str, value: float) -> str:
    return f"{value:.3f}" if column.startswith("SSIM") else f"{value:.2f}"


def _depth(pair: Pair) -> tuple[Tensor, dict[str, Any]]:
    """Depth maps (IMAGE) and the widgets of Stereo Strength that together give the true disparity."""
    nearest = float(pair.disparity.max())
    depth = (pair.disparity / nearest).expand(-1, 3, -1, -1)
    share = 100 * nearest / pair.disparity.shape[-1]
    return _image(depth), {"max_disparity": share, "convergence": 0.0, "exponent": 1.0}


def _image(core: Tensor) -> Tensor:
    return core.movedim(1, -1).contiguous()


def _core(image: Tensor) -> Tensor:
    return image.movedim(-1, 1).float().clamp(0, 1).cpu()
