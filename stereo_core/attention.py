"""Cross-view attention: the self-attention of a pair, with one view's tokens read by the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import torch
from torch import Tensor

# A sampler that computes its noise levels itself gets them right only up to float rounding.
_RELATIVE = 1e-4

_TOKEN = re.compile(r"([a-z]+)(?:\.(\d+)(?:-(\d+))?)?")

Attend = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]
"""Plain attention of queries, keys, values (batch first, any head layout) and a mask; batch first out."""


class AttentionMode(str, Enum):
    """What a view's queries read."""

    LEFT_KV = "left_kv"
    JOINT = "joint"
    RIGHT_JOINT = "right_joint"
    LEFT_QUERY = "left_query"

    @property
    def widens(self) -> bool:
        """Whether keys and values grow, and attention's cost and memory with them."""
        return self in (AttentionMode.JOINT, AttentionMode.RIGHT_JOINT)


def couple_attention(
    attend: Attend,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mode: AttentionMode,
    chunks: int = 1,
    shared: tuple[int, int] | None = None,
    axis: int = 1,
    mask: Tensor | None = None,
) -> Tensor:
    r"""Run one self-attention layer over a batch of pairs, coupled across the views.

    With :math:`A(Q, K, V) = \operatorname{softmax}(Q K^\top / \sqrt d)\, V` and L, R the views of a pair:

    =============  ================================  ================================  =======================
    mode           left view                         right view                        source
    =============  ================================  ================================  =======================
    left_kv        :math:`A(Q_L, K_L, V_L)`          :math:`A(Q_R, K_L, V_L)`          StereoDiffusion, uni
    joint          :math:`A(Q_L, K_{L,R}, V_{L,R})`  :math:`A(Q_R, K_{L,R}, V_{L,R})`  StereoDiffusion, bi
    right_joint    :math:`A(Q_L, K_L, V_L)`          :math:`A(Q_R, K_{L,R}, V_{L,R})`  ours
    left_query     :math:`A(Q_L, K_L, V_L)`          :math:`A(Q_L, K_R, V_R)`          StereoCrafter-Zero
    =============  ================================  ================================  =======================

    Only ``joint`` changes the left view; the others compute it from the same values in the same way as ``attend``
    alone. ``left_kv`` and ``left_query`` cost what ``attend`` alone costs, ``right_joint`` one and a half times as
    much, ``joint`` twice.

    Where a view reads both, it reads its tokens that are not shared twice as well. Otherwise the picture, being there
    twice, would outweigh the text: reading the text twice is the same as :math:`-\log 2` on the logits of both
    pictures, on every backend. So a pair of equal views comes out of every mode as of ``attend`` alone.

    Sources: StereoDiffusion (Wang et al., CVPRW 2024), section 3.3 and Algorithm 1, whose edit of the attention
    is given by its published code; StereoCrafter-Zero, Eq. 9.

    Args:
        attend: the layer's own attention; given contiguous keys and values, half the batch by ``right_joint``.
        query: (chunks * 2 * B, ...), tokens on ``axis``; within a chunk all left entries, then all right ones.
            Chunks are batches that share nothing, such as the conditional and the unconditional.
        key: as ``query``, any number of tokens.
        value: as ``key``.
        mode: the row of the table.
        chunks: how many of them the batch axis holds.
        shared: (start, stop) of the key tokens that are exchanged, counted from the end of the text tokens; every
            other token stays with its own entry, as text does in joint attention. ``None`` is all tokens.
        axis: the token axis, 1 of (batch, tokens, width) or 2 of (batch, heads, tokens, width).
        mask: broadcastable to (..., queries, keys), boolean or added; its first of three or more axes is 1 or the
            batch.

    Returns:
        What ``attend`` returns for the whole batch, in its order.

    Raises:
        ValueError: the batch does not divide into pairs.
    """
    if query.shape[0] % (2 * chunks) or key.shape[0] != query.shape[0]:
        raise ValueError(
            f"attention: {query.shape[0]} queries' and {key.shape[0]} keys' entries in {chunks} chunks are no pairs. "
            "Give as many right entries as left ones."
        )
    start, stop = shared or (0, key.shape[axis])
    if mode is AttentionMode.LEFT_KV:
        left_key, left_value = (_left_in_right(t, chunks, axis, start, stop) for t in (key, value))
        return attend(query, left_key, left_value, mask)
    if mode is AttentionMode.LEFT_QUERY:
        query_stop = query.shape[axis] - (key.shape[axis] - stop)
        return attend(_left_in_right(query, chunks, axis, start, query_stop), key, value, mask)

    wide_mask = mask if mask is None or mask.shape[-1] == 1 else torch.cat([mask, mask], -1)
    (left_key, right_key), (left_value, right_value) = (_views(t, chunks) for t in (key, value))
    if mode is AttentionMode.JOINT:
        wide_key = _with_other(key, _stack(right_key, left_key, chunks), axis, start, stop)
        wide_value = _with_other(value, _stack(right_value, left_value, chunks), axis, start, stop)
        return attend(query, wide_key, wide_value, wide_mask)

    left_query, right_query = _views(query, chunks)
    left_out = attend(left_query, left_key, left_value, _mask_views(mask, query, chunks)[0])
    right_out = attend(
        right_query,
        _with_other(right_key, left_key, axis, start, stop),
        _with_other(right_value, left_value, axis, start, stop),
        _mask_views(wide_mask, query, chunks)[1],
    )
    return _stack(left_out, right_out, chunks)


