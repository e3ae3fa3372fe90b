"""Coupled attention, the position in a schedule and the selection of blocks, value by value."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stereo_core.attention import AttentionMode, couple_attention, schedule_position, select_blocks

LEGAL = {"input": (1, 2, 4, 5), "middle": (0,), "output": (3, 4, 5)}


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores if mask is None else scores + mask).softmax(-1) @ v


def qkv(batch: int, tokens: int = 6, seed: int = 0) -> list[Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, tokens, 8, generator=stream, dtype=torch.float64) for _ in range(3)]


def one_pair(mode: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The table for a single pair (2, tokens, width), every row as it stands there."""
    (ql, qr), (kl, kr), (vl, vr) = q, k, v
    k_both, v_both = torch.cat([kl, kr]), torch.cat([vl, vr])
    left, right = {
        "left_kv": ((ql, kl, vl), (qr, kl, vl)),
        "joint": ((ql, k_both, v_both), (qr, k_both, v_both)),
        "right_joint": ((ql, kl, vl), (qr, k_both, v_both)),
        "left_query": ((ql, kl, vl), (ql, kr, vr)),
    }[mode]
    return torch.stack([attend(*left, None), attend(*right, None)])


@pytest.mark.parametrize("mode", AttentionMode)
def test_a_pair_follows_the_table(mode: AttentionMode):
    torch.testing.assert_close(couple_attention(attend, *qkv(2), mode), one_pair(mode.value, *qkv(2)))


@pytest.mark.parametrize("mode", AttentionMode)
def test_pairs_and_chunks_do_not_mix(mode: AttentionMode):
    # Two chunks of three pairs: entry = chunk * 6 + view * 3 + item.
    q, k, v = qkv(12)
    out = couple_attention(attend, q, k, v, mode, chunks=2)
    for chunk in range(2):
        for item in range(3):
            pair = [chunk * 6 + item, chunk * 6 + 3 + item]
            torch.testing.assert_close(out[pair], one_pair(mode.value, q[pair], k[pair], v[pair]))


@pytest.mark.parametrize("mode", AttentionMode)
@pytest.mark.parametrize("shared", [None, (2, 6), (2, 5)], ids=["all", "text", "text and a reference"])
def test_equal_views_come_out_as_without_coupling(mode: AttentionMode, shared: tuple[int, int] | None):
    views = [t.repeat(2, 1, 1) for t in qkv(3)]
    mask = torch.zeros(1, 1, 6, dtype=torch.float64)
    mask[..., 1] = -torch.inf
    for given in (None, mask):
        out = couple_attention(attend, *views, mode, shared=shared, mask=given)
        torch.testing.assert_close(out, attend(*views, given))


@pytest.mark.parametrize("mode", [mode for mode in AttentionMode if mode is not AttentionMode.JOINT])
def test_the_left_view_keeps_its_bits(mode: AttentionMode):
    q, k, v = qkv(8)
    out, plain = couple_attention(attend, q, k, v, mode, chunks=2), attend(q, k, v, None)
    for chunk in range(2):
        left, right = slice(4 * chunk, 4 * chunk + 2), slice(4 * chunk + 2, 4 * chunk + 4)
        assert torch.equal(out[left], plain[left])
        assert not torch.allclose(out[right], plain[right])


@pytest.mark.parametrize("mode", AttentionMode)
def test_heads_before_tokens_are_the_same_attention(mode: AttentionMode):
    q, k, v = qkv(4)
    apart = couple_attention(attend, q[:, None], k[:, None], v[:, None], mode, axis=2)
    torch.testing.assert_close(apart[:, 0], couple_attention(attend, q, k, v, mode))


@pytest.mark.parametrize("mode", AttentionMode)
def test_tokens_outside_the_shared_range_stay_with_their_entry(mode: AttentionMode):
    # Two text tokens, three of the picture, one of a reference.
    q, k, v = qkv(2)
    text, picture, reference = slice(0, 2), slice(2, 5), slice(5, 6)
    out = couple_attention(attend, q, k, v, mode, shared=(2, 5))
    own_q = q[1].clone()
    if mode is AttentionMode.LEFT_QUERY:
        own_q[picture] = q[0][picture]
    views = {"left_kv": (0,), "left_query": (1,)}.get(mode.value, (0, 1))
    read_k, read_v = (torch.cat([t[1][text], *(t[view][picture] for view in views), t[1][reference]]) for t in (k, v))
    # Both pictures together weigh as much against the rest as one does.
    weight = torch.zeros(len(read_k), dtype=torch.float64)
    weight[2:-1] = -math.log(len(views))
    torch.testing.assert_close(out[1], attend(own_q, read_k, read_v, weight))


