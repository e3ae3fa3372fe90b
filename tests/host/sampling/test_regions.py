"""Regional prompts: the right view has each region where the shift moves it, and the left view is the host's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import equivariant as tiny
from tests.host.tiny import sampling
from tests.host.tiny import stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

HEIGHT, WIDTH, COLUMNS = 8, 16, 2
FLAT = {"max_disparity": 12.5, "convergence": 0.0, "exponent": 1.0}
SHIFTS = ["truncated", "sub_column"]


def nodes() -> dict[str, Any]:
    import nodes

    return nodes.NODE_CLASS_MAPPINGS


def by_mask(strength: float = 1.0, bounds: str = "default", left: int = 6, width: int = 4) -> list[Any]:
    """A prompt for a part of the picture by the host's node."""
    mask = torch.zeros(1, 8 * HEIGHT, 8 * WIDTH)
    mask[:, 16:48, 8 * left : 8 * (left + width)] = 1.0
    node = nodes()["ConditioningSetMask"]()
    return node.append(tiny.prompt(0.8), mask, bounds, strength)[0]


def by_area(strength: float = 1.0, left: int = 5, width: int = 8) -> list[Any]:
    """The same by a rectangle with soft edges."""
    node = nodes()["ConditioningSetArea"]()
    return node.append(tiny.prompt(0.8), 8 * width, 8 * 4, 8 * left, 16, strength)[0]


REGIONS = {
    "mask": by_mask,
    "strong mask": lambda: by_mask(8.0),
    "bounds of a mask": lambda: by_mask(1.0, "mask bounds", 4, 8),
    "area": by_area,
    "strong area": lambda: by_area(5.0),
}


def guide(model: Any, sampler: Any, positive: list[Any], batch: int = 1, negative: Any = None) -> Tensor:
    """Four steps through a guider, as SamplerCustomAdvanced makes them, in the scale of twice the prompts' levels."""
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative or tiny.prompt(0.0))
    guider.set_cfg(2.0)
    latent = torch.zeros(batch, 4, HEIGHT, WIDTH)
    noise = comfy.sample.prepare_noise(latent, 5)
    before = guider.original_conds, {name: list(entries) for name, entries in guider.original_conds.items()}
    samples = guider.sample(noise, latent, sampler, sampling.schedule("sd15", 4), disable_pbar=True, seed=5)
    assert guider.original_conds is before[0]
    assert all(
        a is b for name, entries in before[1].items() for a, b in zip(guider.original_conds[name], entries, strict=True)
    )
    return samples * model.model.latent_format.scale_factor


def together(model: Any, shift: str, positive: list[Any], depth: Tensor | None = None, **widgets: Any) -> Tensor:
    """The pair by Stereo Shift Sampler, which evaluates both views at once."""
    depth = tiny.near(HEIGHT, WIDTH) if depth is None else depth
    settings = {**FLAT, "shift_at": 0.0, "mask_every": 0.0, "fill": "background", "shift": shift, **widgets}
    return guide(model, sampling.stereo("euler", depth, **settings), positive)


def alone(model: Any, shift: str, positive: list[Any], depth: Tensor | None = None, **widgets: Any) -> Tensor:
    """The pair by Noisy Restart Sampler, once, beside a recorded left view: the right view is evaluated alone."""
    depth = tiny.near(HEIGHT, WIDTH) if depth is None else depth
    recorder = sampling.recorder("euler")
    guide(model, recorder, positive)
    settings = {**FLAT, "iterations": 1, "restart_until": 0.0, "fill": "background", "shift": shift, **widgets}
    return guide(model, video.restart(recorder.trajectory, "euler", depth, **settings), positive)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("way", [together, alone])
