"""Cross-view attention in every family against an explicit softmax over the layer's own queries, keys and values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.attention.runs import Run
from tests.host.tiny.families import FAMILIES, Tiny, clip_vision
from tools.setup.environment import ROOT

MODES = ("left_kv", "joint", "right_joint", "left_query")
UNETS = ("sd15_two_levels", "sd2", "sdxl", "svd")
TEXT = 7


@dataclass(frozen=True)
class Tokens:
    """What a transformer's self-attention attends to.

    Attributes:
        picture: how many tokens of the picture.
        text: how many of the text; 0 where text is attended to in another call.
        first: the picture's come first, not last.
        references: how many of reference pictures, after the picture.
    """

    picture: int
    text: int = TEXT
    first: bool = False
    references: int = 0


TOKENS = {
    "sd3": Tokens(24),
    "flux": Tokens(24),
    "flux2": Tokens(24, 512),  # the host pads its text
    "chroma": Tokens(24),
    "chroma_radiance": Tokens(24),
    "aura": Tokens(24, TEXT + 8),  # and registers
    "lumina": Tokens(24),
    "z_image": Tokens(32, 32),  # both padded
    "z_image_pixels": Tokens(32, 32),
    "hidream": Tokens(24, 3 * TEXT, first=True),
    "hidream_e1": Tokens(48, 3 * TEXT, first=True),  # the picture to edit beside the new one
    "qwen_image": Tokens(24),
    "krea": Tokens(24),
    "mage": Tokens(24),
    "lens": Tokens(24, first=True),
    "anima": Tokens(24, 0),
    "cosmos": Tokens(48, 0),
    "kandinsky": Tokens(48, 0),
    "kandinsky_image": Tokens(24, 0),
    "wan": Tokens(72, 0),
    "wan_i2v": Tokens(72, 0),
    "wan22_5b": Tokens(48, 0),
    "ltxv": Tokens(48, 0),
    "ltx2": Tokens(48, 0),
    "hunyuan_video": Tokens(48),
    "hunyuan_video15": Tokens(48),
    "hunyuan_image": Tokens(24),
    "mochi": Tokens(48, 5, first=True),  # without the padding of the text
}
REFERENCES = {
    "flux2": Tokens(24, 512, references=16),
    "qwen_image": Tokens(24, references=16),
    "krea": Tokens(24, references=16),
    "mage": Tokens(24, references=16),
    "z_image": Tokens(32, 3 * 32),  # before the picture, with a padded text of its own
}
"""With a reference picture of four by four tokens."""
TRANSFORMERS = tuple(TOKENS)


def family(name: str) -> Tiny:
    tiny = FAMILIES["hidream" if name == "hidream_e1" else name]
    if name == "hidream_e1":
        tiny = replace(tiny, extras={**tiny.extras, "concat_latent_image": (1, *tiny.latent)})
    if name == "wan_i2v":
        tiny = replace(tiny, extras={"clip_vision_output": clip_vision()})
    return tiny


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """(heads, tokens, width) each."""
    return ((q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5 + bias.to(q)).softmax(-1) @ v


def by_hand(mode: str, q: Tensor, k: Tensor, v: Tensor, chunks: int, picture: int, bias: Tensor) -> Tensor:
    """The table of modes written out, entry by entry; all (batch, heads, tokens, width), the picture's tokens last."""
    per, out = q.shape[0] // chunks, []
    text = k.shape[2] - picture
    for entry in range(q.shape[0]):
        chunk, place = divmod(entry, per)
        item = place % (per // 2)
        left, right = chunk * per + item, chunk * per + item + per // 2
        is_right = entry == right
        own_q, own_k, own_v, own_bias = q[entry], k[entry], v[entry], bias[entry]
        views: tuple[int, ...] = (left, right) if mode == "joint" or (mode == "right_joint" and is_right) else (entry,)
        if mode == "left_kv":
            views = (left,)
        if mode == "left_query":
            own_q = torch.cat([q[entry][:, :text], q[left][:, text:]], 1)
        read_k = torch.cat([own_k[:, :text], *(k[view][:, text:] for view in views)], 1)
        read_v = torch.cat([own_v[:, :text], *(v[view][:, text:] for view in views)], 1)
        # Both pictures together weigh against the text as one does.
        read_bias = torch.cat([own_bias[..., :text], *(own_bias[..., text:] - math.log(len(views)) for _ in views)], -1)
        out.append(softmax_attention(own_q, read_k, read_v, read_bias))
    return torch.stack(out)


def split_heads(t: Tensor, heads: int) -> Tensor:
    return t.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(t: Tensor) -> Tensor:
    return t.transpose(1, 2).flatten(2)


def transcribe_unet(
    model: Any, mode: str, monkeypatch: pytest.MonkeyPatch, temporal: bool = False, only: str = ""
) -> None:
    """Let every self-attention of the loaded U-Net compute by hand; the patch is not installed."""
    for name, block in model.model.diffusion_model.named_modules():
        if type(block).__name__ != "BasicTransformerBlock" or not name.startswith(only):
            continue
        if "time_stack" in name and not temporal:
            continue

        def forward(self: Any, x: Tensor, context: Tensor | None = None, transformer_options: Any = None, **_: Any):
            assert context is None
            q, k, v = (split_heads(project(x), self.heads) for project in (self.to_q, self.to_k, self.to_v))
            chunks = len(transformer_options["cond_or_uncond"])
            bias = torch.zeros(q.shape[0], 1, 1, k.shape[2])
            return self.to_out(merge_heads(by_hand(mode, q, k, v, chunks, k.shape[2], bias)))

        monkeypatch.setattr(block.attn1, "forward", MethodType(forward, block.attn1))


def transcribed_transformer(
    model: Any, name: str, mode: str, only: tuple[str | None, int] | None = None, layer: Tokens | None = None
) -> Any:
    """A clone whose attention computes by hand, told by the number of tokens which call is self-attention."""
    layer = layer or TOKENS[name]

    def attention(func: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **kwargs: Any) -> Tensor:
        axis = 2 if kwargs.get("skip_reshape") else 1
        options = kwargs["transformer_options"]
        tokens = k.shape[axis]
        # SD 3.5 medium attends to the picture a second time, alone.
        coupled = tokens == layer.text + layer.picture + layer.references or (name == "sd3" and tokens == layer.picture)
        if only is not None and (options.get("block_type"), options.get("block_index")) != only:
            coupled = False
        if not coupled:
            return func(q, k, v, heads, *args, **kwargs)
        mask = args[0] if args else kwargs.get("mask")
        if axis == 1:
            q, k, v = (split_heads(t.flatten(2), heads) for t in (q, k, v))  # SD3's values come with heads apart
        bias = torch.zeros(1) if mask is None else (mask if mask.ndim == 4 else mask.unsqueeze(-3))
        bias = bias.expand(q.shape[0], 1, -1 if bias.ndim > 1 else 1, tokens)
        after = layer.text if layer.first else layer.references
        q, k, v, bias = (*(t.roll(after, 2) for t in (q, k, v)), bias.roll(after, -1))
        out = by_hand(mode, q, k, v, len(options["cond_or_uncond"]), layer.picture, bias).roll(-after, 2)
        return out if kwargs.get("skip_output_reshape") else merge_heads(out)

    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = attention
    return clone


def assert_same(ours: Tensor, transcription: Tensor) -> None:
    assert ours.isfinite().all()
    scale = transcription.abs().max().item()
    torch.testing.assert_close(ours, transcription, rtol=0, atol=3e-4 * scale)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", UNETS)
def test_unet_agrees_with_explicit_softmax(loaded, couple, name: str, mode: str, monkeypatch: pytest.MonkeyPatch):
    run, model = Run(family(name), entries=2), loaded(name)
    plain, ours = run(model), run(couple(model, mode))
    transcribe_unet(model, mode, monkeypatch)
    assert_same(ours, run(model))
    assert_views_changed(mode, ours, plain)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformer_agrees_with_explicit_softmax(loaded, couple, name: str, mode: str):
    entries = 1 if name == "flux2" else 2  # its 512 tokens of text take time
    run, model = Run(family(name), entries=entries), loaded(name.removesuffix("_e1"))
    plain, ours = run(model), run(couple(model, mode))
    assert_same(ours, run(transcribed_transformer(model, name, mode)))
    assert_views_changed(mode, ours, plain)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFERENCES)
