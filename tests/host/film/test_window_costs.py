"""What a window of template 03d costs, as the help page of Film Window has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from tests.host.tiny.families import load
from tests.host.tiny.inputs import defaults
from tests.host.tiny.sampling import conditioning, depth_step, schedule
from tools.setup.environment import ROOT

FRAMES = 5
INVERSION, WITH_ATTENTION, WITHOUT = 30, 170, 85


@pytest.mark.parametrize(("attention", "evaluations"), [("left_query", WITH_ATTENTION), ("none", WITHOUT)])
def test_a_window_takes_as_many_evaluations_as_its_help_page_says(
    host: dict[str, type], attention: str, evaluations: int
):
    prompt = json.loads((ROOT / "tools" / "prompts" / "film_to_stereo_diffusion.json").read_text(encoding="utf-8"))
    (sampler,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "Stereo_StereoVideoKSampler")
    widgets = {name: value for name, value in sampler.items() if not isinstance(value, list)}
    steps, model, seen = int(prompt[sampler["steps"][0]]["inputs"]["value"]), load("wan").clone(), []

    def counted(apply: Any, given: dict[str, Any]) -> Any:
        seen.append(len(given["input"]))
        return apply(given["input"], given["timestep"], **given["c"])

    model.set_model_unet_function_wrapper(counted)
    positive, latent = conditioning("wan", 1), {"samples": torch.ones(1, 16, (FRAMES + 3) // 4, 4, 8)}
    inverted = host["Stereo_DDIMInversion"].execute(model, positive, latent, schedule("wan", steps), 0).args
    assert sum(seen) == INVERSION == steps
    seen.clear()
    node = host["Stereo_StereoVideoKSampler"]
    given = {"model": model, "positive": positive, "negative": conditioning("wan", 2), "latent_image": latent}
    run = {**widgets, "seed": 1, "steps": steps, "attention": attention, "trajectory": inverted[1]}
    node.execute(**{**defaults(node), **given, **run, "depth": depth_step(FRAMES)})
    assert sum(seen) == evaluations
    page = (ROOT / "web" / "docs" / "Stereo_FilmWindow.md").read_text(encoding="utf-8")
    assert (
        f"{INVERSION} for **DDIM Inversion**, {WITH_ATTENTION} for" in page and f"or {WITHOUT} with `attention`" in page
    )