@pytest.mark.parametrize("region", REGIONS)
def test_a_region_moves_with_the_picture(region: str, way: Any, shift: str):
    positive = [*tiny.prompt(0.1), *REGIONS[region]()]
    model = tiny.Watched("sd15").model()
    left, right = way(model, shift, positive).chunk(2)
    assert torch.equal(left, guide(model, sampling.inner("euler"), positive))
    assert left.std() > 0.1, "the region must show"
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("way", [together, alone])
@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_without_disparity_both_views_are_the_plain_run(region: str, way: Any, shift: str):
    positive = [*tiny.prompt(0.1), *REGIONS[region]()]
    model = tiny.Watched("sd15").model()
    left, right = way(model, shift, positive, max_disparity=0.0).chunk(2)
    assert torch.equal(left, guide(model, sampling.inner("euler"), positive))
    if shift == "truncated":  # the other form takes x apart and puts it together again
        assert torch.equal(right, left)
    torch.testing.assert_close(right, left, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("way", [together, alone])
def test_halves_still_cover_the_right_view(way: Any):
    """Of one prompt for each half, nothing else: a gap would be grey, whatever is asked for."""
    node = nodes()["ConditioningSetAreaPercentage"]()
    halves = [
        entry
        for level, left in ((0.5, 0.0), (1.0, 0.5))
        for entry in node.append(tiny.prompt(level), 0.5, 1.0, left, 0.0, 1.0)[0]
    ]
    model = tiny.Watched("sd15").model()
    left, right = way(model, "truncated", halves).chunk(2)
    assert torch.equal(left, guide(model, sampling.inner("euler"), halves))
    middle = right[0, 0, HEIGHT // 2]
    assert (middle > 0.8).all(), "a gap"
    assert (middle > 1.5).nonzero().flatten().tolist() == [*range(WIDTH // 2 - COLUMNS, WIDTH)]


@pytest.mark.parametrize("way", [together, alone])
def test_what_has_left_the_right_picture_is_left_out(way: Any):
    node = nodes()["ConditioningSetAreaPercentage"]()
    edge = node.append(tiny.prompt(0.8), 1 / WIDTH, 1.0, 0.0, 0.0, 1.0)[0]
    model = tiny.Watched("sd15").model()
    left, right = way(model, "truncated", [*tiny.prompt(0.1), *edge]).chunk(2)
    assert left[..., 0].min() > 0.7 and left[..., 1:].max() < 0.4 and right.max() < 0.4


@pytest.mark.parametrize("way", [together, alone])
def test_a_strong_region_around_a_near_block_moves_with_it(way: Any):
    """Of a mask left where it was, the stereo would be gone: its place outweighs everything."""
    depth = torch.zeros(1, 8 * HEIGHT, 8 * WIDTH, 3)
    depth[:, 16:48, 48:80] = 1.0
    model = tiny.Watched("sd15").model()
    left, right = way(model, "truncated", [*tiny.prompt(0.1), *by_mask(100.0)], depth).chunk(2)
    row = (view[0, 0, HEIGHT // 2] > 1.2 for view in (left, right))
    assert [place.nonzero().flatten().tolist() for place in row] == [[6, 7, 8, 9], [4, 5, 6, 7]]


def test_shifted_both_ways_a_region_moves_both_ways():
    model = tiny.Watched("sd15").model()
    positive = [*tiny.prompt(0.1), *by_mask(100.0)]
    left, right = together(model, "truncated", positive, shift_both=True).chunk(2)
    row = (view[0, 0, HEIGHT // 2] > 1.2 for view in (left, right))
    assert [place.nonzero().flatten().tolist() for place in row] == [[7, 8, 9, 10], [5, 6, 7, 8]]


def test_each_of_two_pictures_has_its_own_region_and_depth():
    masks = torch.zeros(2, 8 * HEIGHT, 8 * WIDTH)
    masks[0, 16:48, 48:80], masks[1, 16:48, 64:96] = 1.0, 1.0
    positive = nodes()["ConditioningSetMask"]().append(tiny.prompt(0.8), masks, "default", 100.0)[0]
    depth = torch.cat([tiny.near(HEIGHT, WIDTH), torch.zeros(1, 8 * HEIGHT, 8 * WIDTH, 3)])
    settings = {**FLAT, "shift_at": 0.0, "mask_every": 0.0, "shift": "truncated"}
    model = tiny.Watched("sd15").model()
    out = guide(model, sampling.stereo("euler", depth, **settings), [*tiny.prompt(0.1), *positive], batch=2)
    places = [(one[0, HEIGHT // 2] > 1.2).nonzero().flatten().tolist() for one in out]
    assert places == [[6, 7, 8, 9], [8, 9, 10, 11], [4, 5, 6, 7], [8, 9, 10, 11]]


def clip_places(model: Any, there: list[Any], depth: Tensor, frames: int) -> list[list[list[int]]]:
    """The columns that a strong prompt for a part of a clip fills, by view and frame."""
    import comfy.samplers

    settings = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0, "shift": "truncated"}
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds([*tiny.prompt(0.1, 64), *there], tiny.prompt(0.0, 64))
    latent, sigmas = torch.zeros(1, 16, frames, 4, 8), sampling.schedule("wan", 3)
    sampler = sampling.stereo("euler", depth, **settings, shift_at=0.0, mask_every=0.0)
    pair = guider.sample(torch.zeros_like(latent), latent, sampler, sigmas, disable_pbar=True, seed=5)
    pair = model.model.process_latent_in(pair)[:, 0, :, 2]
    return [[(row > 0.4).nonzero().flatten().tolist() for row in view] for view in pair]


def middle_of_a_clip() -> list[Any]:
    mask = torch.zeros(1, 32, 64)
    mask[..., 24:40] = 1.0
    return nodes()["ConditioningSetMask"]().append(tiny.prompt(0.8, 64), mask, "default", 100.0)[0]


@pytest.mark.parametrize("kind", ["mask", "area"])
def test_in_a_clip_a_region_moves_frame_by_frame(kind: str):
    """The first and the last frame are near, the one between them is not."""
    there = middle_of_a_clip()
    if kind == "area":
        there = nodes()["ConditioningSetArea"]().append(tiny.prompt(0.8, 64), 64, 32, 24, 0, 100.0)[0]
        there[0][1]["area"] = (4, 2, 0, 3)  # the node makes none so narrow
    depth = torch.ones(3, 32, 64, 3)
    depth[1] = 0.0
    places = clip_places(tiny.Watched("wan").model(), there, depth, 3)
    assert places == [[[3, 4]] * 3, [[1, 2], [3, 4], [1, 2]]]


def test_context_windows_take_a_region_that_all_frames_share():
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    options = (3, 1, "standard_static", 1, False, "pyramid", 2, False)
    model = ContextWindowsManualNode.execute(tiny.Watched("wan").model(), *options)[0]
    assert clip_places(model, middle_of_a_clip(), torch.ones(1, 32, 64, 3), 5) == [[[3, 4]] * 5, [[1, 2]] * 5]


def test_a_guider_gets_its_own_conditions_back(pack: Any):
    guider = SimpleNamespace(conds={"positive": ["own"]})
    own = guider.conds
    with pytest.raises(ZeroDivisionError), pack("nodes.sampling.conditions").guided_by(guider, {"positive": []}):
        assert guider.conds == {"positive": []}
        raise ZeroDivisionError
    assert guider.conds is own


def test_a_region_in_a_part_of_the_schedule_acts_in_that_part():
    late = nodes()["ConditioningSetTimestepRange"]().set_range(by_mask(), 0.6, 1.0)[0]
    watched = tiny.Watched("sd15")
    together(watched.model(), "truncated", [*tiny.prompt(0.1), *late])
    chunks = [len(given["options"]["cond_or_uncond"]) for given in watched.given]
    assert chunks[0] == 2 and chunks[-1] == 3


def test_only_a_rectangle_that_moves_costs_an_evaluation_more():
    watched = tiny.Watched("sd15")
    together(watched.model(), "truncated", [*tiny.prompt(0.1), *by_mask()])
    counts = [len(given["x"]) for given in watched.given]
    assert counts == [3] * 4 + [6] * 4, "two prompts and the negative one, for the left view, then for both"
    watched.given.clear()
    together(watched.model(), "truncated", [*tiny.prompt(0.1), *by_area()])
    entries = {tuple(given["x"].shape[-2:]): 0 for given in watched.given}
    for given in watched.given:
        entries[tuple(given["x"].shape[-2:])] += len(given["x"])
    # The host gives the negative prompt the same rectangle, so two prompts in two rectangles: for the left view, then
    # for two views.
    assert entries == {(8, 16): 4 * (2 + 4), (4, 8): 4 * (2 + 8)}


def test_the_boxes_of_gligen_move():
    from comfy.model_patcher import ModelPatcher

    class Boxes(torch.nn.Module):
        def set_position(self, shape: Any, boxes: Any, device: Any) -> Any:  # noqa: ARG002
            seen.append([box[1:] for box in boxes])
            return lambda x, options: x  # noqa: ARG005

    seen: list[Any] = []
    model = tiny.Watched("sd15").model()
    gligen = ModelPatcher(Boxes(), torch.device("cpu"), torch.device("cpu"))
    boxes = [(torch.zeros(1, 768), 4, 4, 2, 6)]  # rows, columns, from row, from column
    together(model, "truncated", tiny.prompt(0.1, gligen=("position", gligen, boxes)))
    assert {tuple(box) for (box,) in seen} == {(4, 4, 2, 6), (4, 4, 2, 4)}
    seen.clear()
    together(model, "truncated", tiny.prompt(0.1, gligen=("position", gligen, boxes)), max_disparity=0.0)
    assert {tuple(box) for (box,) in seen} == {(4, 4, 2, 6)} and len(boxes) == 1
