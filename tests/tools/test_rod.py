"""The measuring rod without the host: its pictures, its latent, and how its orderings are judged."""

from __future__ import annotations

import hashlib
import runpy
import sys
from pathlib import Path

import pytest
import torch

from stereo_core.metrics import consistency
from tools.benchmarks import rod, toy
from tools.rod import train, weights
from tools.rod.network import decode, encode, render_grid
from tools.setup import environment
from tools.toy.scenes import render_scenes


def test_a_grid_is_the_scene_with_a_pixel_a_column():
    for own, scene in zip(render_grid(range(2), 16), render_scenes(range(2), 16, samples=4), strict=True):
        assert torch.equal(own, scene)


def test_frames_of_a_clip_lie_below_each_other():
    stills, clips = render_grid(range(4, 6), 16), render_grid(range(4, 6), 16, frames=2)
    assert clips.left.shape == (2, 3, 32, 16) and clips.right_only.shape == (2, 1, 32, 16)
    for still, clip in zip(stills[:-1], clips[:-1], strict=True):
        torch.testing.assert_close(clip[:, :, :16], still)
    assert torch.equal(clips.label, stills.label)
    assert not torch.equal(clips.left[:, :, 16:], stills.left)
    assert consistency(*clips[:3]).psnr.min() > 20  # rows of a frame move within it


def test_the_latent_is_linear_and_loses_nothing():
    pictures = torch.rand(2, 3, 4, 6)
    latents = encode(pictures)
    assert latents.shape == (2, 4, 4, 6)
    torch.testing.assert_close(decode(latents), pictures)
    torch.testing.assert_close(encode(pictures.mean(0, keepdim=True)), latents.mean(0, keepdim=True))


def figures(*, better: list[float], worse: list[float]) -> dict[str, dict[str, torch.Tensor]]:
    return {"a": {"PSNR all": torch.tensor(better)}, "b": {"PSNR all": torch.tensor(worse)}}


@pytest.mark.parametrize(
    ("better", "verdict"),
    [
        ([3.0, 4.0, 5.0], "holds"),
        ([1.0, 2.0, 2.5], "the opposite"),
        ([9.0, -2.0, 3.5], "undecided"),
        ([9.0, -3.0, 3.005], "undecided"),  # nearly nothing in the mean, and nobody knows
        ([2.001, 3.001, 4.002], "no difference"),
    ],
)
def test_an_ordering_holds_where_the_scenes_agree(better: list[float], verdict: str):
    ordering = rod.Ordering("a beats b", "nobody", "a", "b")
    mean, error, said = rod.judge(ordering, figures(better=better, worse=[2.0, 3.0, 4.0]))
    assert said == verdict and mean == pytest.approx(sum(better) / 3 - 3, abs=1e-6) and error >= 0


def test_of_flicker_less_is_better():
    found = {"a": {"flicker": torch.tensor([2.0, 3.0, 4.0])}, "b": {"flicker": torch.tensor([3.0, 4.0, 5.5])}}
    mean, _, said = rod.judge(rod.Ordering("a is steadier", "nobody", "a", "b", "flicker"), found)
    assert mean == pytest.approx(3.5 / 3) and said == "holds"
    assert rod.judge(rod.Ordering("b is steadier", "nobody", "b", "a", "flicker"), found)[2] == "the opposite"


def test_orderings_of_flicker_are_judged_where_there_is_some():
    rows = {"stretch", "Image Stereo Shift", *rod.SAMPLED, *toy.CRAFTED}
    picture = {"PSNR all": torch.zeros(2), "PSNR disoccluded": torch.zeros(2)}
    still, moving = (
        {ordering.column for ordering in rod.measured(dict.fromkeys(rows, found))}
        for found in (picture, {**picture, "flicker": torch.zeros(2)})
    )
    assert moving - still == {"flicker"}


def test_one_scene_decides_nothing():
    _, _, said = rod.judge(rod.Ordering("", "", "a", "b"), figures(better=[9.0], worse=[2.0]))
    assert said == "undecided"


def test_a_scene_without_holes_does_not_count():
    found = figures(better=[3.0, float("nan"), 4.2], worse=[2.0, float("nan"), 3.0])
    mean, _, said = rod.judge(rod.Ordering("", "", "a", "b"), found)
    assert mean == pytest.approx(1.1) and said == "holds"


def test_orderings_name_rows_that_are_measured():
    rows = {"stretch", "Image Stereo Shift", *rod.SAMPLED, *toy.CRAFTED}
    assert {name for ordering in rod.ORDERINGS for name in (ordering.better, ordering.worse)} <= rows


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--columns", "13"], "even"), (["--columns", "8"], "from 12 on"), (["--threads", "0"], "1 or more")],
)
def test_options_that_cannot_be_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        train.parse(options)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("folder", [weights.FOLDER, weights.CLIPS], ids=["pictures", "clips"])
def test_the_weights_are_those_of_the_card(folder: Path):
    card = (folder / weights.CARD).read_text(encoding="utf-8")
    file = folder / weights.FILE
    assert hashlib.sha256(file.read_bytes()).hexdigest() in card
    assert file.stat().st_size < 8e6


@pytest.mark.parametrize("model", ["rod", "toy"])
def test_ctrl_c_before_a_training_has_begun_leaves_no_traceback(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "enter", stopped)
    monkeypatch.setattr(sys, "argv", ["train.py", "--tiny"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(environment.ROOT / "tools" / model / "train.py"), run_name="__main__")
    assert ended.value.code == 130 and "Run the same command again" in capsys.readouterr().err
