"""The disparity map in colours."""

from __future__ import annotations

import re

import pytest
import torch

from stereo_core.disparity_preview import disparity_preview

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_preview_is_warm_in_front_cool_behind_and_neutral_on_the_screen(dtype):
    columns = torch.tensor([-9.0, -2.0, 0.0, 2.0, 9.0], dtype=dtype).view(1, 1, 1, 5)
    red, green, blue = disparity_preview(columns, limit=4)[0, :, 0]
    assert (red[2] == green[2]) & (green[2] == blue[2])
    assert (red[3:] > blue[3:] + 0.2).all()
    assert (blue[:2] > red[:2] + 0.2).all()
    saturated = disparity_preview(columns.sign() * 4, limit=4)[0, :, 0]
    assert torch.equal(torch.stack([red, green, blue])[:, [0, 4]], saturated[:, [0, 4]])


def test_the_preview_gets_steadily_darker_away_from_the_screen():
    preview = disparity_preview(torch.linspace(-1, 1, 201).view(1, 1, 1, 201))[0, :, 0]
    luma = (preview * torch.tensor([[0.2126], [0.7152], [0.0722]])).sum(0)
    assert (luma[:101].diff() > 0).all()
    assert (luma[100:].diff() < 0).all()


def test_the_preview_has_one_scale_for_the_batch_and_takes_a_flat_map():
    columns = torch.tensor([[1.0], [2.0]]).view(2, 1, 1, 1)
    assert torch.equal(disparity_preview(columns), disparity_preview(columns, limit=2))
    flat = disparity_preview(torch.zeros(2, 1, 3, 4))
    assert flat.shape == (2, 3, 3, 4)
    assert (flat == flat[0, 0, 0, 0]).all()


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_the_preview_refuses_a_limit_of_nothing(limit):
    with pytest.raises(ValueError, match=re.escape(f"limit: got {limit}")):
        disparity_preview(torch.zeros(1, 1, 1, 1), limit)
