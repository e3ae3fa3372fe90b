"""Sampling of pairs with a model whose attention couples them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.families import Tiny


@dataclass(frozen=True)
class Run:
    """Sampling a pair: the right view's noise is the left one's mirrored, made inside the sampler.

    Attributes:
        tiny: the family.
        entries: pictures, or frames of SVD.
        cfg: guidance; 1 leaves the unconditional out.
        steps: of Euler.
        item: keep only this entry of the noise.
        switch: whether the pair is on at each step, told as the stereo samplers tell it; always, when empty.
        equal: do not mirror, so that both views are the same.
    """

    tiny: Tiny
    entries: int = 1
    cfg: float = 3.0
    steps: int = 2
    item: int | None = None
    switch: tuple[bool, ...] = ()
    equal: bool = False

    def __call__(self, model: Any, callback: Callable[..., None] | None = None) -> Tensor:
        """Sample; (2 * entries, ...), all left ones first."""
        import comfy.sample
        import comfy.samplers
        from comfy.k_diffusion.sampling import sample_euler

        def sample(model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], **rest: Any) -> Tensor:
            x = torch.cat([x, x if self.equal else x.flip(-1)])
            for step, on in enumerate(self.switch or [True] * self.steps):
                options = extra_args["model_options"]
                told = {**options["transformer_options"], "stereo_pair": on}
                args = {**extra_args, "model_options": {**options, "transformer_options": told}}
                x = sample_euler(model, x, sigmas[step : step + 2], extra_args=args, **rest)
            return x

        noise = torch.randn(self.entries, *self.tiny.latent, generator=torch.Generator().manual_seed(3))
        if self.item is not None:
            noise = noise[self.item : self.item + 1]
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", self.steps)
        return comfy.sample.sample_custom(
            model,
            noise,
            self.cfg,
            comfy.samplers.KSAMPLER(sample),
            sigmas,
            self.tiny.conditioning(1),
            self.tiny.conditioning(2),
            torch.zeros_like(noise),
            callback=callback,
            disable_pbar=True,
            seed=0,
        )
