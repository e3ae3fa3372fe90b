"""A model and its strips of an image matrix as the core's ``Denoiser``, prepared and evaluated by the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..sampling.caches import without_caches
from .conditioning import Strip
from .strip_stacking import Conds, stack_conds

# Functions on a model that see a whole batch, and would take several strips for one.
_SEES_THE_BATCH = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "model_function_wrapper",
    "context_handler",
)
# How much of the free memory strips may take; the rest is for the matrix, its derivative and the host's own reserve.
_MARGIN = 0.7


class Turns:
    """Which of several denoisers was used last: only a change makes the host load a model."""

    def __init__(self) -> None:
        self.current: object = None


class StripDenoiser:
    """A core ``Denoiser``, usable while ``prepared`` runs.

    Strips are evaluated one at a time, as the host would sample them, or several at once where the result is the same:
    these models keep frames in the batch, and must not take two clips for one. On the CPU, where a batch saves
    nothing, strips are always evaluated one at a time, so that results do not depend on how many are given.
    """

    def __init__(
        self, model: ModelPatcher, strips: Sequence[Strip], cell: Sequence[int], turns: Turns, evaluated: Callable
    ) -> None:
        """Take a model and its strips.

        Args:
            model: never changed.
            strips: the conditioning of all rows, or all columns, of the matrix; all of the same length.
            cell: (C, H, W) of one latent.
            turns: shared by the denoisers that take turns.
            evaluated: called after each evaluation with the number of strips in it.
        """
        self.model = model
        self.length = len(strips[0].guidance)
        self._shape = torch.Size((self.length, *cell))
        self._strips, self._turns, self._evaluated = strips, turns, evaluated
        self._raw = [
            {
                "positive": comfy.sampler_helpers.convert_cond(strip.positive),
                "negative": comfy.sampler_helpers.convert_cond(strip.negative),
            }
            for strip in strips
        ]
        self._guider = comfy.samplers.CFGGuider(model)
        self._guider.set_conds(strips[0].positive, strips[0].negative)
        self._guider.set_cfg(max(strips[0].guidance))
        self._extra_args: dict[str, Any] = {}
        self._at_once = 1

    def prepared(self, sigmas: Tensor, seed: int, work: Callable[[], Tensor]) -> Tensor:
        """Return ``work()``, called while the host has the model loaded and patched; it cleans up in any case.

        Args:
            sigmas: (N + 1,) noise levels, descending.
            seed: of the run.
            work: returns the tensor that is returned.
        """
        done: list[Tensor] = []

        def in_place_of_steps(_: object, x: Tensor, __: Tensor, extra_args: dict[str, Any], **___: object) -> Tensor:
            self._extra_args = extra_args
            done.append(work())
            return x

        empty = torch.zeros(self._shape)
        try:
            self._guider.sample(
                empty, empty, comfy.samplers.KSAMPLER(in_place_of_steps), sigmas, disable_pbar=True, seed=seed
            )
        finally:
            self._extra_args = {}
        return done[0]

    def start(self, noise: Tensor, sigmas: Tensor) -> Tensor:
        """Return x at the first of ``sigmas`` (N + 1,) from unit normal ``noise`` (B, C, H, W), as the host does."""
        at_most = comfy.samplers.Sampler().max_denoise(self._guider, sigmas)
        sampling = self._guider.inner_model.model_sampling
        return sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise), at_most)

    def fits(self, strips: int) -> int:
        """Return how many of ``strips`` strips fit into one evaluation by the host's estimate of memory, at least 1."""
        device = self.model.load_device
        if comfy.model_management.is_device_cpu(device):
            return 1
        needed, _ = comfy.sampler_helpers.estimate_memory(self.model, self._shape, self._raw[0])
        free = comfy.model_management.get_free_memory(device) * _MARGIN
        return max(min(int(free // max(needed, 1)), strips), 1)

    def __call__(self, strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        """Denoise strips.

        Args:
            strips: (N, L, C, H, W), x of some rows or columns.
            sigma: a scalar tensor, the noise level.
            indices: which rows or columns they are, N of them.

        Returns:
            The denoised estimate, (N, L, C, H, W).
        """
        alone = comfy.model_management.is_device_cpu(self.model.load_device) or any(
            self.model.model_options.get(name) for name in _SEES_THE_BATCH
        )
        if len(indices) > 1 and not alone:
            together = self.together(strips, sigma, indices)
            if together is not None:
                return together
        return torch.stack(
            [self._evaluate(x, sigma, [i], self._conds(i)) for x, i in zip(strips, indices, strict=True)]
        )

    def together(
        self, strips: Tensor, sigma: Tensor, indices: Sequence[int], options: dict[str, Any] | None = None
    ) -> Tensor | None:
        """Denoise several strips in one evaluation.

        Args:
            strips, sigma, indices: as for a call.
            options: what is added to ``transformer_options``.

        Returns:
            The denoised estimate, (N, L, C, H, W); ``None`` where the strips' conditioning cannot be stacked.
        """
        conds = stack_conds([self._conds(index) for index in indices], self.length)
        if conds is None:
            return None
        return self._evaluate(strips.flatten(0, 1), sigma, indices, conds, options).view_as(strips)

    def _conds(self, index: int) -> Conds:
        """Return one strip's processed conditions; not kept, so that only one strip's are in memory at a time."""
        raw = {name: [dict(entry) for entry in entries] for name, entries in self._raw[index].items()}
        device, seed = self.model.load_device, self._extra_args["seed"]
        empty = torch.zeros(self._shape, device=device)
        return comfy.samplers.process_conds(
            self._guider.inner_model, empty, raw, device, empty, None, seed, latent_shapes=[self._shape]
        )

    def _evaluate(
        self, x: Tensor, sigma: Tensor, indices: Sequence[int], conds: Conds, more: dict[str, Any] | None = None
    ) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._take_turn(len(indices), conds)
        options = without_caches(self._extra_args["model_options"])
        options = {**options, "transformer_options": {**options["transformer_options"], **(more or {})}}
        scales = [scale for index in indices for scale in self._strips[index].guidance]
        if len(set(scales)) > 1:
            options["sampler_cfg_function"] = _guide_each(scales)
            options["disable_cfg1_optimization"] = True
        self._guider.conds, self._guider.cfg = conds, max(scales)
        on_device = x.to(self.model.load_device)
        sigmas = sigma.to(on_device) * on_device.new_ones([len(x)])
        denoised = self._guider(on_device, sigmas, model_options=options, seed=self._extra_args["seed"])
        self._evaluated(len(indices))
        return denoised.to(x.device)

    def _take_turn(self, strips: int, conds: Conds) -> None:
        if self._turns.current is not self or strips > self._at_once:
            shape = (strips * self.length, *self._shape[1:])
            options = self._extra_args["model_options"]
            comfy.sampler_helpers.prepare_sampling(self.model, shape, conds, options)
            self._at_once = strips
        # Clones of a model share one network, which must know which of them is being evaluated.
        self._guider.model_patcher.model.current_patcher = self._guider.model_patcher
        self._turns.current = self


def _guide_each(scales: Sequence[float]) -> Callable[[dict[str, Any]], Tensor]:
    """Return classifier-free guidance with a scale for each entry, as the host's ``sampler_cfg_function``."""

    def guide(args: dict[str, Any]) -> Tensor:
        cond, uncond = args["cond"], args["uncond"]
        scale = cond.new_tensor(scales).view(-1, *[1] * (cond.ndim - 1))
        return uncond + scale * (cond - uncond)

    return guide
