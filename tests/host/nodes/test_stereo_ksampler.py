"""Stereo KSampler in the real host: the two nodes it stands for, in one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.host.tiny import sampling as tiny
from tests.host.tiny.autoencoders import load_vae
from tools.host.node_inputs import gather

WIDGETS = {
    **tiny.WIDGETS,
    "seed": 5,
    "steps": 4,
    "cfg": 3.0,
    "sampler_name": "euler",
    "scheduler": "simple",
    "denoise": 1.0,
    "attention": "none",
    "preset": "custom",
}


@pytest.fixture
def ksample(host: dict[str, type]) -> Any:
    def run(name: str = "sd15", latent: dict[str, Any] | None = None, **widgets: Any) -> dict[str, Any]:
        latent = {"samples": tiny.empty(name)} if latent is None else latent
        prompts = tiny.conditioning(name, 1), tiny.conditioning(name, 2)
        flat = {**WIDGETS, **widgets}
        inputs = gather("Stereo_StereoKSampler", flat.pop("depth", tiny.depth_step()), flat)
        return host["Stereo_StereoKSampler"].execute(tiny.load(name), *prompts, latent, **inputs).args[0]

    return run


@pytest.mark.parametrize("attention", ["none", "left_kv", "joint", "right_joint", "left_query"])
def test_it_is_the_two_nodes_put_together(host: dict[str, type], ksample: Any, attention: str):
    model = tiny.load("sd15")
    if attention != "none":
        patch = host["Stereo_CrossViewAttentionPatch"]
        model = patch.execute(model, attention, 0.0, 1.0, "", False).args[0]
    expected, _ = tiny.sample("sd15", tiny.stereo(), model=model)
    assert torch.equal(ksample(attention=attention)["samples"], expected)


def test_the_left_view_is_what_ksampler_makes(host: dict[str, type], ksample: Any):
    prompts = tiny.conditioning("sd15", 1), tiny.conditioning("sd15", 2)
    latent = {"samples": torch.randn(tiny.empty("sd15", 2).shape, generator=torch.Generator().manual_seed(1))}
    plain = host["KSampler"]().sample(
        tiny.load("sd15"), 5, 4, 3.0, "dpm_2", "karras", *prompts, latent_image=latent, denoise=0.6
    )[0]
    pair = ksample(latent=latent, sampler_name="dpm_2", scheduler="karras", denoise=0.6, attention="left_kv")
    assert torch.equal(pair["samples"][:2], plain["samples"])


def test_the_result_is_a_whole_latent(ksample: Any):
    mask = torch.ones(1, 1, 4, 8)
    given = {"samples": tiny.empty("sd15", 2), "batch_index": [4, 7], "noise_mask": mask, "other": "kept"}
    kept = dict(given)
    pair = ksample(latent=given)
    assert given == kept, "the input was changed"
    assert pair.keys() == {"samples", "batch_index", "other", "stereo_pair"} and pair["batch_index"] == [4, 7, 4, 7]
    assert pair["samples"].shape == (4, 4, 4, 8)
    with pytest.raises(ValueError, match="already holds both views"):
        ksample(latent=pair)


def test_an_empty_latent_takes_the_models_channels(ksample: Any):
    pair = ksample("wan", {"samples": torch.zeros(1, 4, 4, 8), "downscale_ratio_spacial": 8})
    assert pair.keys() == {"samples", "batch_index", "stereo_pair"} and pair["samples"].shape == (2, 16, 1, 4, 8)


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("stereodiffusion", {"fill": "zeros"}),
        ("stereodiffusion_deblur", {"fill": "noise"}),
        ("stereodiffusion_shift_both", {"fill": "zeros", "shift_both": True}),
    ],
)
def test_a_preset_replaces_the_settings(ksample: Any, preset: str, settings: dict[str, Any]):
    latent = {"samples": tiny.empty("sd15", 1, (8, 16))}  # 8 % of 16 columns move one
    published = {"max_disparity": 8.0, "convergence": 0.0, "exponent": 1.0, "shift": "truncated", **settings}
    by_hand = ksample(latent=latent, **published)["samples"]
    by_name = ksample(latent=latent, preset=preset, shift_at=0.9, mask_every=0.0, shift="sub_column")["samples"]
    assert torch.equal(by_name, by_hand) and not torch.equal(ksample(latent=latent)["samples"], by_hand)


def test_bad_input_is_refused_with_what_to_do(ksample: Any):
    with pytest.raises(ValueError, match="denoise: 0.0 leaves no step"):
        ksample(denoise=0.0)
    with pytest.raises(ValueError, match="latent_image: is no latent of pictures"):
        ksample(latent={"samples": torch.ones(1, 4, 32)})
    with pytest.raises(ValueError, match="depth is 32x64"):
        ksample(depth=torch.zeros(1, 64, 32, 3))
    with pytest.raises(ValueError, match="dpm_fast chooses its own steps"):
        ksample(sampler_name="dpm_fast")


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_an_inverted_picture_is_the_left_view(host: dict[str, type], ksample: Any, name: str):
    samples = torch.randn(tiny.empty(name).shape, generator=torch.Generator().manual_seed(1))
    inverted = host["Stereo_DDIMInversion"].execute(
        tiny.load(name), tiny.conditioning(name, 1), {"samples": samples}, tiny.schedule(name, 4), 0
    )
    latent = {"samples": samples}
    pair = ksample(name, latent, trajectory=inverted.args[1], attention="left_kv")["samples"]
    torch.testing.assert_close(pair[:1], samples, rtol=1e-5, atol=1e-5)
    assert tiny.error(pair[1:], samples) > 0.1
    from_the_start = ksample(name, latent, trajectory=inverted.args[1], shift_at=0.0)["samples"]
    torch.testing.assert_close(from_the_start[:1], samples, rtol=1e-5, atol=1e-5)


def test_a_seed_that_the_host_cannot_count_on_from_is_refused(ksample: Any):
    ksample(seed=2**64 - 1)
    with pytest.raises(ValueError, match="seed: 18446744073709551615 is the largest, and euler_ancestral draws from"):
        ksample(seed=2**64 - 1, sampler_name="euler_ancestral")


@pytest.mark.parametrize("name", ["picture16", "video"])
def test_a_vae_of_another_model_is_refused(ksample: Any, name: str):
    with pytest.raises(ValueError, match="vae: makes latents of 16 channels, and this model takes 4. Connect the VAE"):
        ksample(vae=load_vae(name), shift="sub_column")


@pytest.mark.parametrize("attention", ["none", "joint"])
def test_the_model_stays_as_it_was(ksample: Any, attention: str):
    model = tiny.load("sd15")
    before, _ = tiny.sample("sd15", "euler")
    options = repr(model.model_options)
    ksample(attention=attention)
    with pytest.raises(ValueError, match="depth holds 2 maps for 3 pictures"):
        ksample(latent={"samples": tiny.empty("sd15", 3)}, depth=tiny.depth_step(2), attention=attention)
    assert torch.equal(tiny.sample("sd15", "euler")[0], before) and repr(model.model_options) == options


def test_a_preset_that_moves_nothing_says_so_itself(ksample: Any):
    with pytest.raises(ValueError, match=r"options: the preset .* its 8 % move none in a picture this small"):
        ksample(preset="stereodiffusion")
