"""The rod's training, a few steps of it, and the host's model of its weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.rod import weights
from tools.rod.network import encode, render_grid
from tools.rod.training import Settings, Trainer

pytestmark = pytest.mark.gradients

SETTINGS = Settings(columns=12, scenes=4, held_out=2, steps=3, batch=2, minutes=1e6)


def trainer(file: Path, settings: Settings = SETTINGS) -> Trainer:
    return Trainer(settings, file, say=lambda _: None)


@pytest.fixture(scope="module")
def trained(host: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Trainer:  # noqa: ARG001  # it imports the host
    run = trainer(tmp_path_factory.mktemp("rod") / "state.pt")
    assert run.run()
    return run


@pytest.fixture(scope="module")
def folder(trained: Trainer) -> Path:
    made = trained.file.parent / "weights"
    weights.export(trained, made, "the command")
    return made


def test_a_run_that_stops_ends_where_one_that_goes_through_does(trained, tmp_path):
    file = tmp_path / "state.pt"
    assert not trainer(file).run(stop=1)
    resumed = trainer(file)
    assert resumed.painter.step == 1 and resumed.run() and resumed.seen == 6
    own, through = resumed.painter, trained.painter
    for a, b in zip([*own.mean, *own.trained], [*through.mean, *through.trained], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert own.held_out[-1] == through.held_out[-1]
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_that_has_ended_goes_on_when_there_is_more_to_do(trained):
    further = trainer(trained.file, replace(SETTINGS, steps=4))
    before = [weight.clone() for weight in further.painter.trained]
    assert further.run() and further.painter.step == 4
    assert any(not torch.equal(a, b) for a, b in zip(before, further.painter.trained, strict=True))


def test_a_run_begins_from_the_weights_of_another(trained, folder, tmp_path):
    tensors, _ = weights.read(folder)
    settings = replace(SETTINGS, columns=16, begun_from=weights.checksum(folder))
    larger = Trainer(settings, tmp_path / "state.pt", lambda _: None, tensors)
    for own, other in zip(larger.painter.mean, trained.painter.mean, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4)
    assert larger.run(stop=1) is False
    larger.painter.losses, larger.painter.held_out = [(1, 0.5)], [(1, 0.5)]
    weights.export(larger, tmp_path, "the command")
    assert f"begun from the weights of SHA-256 {weights.checksum(folder)}" in (tmp_path / weights.CARD).read_text()


def test_minutes_that_are_used_up_end_it(host, tmp_path):  # noqa: ARG001
    run = trainer(tmp_path / "state.pt", replace(SETTINGS, minutes=0.0))
    assert run.run() and run.painter.step == 0 and run.file.is_file()


def test_a_sitting_ends_when_it_is_told(host, tmp_path):  # noqa: ARG001
    run = trainer(tmp_path / "state.pt")
    assert not run.run(pause_after=0.0) and run.painter.step == 0 and run.file.is_file()


def test_the_card_of_a_run_that_is_paused_has_the_loss_as_it_is(host, tmp_path):  # noqa: ARG001
    run = trainer(tmp_path / "state.pt")
    assert not run.run(stop=2) and not run.painter.held_out
    weights.export(run, tmp_path, "the command")
    card = (tmp_path / weights.CARD).read_text(encoding="utf-8")
    assert f"|---:|\n| 2 | 4 | | {run.held_out_loss():.4f} |\n" in card


def test_a_run_with_other_settings_is_refused(trained):
    with pytest.raises(ValueError, match=r"'columns': 12.*not.*'columns': 16.*another folder"):
        trainer(trained.file, replace(SETTINGS, columns=16))


def test_the_loss_on_scenes_never_seen_is_measured_and_falls(host, tmp_path):  # noqa: ARG001
    said: list[str] = []
    run = Trainer(replace(SETTINGS, steps=30, batch=4), tmp_path / "state.pt", said.append)
    run.report_every = 15
    before = run.held_out_loss()
    assert before == run.held_out_loss()
    assert run.run()
    assert [step for step, _ in run.painter.held_out] == [15, 30]
    assert run.painter.held_out[-1][1] == run.held_out_loss() < before
    assert f"  120 pictures seen, held-out loss {run.held_out_loss():.4f}" in said


def test_the_sheet_shows_samples_of_every_kind(trained, tmp_path):
    from PIL import Image

    weights.draw_sheet(trained, tmp_path, samples=1, steps=2)
    assert Image.open(tmp_path / weights.SHEET).size == (8 * 12 * 6, 12 * 6)


@torch.inference_mode()
def test_the_host_computes_what_was_trained(trained, folder):
    rod = weights.load(folder)
    assert (rod.columns, rod.frames) == (12, 1)
    pair = render_grid([7], 12)
    image = pair.left.movedim(1, -1)
    latent = rod.toy.vae.encode(image)
    torch.testing.assert_close(latent, encode(pair.left))
    torch.testing.assert_close(rod.toy.vae.decode(latent), image)
    state, level = torch.randn(1, 4, 12, 12), trained.levels.sigmas[600:601]
    with trained.painter.with_mean():
        seen = trained.levels.calculate_input(level, state)
        noise = trained.painter.network(seen, torch.tensor([600.0]), torch.tensor([2]))
    denoised = rod.toy.model.model.apply_model(state, level, c_crossattn=rod.toy.conditioning(2)[0][0])
    torch.testing.assert_close((state - denoised) / level, noise, rtol=0.02, atol=0.02)


@torch.inference_mode()
def test_the_hosts_samplers_take_it(host, folder):
    toy, latent = weights.load(folder).toy, {"samples": torch.zeros(2, 4, 12, 12)}
    run = host["KSampler"]().sample
    made = run(toy.model, 0, 2, 2.0, "euler", "normal", toy.conditioning(1), toy.conditioning(), latent)[0]["samples"]
    assert made.shape == (2, 4, 12, 12) and made.isfinite().all() and not torch.equal(*made)


def test_the_card_names_the_run_and_the_file(trained, folder):
    card = (folder / weights.CARD).read_text(encoding="utf-8")
    assert "`the command`" in card and "| 3 | 6 |" in card
    assert hashlib.sha256((folder / weights.FILE).read_bytes()).hexdigest() in card
    assert (folder / weights.FILE).stat().st_size < 8e6
    assert f"{trained.painter.held_out[0][1]:.4f}" in card


def test_weights_that_are_not_there_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights of the rod.*train\.py"):
        weights.load(tmp_path)
