"""Tiny video models of every family, loaded by the host's own loaders, and stereo runs of them node by node.

Import only after the host is importable.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.families import FAMILIES, Tiny, clip_vision, load
from tools.host.node_inputs import gather

STEPS = 8
FRAMES = 3
"""Of SVD, whose frames are the batch."""

VIDEO = ("svd", "wan", "wan_i2v", "ltxv", "hunyuan_video")

WIDGETS = {"max_disparity": 30.0, "convergence": 1.0, "exponent": 1.0}
HOLES = {"fill": "left", "shift": "truncated"}
"""StereoCrafter-Zero's own."""
RESTART = {"preset": "custom", "iterations": 3, "restart_until": 0.25, "form": "unrepeated", **HOLES}
REFINE = {
    "preset": "custom",
    "restart_until": 0.25,
    "warp_every": 0.125,
    "last_warp": 0.625,
    "most_repeats": 3,
    "fewest_repeats": 2,
    "form": "unrepeated",
    **HOLES,
}
"""Of eight steps the first two are restarted, and the next four begin with a warp."""


@functools.cache
def family(name: str) -> Tiny:
    """A family with the conditioning of its nodes."""
    tiny = FAMILIES[name]
    if name == "wan_i2v":
        picture = {"concat_latent_image": (1, *tiny.latent), "clip_vision_output": clip_vision()}
        tiny = replace(tiny, extras={**picture, "concat_mask": torch.ones(1, 1, *tiny.latent[1:])})
    if name == "ltxv":
        tiny = replace(tiny, extras={**tiny.extras, "frame_rate": 25.0})
    return tiny


def clip_shape(name: str) -> tuple[int, ...]:
    """One view's latent."""
    return (FRAMES if name == "svd" else 1, *family(name).latent)


def depth(name: str) -> Tensor:
    """A near block that moves over a ramp, one map for each frame of the latent; an IMAGE."""
    shape = clip_shape(name)
    frames, (height, width) = shape[0] if name == "svd" else shape[2], (8 * size for size in shape[-2:])
    maps = torch.linspace(0, 0.4, width).expand(frames, height, width).clone()
    for frame, picture in enumerate(maps):
        start = width // 4 + frame * width // 12
        picture[height // 4 : -(height // 4), start : start + width // 3] = 1.0
    return maps.unsqueeze(-1).expand(-1, -1, -1, 3)


class Studio:
    """The nodes, with the model of one family.

    Attributes:
        model: the MODEL as it was loaded.
    """

    def __init__(self, host: dict[str, type], name: str) -> None:
        self.host, self.name, self.family = host, name, family(name)
        self.model = load(name)

    def sigmas(self, steps: int = STEPS) -> Tensor:
        import comfy.samplers

        return comfy.samplers.calculate_sigmas(self.model.get_model_object("model_sampling"), "simple", steps)

    def guider(self, model: Any = None, cfg: float = 3.0) -> Any:
        import comfy.samplers

        guider = comfy.samplers.CFGGuider(model or self.model)
        guider.set_conds(self.family.conditioning(1), self.family.conditioning(2))
        guider.set_cfg(cfg)
        return guider

    def couple(self, mode: str, model: Any = None) -> Any:
        """Cross-View Attention, or the model as it is."""
        model = model or self.model
        if mode == "none":
            return model
        return self.host["Stereo_CrossViewAttentionPatch"].execute(model, mode, 0.0, 1.0, "", False).args[0]

    def latent(self) -> dict[str, Any]:
        return {"samples": torch.zeros(clip_shape(self.name))}

    def record(
        self,
        sampler: str = "euler",
        sigmas: Tensor | None = None,
        latent: dict[str, Any] | None = None,
        before: Any = None,
        model: Any = None,
        precision: str = "full",
    ) -> tuple[Tensor, Any]:
        """Record Left View: what comes out, and the states."""
        noise, sigmas = _noise(latent), self.sigmas() if sigmas is None else sigmas
        node, args = self.host["Stereo_LeftTrajectory"], (self.guider(model), inner(sampler), sigmas)
        out = node.execute(noise, *args, latent or self.latent(), precision, before).args
        return out[0]["samples"], out[2]

    def restart(self, trajectory: Any, sampler: Any = "euler", depth_maps: Tensor | None = None, **widgets: Any) -> Any:
        """Noisy Restart Sampler's SAMPLER."""
        return self._sampler("Stereo_NoisyRestartSampler", trajectory, sampler, depth_maps, {**RESTART, **widgets})

    def refine(self, trajectory: Any, sampler: Any = "euler", depth_maps: Tensor | None = None, **widgets: Any) -> Any:
        """Iterative Refine Sampler's SAMPLER."""
        return self._sampler("Stereo_IterativeRefineSampler", trajectory, sampler, depth_maps, {**REFINE, **widgets})

    def both(self, trajectory: Any, sampler: Any = "euler", depth_maps: Tensor | None = None, **geometry: Any) -> Any:
        """Restart and refinement in one sampler, as Stereo Video KSampler has it."""
        whole = self.restart(trajectory, sampler, depth_maps, **geometry)
        refine = self.refine(trajectory, sampler, depth_maps, **geometry).settings.refine
        whole.settings = replace(whole.settings, refine=refine)
        return whole

    def free(self, trajectory: Any, sampler: Any = "euler", depth_maps: Tensor | None = None, **geometry: Any) -> Any:
        """Once, no restart, no warp: the right view is made and left alone."""
        return self.restart(trajectory, sampler, depth_maps, iterations=1, restart_until=0.0, **geometry)

    def sample(
        self,
        sampler: Any,
        mode: str = "none",
        sigmas: Tensor | None = None,
        latent: dict[str, Any] | None = None,
        model: Any = None,
        callback: Any = None,
    ) -> dict[str, Any]:
        """SamplerCustomAdvanced."""
        import latent_preview
        from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

        guider, sigmas = self.guider(self.couple(mode, model)), self.sigmas() if sigmas is None else sigmas
        prepare = latent_preview.prepare_callback
        if callback is not None:
            latent_preview.prepare_callback = lambda *_: callback
        try:
            return SamplerCustomAdvanced.execute(_noise(latent), guider, sampler, sigmas, latent or self.latent()).args[
                0
            ]
        finally:
            latent_preview.prepare_callback = prepare

    def _sampler(
        self, node: str, trajectory: Any, sampler: Any, depth_maps: Tensor | None, widgets: dict[str, Any]
    ) -> Any:
        sampler = inner(sampler) if isinstance(sampler, str) else sampler
        maps = depth(self.name) if depth_maps is None else depth_maps
        inputs = gather(node, maps, {**WIDGETS, **widgets})
        return self.host[node].execute(trajectory=trajectory, sampler=sampler, **inputs).args[0]


def inner(name: str) -> Any:
    """One of the host's samplers."""
    import comfy.samplers

    return comfy.samplers.sampler_object(name)


def _noise(latent: dict[str, Any] | None) -> Any:
    """New noise for a first part, none for a latent that comes from one."""
    from comfy_extras.nodes_custom_sampler import DisableNoise, RandomNoise

    return (RandomNoise.execute(5) if latent is None else DisableNoise.execute()).args[0]


def error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return ((actual - expected).abs().max() / expected.abs().max()).item()
