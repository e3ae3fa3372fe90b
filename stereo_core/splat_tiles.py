"""Blending of projected Gaussians in tiles of 8 x 8 pixels, with its own backward pass.

Each tile has a list of the Gaussians that reach it, nearest first. Tiles are blended in groups whose lists are about
equally long, padded to the group's longest. In a tile the exponent of a Gaussian, the logarithm of its opacity
included, is a polynomial of the pixel's place, so that one small product gives it at all 64 pixels; the backward pass
evaluates it again, so nothing of the size pixels times list outlives a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

TILE = 8
_PIXELS = TILE * TILE
_MOST = 0.99  # alpha of one Gaussian (Kerbl et al., 2023)
# A group's lists differ in length by this factor and number at most: wider ones pad more, narrower ones are more calls.
_RATIO, _SLACK = 1.4, 12
# Pixels times list of a group, so that what it holds at a time stays below some hundred megabytes.
GROUP = 2**22
_DEAD = -1e4  # an exponent that gives alpha 0


class TileLists(NamedTuple):
    """Which Gaussian reaches which tile: M pairs, ordered by tile and within it by depth.

    Attributes:
        gaussians: (M,) indices.
        tiles: (M,) row by row.
        columns: tiles in a row of the picture.
        rows: of tiles.
    """

    gaussians: Tensor
    tiles: Tensor
    columns: int
    rows: int

    def middles(self) -> Tensor:
        """(M, 2) column and row of the middle of each pair's tile, in pixels."""
        places = torch.stack([self.tiles % self.columns, self.tiles // self.columns], dim=-1)
        return places * TILE + TILE / 2


def reached_tiles(means: Tensor, reach: Tensor, width: int, height: int) -> int:
    """Return M, the pairs that ``tile_lists`` would list, without making them; same arguments."""
    _, spans = _spans(means, reach, width, height)
    return int(spans.prod(dim=-1).sum())


def tile_lists(means: Tensor, reach: Tensor, order: Tensor, width: int, height: int) -> TileLists:
    """List the tiles that each Gaussian reaches.

    Args:
        means: (N, 2) columns and rows in pixels.
        reach: (N, 2) how far from its mean it counts, in pixels; a Gaussian that reaches nothing has a negative one.
        order: (N,) indices of all Gaussians, nearest first.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """
    columns, rows = -(-width // TILE), -(-height // TILE)
    first, spans = _spans(means[order], reach[order], width, height)
    counts = spans.prod(dim=-1)
    pairs = torch.repeat_interleave(counts)
    within = torch.arange(len(pairs), device=means.device) - (counts.cumsum(0) - counts)[pairs]
    across = spans[pairs, 0]
    tiles = (first[pairs, 1] + within // across) * columns + first[pairs, 0] + within % across
    tiles, sorting = tiles.sort(stable=True)
    return TileLists(order[pairs[sorting]], tiles, columns, rows)


def _spans(means: Tensor, reach: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """(N, 2) the first column and row of the tiles that each Gaussian reaches, and (N, 2) how many it reaches."""
    size = means.new_tensor([-(-width // TILE), -(-height // TILE)])
    first = torch.minimum(((means - reach) / TILE).floor().clamp(min=0), size).long()
    beyond = torch.minimum((((means + reach) / TILE).floor() + 1).clamp(min=0), size).long()
    return first, (beyond - first).clamp(min=0) * (reach >= 0).all(dim=-1, keepdim=True)


def blend(coefficients: Tensor, features: Tensor, lists: TileLists) -> tuple[Tensor, Tensor, Tensor]:
    """Blend the lists of all tiles, front to back.

    Args:
        coefficients: (M, 6) of x^2, xy, y^2, x, y and 1, places in pixels from the tile's middle, of the exponent whose
            exponential is alpha.
        features: (M, K) what is blended.
        lists: of the M pairs.

    Returns:
        (K, H', W') sums of feature times weight; (1, H', W') the light that passes all of them; (1, H', W') the row of
        ``features`` at which half of it was stopped, or -1, without gradients. H' and W' are whole tiles.
    """
    starts = torch.searchsorted(lists.tiles, torch.arange(lists.columns * lists.rows + 1, device=features.device))
    blended, passed, half = _Blend.apply(coefficients, features, starts)  # type: ignore[no-untyped-call]
    return _picture(blended, lists), _picture(passed, lists), _picture(half, lists)


def exponents(means: Tensor, conics: Tensor, logs: Tensor) -> Tensor:
    """Return the (M, 6) coefficients of logs - (p - mean)^T conic (p - mean) / 2.

    Args:
        means: (M, 2) from the tile's middle.
        conics: (M, 3) the inverse covariance's xx, xy and yy.
        logs: (M,) logarithms of the opacities.
    """
    (x, y), (xx, xy, yy) = means.unbind(-1), conics.unbind(-1)
    by_x, by_y = xx * x + xy * y, xy * x + yy * y
    return torch.stack([-xx / 2, -xy, -yy / 2, by_x, by_y, logs - (x * by_x + y * by_y) / 2], dim=-1)


class _Group(NamedTuple):
    tiles: Tensor  # (T,)
    places: Tensor  # (T, L) in the list of pairs; what is padded is M


def _groups(starts: Tensor) -> Iterator[_Group]:
    """Tiles with a list, in groups whose lists are about equally long."""
    lengths, tiles = (starts[1:] - starts[:-1]).sort(descending=True)
    known: list[int] = lengths.tolist()
    used = sum(length > 0 for length in known)
    begin = 0
    while begin < used:
        longest, end = known[begin], begin + 1
        most = max(GROUP // (longest * _PIXELS), 1)
        while end < used and end - begin < most and known[end] * _RATIO >= longest - _SLACK:
            end += 1
        chosen, steps = tiles[begin:end], torch.arange(longest, device=starts.device)
        inside = steps < lengths[begin:end, None]
        yield _Group(chosen, torch.where(inside, starts[chosen, None] + steps, starts[-1]))
        begin = end


def _basis(like: Tensor) -> Tensor:
    """(6, 64) the monomials at the pixels of a tile."""
    steps = torch.arange(TILE, dtype=like.dtype, device=like.device) + 0.5 - TILE / 2
    y, x = (grid.flatten() for grid in torch.meshgrid(steps, steps, indexing="ij"))
    return torch.stack([x * x, x * y, y * y, x, y, torch.ones_like(x)])


def _alphas(coefficients: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """(T, L, 64) alpha before it is held below its most, and the light left after each of the list."""
    alpha = torch.matmul(coefficients, basis).exp_()
    return alpha, torch.cumprod(1 - alpha.clamp(max=_MOST), dim=1)


def _weights(left: Tensor) -> Tensor:
    """(T, L, 64) what each of the list stops of the light."""
    weights = torch.empty_like(left)
    torch.sub(1, left[:, 0], out=weights[:, 0])
    torch.sub(left[:, :-1], left[:, 1:], out=weights[:, 1:])
    return weights


def _padded(rows: Tensor, value: float) -> Tensor:
    """One more row, for what is padded: zeros that end with ``value``."""
    last = rows.new_zeros(1, rows.shape[1])
    last[0, -1] = value
    return torch.cat([rows, last])


def _picture(tiles: Tensor, lists: TileLists) -> Tensor:
    """(K, H', W') from (tiles, K, 64)."""
    grid = tiles.view(lists.rows, lists.columns, -1, TILE, TILE).permute(2, 0, 3, 1, 4)
    return grid.reshape(-1, lists.rows * TILE, lists.columns * TILE)


class _Blend(torch.autograd.Function):
    """Kerbl et al. (2023), Eq. 3, and its gradient."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, features: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(coefficients, features, starts)
        count, channels = len(starts) - 1, features.shape[1]
        blended = features.new_zeros(count, channels, _PIXELS)
        passed = features.new_ones(count, 1, _PIXELS)
        half = starts.new_full((count, 1, _PIXELS), -1)
        basis = _basis(coefficients)
        exponent_rows, feature_rows = _padded(coefficients, _DEAD), _padded(features, 0)
        for tiles, places in _groups(starts):
            _, left = _alphas(exponent_rows[places], basis)
            blended[tiles] = torch.matmul(feature_rows[places].transpose(1, 2), _weights(left))
            passed[tiles] = left[:, -1:]
            before = (left > 0.5).sum(dim=1, keepdim=True)
            half[tiles] = torch.where(before < left.shape[1], starts[tiles][:, None, None] + before, -1)
        ctx.mark_non_differentiable(half)
        return blended, passed, half

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        coefficients, features, starts = ctx.saved_tensors
        of_blended, of_passed, _ = gradients
        basis = _basis(coefficients)
        exponent_rows, feature_rows = _padded(coefficients, _DEAD), _padded(features, 0)
        to_exponents, to_features = torch.zeros_like(exponent_rows), torch.zeros_like(feature_rows)
        for tiles, places in _groups(starts):
            alpha, left = _alphas(exponent_rows[places], basis)
            weights, of_tiles = _weights(left), of_blended[tiles]
            to_features[places] = torch.matmul(weights, of_tiles.transpose(1, 2))
            # By the exponent: w_i g_i - alpha_i / (1 - alpha_i) (sum_{j > i} w_j g_j + passed g_passed).
            gained = weights.mul_(torch.matmul(feature_rows[places], of_tiles))
            behind = gained.cumsum(dim=1)
            behind = torch.sub(behind[:, -1:] + left[:, -1:] * of_passed[tiles], behind, out=behind)
            held = alpha >= _MOST
            odds = alpha.div_(1 - alpha)
            slope = torch.addcmul(gained, odds, behind, value=-1).masked_fill_(held, 0)
            to_exponents[places] = torch.matmul(slope, basis.T)
        return to_exponents[:-1], to_features[:-1], None