def test_reference_pictures_stay_with_their_view(loaded, couple, name: str, mode: str):
    tiny, model = family(name), loaded(name)
    size = 4 if name in ("flux2", "mage") else 8
    shape = (1, tiny.latent[0], *tiny.latent[1:-2], size, size)
    given = {"reference_latents": [torch.randn(shape, generator=torch.Generator().manual_seed(6))]}
    if name == "krea":  # takes them only when told how
        given["reference_latents_method"] = "index"
    run = Run(replace(tiny, extras={**tiny.extras, **given}))
    plain, ours = run(model), run(couple(model, mode))
    assert not torch.allclose(plain, Run(tiny)(model), atol=1e-3), "the reference was not seen"
    assert_same(ours, run(transcribed_transformer(model, name, mode, layer=REFERENCES[name])))
    assert_views_changed(mode, ours, plain)


@pytest.mark.parametrize("mode", MODES)
def test_guides_of_ltxv_split_the_layer(loaded, couple, mode: str):
    """With guide frames the host runs one self-attention in two calls, each with a mask of its own."""
    from comfy.ldm.lightricks.model import GuideAttentionMask

    guide = GuideAttentionMask(
        total_tokens=48, guide_start=36, tracked_count=12, tracked_weights=torch.full((12,), 0.5)
    )

    def guided(model: Any) -> Any:
        clone = model.clone()
        for number in range(2):
            clone.set_model_patch_replace(
                lambda args, extra: extra["original_block"]({**args, "self_attention_mask": guide}),
                "dit",
                "double_block",
                number,
            )
        return clone

    run, model = Run(family("ltxv")), guided(loaded("ltxv"))
    plain, ours = run(model), run(couple(model, mode))
    assert not torch.allclose(plain, run(loaded("ltxv")), atol=1e-3)
    assert_same(ours, run(transcribed_transformer(model, "ltxv", mode)))
    assert_views_changed(mode, ours, plain)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["wan_vace", "wan_camera"])
