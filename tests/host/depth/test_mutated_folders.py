"""Damaged and hostile depth folders, made at random from good ones: each runs or is refused in plain words.

DEPTH_FOLDERS=1000 makes a thousand of them; a folder depends on its number alone.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.host.depth.guards import Guard, forget_packages, stub_packages  # noqa: E402
from tests.host.tiny import depth_networks  # noqa: E402

COUNT = int(os.environ.get("DEPTH_FOLDERS", "60"))
CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
# The one on DINOv2 is a hundred times as large, for a projection of fixed width.
FAMILIES = sorted(set(depth_networks.FAMILIES) - {"dpt_dinov2"})

VALUES: list[object] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 16, 10**3, 10**6, 10**9, 10**30, 0.5, -0.5, 1e-30, 1e30, 1e400, -1e400),
    *(float("nan"), "", "a", "gelu", "sdpa", "\ud800", "x" * 10_000, "../../x", "some/hub", [], [[]], [None], [0] * 4),
    *(
        [1, 2, 3, 4],
        [1] * 1000,
        [10**9],
        ["stage1"],
        {},
        {"a": 1},
        {"model_type": "bit"},
        {"model_type": "timm_backbone"},
    ),
    {"height": 10**9, "width": 1},
]
REQUESTS = {
    "backbone": "resnet50",
    "use_timm_backbone": True,
    "use_pretrained_backbone": True,
    "_attn_implementation": "kernels-community/flash-attn",
    "attn_implementation": "flash_attention_2",
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForDepthEstimation": "some/hub--evil.Evil"},
    "fusion_config": {"patch_embeddings": True},
    "transformers_weights": "../../x.safetensors",
    "per_layer_config": {"0": {"hidden_size": 3}},
    "model_type": "timm_wrapper",
    "dtype": "float8_e4m3fn",
    "torch_dtype": "os.system",
    "_name_or_path": "some/hub",
    "num_hidden_layers": 128,
    "image_size": 4096,
    "patch_size": 1,
}
TEXTS = [
    "",
    "[" * 100_000,
    "{" * 2000,
    "[]",
    "3",
    "null",
    '{"a": ' * 5000,
    "{}",
    "\ufeff{}",
    "9" * 6000,
    "[" + "0," * 99,
]

Change = Callable[[Path, random.Random], None]


def change_settings(folder: Path, chance: random.Random) -> None:
    """Change a value anywhere in a settings file."""
    path = folder / chance.choice([CONFIG, CONFIG, PREPROCESSOR])
    content = json.loads(path.read_text())
    place = chance.choice(list(dicts(content)))
    keys = [key for key in place if key not in ("id2label", "label2id")] or ["a"]
    key, value = chance.choice(keys), chance.choice(VALUES)
    old = place.get(key)
    match chance.randrange(6):
        case 0:
            place.pop(key, None)
        case 1 if isinstance(old, list) and old:
            old.insert(chance.randrange(len(old)), chance.choice(VALUES))
        case 2 if isinstance(old, list) and old:
            old.pop()
        case 3 if isinstance(old, int | float):
            place[key] = old * chance.choice([-1, 0, 2, 3, 1.5, 100, 10**7])
        case 4:
            place[key], other = place.get(chance.choice(keys)), old
            place[chance.choice(keys)] = other
        case _:
            place[key] = value
    path.write_text(json.dumps(content))


def dicts(content: object) -> Iterator[dict]:
    if isinstance(content, dict):
        yield content
        for value in content.values():
            yield from dicts(value)


def ask_for_something(folder: Path, chance: random.Random) -> None:
    path = folder / CONFIG
    content = json.loads(path.read_text())
    key = chance.choice(list(REQUESTS))
    chance.choice(list(dicts(content)))[key] = copy.deepcopy(REQUESTS[key])
    path.write_text(json.dumps(content))


def damage_text(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice([CONFIG, PREPROCESSOR])
    raw = path.read_bytes()
    match chance.randrange(3):
        case 0:
            path.write_text(chance.choice(TEXTS))
        case 1:
            path.write_bytes(raw[: chance.randrange(len(raw))])
        case _:
            path.write_bytes(flip(raw, chance, 5))


def flip(raw: bytes, chance: random.Random, most: int) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.randint(1, most)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def damage_weights(folder: Path, chance: random.Random) -> None:
    raw = (folder / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    entry = header[chance.choice([key for key in header if key != "__metadata__"])]
    match chance.randrange(7):
        case 0:
            raw = raw[: chance.randrange(len(raw))]
        case 1:
            raw = flip(raw[:end], chance, 20) + raw[end:]
        case 2:
            raw = raw[:end] + flip(raw[end:], chance, 200)
        case 3:
            entry["dtype"] = chance.choice(["F64", "I8", "BOOL", "F8_E4M3", "C64", "U64", "F4", "", 3])
        case 4:
            entry["shape"] = chance.choice([[], [0], [2**62, 4], [-1], [1, *entry["shape"]], entry["shape"][::-1], "a"])
        case 5:
            entry["data_offsets"] = chance.choice([[0, 0], [0, 2**60], [5, 3], [-1, 4], [], "a"])
        case _:
            raw = chance.choice([0, 1, 2**31, 2**63]).to_bytes(8, "little") + raw[8:]
    if raw[8:end] and header != json.loads((folder / WEIGHTS).read_bytes()[8:end]):
        text = json.dumps(header).encode()
        raw = len(text).to_bytes(8, "little") + text + raw[end:]
    replace(folder / WEIGHTS, raw)


def replace(path: Path, raw: bytes) -> None:
    """Write a new file: the old one may have another name as well."""
    path.unlink()
    path.write_bytes(raw)


def change_tensors(folder: Path, chance: random.Random) -> None:
    weights = load_file(folder / WEIGHTS)
    key = chance.choice(sorted(weights))
    match chance.randrange(6):
        case 0:
            del weights[key]
        case 1:
            weights["evil." + key] = weights.pop(key)
        case 2:
            weights[key] = weights[key] * float("nan")
        case 3:
            kind = chance.choice([torch.float8_e5m2, torch.int8, torch.bool, torch.float64, torch.float16])
            weights = {name: tensor.to(kind) for name, tensor in weights.items()}
        case 4:
            weights[key] = weights[key].repeat(*[2] * weights[key].ndim)
        case _:
            weights[key] = weights[key].to(torch.complex64)
    (folder / WEIGHTS).unlink()
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)


def use_an_index(folder: Path, chance: random.Random) -> None:
    keys = list(load_file(folder / WEIGHTS))
    (folder / WEIGHTS).rename(folder / "part.safetensors")
    (folder / "x.bin").write_bytes(pickle.dumps(os.getcwd))
    (folder / "link.safetensors").symlink_to("../../outside.safetensors")
    names = [
        "part.safetensors",
        "x.bin",
        "../../outside.safetensors",
        "/etc/passwd",
        "link.safetensors",
        "",
        ".",
        3,
        None,
    ]
    index: object = {"weight_map": {**dict.fromkeys(keys, "part.safetensors"), keys[0]: chance.choice(names)}}
    index = chance.choice([index, index, index, {}, [], {"weight_map": []}, {"weight_map": {"a": ["b"]}}])
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def replace_a_file(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice([CONFIG, PREPROCESSOR, WEIGHTS])
    path.unlink()
    match chance.randrange(6):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to(path.name)
        case 3:
            path.symlink_to(folder.parent.parent / "outside.safetensors")
        case 4:
            path.symlink_to("/dev/zero")
        case _:
            path.touch()


def add_files(folder: Path, chance: random.Random) -> None:  # noqa: ARG001
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "some/hub"}))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(os.getcwd))
    (folder / "loop").symlink_to(folder.parent)


def take_weights_of_another(folder: Path, chance: random.Random) -> None:
    shutil.copy(folder.parent.parent / "good" / chance.choice(FAMILIES) / WEIGHTS, folder / "other")
    (folder / "other").replace(folder / WEIGHTS)


CHANGES: list[Change] = [
    *[change_settings] * 6,
    *[ask_for_something] * 3,
    damage_text,
    damage_weights,
    change_tensors,
    use_an_index,
    replace_a_file,
    add_files,
    take_weights_of_another,
]


def mutated(good: Path, folder: Path, number: int) -> None:
    """Make folder ``number`` of a good one, with one to three changes."""
    chance = random.Random(number)
    family = chance.choice(FAMILIES)
    shutil.copytree(good / family, folder, copy_function=os.link)
    for file in (CONFIG, PREPROCESSOR):
        replace(folder / file, (good / family / file).read_bytes())
    changes = chance.sample(CHANGES, chance.randint(1, 3))
    changes.sort(key=lambda change: change is replace_a_file)  # last: nobody can change a pipe
    for change in changes:
        try:
            change(folder, chance)
        except (OSError, ValueError, LookupError, AttributeError, TypeError, RuntimeError, SafetensorError):
            continue  # an earlier change left nothing here to change


@pytest.fixture
def base(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    """A folder with the good networks, the host's models path, and a file that nobody may read."""
    import folder_paths

    for family in FAMILIES:
        depth_networks.FAMILIES[family](tmp_path / "good" / family)
    (tmp_path / "models").mkdir()
    save_file({"secret": torch.zeros(1)}, tmp_path / "outside.safetensors")
    models = ([str(tmp_path / "models")], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "geometry_estimation", models)
    return tmp_path


