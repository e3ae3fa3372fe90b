"""The benchmark of the rod, on weights that were hardly trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.benchmarks import rod, toy
from tools.rod import weights
from tools.rod.network import render_grid
from tools.rod.training import Settings, Trainer

FEW = ("shift alone", "shift alone, left_kv", "the pack's defaults")
CRAFTED = ("restart alone", "both")


@pytest.fixture(scope="module")
def bench(host: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> rod.RodBench:
    folder = tmp_path_factory.mktemp("rod")
    run = Trainer(Settings(columns=12, held_out=2), folder / "state.pt", say=lambda _: None)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in run.painter.mean:  # untrained branches add nothing, so attention would not matter
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.02)
    run.report(run.painter, 1.0)
    weights.export(run, folder, "none")
    return rod.RodBench(host, weights.load(folder).toy, scenes=2, size=12, steps=5)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rod, "SAMPLED", {name: rod.SAMPLED[name] for name in FEW})
    monkeypatch.setattr(toy, "CRAFTED", {name: toy.CRAFTED[name] for name in CRAFTED})


def test_every_way_is_measured_scene_by_scene(bench: rod.RodBench):
    figures = toy.measure_scenes(bench, bench.right_views)
    assert list(figures) == ["leave blank", "stretch", "Image Stereo Shift", *FEW, *CRAFTED]
    for found in figures.values():
        assert list(found) == ["PSNR all", "PSNR visible", "PSNR disoccluded"]
        assert all(values.shape == (2,) and values.isfinite().all() for values in found.values())
    assert len({float(found["PSNR all"].sum()) for found in figures.values()}) == len(figures)
    assert (figures["Image Stereo Shift"]["PSNR all"] > figures["leave blank"]["PSNR all"]).all()


def test_the_left_view_is_the_given_one(bench: rod.RodBench):
    pair = bench.render(range(10**12, 10**12 + 2))
    stereo = bench._sample(pair, bench.inverted(pair), rod.SAMPLED["shift alone"])
    torch.testing.assert_close(bench._decoded(stereo).chunk(2)[0], pair.left, rtol=0, atol=1e-4)


def test_clips_are_measured_over_time_too(bench: rod.RodBench):
    clips = replace(bench, frames=2, scenes=1)
    pair = clips.render(range(3, 4))
    figures = clips.figures(pair.right.flip(2), pair)
    assert list(figures)[-1] == "flicker" and figures["flicker"].shape == (1,)
    assert clips.figures(pair.right, pair)["flicker"] < 1
    made = clips.sampled(pair, clips.inverted(pair), {"shift alone": rod.SAMPLED["shift alone"]})
    assert made["shift alone"].shape == (1, 3, 24, 12)


def test_without_weights_it_refuses(host, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(rod, "load_host", lambda *_, **__: host)
    assert rod.main(folder=tmp_path) == 1
    assert "tools/rod/train.py" in capsys.readouterr().out
    for content in (b"<html>", b"\2\0\0\0\0\0\0\0{}"):
        (tmp_path / weights.FILE).write_bytes(content)
        assert rod.main(["--weights", str(tmp_path)]) == 1
        said = capsys.readouterr().out
        assert said.startswith(f"--weights: {tmp_path / weights.FILE} ") and "Export it again: python tools/rod" in said


def test_a_picture_of_the_bench_is_the_scene(bench: rod.RodBench):
    for own, other in zip(bench.render(range(2)), render_grid(range(2), 12), strict=True):
        assert torch.equal(own, other)
