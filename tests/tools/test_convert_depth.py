"""The command that converts a published file: what it takes, and that nothing is left where it refuses."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tools import convert_depth

WEIGHTS = {convert_depth.MARK: torch.randn(4, 4), "head.bias": torch.randn(3)}


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(held: Any, name: str = "video_depth_anything_vits.pth", **form: bool) -> str:
        file = tmp_path / name
        file.write_bytes(held) if isinstance(held, bytes) else torch.save(held, file, **form)
        monkeypatch.setattr(sys, "argv", ["convert_depth.py", str(file)])
        code, printed = convert_depth.main(), capsys.readouterr()
        assert (code, bool(printed.err), bool(printed.out)) in {(0, False, True), (1, True, False)}
        assert printed.err.count("\n") == code
        return printed.err

    return run


@pytest.mark.parametrize(
    "more",
    [{"tied": WEIGHTS["head.bias"]}, {"turned": torch.randn(4, 3).t()}, {"own": torch.nn.Parameter(torch.ones(2))}],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_however_they_lie_are_written(more: dict[str, Tensor], zipped: bool, convert, tmp_path: Path) -> None:
    assert convert(WEIGHTS | more, _use_new_zipfile_serialization=zipped) == ""
    written = safetensors.torch.load_file(tmp_path / "video_depth_anything_vits.safetensors")
    torch.testing.assert_close(written, {name: tensor.detach() for name, tensor in (WEIGHTS | more).items()})
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "more",
    [{"epoch": 3}, {3: torch.ones(1)}, {"s": torch.eye(3).to_sparse()}, {"m": torch.ones(1, device="meta")}, {"n": {}}],
)
def test_what_is_no_weight_is_told_by_its_name(more: dict[Any, Any], convert, tmp_path: Path) -> None:
    assert f"more than the weights of a network: '{next(iter(more))}'" in convert(WEIGHTS | more)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "saved",
    [
        {f"module.{name}": tensor for name, tensor in WEIGHTS.items()},
        {"epoch": 3, "model": WEIGHTS},
        {"state_dict": {f"model.{name}": tensor for name, tensor in WEIGHTS.items()} | {"step": 3}},
    ],
)
def test_weights_that_a_training_has_saved_get_their_published_names(saved: Any, convert, tmp_path: Path) -> None:
    assert convert(saved) == ""
    written = safetensors.torch.load_file(tmp_path / "video_depth_anything_vits.safetensors")
    torch.testing.assert_close(written, WEIGHTS)


def test_depthcrafter_is_converted_and_other_networks_are_told(convert) -> None:
    assert convert({convert_depth.CRAFTER_MARK: torch.ones(2)}, "diffusion_pytorch_model.bin") == ""
    for other in (
        {"encoder.weight": torch.ones(2)},
        torch.ones(2),
        [WEIGHTS],
        {f"x{convert_depth.MARK}": torch.ones(2)},
    ):
        assert "is not a file of Video Depth Anything or DepthCrafter. Choose another" in convert(other)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damage_anywhere_is_told_as_such(convert, tmp_path: Path) -> None:
    for zipped in (True, False):
        kept = io.BytesIO()
        torch.save(WEIGHTS, kept, _use_new_zipfile_serialization=zipped)
        draw = random.Random(0)
        for _ in range(40):
            damaged = bytearray(kept.getvalue())
            for _ in range(8):
                damaged[draw.randrange(min(len(damaged), 700))] = draw.randrange(256)
            message = convert(bytes(damaged))
            assert not message or "damaged" in message or "not a file of" in message
            tmp_path.joinpath("video_depth_anything_vits.safetensors").unlink(missing_ok=True)


def test_a_file_that_is_converted_already_is_not_to_be_removed(convert) -> None:
    assert "needs no conversion" in convert(b"", "video_depth_anything_vits.SafeTensors")


def test_a_full_disk_leaves_nothing_behind(convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, file: Path, **__: object) -> None:
        file.write_bytes(b"half")
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    assert "cannot be written (No space left on device). Make room" in convert(WEIGHTS)
    assert len(list(tmp_path.iterdir())) == 1
