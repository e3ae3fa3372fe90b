"""What the commands on a user's own models have in common: the host, the end of a run, counts and judges' weights."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from unittest.mock import patch

import torch
from safetensors import SafetensorError

from tools.host.in_process import load_host
from tools.host.server import find_host
from tools.setup.home import ROOT, dotted
from tools.setup.host_source import host_version

from .table import machine

ALEXNET = "alexnet-owt-7be5be79.pth"
"""The weights below LPIPS, as torchvision publishes them."""

_SAFETENSORS = "Error while deserializing header: "
_WIDGET = re.compile(r"([a-z_]+): ")
"""With which a node's error begins."""
_OTHERWISE_NAMED = {"sampler_name": "sampler"}
_FULL = (errno.ENOSPC, errno.EDQUOT)

Run = Callable[[dict[str, Any], argparse.Namespace], int]


class UnfitError(Exception):
    """Models that can be loaded, but do not work together; no clip or picture would come out otherwise."""


def run_in_host(options: argparse.Namespace, expect: Callable[[argparse.Namespace], None], run: Run) -> int:
    """Ask for the files, load the host, run a command in it, and end with what a person can act upon.

    Args:
        options: of the command.
        expect: raises ``FileNotFoundError`` or ``ValueError`` for what is missing, before anything is loaded.
        run: from node classes by id and the options to the exit code.

    Returns:
        The exit code: 1 after an error that is told, 130 after Ctrl-C.
    """
    sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what the terminal cannot show
    try:
        expect(options)
        cpu = not torch.cuda.is_available()
        with tempfile.TemporaryDirectory() as base, torch.inference_mode():
            return run(load_host(find_host(), Path(base), cpu=cpu), options)
    except torch.OutOfMemoryError as error:
        print(f"\nThe memory of the GPU is too small: {str(error).splitlines()[0]}\nGive smaller pictures or fewer.\n")
        return 1
    except (OSError, UnfitError, ValueError) as error:
        print(f"{told(error, options)}\n")
        if isinstance(error, OSError) and error.errno in _FULL:
            print("The disk is full: free some of it, then type the same command again, which goes on from here.\n")
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Type the same command again: it goes on after what is finished.")
        return 130


def at_least(least: int, multiple: int = 1) -> Callable[[str], int]:
    """A type of argparse: a whole number from ``least`` on, and a multiple of something."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small. Give {least} or more.")
        if value % multiple:
            raise argparse.ArgumentTypeError(f"{value} is no multiple of {multiple}.")
        return value

    number.__name__ = "whole number"  # which argparse calls it where it is none
    return number


def number_in(low: float, high: float) -> Callable[[str], float]:
    """A type of argparse: a number from ``low`` to ``high``, both included."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:  # which NaN is not
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}.")
        return value

    number.__name__ = "number"
    return number


def expect_file(option: str, file: Path, said: str) -> None:
    """Ask whether a file is there.

    Args:
        option: that names the file.
        file: as it is named.
        said: what to do without it.

    Raises:
        FileNotFoundError: it is not, or is a folder.
    """
    if file.is_dir():
        raise FileNotFoundError(f"--{option}: {file} is a folder. Name the file in it. {said}")
    if not file.is_file():
        raise FileNotFoundError(f"--{option}: there is no file {file}. {said}")


def admit(kind: str, file: Path) -> str:
    """Let the host find a file or folder in its list ``kind`` and return the name by which a loader takes it now.

    Its folder comes first, for files of two folders may have one name, as ``model.safetensors`` of Hugging Face.
    """
    import folder_paths

    whole = Path(os.path.abspath(file))  # not resolved: what a cache links to has no suffix, by which the host reads
    folder_paths.add_model_folder_path(kind, str(whole.parent), is_default=True)
    return whole.name