def test_steered_wan_is_coupled(loaded, couple, name: str, mode: str):
    """Networks with a part of their own for what steers them."""
    run, model = Run(family(name)), loaded(name)
    assert_views_changed(mode, run(couple(model, mode)), run(model))


def assert_views_changed(mode: str, ours: Tensor, plain: Tensor) -> None:
    (left, right), (plain_left, plain_right) = ours.chunk(2), plain.chunk(2)
    if mode == "joint":
        assert not torch.allclose(left, plain_left, rtol=0, atol=1e-3 * plain.abs().max().item())
    else:
        assert torch.equal(left, plain_left)
    assert not torch.allclose(right, plain_right, rtol=0, atol=1e-3 * plain.abs().max().item())


@pytest.mark.parametrize("mode", MODES)
def test_temporal_attention_is_coupled_on_request(loaded, couple, mode: str, monkeypatch: pytest.MonkeyPatch):
    # With four frames of four pixels, spatial and temporal attention have the same shapes.
    tiny = replace(family("svd"), latent=(4, 2, 2), extras={"concat_latent_image": (1, 4, 2, 2)})
    run, model = Run(tiny, entries=4, steps=1, cfg=1.0), loaded("svd")
    spatial, both = run(couple(model, mode)), run(couple(model, mode, temporal=True))
    assert not torch.allclose(spatial[4:], both[4:], rtol=0, atol=1e-3 * both.abs().max().item())
    with monkeypatch.context() as patch:
        transcribe_unet(model, mode, patch)
        assert_same(spatial, run(model))
    transcribe_unet(model, mode, monkeypatch, temporal=True)
    assert_same(both, run(model))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
