"""The small model's training on a CPU, a few steps of it, and its files in the host's own loaders."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.toy import evaluation, weights
from tools.toy.scenes import PALETTES, render_scenes
from tools.toy.training import Settings, Trainer

pytestmark = pytest.mark.gradients

SETTINGS = Settings(size=32, scenes=4, vae_steps=3, vae_batch=2, steps=3, batch=2, minutes=1e6)


def trainer(folder: Path, settings: Settings = SETTINGS) -> Trainer:
    return Trainer(settings, folder, say=lambda _: None)


@pytest.fixture(scope="module")
def trained(host: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Trainer:  # noqa: ARG001  # it imports the host
    run = trainer(tmp_path_factory.mktemp("toy"))
    assert run.run()
    return run


@pytest.fixture(scope="module")
def files(trained: Trainer) -> Path:
    folder = trained.folder / "weights"
    weights.export(trained, folder, {"vae_psnr": 1.0, "unet_loss": 1.0}, "the command")
    return folder


def test_a_run_that_stops_twice_ends_where_one_that_goes_through_does(trained, tmp_path):
    import comfy.model_management

    assert not trainer(tmp_path).run(stop=("vae", 2))
    assert not trainer(tmp_path).run(stop=("unet", 1))
    resumed = trainer(tmp_path)
    assert (resumed.vae.step, resumed.painter.step) == (3, 1)
    assert resumed.run()
    for phase in ("vae", "painter"):
        own, through = getattr(resumed, phase), getattr(trained, phase)
        assert own.step == through.step == 3
        for a, b in zip(own.mean, through.mean, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
        for a, b in zip(own.trained, through.trained, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not comfy.model_management.in_training
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_with_other_settings_is_refused(trained):
    with pytest.raises(ValueError, match=r"'batch': 2.*not.*'batch': 3.*another folder"):
        trainer(trained.folder, replace(SETTINGS, batch=3))


def test_steps_change_all_weights(trained):
    fresh = weights_of(Trainer(replace(SETTINGS, seed=0), trained.folder / "fresh", say=lambda _: None))
    for name, before in fresh.items():
        moved = (weights_of(trained)[name] - before).abs().max()
        assert moved > 0, name


def weights_of(run: Trainer) -> dict[str, torch.Tensor]:
    phases = ((phase.name, phase.network) for phase in (run.vae, run.painter))
    return {
        f"{n}.{p}": v.detach().clone()
        for n, network in phases
        for p, v in network.named_parameters()
        if v.requires_grad
    }


def test_both_losses_fall(host, tmp_path):  # noqa: ARG001
    said: list[str] = []
    run = Trainer(replace(SETTINGS, vae_steps=24, steps=24, batch=4), tmp_path, said.append)
    assert run.run()
    for phase in (run.vae, run.painter):
        (_, first), (step, last) = phase.losses
        assert step == 24 and last < first
        assert any(line.startswith(f"{phase.name} step 24  loss {last:.4f}") for line in said)


def test_the_pictures_are_written(trained):
    figures = evaluation.evaluate(trained, scenes=16, samples=1)
    assert all(torch.tensor(list(figures.values())).isfinite())
    for name, columns, rows in (("samples.png", 2, 4), ("reconstructions.png", 8, 4)):
        from PIL import Image

        assert Image.open(trained.folder / name).size == (columns * SETTINGS.size, rows * SETTINGS.size)


def test_the_hosts_loaders_take_the_files_and_sample(host, files):
    import folder_paths

    assert sum(file.stat().st_size for file in files.iterdir()) < 40e6
    for name, kind in ((weights.UNET, "checkpoints"), (weights.VAE, "vae")):
        place = Path(folder_paths.get_folder_paths(kind)[0])
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(files / name, place)
    model = host["CheckpointLoaderSimple"]().load_checkpoint(weights.UNET)[0]
    vae = host["VAELoader"]().load_vae(weights.VAE)[0]
    words = weights.load(files)
    assert words.conditions.shape == (len(PALETTES) + 1, 4, 768)

    latent = {"samples": torch.zeros(2, 4, 4, 4)}
    run = host["KSampler"]().sample
    made = run(model, 0, 3, 2.0, "euler", "normal", words.conditioning(1), words.conditioning(), latent)[0]
    pictures = host["VAEDecode"]().decode(vae, made)[0]
    assert pictures.shape == (2, 32, 32, 3) and pictures.isfinite().all() and pictures.std() > 0


@torch.inference_mode()
def test_the_hosts_copy_computes_what_was_trained(trained, files):
    loaded = weights.load(files)
    left = render_scenes([7], SETTINGS.size).left
    with trained.vae.with_mean(), trained.painter.with_mean():
        latent = trained.vae.network.taesd_encoder(left)
        again = trained.vae.network.taesd_decoder(latent).clamp(0, 1)
        state = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        label, level = torch.tensor([2]), trained.levels.sigmas[600:601]
        noise = trained.painter.network(trained.levels.calculate_input(level, state), torch.tensor([600.0]), label)
    encoded = loaded.vae.encode(left.movedim(1, -1))
    network = loaded.model.model
    torch.testing.assert_close(network.process_latent_in(encoded), latent, rtol=0.02, atol=0.02)
    torch.testing.assert_close(loaded.vae.decode(encoded).movedim(-1, 1), again, rtol=0.02, atol=0.02)
    context = loaded.conditioning(2)[0][0]
    denoised = network.apply_model(state, level, c_crossattn=context)
    torch.testing.assert_close((state - denoised) / level, noise, rtol=0.02, atol=0.02)


def test_the_card_names_the_run_and_the_files(files):
    card = (files / weights.CARD).read_text(encoding="utf-8")
    assert "`the command`" in card and "| unet | 16.2 M | 3 | 2 |" in card
    for name in (weights.UNET, weights.VAE, weights.CONDITIONS):
        assert hashlib.sha256((files / name).read_bytes()).hexdigest() in card


def test_weights_that_are_not_there_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights of the toy model.*train.py"):
        weights.load(tmp_path)