@contextmanager
def naming(option: str, file: Path, wanted: str, others: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn what is said of a file that cannot be loaded into an error that names the option.

    Args:
        option: that names the file.
        file: as it is named.
        wanted: what to give instead.
        others: options by the widget or socket of a node, where an error of its may be about another file.

    Raises:
        ValueError: the host or a node of this pack cannot load it.
    """
    try:
        yield
    except (
        AttributeError,
        EOFError,
        LookupError,
        RuntimeError,
        SafetensorError,
        TypeError,
        UnpicklingError,
        ValueError,
    ) as error:
        # A node of this pack believes that all models lie in the host's folder.
        text = re.sub(rf"models/\w+/{re.escape(file.name)}(?!\w)", lambda _: str(file), str(error).strip())
        said = text.splitlines() or [type(error).__name__]
        if isinstance(error, ValueError):
            if said[0].startswith("--"):  # it is told already
                raise
            if widget := _WIDGET.match(said[0]):
                raise ValueError(f"{(others or {}).get(widget[1], option)}: {said[0][widget.end() :]}") from error
        if isinstance(error, UnpicklingError):  # of which torch says to load whatever it is
            said = ["it is no file of weights"]
        if isinstance(error, SafetensorError):
            said = [f"it is cut short, or no file of weights ({said[0].removeprefix(_SAFETENSORS)})"]
        raise ValueError(f"{option}: ComfyUI cannot load {file}: {said[0].rstrip('.: ')}. {wanted}") from error


def load_svd(option: str, file: Path, orbit: bool = False) -> tuple[Any, Any, Any]:
    """Load a whole checkpoint of Stable Video Diffusion, or of SV3D, from wherever it lies.

    Args:
        option: that names the file.
        file: as it is named.
        orbit: whether SV3D is wanted.

    Returns:
        The host's MODEL, CLIP_VISION and VAE.

    Raises:
        ValueError: the host cannot load it, or it is of another kind, such as the one in the other's place.
    """
    import comfy.model_base
    from comfy_extras.nodes_video_model import ImageOnlyCheckpointLoader

    wanted = "SV3D, such as sv3d_p.safetensors" if orbit else "SVD, such as svd_xt.safetensors"
    with naming(option, file, f"Give a whole checkpoint of {wanted}."):
        model, vision, vae = ImageOnlyCheckpointLoader().load_checkpoint(admit("checkpoints", file))[:3]
    kind = type(model.model)
    orbits = (comfy.model_base.SV3D_u, comfy.model_base.SV3D_p)
    if not issubclass(kind, comfy.model_base.SVD_img2vid) or issubclass(kind, orbits) != orbit:
        raise ValueError(f"{option}: {file} is a checkpoint of {kind.__name__}. Give one of {wanted}.")
    if vision is None or vae is None:
        raise ValueError(f"{option}: {file} has no vision encoder or no VAE. Give a whole checkpoint of {wanted}.")
    return model, vision, vae


@contextmanager
def expect_loaded(option: str, file: Path, wanted: str) -> Iterator[None]:
    """Refuse a text encoder of which the host finds hardly a weight in the file; it would go on with what memory holds.

    Raises:
        ValueError: most weights are missing.
    """
    import comfy.sd

    load = comfy.sd.CLIP.load_sd

    def asking(clip: Any, *given: Any, **named: Any) -> Any:
        found = load(clip, *given, **named)
        if 2 * len(found[0]) > len(clip.cond_stage_model.state_dict()):
            raise ValueError(f"{option}: {file} is no text encoder that ComfyUI knows. {wanted}")
        return found

    with patch.object(comfy.sd.CLIP, "load_sd", asking):
        yield


def told(error: Exception, options: argparse.Namespace) -> str:
    """What an error says, with the command's option in place of the widget of a node, which nobody sees here."""
    said = str(error)
    widget = _WIDGET.match(said)
    name = _OTHERWISE_NAMED.get(widget[1], widget[1]) if widget else ""
    return f"--{name.replace('_', '-')}: {said[widget.end() :]}" if widget and hasattr(options, name) else said


@contextmanager
def timed_unit(name: str, left: int) -> Iterator[None]:
    """Say how long one of several units took, and how long the others will take if they are like it."""
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    rest = f", the other {left} about {_words(left * seconds)}" if left else ""
    print(f"{name} took {_words(seconds)}{rest}.", flush=True)


def alexnet_file(given: Path | None) -> Path:
    """Where AlexNet's weights are looked for: as named, else where torch keeps what it fetches."""
    return given or Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET


def missing_lpips(given: Path | None) -> str | None:
    """Say why LPIPS is left out, and what it needs; ``None`` where nothing is missing."""
    if find_spec("lpips") is None:
        return (
            "LPIPS is left out: the package lpips is not installed. To have it, stop here and type\n"
            f"{sys.executable} -m pip install lpips"
        )
    if not alexnet_file(given).is_file():
        return (
            f"LPIPS is left out: its package is there, AlexNet's weights are not. To have it, stop here and download\n"
            f"https://download.pytorch.org/models/{ALEXNET}\n"
            f"to {alexnet_file(given).parent}, or to any folder and name the file with --alexnet."
        )
    return None


def surroundings(device: str) -> str:
    """What figures also depend on and a folder of them says: this pack, ComfyUI, torch and the machine."""
    pack = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    host = host_version(find_host())
    return f"Latent Stereo {pack[1] if pack else '?'}, ComfyUI {dotted(host) if host else '?'}, {machine(device)}"


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