def test_conditions_in_one_pass_and_in_two(loaded, couple, name: str, mode: str, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_base

    run, model, seen = Run(family(name), entries=2), couple(loaded(name), mode), []
    together = run(model)
    spied = spy(model, seen)
    monkeypatch.setattr(comfy.model_base.BaseModel, "memory_required", lambda _, shape, **__: 1e18 * (shape[0] > 4))
    separate = run(spied)
    assert set(seen) == {(0,), (1,)}
    assert_same(separate, together)


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
def test_guidance_of_one_runs_the_condition_alone(loaded, couple, name: str):
    seen: list[tuple[int, ...]] = []
    run, model = Run(family(name), cfg=1.0), loaded(name)
    plain, ours = run(model), run(spy(couple(model, "left_kv"), seen))
    assert set(seen) == {(0,)}
    assert_views_changed("left_kv", ours, plain)


def spy(model: Any, seen: list[tuple[int, ...]]) -> Any:
    from comfy.patcher_extension import WrappersMP

    def note(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        seen.append(tuple(args[5]["cond_or_uncond"]))
        return executor(*args, **kwargs)

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "spy", note)
    return clone


@pytest.mark.parametrize("mode", MODES)
def test_pictures_of_a_batch_are_paired_one_by_one(loaded, couple, mode: str):
    model, tiny = couple(loaded("sd15_two_levels"), mode), family("sd15_two_levels")
    together = Run(tiny, entries=3)(model)
    for item in range(3):
        assert_same(together[item::3], Run(tiny, entries=3, item=item)(model))


@pytest.mark.parametrize(
    ("name", "blocks", "only"),
    [
        ("sd15_two_levels", "middle", "middle_block"),
        ("sd15_two_levels", "output.1-2", "output_blocks.2"),
        ("sd15_two_levels", "input.1", "input_blocks.1"),
    ],
)
def test_chosen_blocks_of_a_unet(loaded, couple, name: str, blocks: str, only: str, monkeypatch: pytest.MonkeyPatch):
    run, model = Run(family(name)), loaded(name)
    ours = run(couple(model, "joint", blocks=blocks))
    transcribe_unet(model, "joint", monkeypatch, only=only)
    assert_same(ours, run(model))


@pytest.mark.parametrize(
    ("name", "blocks", "only"),
    [
        ("flux", "single.1", ("single", 1)),
        ("hunyuan_video", "double.0", ("double", 0)),
        ("wan", "block.1-1", ("double", 1)),
        ("qwen_image", "block.0", ("double", 0)),
        ("z_image", "block.1", ("double", 1)),
        ("krea", "block.0", ("single", 0)),
        ("anima", "block.1", (None, 1)),
    ],
)
def test_chosen_blocks_of_a_transformer(loaded, couple, name: str, blocks: str, only: tuple[str | None, int]):
    run, model = Run(family(name)), loaded(name)
    ours = run(couple(model, "joint", blocks=blocks))
    assert_same(ours, run(transcribed_transformer(model, name, "joint", only)))


@pytest.mark.parametrize("part", ["double.0", "single.0", "single.1"])
def test_chosen_blocks_of_a_network_whose_calls_are_counted(loaded, couple, part: str):
    """HiDream tells nobody which block runs: one call of each, 3 in an evaluation."""
    run, model, calls = Run(family("hidream")), loaded("hidream"), count()
    by_hand = transcribed_transformer(model, "hidream", "left_kv")
    attention = by_hand.model_options["transformer_options"]["optimized_attention_override"]

    def only(func: Any, *args: Any, **kwargs: Any) -> Tensor:
        chosen = next(calls) % 3 == ["double.0", "single.0", "single.1"].index(part)
        return attention(func, *args, **kwargs) if chosen else func(*args, **kwargs)

    by_hand.model_options["transformer_options"]["optimized_attention_override"] = only
    assert_same(run(couple(model, "left_kv", blocks=part)), run(by_hand))


OTHERS = """
ldm.cascade.stage_c.StageC ldm.hydit.models.HunYuanDiT ldm.pixart.pixartms.PixArtMS ldm.ernie.model.ErnieImageModel
ldm.omnigen.omnigen2.OmniGen2Transformer2DModel ldm.boogu.model.BooguTransformer2DModel
ldm.joyimage.model.JoyImageTransformer3DModel ldm.ideogram4.model.Ideogram4Transformer2DModel
ldm.hidream_o1.model.HiDreamO1Transformer ldm.pixeldit.model.PixDiT_T2I ldm.pixeldit.pid.PidNet
ldm.cosmos.model.GeneralDIT ldm.cogvideo.model.CogVideoXTransformer3DModel ldm.minimax.model.MiniMaxH3Model
ldm.seedvr.model.NaDiT ldm.wan.model.WanModel_S2V ldm.wan.model.HumoWanModel ldm.wan.model_animate.AnimateWanModel
ldm.wan.model.SCAILWanModel ldm.wan.model.SCAIL2WanModel ldm.wan.model_wandancer.WanDancerModel
ldm.wan.ar_model.CausalWanModel ldm.ace.model.ACEStepTransformer2DModel
""".split()


@pytest.mark.parametrize("name", OTHERS)
def test_other_families_are_refused_by_name_before_anything_runs(loaded, couple, name: str):
    module, kind = f"comfy.{name}".rsplit(".", 1)
    network = getattr(import_module(module), kind)
    model = loaded("sd15_two_levels").clone()
    model.add_object_patch("diffusion_model", network.__new__(network))
    with pytest.raises(ValueError, match=rf"model: SD15 \({kind}\) is a family .* Set attention to none"):
        couple(model, "left_kv")


@pytest.mark.parametrize("page", ["README.md", "web/docs/Stereo_CrossViewAttentionPatch.md"])
def test_help_and_readme_name_every_family(pack, page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in pack("nodes.attention.families").KNOWN.split(", ") if name not in text] == []
