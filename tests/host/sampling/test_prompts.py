"""Conditioning of another family is told from the model's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.host.tiny.families import FAMILIES, load

# Families whose text enters where it can be measured.
MEASURED = """
sd15 sd2 sd2_depth sdxl svd sd3 flux hunyuan_video qwen_image wan wan_i2v wan_vace wan_camera ltxv z_image_pixels
chroma_radiance aura kandinsky mage mochi
""".split()


@pytest.fixture
def expect(pack: Any) -> Any:
    return pack("nodes.sampling.prompts").expect_prompt


def test_every_family_takes_its_own(expect: Any):
    for name in FAMILIES:
        expect("positive", FAMILIES[name].conditioning(1), load(name))


@pytest.mark.parametrize("name", MEASURED)
def test_another_width_is_refused(expect: Any, name: str):
    ((embedding, extras),) = FAMILIES[name].conditioning(1)
    other = torch.cat([embedding, embedding[..., :8]], -1)
    said = (
        f"positive: comes from .* another model: its text embedding is {other.shape[-1]} wide, .* {embedding.shape[-1]}"
    )
    with pytest.raises(ValueError, match=said):
        expect("positive", [[other, extras]], load(name))


@pytest.mark.parametrize("name", ["sd3", "flux", "hunyuan_video"])
def test_another_pooled_output_is_refused(expect: Any, name: str):
    ((embedding, extras),) = FAMILIES[name].conditioning(1)
    pooled = torch.zeros(1, extras["pooled_output"].shape[-1] + 8)
    with pytest.raises(ValueError, match="positive: comes from .* another model: its pooled output"):
        expect("positive", [[embedding, {**extras, "pooled_output": pooled}]], load(name))


@pytest.mark.parametrize("name", ["sd3", "sdxl", "hunyuan_video", "hidream", "kandinsky"])
def test_a_model_that_needs_a_pooled_output_is_told_of(expect: Any, name: str):
    ((embedding, _),) = FAMILIES[name].conditioning(1)
    with pytest.raises(ValueError, match="positive: has no pooled output, which this model needs. Connect the text"):
        expect("positive", [[embedding, {}]], load(name))


@pytest.mark.parametrize("name", ["sdxl", "svd", "flux", "wan"])
def test_a_depth_map_as_a_channel_needs_a_model_that_takes_it(expect: Any, name: str):
    def hinted(family: str) -> Any:
        return [[text, {**extras, "noise_concat": torch.zeros(1, 1, 4, 8)}] for text, extras in prompt(family)]

    def prompt(family: str) -> Any:
        return FAMILIES[family].conditioning(1)

    with pytest.raises(ValueError, match="negative: holds a depth map as a channel.* Connect SD2-depth, or give Depth"):
        expect("negative", hinted(name), load(name))
    expect("negative", hinted("sd2_depth"), load("sd2_depth"))


@pytest.mark.parametrize("key", ["pooled_output", "concat_latent_image", "reference_latents"])
def test_whatever_it_carries_must_be_numbers(expect: Any, key: str):
    ((embedding, extras),) = FAMILIES["sdxl"].conditioning(1)
    lost = torch.full((1, 1280), torch.nan)
    with pytest.raises(ValueError, match="negative: holds NaN"):
        expect("negative", [[embedding, {**extras, key: [lost] if key == "reference_latents" else lost}]])


def test_a_mask_of_tokens_may_be_infinite(expect: Any):
    ((embedding, extras),) = FAMILIES["sdxl"].conditioning(1)
    expect("positive", [[embedding, {**extras, "attention_mask": torch.tensor([[0.0, -torch.inf]])}]], load("sdxl"))


def test_a_model_of_another_pack_may_take_any_width(expect: Any):
    class Kolors:
        def __init__(self, inner: Any) -> None:
            self.model, self.get_model_object = SimpleNamespace(), inner.get_model_object

    expect("positive", FAMILIES["sd2"].conditioning(1), Kolors(load("sd15")))
