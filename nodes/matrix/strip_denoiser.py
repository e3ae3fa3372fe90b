"""One model and its strips of an image matrix as a denoiser of the core, prepared and run by the host's machinery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from .conditioning import Strip
from .strip_stacking import Conds, stack_conds

# What a model may carry that sees a whole batch and would take several strips for one.
_SEES_THE_BATCH = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "model_function_wrapper",
    "context_handler",
)
# Left free when strips are counted into the memory: what the matrix and its slope take, and the host's own reserve.
_MARGIN = 0.7


class Turns:
    """Which of several models was used last: only a change of models asks the host to load one."""

    def __init__(self) -> None:
        self.current: object = None


class StripDenoiser:
    """Follows the core's ``Denoiser`` while ``prepared`` is at work.

    Strips are evaluated one at a time, as the host would sample them, or several in one evaluation where that is the
    same: frames are the batch of these models, and each clip must be told apart from the next. On the CPU, where a
    batch saves nothing, strips are always evaluated one at a time, so results do not depend on how many are given.
    """

    def __init__(
        self, model: ModelPatcher, strips: Sequence[Strip], cell: Sequence[int], turns: Turns, evaluated: Callable
    ) -> None:
        """Take the model's strips.

        Args:
            model: never changed.
            strips: of one length, as many as the matrix has rows or columns.
            cell: (C, H, W) of one latent.
            turns: shared by the models that take turns.
            evaluated: called with how many strips were, after each evaluation.
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
        """Return ``work()``, done while the host has the model loaded and patched; it cleans up in any case."""
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
        """Scale unit normal ``noise`` to the first noise level as the host's samplers do for an empty latent."""
        at_most = comfy.samplers.Sampler().max_denoise(self._guider, sigmas)
        sampling = self._guider.inner_model.model_sampling
        return sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise), at_most)

    def fits(self, strips: int) -> int:
        """Return how many of ``strips`` strips the host's estimate of memory allows in one evaluation, at least 1."""
        device = self.model.load_device
        if comfy.model_management.is_device_cpu(device):
            return 1
        needed, _ = comfy.sampler_helpers.estimate_memory(self.model, self._shape, self._raw[0])
        free = comfy.model_management.get_free_memory(device) * _MARGIN
        return max(min(int(free // max(needed, 1)), strips), 1)

    def __call__(self, strips: Tensor, sigma: Tensor, indices: Sequence[int]) -> Tensor:
        """Estimate the clean strips (N, L, C, H, W), rows or columns ``indices`` of the matrix."""
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
        """Estimate several strips in one evaluation; ``None`` where their conditioning does not stack.

        Args:
            strips: (N, L, C, H, W).
            sigma: a scalar tensor.
            indices: which strips they are.
            options: more for ``transformer_options``.
        """
        conds = stack_conds([self._conds(index) for index in indices], self.length)
        if conds is None:
            return None
        return self._evaluate(strips.flatten(0, 1), sigma, indices, conds, options).view_as(strips)

    def _conds(self, index: int) -> Conds:
        """What the model makes of one strip's conditioning; anew at each call, so that only one strip's is held."""
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
        options = self._extra_args["model_options"]
        options = {**options, "transformer_options": {**options["transformer_options"], **(more or {})}}
        scales = [scale for index in indices for scale in self._strips[index].guidance]
        if len(set(scales)) > 1:
            options["sampler_cfg_function"] = _guide_each(scales)
            options["disable_cfg1_optimization"] = True
        self._guider.conds, self._guider.cfg = conds, max(scales)
        here = x.to(self.model.load_device)
        levels = sigma.to(here) * here.new_ones([len(here)])
        estimate = self._guider(here, levels, model_options=options, seed=self._extra_args["seed"])
        self._evaluated(len(indices))
        return estimate.to(x.device)

    def _take_turn(self, strips: int, conds: Conds) -> None:
        if self._turns.current is not self or strips > self._at_once:
            shape = (strips * self.length, *self._shape[1:])
            options = self._extra_args["model_options"]
            comfy.sampler_helpers.prepare_sampling(self.model, shape, conds, options)
            self._at_once = strips
        # Clones of one model share what is loaded, and it must know which of them is at work.
        self._guider.model_patcher.model.current_patcher = self._guider.model_patcher
        self._turns.current = self


def _guide_each(scales: Sequence[float]) -> Callable[[dict[str, Any]], Tensor]:
    """Classifier-free guidance with a scale for each entry, in the host's form."""

    def guide(args: dict[str, Any]) -> Tensor:
        cond, uncond = args["cond"], args["uncond"]
        scale = cond.new_tensor(scales).view(-1, *[1] * (cond.ndim - 1))
        return uncond + scale * (cond - uncond)

    return guide
