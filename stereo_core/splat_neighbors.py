"""Which Gaussians lie next to each: exactly, in far less than all pairs, and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_NEIGHBORS = 8
_LEAF = 32  # points that are looked at together
_AT_ONCE = 2**22  # distances


def neighbors(positions: Tensor) -> Tensor:
    """Return the (N, 8) indices of each position's nearest others; of fewer than nine positions, of all others.

    The leaves of a balanced k-d tree (Bentley, 1975) are compared with those that are no farther away than the eighth
    neighbor within the leaf itself.
    """
    total = len(positions)
    count = min(_NEIGHBORS, total - 1)
    if count < 1:
        return torch.zeros(total, 0, dtype=torch.long, device=positions.device)
    leaves = _leaves(positions)
    # One more leaf, and one more position, that are nowhere.
    leaves = torch.cat([leaves, torch.full_like(leaves[:1], total)])
    points = torch.cat([positions, torch.full_like(positions[:1], torch.inf)])[leaves]
    found = torch.zeros(total, count, dtype=torch.long, device=positions.device)
    for some, others in _close(leaves, points, total, count):
        candidates = leaves[others].flatten(1)
        apart = _apart(points[some], points[others].flatten(1, 2))
        apart.masked_fill_(leaves[some][:, :, None] == candidates[:, None], torch.inf)
        nearest = apart.topk(count, largest=False).indices
        indices = candidates[:, None].expand(-1, nearest.shape[1], -1).gather(2, nearest)
        real = leaves[some] < total
        found[leaves[some][real]] = indices[real]
    return found


def _leaves(positions: Tensor) -> Tensor:
    """(M, L) indices of what lies together, halved along the longest side again and again; N stands for none."""
    total = len(positions)
    levels = max(0, (-(-total // _LEAF) - 1).bit_length())
    padding = positions.new_full((-total % 2**levels, 3), torch.inf)
    points = torch.cat([positions, padding])
    nodes = torch.arange(len(points), device=positions.device)[None]
    for _ in range(levels):
        placed = points[nodes]
        lowest = placed.amin(dim=1)
        axis = (_highest(placed) - lowest).nan_to_num(0.0).argmax(dim=1)
        along = placed.gather(2, axis[:, None, None].expand(-1, placed.shape[1], 1))[..., 0]
        nodes = nodes.gather(1, along.argsort(dim=1)).view(2 * len(nodes), -1)
    return nodes.clamp(max=total)


def _close(leaves: Tensor, points: Tensor, total: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give (G,) leaves, and (G, W) others, that hold all near neighbors; the last leaf fills up."""
    none, size = len(leaves) - 1, leaves.shape[1]
    lowest, highest = points.amin(dim=1), _highest(points)
    rows = max(1, _AT_ONCE // size**2)
    reach = torch.cat(
        [
            _reach(some, placed, total, count)
            for some, placed in zip(torch.split(leaves, rows), torch.split(points, rows), strict=True)
        ]
    )
    for of_pairs, others in _pairs(lowest[:none], highest[:none], reach[:none]):
        found, width = torch.unique_consecutive(of_pairs, return_counts=True)
        start = width.cumsum(dim=0) - width
        order = width.argsort()
        while len(order):
            most = int(width[order[-1]])
            group = order[-max(1, _AT_ONCE // (most * size**2)) :]
            order = order[: -len(group)]
            places = torch.arange(most, device=leaves.device)
            inside = places < width[group, None]
            yield found[group], torch.where(inside, others[torch.where(inside, start[group, None] + places, 0)], none)


def _pairs(lowest: Tensor, highest: Tensor, reach: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give (P,) leaves, in order, and (P,) leaves whose boxes are within the reach of those, all of a leaf together.

    All leaves go down the tree at once, and leave out what is too far away; where much lies near, a part at a time.
    """
    levels = (len(lowest) - 1).bit_length()
    every = torch.arange(len(lowest), device=lowest.device)
    parts = [(every, torch.zeros_like(every), 0)]
    while parts:
        leaf, node, level = parts.pop()
        below = 2 ** (levels - level)  # leaves of a node
        gap = torch.zeros_like(reach[leaf])
        for low, high in zip(lowest.T, highest.T, strict=True):
            node_low, node_high = low.view(-1, below).amin(dim=1)[node], high.view(-1, below).amax(dim=1)[node]
            gap += torch.maximum(node_low - high[leaf], low[leaf] - node_high).clamp(min=0).square()
        close = gap <= reach[leaf]
        leaf, node = leaf[close], node[close]
        if level == levels:
            if len(leaf):
                yield leaf, node
            continue
        if len(leaf) > _AT_ONCE // 2 and leaf[0] < leaf[-1]:
            cut = int(torch.searchsorted(leaf, leaf[len(leaf) // 2]))
            cut = cut or int(torch.searchsorted(leaf, leaf[0], right=True))
            some = [(leaf[:cut], node[:cut]), (leaf[cut:], node[cut:])]
        else:
            some = [(leaf, node)]
        children = torch.arange(2, device=node.device)
        parts += [
            (one.repeat_interleave(2), (2 * other[:, None] + children).flatten(), level + 1) for one, other in some
        ]


def _reach(leaves: Tensor, points: Tensor, total: int, count: int) -> Tensor:
    """(M,) squared distances within which all of a leaf's points have so many neighbors; below 0 without points."""
    real = leaves < total
    if leaves.shape[1] <= count:
        nearest = torch.full_like(points[..., 0], torch.inf)
    else:
        # The nearest is the point itself, or one at the same place.
        nearest = _apart(points, points).nan_to_num(torch.inf).topk(count + 1, largest=False).values[..., -1]
    # Rounding must not lose a leaf.
    return torch.where(real, nearest, -1.0).amax(dim=1) * (1 + 1e-5)


def _highest(points: Tensor) -> Tensor:
    """(M, 3), of the points that are somewhere."""
    return points.masked_fill(points.isinf(), -torch.inf).amax(dim=1)


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """(M, A, B) squared distances, without products, whose rounding hides what is close."""
    apart = (some[:, :, None, 0] - others[:, None, :, 0]).square_()
    for axis in (1, 2):
        apart += (some[:, :, None, axis] - others[:, None, :, axis]).square_()
    return apart
