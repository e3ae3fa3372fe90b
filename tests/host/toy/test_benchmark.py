"""The benchmark of the small model, on weights that were never trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.benchmarks import toy
from tools.toy import weights
from tools.toy.training import Settings, Trainer


@pytest.fixture(scope="module")
def bench(host: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> toy.Bench:
    folder = tmp_path_factory.mktemp("toy")
    run = Trainer(Settings(size=32), folder, say=lambda _: None)
    generator = torch.Generator().manual_seed(0)
    for weight in run.painter.mean:  # untrained branches add nothing, so the conditions would not matter
        weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.02)
    weights.export(run, folder, {"vae_psnr": 0.0, "unet_loss": 0.0}, "none")
    return toy.Bench(host, weights.load(folder), scenes=2, size=64, steps=2, inner_steps=1)


def test_the_right_view_of_every_method_is_measured(bench: toy.Bench):
    figures = toy.measure_right_views(bench, bench.right_views)
    assert [name for name in figures if name in toy.SAMPLED] == list(toy.SAMPLED)
    assert {"leave blank", "stretch", "Image Stereo Shift"} < figures.keys()
    assert sum("guidance" in name for name in figures) == 2
    for found in figures.values():
        assert list(found) == [
            f"{kind} {where}" for where in ("all", "visible", "disoccluded") for kind in ("PSNR", "SSIM")
        ]
        assert all(torch.tensor(list(found.values())).isfinite())
    shift = figures["Image Stereo Shift"]
    assert shift["PSNR visible"] > 24 and shift["PSNR visible"] > shift["PSNR disoccluded"] + 3
    assert shift["PSNR disoccluded"] > figures["leave blank"]["PSNR disoccluded"]


def test_parts_of_stereo_crafter_zero_are_measured(bench: toy.Bench):
    longer = replace(bench, steps=5)
    figures = toy.measure_right_views(longer, lambda pair: longer.crafted(pair, longer.inverted(pair)))
    assert list(figures) == list(toy.CRAFTED)
    assert all(torch.tensor([list(found.values()) for found in figures.values()]).isfinite().flatten())
    assert len({found["PSNR all"] for found in figures.values()}) > 5  # each does something else


def test_generated_pairs_are_measured(bench: toy.Bench):
    figures = toy.measure_generated(bench)
    assert list(figures) == ["none", "left_kv", "joint", "right_joint", "left_query"]
    assert all(torch.tensor([list(found.values()) for found in figures.values()]).isfinite().flatten())


def test_without_weights_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert toy.main(folder=tmp_path) == 1
    assert "tools/toy/train.py" in capsys.readouterr().out
