"""Whole columns: the shift on grids as coarse as a latent's."""

from __future__ import annotations

import torch

from stereo_core.geometry import StereoGeometry


def test_whole_columns_are_the_papers_truncation_when_everything_is_in_front():
    near = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    geometry = StereoGeometry(9.0, 0.0, 1.5)
    expected = [[int(0.09 * 64 * value**1.5) for value in row] for row in near.reshape(-1, 16).tolist()]
    assert geometry.whole_columns(near, 64).reshape(-1, 16).tolist() == expected


def test_convergence_moves_the_whole_view_by_whole_columns_and_loses_none():
    near = torch.linspace(0, 1, 64).reshape(1, 1, 1, 64)
    in_front = StereoGeometry(3.0, 0.0).whole_columns(near, 64)  # 1.92 columns: 0 and 1
    around = StereoGeometry(3.0, 0.5).whole_columns(near, 64)
    assert torch.equal(around, in_front - 1)
    assert around.unique().tolist() == [-1.0, 0.0]