@pytest.mark.parametrize("mode", AttentionMode)
@pytest.mark.parametrize("shape", [(1, 6), (6, 6), (1, 1, 6), (4, 1, 6), (4, 6, 6)])
def test_a_mask_goes_with_its_keys(mode: AttentionMode, shape: tuple[int, ...]):
    # Padding hides the first token of every view: the same as if it were not there.
    q, k, v = qkv(4)
    mask = torch.zeros(shape, dtype=torch.float64)
    mask[..., 0] = -torch.inf
    out = couple_attention(attend, q, k, v, mode, shared=(2, 6), mask=mask)
    shorter = couple_attention(attend, q[:, 1:], k[:, 1:], v[:, 1:], mode, shared=(1, 5))
    torch.testing.assert_close(out[:, 1:], shorter)


@pytest.mark.parametrize("mode", AttentionMode)
def test_a_mask_over_shared_keys_hides_them_in_both_views(mode: AttentionMode):
    q, k, v = qkv(2)
    mask = torch.zeros(2, 1, 6, dtype=torch.float64)
    mask[..., 5] = -torch.inf
    out = couple_attention(attend, q, k, v, mode, mask=mask)
    k[:, 5], v[:, 5] = 1e3, 1e3
    torch.testing.assert_close(couple_attention(attend, q, k, v, mode, mask=mask), out)


@pytest.mark.parametrize("mode", AttentionMode)
@pytest.mark.parametrize("part", [slice(0, 4), slice(4, 6)])
def test_a_layer_may_come_in_parts_of_its_queries(mode: AttentionMode, part: slice):
    q, k, v = qkv(4)
    whole = couple_attention(attend, q, k, v, mode)
    torch.testing.assert_close(couple_attention(attend, q[:, part], k, v, mode), whole[:, part])


def test_only_joint_modes_widen_keys_and_only_right_joint_halves_the_batch():
    seen: dict[str, list[tuple[int, int]]] = {}
    for mode in AttentionMode:
        calls = seen.setdefault(mode.value, [])

        def note(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, calls: list[tuple[int, int]] = calls) -> Tensor:
            assert k.is_contiguous() and v.is_contiguous() and len(q) == len(k)
            calls.append((len(q), k.shape[1]))
            return attend(q, k, v, mask)

        couple_attention(note, *qkv(4), mode)
    assert seen == {"left_kv": [(4, 6)], "joint": [(4, 12)], "right_joint": [(2, 6), (2, 12)], "left_query": [(4, 6)]}
    assert [mode.value for mode in AttentionMode if mode.widens] == ["joint", "right_joint"]


@pytest.mark.parametrize(("batch", "chunks"), [(3, 1), (6, 2)])
def test_no_pairs_are_refused(batch: int, chunks: int):
    with pytest.raises(ValueError, match=rf"{batch} queries' .* in {chunks} chunks are no pairs"):
        couple_attention(attend, *qkv(batch), AttentionMode.JOINT, chunks=chunks)


def test_position_counts_steps_done():
    levels = torch.tensor([14.6, 7.0, 3.0, 1.0, 0.0])
    assert [schedule_position(float(level), levels) for level in levels[:-1]] == [0, 0.25, 0.5, 0.75]
    assert schedule_position(5.0, levels) == 0.25  # between two levels: the step that is under way
    assert schedule_position(7.0001, levels) == 0.25  # float rounding
    assert schedule_position(20.0, levels) == 0


def test_position_of_an_ascending_schedule():
    levels = torch.tensor([1e-4, 0.25, 0.5, 1.0])
    assert [schedule_position(float(level), levels) for level in levels[:-1]] == [0, pytest.approx(1 / 3), 2 / 3]


def test_blocks_by_part_number_and_range():
    everything = {(part, number) for part, numbers in LEGAL.items() for number in numbers}
    assert select_blocks("", LEGAL) == select_blocks(" , ", LEGAL) == everything
    assert select_blocks("middle, output.4", LEGAL) == {("middle", 0), ("output", 4)}
    assert select_blocks("Input.1-4 output", LEGAL) == {
        *(("input", n) for n in (1, 2, 4)),
        *(("output", n) for n in (3, 4, 5)),
    }


@pytest.mark.parametrize("token", ["output.6", "output.3-6", "input.3", "output.5-3", "double", "4", "output.", "a b"])
def test_unknown_blocks_are_named_with_what_is_legal(token: str):
    with pytest.raises(ValueError) as caught:
        select_blocks(f"middle, {token}", LEGAL)
    assert f"blocks: {token.split()[0]!r} is no block of this model" in str(caught.value)
    assert "input.1-2, input.4-5, middle.0, output.3-5" in str(caught.value)