def schedule_position(sigma: float, sigmas: Tensor) -> float:
    """Return how much of a schedule is done when a model is asked at a noise level.

    Args:
        sigma: the level of the call; one between two levels belongs to the step that starts above it.
        sigmas: (N + 1,) the whole schedule, descending, or ascending for an inversion.

    Returns:
        Steps done over N: 0 at the first step, (N - 1) / N at the last.
    """
    ends: list[float] = sigmas[1:].tolist()
    slack = _RELATIVE * abs(sigma)
    if sigmas[0] < sigmas[-1]:
        done = sum(end <= sigma + slack for end in ends)
    else:
        done = sum(end >= sigma - slack for end in ends)
    return done / len(ends)


def select_blocks(selection: str, legal: Mapping[str, Sequence[int]]) -> frozenset[tuple[str, int]]:
    """Read a selection of a model's blocks.

    Args:
        selection: parts, single blocks and ranges, separated by commas or spaces, such as ``"middle, output.3-5"``;
            empty for all.
        legal: the numbers of the blocks that can be selected, ascending, by the name of their part.

    Returns:
        (part, number) of each selected block.

    Raises:
        ValueError: a token that names no such block; it is quoted, with what is legal.
    """
    blocks: set[tuple[str, int]] = set()
    for token in selection.lower().replace(",", " ").split():
        match = _TOKEN.fullmatch(token)
        part, first, last = match.groups() if match else ("", None, None)
        numbers = legal.get(part, ())
        if first is not None and numbers:
            ends = int(first), int(last or first)
            # A range that hangs over was written for another model.
            numbers = [n for n in numbers if ends[0] <= n <= ends[1]] if ends[1] <= numbers[-1] else ()
        if not numbers:
            raise ValueError(
                f"blocks: {token!r} is no block of this model. Legal are {_spell(legal)}; "
                "write a part, a block such as output.3, or a range such as output.3-5."
            )
        blocks.update((part, number) for number in numbers)
    return frozenset(blocks or ((part, number) for part, numbers in legal.items() for number in numbers))


def _spell(legal: Mapping[str, Sequence[int]]) -> str:
    spelled = []
    for part, numbers in legal.items():
        runs: list[list[int]] = []
        for number in numbers:
            if runs and number == runs[-1][-1] + 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        spelled += [f"{part}.{run[0]}" + (f"-{run[-1]}" if len(run) > 1 else "") for run in runs]
    return ", ".join(spelled)


def _views(batch: Tensor, chunks: int) -> tuple[Tensor, Tensor]:
    left, right = batch.reshape(chunks, 2, -1, *batch.shape[1:]).unbind(1)
    return left.flatten(0, 1), right.flatten(0, 1)


def _stack(left: Tensor, right: Tensor, chunks: int) -> Tensor:
    views = [view.reshape(chunks, -1, *view.shape[1:]) for view in (left, right)]
    return torch.stack(views, dim=1).flatten(0, 2)


def _left_in_right(batch: Tensor, chunks: int, axis: int, start: int, stop: int) -> Tensor:
    left, right = _views(batch, chunks)
    length = batch.shape[axis]
    if stop - start == length:
        return _stack(left, left, chunks)
    parts = [
        right.narrow(axis, 0, start),
        left.narrow(axis, start, stop - start),
        right.narrow(axis, stop, length - stop),
    ]
    return _stack(left, torch.cat(parts, axis), chunks)


def _with_other(own: Tensor, other: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """Return all tokens of ``own``, then all of them again with the shared ones of ``other`` in their place."""
    shared = other.narrow(axis, start, stop - start)
    before, after = own.narrow(axis, 0, start), own.narrow(axis, stop, own.shape[axis] - stop)
    return torch.cat([own, before, shared, after], axis)


def _mask_views(mask: Tensor | None, query: Tensor, chunks: int) -> tuple[Tensor | None, Tensor | None]:
    if mask is None or mask.ndim < 3 or mask.shape[0] != query.shape[0]:
        return mask, mask
    return _views(mask, chunks)