def is_clear(message: str) -> bool:
    """Names the model or what to set, is one short text in characters that can be shown, and says what to do."""
    named = message.startswith(("model_name: ", "Load Depth Model: ", "Depth Estimate: ", "resolution: "))
    named = named or message.startswith(("The depth model gave values that are not", "The depth model does not run at"))
    return named and len(message) < 800 and "\n" not in message and message.isprintable() and message.endswith(".")


def test_a_mutated_folder_runs_or_is_refused_in_plain_words(host, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, estimate = host["Stereo_LoadDepthModel"], host["Stereo_DepthEstimate"]
    guard = Guard(base / "models")
    stub_packages(monkeypatch, guard)
    folder = base / "models" / "mutated"
    image = torch.rand(2, 20, 30, 3, generator=torch.Generator().manual_seed(0))
    ran, refused, faults = 0, 0, []
    for number in range(COUNT):
        mutated(base / "good", folder, number)
        try:
            with guard:
                loader.INPUT_TYPES()
                answer = loader.validate_inputs("mutated")
                model = loader.execute("mutated", "default").args[0]
                depth = estimate.execute(image, model, "clip", False, 0, 4, 0.0).args[0]
            assert answer is True and depth.shape == image.shape and depth.isfinite().all()
            ran += 1
        except ValueError as error:
            refused += 1
            if not is_clear(str(error)) or answer not in (True, str(error)):
                faults.append(f"{number}: {error}")
        except Exception:
            logging.getLogger(__name__).error("Folder %d is to blame.", number)
            raise
        shutil.rmtree(folder)
    forget_packages()
    logging.getLogger(__name__).info("%d folders ran, %d were refused", ran, refused)
    assert not faults, "\n".join(faults)
    assert ran and refused
