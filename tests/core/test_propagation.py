"""Depth carried along the motion: against the paper's procedure word for word, known motions, and real frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from stereo_core import propagation
from stereo_core.metrics import flicker
from stereo_core.optical_flow import optical_flow, sample_along
from stereo_core.propagation import (
    Averaging,
    PairFlow,
    consistency,
    end_motion,
    follow_motion,
    propagate,
)

from .kept_states import LENGTHS, taken_up_again

FRAMES = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "raft_demo_frames"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smooth_flows(pairs: int, height: int, width: int) -> list[PairFlow]:
    """Flows of up to three pixels; the backward ones are not the forward ones turned round."""
    coarse = functional.interpolate(noise(pairs * 2, 2, 4, 5), (height, width), mode="bicubic")
    return [PairFlow(coarse[2 * i], 0.3 * coarse[2 * i + 1] - 0.9 * coarse[2 * i]) for i in range(pairs)]


def word_for_word(depth: Tensor, flows: list[PairFlow], averaging: Averaging, reach: int) -> Tensor:
    """Every source alone, frame by frame, in float64: D_t+1(x) = D_t(x + F_t+1->t(x)), and its weight likewise."""
    frames, _, height, width = depth.shape
    total, weights = depth.double(), torch.ones_like(depth, dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    for source in range(frames):
        for direction in (1, -1):
            carried, weight = depth[source].double(), torch.ones(1, height, width, dtype=torch.float64)
            frame = source
            while 0 <= frame + direction < frames and (reach == 0 or abs(frame + direction - source) <= reach):
                pair = flows[min(frame, frame + direction)]
                there, back = (pair.forward, pair.backward) if direction > 0 else (pair.backward, pair.forward)
                grid = torch.stack([(x + back[0] + 0.5) / width * 2 - 1, (y + back[1] + 0.5) / height * 2 - 1], -1)
                sample = {"padding_mode": "border", "align_corners": False}
                both = torch.cat([carried * weight, weight])[None]
                product, weight = functional.grid_sample(both, grid[None], **sample)[0].chunk(2)
                carried = product / weight.clamp_min(1e-300)
                weight = weight * (grid.abs() <= 1).all(-1)
                if averaging is Averaging.CONSISTENT:
                    returned = functional.grid_sample(there.double()[None], grid[None], **sample)[0]
                    weight = weight * torch.exp(-(back + returned).square().sum(0) / (2 * 0.25**2))
                frame += direction
                total[frame] += carried * weight
                weights[frame] += weight
    return total / weights


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("averaging", Averaging)
def test_it_is_the_procedure_of_the_paper(averaging: Averaging, reach: int):
    depth, flows = noise(7, 1, 20, 26).sigmoid(), smooth_flows(6, 20, 26)
    steady = propagate(depth, flows, averaging, reach)
    expected = word_for_word(depth, flows, averaging, reach)
    torch.testing.assert_close(steady.double(), expected, rtol=0, atol=2e-4)
    assert (steady - depth).abs().max() > 0.1


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_a_bound_on_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch, sources: int):
    depth, flows = noise(9, 1, 16, 20), smooth_flows(8, 16, 20)
    whole = propagate(depth, flows, Averaging.CONSISTENT, 4)
    seen = []
    warp = propagation.sample_along
    monkeypatch.setattr(propagation, "_CARRIED", sources * 2 * 16 * 20 * 4)
    monkeypatch.setattr(
        propagation, "sample_along", lambda values, flow: (seen.append(values.shape[1]), warp(values, flow))[1]
    )
    torch.testing.assert_close(propagate(depth, flows, Averaging.CONSISTENT, 4), whole, rtol=0, atol=1e-5)
    assert max(seen) == 2 * sources


def test_a_bound_that_holds_the_reach_changes_no_bit(monkeypatch: pytest.MonkeyPatch):
    depth, flows = noise(9, 1, 16, 20), smooth_flows(8, 16, 20)
    whole = propagate(depth, flows, Averaging.CONSISTENT, 4)
    monkeypatch.setattr(propagation, "_CARRIED", 4 * 2 * 16 * 20 * 4)
    assert torch.equal(propagate(depth, flows, Averaging.CONSISTENT, 4), whole)


@pytest.mark.parametrize("averaging", Averaging)
@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize("frames", LENGTHS)
def test_frame_by_frame_with_a_saved_state_it_is_the_whole_clip_to_the_bit(
    frames: int, reach: int, averaging: Averaging
):
    depth, flows = noise(frames, 1, 16, 20), [None, *smooth_flows(max(frames - 1, 1), 8, 10)][:frames]
    for cut in (1, 3, 9, 16):
        flows[cut : cut + 1] = [None] * len(flows[cut : cut + 1])
    state, found = None, []
    for one, flow in zip(depth.split(1), flows, strict=True):
        given, state = follow_motion(one, flow, state, averaging, reach)
        found += given
        state = taken_up_again(state)
        assert len(state.depth) <= 4 * reach, "what is kept does not grow"
    found += end_motion(state, averaging, reach)
    assert torch.equal(torch.cat(found), propagate(depth, flows[1:], averaging, reach))


def test_a_whole_scene_or_too_long_a_reach_cannot_be_streamed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(propagation, "_CARRIED", 3 * 2 * 8 * 9 * 4)
    for reach in (0, 4):
        with pytest.raises(ValueError, match=f"reach: got {reach}. Give 1 to 3 frames for maps of 9x8"):
            follow_motion(noise(1, 1, 8, 9), None, None, reach=reach)
    assert follow_motion(noise(1, 1, 8, 9), None, None, reach=3)[0] == []


def test_with_no_limit_of_reach_one_map_is_carried(monkeypatch: pytest.MonkeyPatch):
    seen = []
    warp = propagation.sample_along
    monkeypatch.setattr(
        propagation, "sample_along", lambda values, flow: (seen.append(values.shape[1]), warp(values, flow))[1]
    )
    propagate(noise(9, 1, 16, 20), smooth_flows(8, 16, 20))
    assert seen == [2] * 16


def still(frames: int, height: int, width: int) -> list[PairFlow]:
    return [PairFlow(*torch.zeros(2, 2, height, width))] * (frames - 1)


@pytest.mark.parametrize("reach", [0, 3])
@pytest.mark.parametrize("averaging", Averaging)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_still_clip_stays_to_the_bit(averaging: Averaging, reach: int, dtype: torch.dtype):
    depth = torch.rand(1, 1, 30, 41).to(dtype).repeat(11, 1, 1, 1)
    steady = propagate(depth, still(11, 30, 41), averaging, reach)
    assert torch.equal(steady, depth) and steady.dtype == dtype


def test_noise_on_a_still_clip_becomes_its_mean():
    depth = noise(10, 1, 20, 30)
    steady = propagate(depth, still(10, 20, 30))
    torch.testing.assert_close(steady, depth.mean(0, keepdim=True).expand_as(depth), rtol=0, atol=1e-5)


def test_one_frame_is_returned_as_it_is():
    depth = noise(1, 1, 5, 6)
    steady = propagate(depth, [])
    assert torch.equal(steady, depth) and steady.data_ptr() != depth.data_ptr()


def moving_box(frames: int, columns: int, height: int = 40, width: int = 80) -> tuple[Tensor, list[PairFlow], Tensor]:
    """A near box (0.9) that moves over a still background (0.2), the true flows, and where the box is."""
    box = torch.zeros(frames, 1, height, width, dtype=torch.bool)
    for frame in range(frames):
        box[frame, :, 12:28, 10 + columns * frame : 26 + columns * frame] = True
    motion = torch.tensor([float(columns), 0.0]).view(2, 1, 1)
    flows = [PairFlow(motion * box[frame], -motion * box[frame + 1]) for frame in range(frames - 1)]
    return torch.where(box, 0.9, 0.2), flows, box


@pytest.mark.parametrize("averaging", Averaging)
def test_a_moving_object_stays_sharp_and_in_place(averaging: Averaging):
    depth, flows, box = moving_box(6, 4)
    steady = propagate(depth + 0.1 * noise(*depth.shape), flows, averaging)
    inner = -functional.max_pool2d(-box.float(), 3, 1, 1) > 0
    assert (steady - depth)[inner].abs().mean() < 0.1 / 6**0.5
    # The edge in front of the object, where nothing is hidden or comes into sight from behind it in either direction.
    for frame in range(6):
        edge = 26 + 4 * frame
        assert steady[frame, 0, 13:27, edge - 1].min() > 0.7
    if averaging is Averaging.CONSISTENT:
        assert ((steady > 0.55) == box).all()


def test_without_the_motion_the_object_smears():
    depth, _, box = moving_box(6, 4)
    assert ((propagate(depth, still(6, 40, 80)) > 0.55) != box).any()


def test_beside_a_moving_object_consistent_beats_the_plain_mean():
    depth, flows, box = moving_box(6, 4)
    beside = functional.max_pool2d(box.float(), 25, 1, 12).bool() & ~box
    error = {a: (propagate(depth, flows, a) - depth)[beside].abs().mean().item() for a in Averaging}
    assert error[Averaging.MEAN] > 0.02
    assert error[Averaging.CONSISTENT] < 1e-5


def test_what_comes_from_outside_the_frame_does_not_count():
    depth = torch.rand(2, 1, 10, 20)
    motion = torch.tensor([5.0, 0.0]).view(2, 1, 1).expand(2, 10, 20)
    steady = propagate(depth, [PairFlow(motion, -motion)])
    assert torch.equal(steady[1, ..., :5], depth[1, ..., :5])
    assert torch.equal(steady[0, ..., -5:], depth[0, ..., -5:])
    torch.testing.assert_close(steady[1, ..., 5:], (depth[1, ..., 5:] + depth[0, ..., :-5]) / 2, rtol=0, atol=1e-4)


def test_flows_of_another_size_serve():
    depth = torch.rand(1, 1, 24, 40)
    clip = torch.cat([depth.roll(4 * frame, -1) for frame in range(3)])
    motion = torch.tensor([2.0, 0.0]).view(2, 1, 1).expand(2, 12, 20)
    steady = propagate(clip, [PairFlow(motion, -motion)] * 2)
    torch.testing.assert_close(steady[1, ..., 4:-4], clip[1, ..., 4:-4], rtol=0, atol=1e-4)


def test_nothing_crosses_a_cut():
    depth = noise(7, 1, 12, 16)
    flows: list[PairFlow | None] = [*smooth_flows(6, 12, 16)]
    flows[2] = flows[5] = None
    steady = propagate(depth, flows, reach=2)
    apart = [propagate(depth[:3], flows[:2], reach=2), propagate(depth[3:6], flows[3:5], reach=2), depth[6:]]
    assert torch.equal(steady, torch.cat(apart))


def test_consistency_is_one_where_the_ways_meet_and_zero_where_one_is_hidden():
    _, flows, box = moving_box(2, 4)
    forward, backward = (flow[None] for flow in flows[0])
    hidden = box[1:] & ~box[:1]  # of the background, by the box in the second frame
    agree = consistency(forward, backward)
    assert (agree[~hidden] == 1).all() and agree[hidden].max() < 1e-6


@pytest.fixture(scope="module")
def sintel() -> tuple[Tensor, list[PairFlow]]:
    """Ten real frames (10, 3, 102, 240), and the flow between them."""
    files = sorted(FRAMES.glob("*.png"))
    if len(files) != 10:
        pytest.skip("the ten frames (shared/data/video/raft_demo_frames) are not beside the project")
    pictures = [torch.from_numpy(np.array(Image.open(file).convert("RGB"))).movedim(-1, 0)[None] for file in files]
    clip = functional.interpolate(torch.cat(pictures) / 255, (102, 240), mode="bilinear", antialias=True)
    pairs = [clip[index : index + 2] for index in range(9)]
    return clip, [PairFlow(*optical_flow(pair, pair.flip(0))) for pair in pairs]


def flicker_along(depth: Tensor, flows: list[PairFlow]) -> float:
    """Mean change of the depth along the motion, over the pixels that both frames show."""
    changes = []
    for index, (forward, backward) in enumerate(flows):
        before, inside = sample_along(depth[index : index + 1], backward[None])
        seen = inside & (consistency(backward[None], forward[None]) > 0.9)
        changes.append((before - depth[index + 1 : index + 2])[seen].abs().mean())
    return torch.stack(changes).mean().item()


@pytest.mark.parametrize(
    ("averaging", "reach", "along", "standing"),
    [(Averaging.MEAN, 0, 10, 5), (Averaging.CONSISTENT, 0, 8, 4), (Averaging.CONSISTENT, 4, 6, 3.5)],
)
def test_on_real_frames_the_flicker_of_a_noisy_depth_falls(
    sintel: tuple[Tensor, list[PairFlow]], averaging: Averaging, reach: int, along: float, standing: float
):
    """The depth is the brightness of the frames: a map whose true motion is theirs."""
    clip, flows = sintel
    true = functional.avg_pool2d(clip.mean(1, keepdim=True), 3, 1, 1)
    noisy = true + 0.1 * noise(*true.shape)
    steady = propagate(noisy, flows, averaging, reach)
    assert flicker_along(steady, flows) < flicker_along(noisy, flows) / along
    assert flicker(steady, clip).nanmean() < flicker(noisy, clip).nanmean() / standing
    # It follows what moves: it comes nearer to every frame's own true map, which no still mean does.
    error, before = ((d - true).square().mean((1, 2, 3)).sqrt() for d in (steady, noisy))
    assert (error < 0.5 * before).all()
    assert error.mean() < 0.6 * (true.mean(0) - true).square().mean((1, 2, 3)).sqrt().mean()


def test_on_real_frames_consistent_keeps_a_clean_depth_better(sintel: tuple[Tensor, list[PairFlow]]):
    clip, flows = sintel
    true = clip.mean(1, keepdim=True)
    error = {a: (propagate(true, flows, a) - true).square().mean().item() for a in Averaging}
    assert error[Averaging.CONSISTENT] < 0.5 * error[Averaging.MEAN]


def test_an_interrupt_stops_it_at_once_and_leaves_the_depth():
    depth, steps = noise(6, 1, 8, 9), []
    before = depth.clone()

    def interrupt() -> None:
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        propagate(depth, smooth_flows(5, 8, 9), on_step=interrupt)
    assert len(steps) == 3 and torch.equal(depth, before)


def test_bad_input_is_refused():
    depth, flows = noise(3, 1, 8, 9), smooth_flows(2, 8, 9)
    with pytest.raises(ValueError, match=r"depth: expected \(T, 1, H, W\), got \(3, 8, 9\)"):
        propagate(depth[:, 0], flows)
    with pytest.raises(ValueError, match="flows: got 1 for 3 maps"):
        propagate(depth, flows[:1])
    with pytest.raises(ValueError, match="reach: got -1"):
        propagate(depth, flows, reach=-1)
    with pytest.raises(ValueError, match="depth: holds NaN"):
        propagate(depth * torch.nan, flows)
    with pytest.raises(ValueError, match="backward: holds NaN"):
        propagate(depth, [flows[0], PairFlow(flows[1].forward, flows[1].backward * torch.nan)])
    with pytest.raises(ValueError, match=r"forward: expected \(2, h, w\), got \(1, 8, 9\)"):
        propagate(depth, [flows[0], PairFlow(flows[1].forward[:1], flows[1].backward)])
    with pytest.raises(ValueError, match="median"):
        propagate(depth, flows, "median")
