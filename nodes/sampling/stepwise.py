"""A run of any of the host's samplers in pieces, so that x can be edited, and become a pair, between steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.k_diffusion.sampling
import comfy.model_management
import comfy.samplers
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...stereo_core.seeds import Stream, derive_seed
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_pairs import Pairing
from .conditions import Conditions, View, ViewConditions, guided_by
from .host_samplers import needs_two_steps
from .kept import kept_by
from .noise_streams import NoiseStreams
from .pairs import mark_pair, options_of_batch
from .placed import Placed


class StepwiseRun:
    """A sampler's run over one schedule, piece by piece: the core's ``Stepper``.

    With the same denoiser, noise and step numbers throughout, the pieces of a single-step method are the whole run to
    the bit; a multistep method starts again at first order after each cut. No argument is changed.

    Attributes:
        steps: N, the number of steps.
        seed: of the run.
        model_sampling: the host's, for noise levels and forms.
        denoised: the denoised estimate of the last step, of the batch that the step was taken with.
    """

    denoised: Tensor | None = None

    def __init__(
        self,
        sampler: comfy.samplers.KSAMPLER,
        guider: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None] | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None,
        disable_pbar: bool,
        planned: int = 0,
        streams: NoiseStreams | None = None,
        *,
        depth: StereoDepth,
    ) -> None:
        """Take what the host calls a sampler with.

        Args:
            sampler: takes the steps.
            guider: the host's ``model_wrap``.
            sigmas: (N + 1,) noise levels, descending.
            extra_args: ``model_options`` and ``seed``.
            callback: the host's, for previews.
            noise, latent_image: (B, ...); the noise is unit normal.
            denoise_mask: (B, ...) in [0, 1], 1 = repaint, or ``None``.
            disable_pbar: whether the console shows no bar.
            planned: how many steps will be taken once more.
            streams: the noise of the steps; ``None`` for the run's own.
            depth: of the left view, for what lies in the picture besides x.
        """
        self.steps = len(sigmas) - 1
        self._total = self.steps + planned
        self.seed = extra_args.get("seed") or 0
        self.model_sampling = guider.inner_model.model_sampling
        self._sampler, self._guider, self._sigmas, self._extra_args = sampler, guider, sigmas, extra_args
        self._callback = callback
        self._bar = tqdm(total=self._total, disable=disable_pbar)
        self._initial_noise, self._depth = noise, depth
        self._left = self._kept = kept_by(sampler, guider, noise, latent_image, denoise_mask, self.seed)
        self._streams = streams or NoiseStreams(sampler, noise, sigmas, extra_args.get("seed"))
        self._pairing: Pairing | None = None
        self._conditions: ViewConditions | None = None
        self._left_denoised: Callable[[int], Tensor] | None = None
        self._reported = -1
        self._repeated = 0

    def start(self) -> Tensor:
        """Return x (B, ...) before the first step."""
        at_most = self._sampler.max_denoise(self._guider, self._sigmas)
        noise, latent = self._initial_noise, self._left.latent
        return self.model_sampling.noise_scaling(self._sigmas[0], noise, latent, at_most)

    def denoise(self, x: Tensor, step: int) -> Tensor:
        """Return the denoised estimate (B, ...) of the left view's x before ``step``."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        model_options = mark_pair(self._extra_args["model_options"], paired=False)
        sigma = self._sigmas[step] * x.new_ones([len(x)])
        denoiser = self._left.denoiser(self._guider, self._sigmas)
        return denoiser(x, sigma, self._left.mask, model_options=model_options, seed=self._extra_args.get("seed"))

    def double(self, pairing: Pairing, left_denoised: Callable[[int], Tensor] | None = None) -> None:
        """Go on with two views; noise, a mask with its latent, and the conditions are shifted as x was.

        Args:
            pairing: how one view became two.
            left_denoised: returns the left view's denoised estimate (B, ...) of a step, where that view is known. The
                right view can then run alone, and both views get the sampler's noise as it is drawn, not shifted.
        """
        self._pairing, self._left_denoised = pairing, left_denoised
        self._kept = self._left.doubled(pairing)
        views = (
            View(Placed(pairing, self._depth, self._initial_noise.shape, side), self._kept.side(side))
            for side in (0, 1)
        )
        self._conditions = ViewConditions(self._guider, *views, self._extra_args.get("seed"))

    def run(self, x: Tensor, first: int, last: int, repeat: int = 0) -> Tensor:
        """Take the steps ``first`` to ``last`` - 1; see the core's ``Stepper``.

        Args:
            x: (B, ...) or (2B, ...) at noise level ``first``.
            first, last: 0 to N, ascending.
            repeat: which noise is drawn; see ``NoiseStreams.at``.

        Returns:
            x at noise level ``last``, of the same shape.
        """
        if first == last:
            return x
        self.denoised = None  # only the last step's is needed, and clips are large
        alone = self._pairing is not None and len(x) == len(self._initial_noise)
        paired = self._pairing is not None and not alone
        model_options = options_of_batch(self._extra_args["model_options"], self._guider.inner_model, len(x), paired)
        kept = self._kept.side(1) if alone else self._kept
        extra_args = {
            **self._extra_args,
            "denoise_mask": kept.mask,
            "model_options": model_options,
        }
        if first > 0 and extra_args.get("seed") is not None:
            # Functions that seed a generator of their own would draw the same noise in each piece.
            extra_args["seed"] = derive_seed(extra_args["seed"], Stream.PIECE, first)
        function, options = self._sampler.sampler_function, dict(self._sampler.extra_options)
        draw = self._streams.at(first, repeat)
        if draw is not None:
            options["noise_sampler"] = self._drawn_by(draw, alone)
        if last - first == 1 and needs_two_steps(self._sampler):
            function, options = comfy.k_diffusion.sampling.sample_euler, {}  # the first order of the same method
        with guided_by(self._guider, self._conditions_of(alone)):
            return function(
                kept.denoiser(self._guider, self._sigmas),
                x,
                self._sigmas[first : last + 1].clone(),  # some functions write into their schedule
                extra_args=extra_args,
                callback=lambda report: self._report(first + report["i"], report["denoised"], report["x"], alone),
                disable=True,  # there is one bar for the whole schedule, not one for each piece
                **options,
            )

    def count_repeats(self, steps: int) -> None:
        """Note that the next ``steps`` steps are taken once more; progress counts them."""
        self._repeated += steps

    def finish(self, x: Tensor) -> Tensor:
        """Turn x (2B, ...) after the last step into what a sampler returns."""
        self._bar.close()
        if self._callback is not None and self._reported < self._total - 1:
            # The host's nodes keep the last denoised latent that they were shown: it must be the pair, not a preview.
            self._callback(self._total - 1, x, x, self._total)
        return self.model_sampling.inverse_noise_scaling(self._sigmas[-1], x)

    def _report(self, step: int, denoised: Tensor, x: Tensor, alone: bool) -> None:
        self.denoised = denoised
        position = step + self._repeated
        self._bar.update(position + 1 - self._bar.n)
        if self._callback is None:
            return
        if alone:
            denoised = torch.cat([self._left_denoised(step), denoised])
        self._reported = position
        if self._pairing is not None and position < self._total - 1:
            denoised = torch.cat(denoised.chunk(2), dim=-1)  # previews show one entry, here both eyes side by side
        self._callback(position, denoised, x, self._total)

    def _conditions_of(self, alone: bool) -> Conditions:
        if self._conditions is None:
            return self._guider.conds
        return self._conditions.right if alone else self._conditions.pair

    def _drawn_by(self, draw: Callable[[Tensor, Tensor], Tensor], alone: bool) -> Callable[[Tensor, Tensor], Tensor]:
        pairing, shared = self._pairing, self._left_denoised is not None
        if pairing is None or alone:
            return draw

        def drawn(sigma: Tensor, sigma_next: Tensor) -> Tensor:
            noise = draw(sigma, sigma_next)
            return torch.cat([noise, noise]) if shared else pairing.copies(noise, noise)

        return drawn
