"""Two models of one schedule: Wan 2.2's, for the steps of more and of less noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from comfy.model_patcher import ModelPatcher


@dataclass(frozen=True, slots=True)
class Expert:
    """A model that takes over within the schedule: Wan 2.2's second one, for the steps of less noise.

    Attributes:
        model: never changed.
        switch: the step that it begins with, as ``start_at_step`` of the host's KSampler (Advanced).
    """

    model: ModelPatcher
    switch: int

    def expect_fits(self, first: ModelPatcher, steps: int) -> None:
        """Raise unless it can take over from another model.

        Args:
            first: the model that begins.
            steps: of the whole schedule.

        Raises:
            ValueError: a switch outside the schedule, a model of another kind, or one with other noise levels.
        """
        if not 0 < self.switch < steps:
            raise ValueError(
                f"switch_at_step of Second Model: got {self.switch}. Set it from 1 to {steps - 1}, so that each of the "
                "two models has steps to take, or disconnect second_model."
            )
        kinds = [type(model.model) for model in (first, self.model)]
        if kinds[0] is not kinds[1]:
            names = [type(model.model.model_config).__name__ for model in (first, self.model)]
            raise ValueError(
                f"second_model: is of another kind than model: {names[1]}, and model is {names[0]}. Connect the two "
                "models of one family, such as the high-noise and the low-noise one of Wan 2.2."
            )
        levels = [model.get_model_object("model_sampling").sigmas for model in (first, self.model)]
        if levels[0].shape != levels[1].shape or not torch.allclose(*(level.cpu() for level in levels)):
            raise ValueError(
                "second_model: has other noise levels than model. Give both models the same shift, with "
                "ModelSamplingSD3, or neither."
            )
