"""Stereo beside the host's other nodes: the left view is the plain run with that node, and equal views stay equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.attention.other_nodes import GUIDERS, NODES, with_node
from tests.host.attention.runs import Run
from tests.host.tiny import sampling as tiny
from tests.host.tiny.families import FAMILIES, load

pytestmark = pytest.mark.usefixtures("host")

# What a doubled batch, and a softmax over twice the keys, change in float arithmetic over a run.
ROUNDING = 1e-4
# These take one number of both views together, a spread or a projection.
SHARED = {"SkipLayerGuidanceDiT, rescaled": 0.01, "PerpNegGuider": 0.01}
# These only change how the same is computed.
SILENT = ("sage attention", "block swap")
MODES = ("none", "left_kv", "joint", "right_joint", "left_query")


def latent(family: str, name: str) -> dict[str, Tensor]:
    shape = (1, 16, 8, 16) if family in ("sd3", "flux") else (1, 4, 8, 16)
    made = {"samples": torch.randn(shape, generator=torch.Generator().manual_seed(9))}
    if name == "DifferentialDiffusion":
        made["noise_mask"] = torch.linspace(0, 1, 16).expand(1, 8, 16)
    return made


def run(name: str, family: str, model: Any, sampler: Any) -> Tensor:
    return tiny.sample(family, sampler, model=model, sigmas=3, **latent(family, name))[0]


def guide(guider: Any, sampler: Any) -> Tensor:
    given = latent("sd15", "")["samples"]
    noise = torch.randn(given.shape, generator=torch.Generator().manual_seed(4))
    sampler = tiny.inner(sampler) if isinstance(sampler, str) else sampler
    return guider.sample(noise, given, sampler, tiny.schedule("sd15", 3), disable_pbar=True, seed=4)


def stereo(**widgets: Any) -> Any:
    return tiny.stereo(depth=tiny.depth_step(1, 64, 128), **widgets)


def assert_stereo(name: str, plain: Tensor, sample: Callable[[str, Any], Tensor], refused: tuple[str, ...] = ()):
    for mode in ("none", "joint", "left_kv"):
        for view in sample(mode, stereo(max_disparity=0.0, shift="sub_column")).chunk(2):
            assert tiny.error(view, plain) < ROUNDING, mode
    for mode in {"none", "left_kv", "left_query"} - set(refused):
        left, right = sample(mode, stereo()).chunk(2)
        assert tiny.error(left, plain) < SHARED.get(name, ROUNDING), mode
        assert right.isfinite().all() and tiny.error(right, plain) > 1e-2, mode


@pytest.mark.parametrize("name", NODES)
def test_a_node_on_the_model(couple, name: str):
    family, model = with_node(name)
    plain = run(name, family, model, "euler")
    acts = tiny.error(plain, run(name, family, load(family), "euler"))
    assert acts < ROUNDING if name in SILENT else acts > 10 * ROUNDING

    def sample(mode: str, sampler: Any) -> Tensor:
        return run(name, family, model if mode == "none" else couple(model, mode), sampler)

    assert_stereo(name, plain, sample, refused=("left_query",) if name == "TomePatchModel" else ())


def test_guidance_that_remembers_is_refused_before_the_first_step(monkeypatch: pytest.MonkeyPatch):
    from comfy_extras.nodes_apg import APG

    model = APG.execute(load("sd15"), 1.0, 5.0, -0.5)[0]
    monkeypatch.setattr(model.model, "apply_model", lambda *_, **__: pytest.fail("the model was evaluated"))
    for sampler in (tiny.stereo(), tiny.recorder("euler")):
        with pytest.raises(ValueError, match=r"Adaptive Projected Guidance with momentum .* Set its momentum to 0"):
            tiny.sample("sd15", sampler, model=model)


@pytest.mark.parametrize("name", [name for name in GUIDERS if name != "CFG"])
def test_a_guider(couple, name: str):
    plain = guide(GUIDERS[name](load("sd15")), "euler")
    assert tiny.error(plain, guide(GUIDERS["CFG"](load("sd15")), "euler")) > 10 * ROUNDING

    def sample(mode: str, sampler: Any) -> Tensor:
        model = load("sd15")
        return guide(GUIDERS[name](model if mode == "none" else couple(model, mode)), sampler)

    assert_stereo(name, plain, sample)


@pytest.mark.parametrize("mode", MODES[1:])
def test_values_that_a_guidance_hands_on_are_each_views_own(couple, mode: str):
    """Perturbed attention: in its layer nothing is read, so nothing is coupled."""
    model = load("sd15_two_levels").clone()
    model.set_model_attn1_replace(lambda _q, _k, v, _extra: v, "middle", 0)
    here = Run(FAMILIES["sd15_two_levels"])
    assert torch.equal(here(couple(model, mode)), here(couple(model, mode, blocks="input, output")))


@pytest.mark.parametrize("mode", MODES[1:])
def test_attention_that_a_guidance_keeps_is_each_views_own(couple, mode: str):
    """Self-attention guidance: its map has a place for each token of the view, and is of that view's own tokens."""
    kept: list[tuple[Tensor, Tensor]] = []

    def attention(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
        kept.append((q, k))
        q, k, v = (t.unflatten(-1, (extra["n_heads"], -1)).transpose(1, 2) for t in (q, k, v))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    model = load("sd15_two_levels").clone()
    model.set_model_attn1_replace(attention, "middle", 0)
    Run(FAMILIES["sd15_two_levels"], steps=1, cfg=1.0)(couple(model, mode, blocks="middle"))
    q, k = kept[-1]
    kept.clear()
    Run(FAMILIES["sd15_two_levels"], steps=1, cfg=1.0)(model)
    assert torch.equal(q, kept[-1][0]) and torch.equal(k, kept[-1][1])


def test_a_compiled_network_runs_as_written_where_views_are_coupled(couple):
    """Compiled code looks neither at the range nor at the layer, and would go on with what it saw first."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    compiled: list[int] = []

    def backend(graph: Any, _: Any) -> Callable[..., Any]:
        compiled.append(1)
        return graph.forward

    model = load("sd15").clone()
    set_torch_compile_wrapper(model=model, backend=backend)
    here = Run(FAMILIES["sd15"], steps=1, cfg=1.0)
    coupled = here(couple(model, "joint"))
    assert not compiled and torch.equal(coupled, here(couple(load("sd15"), "joint")))
