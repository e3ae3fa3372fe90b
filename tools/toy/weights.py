"""The files that a trained model is saved to, and the host's loaders for them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tools.setup.home import ROOT

from .networks import NO_CONDITION
from .scenes import PALETTES
from .training import Trainer

FOLDER = ROOT / "tools" / "toy" / "weights"
UNET, VAE, CONDITIONS, CARD = "toy_unet.safetensors", "toy_vae.safetensors", "toy_conditions.safetensors", "README.md"


class Toy(NamedTuple):
    """The host's MODEL and VAE, and the table of conditions (kinds + 1, tokens, width)."""

    model: Any
    vae: Any
    conditions: Tensor

    def conditioning(self, label: int = NO_CONDITION) -> list[Any]:
        """The host's CONDITIONING of one kind of scene, or of none."""
        return [[self.conditions[label : label + 1].float(), {}]]


def export(trainer: Trainer, folder: Path, figures: dict[str, float], command: str) -> None:
    """Save the running means of the weights in half precision, and the model card."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with trainer.vae.with_mean(), trainer.painter.with_mean():
        half = {name: value.detach().cpu().half() for name, value in trainer.painter.network.unet.state_dict().items()}
        save_file({f"model.diffusion_model.{name}": value.contiguous() for name, value in half.items()}, folder / UNET)
        vae = {n: v.detach().cpu().half().contiguous() for n, v in trainer.vae.network.state_dict().items()}
        vae |= {name: trainer.vae.network.state_dict()[name].cpu() for name in ("vae_scale", "vae_shift")}
        save_file(vae, folder / VAE)
        names = ",".join([*(palette.name for palette in PALETTES), "none"])
        table = trainer.painter.network.conditions.detach().cpu().half().contiguous()
        save_file({"conditions": table}, folder / CONDITIONS, metadata={"kinds": names})
    (folder / CARD).write_text(_card(trainer, folder, figures, command), encoding="utf-8")


def expect(folder: Path) -> None:
    """Check that the files are there.

    Raises:
        FileNotFoundError: one is not.
    """
    missing = [name for name in (UNET, VAE, CONDITIONS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"There are no weights of the toy model in {folder} ({', '.join(missing)} missing). "
            f"Train it in 25 minutes of a GPU: python tools/toy/train.py --export {FOLDER.relative_to(ROOT)}"
        )


def load(folder: Path = FOLDER) -> Toy:
    """Load the files with the host's own loaders, which are imported already.

    Raises:
        FileNotFoundError: there are no weights in the folder.
    """
    expect(folder)
    import comfy.sd
    import comfy.utils

    model = comfy.sd.load_checkpoint_guess_config(str(folder / UNET), output_vae=False, output_clip=False)[0]
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(folder / VAE)))
    return Toy(model, vae, comfy.utils.load_torch_file(str(folder / CONDITIONS))["conditions"])


def _card(trainer: Trainer, folder: Path, figures: dict[str, float], command: str) -> str:
    settings = trainer.settings
    device = torch.cuda.get_device_name() if settings.device == "cuda" else "CPU"
    files = "\n".join(
        f"| `{name}` | {(folder / name).stat().st_size / 1e6:.1f} MB "
        f"| {hashlib.sha256((folder / name).read_bytes()).hexdigest()} |"
        for name in (UNET, VAE, CONDITIONS)
    )
    phases = "\n".join(
        f"| {phase.name} | {sum(p.numel() for p in phase.trained) / 1e6:.1f} M | {phase.step} | {batch} "
        f"| {phase.seconds / 60:.1f} | {phase.losses[-1][1] if phase.losses else float('nan'):.4f} |"
        for phase, batch in ((trainer.vae, settings.vae_batch), (trainer.painter, settings.batch))
    )
    return f"""# A small diffusion model of procedural scenes

It paints {settings.size}x{settings.size} pictures of simple scenes, of {len(PALETTES)} kinds
({", ".join(palette.name for palette in PALETTES)}). It is there to measure and to show, not to make art.

Made by `{command}` on {device}, torch {torch.__version__}.

Data: {settings.scenes} scenes of `tools/toy/scenes`, seeds {settings.seed * 10**7} and up,
both views of each, rendered by the same command; nothing else. Scenes from seed 10^12 on were never trained on.

| network | weights | steps | batch | minutes | last training loss |
|---|---:|---:|---:|---:|---:|
{phases}

On held-out scenes: the autoencoder alone {figures["vae_psnr"]:.2f} dB, the U-Net's loss {figures["unet_loss"]:.4f}.
Samples: `samples.png`, each kind in turn; `reconstructions.png`, each picture and what the autoencoder makes of it.

| file | size | SHA-256 |
|---|---:|---|
{files}

U-Net: SD 1.5's form at one resolution, EPS, loads as a checkpoint. Autoencoder: TAESD's form, loads as a VAE.
Conditions: (kinds + 1, tokens, 768), the last row for no condition, to be used as CONDITIONING.
"""
