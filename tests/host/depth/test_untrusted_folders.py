"""Depth model folders come from strangers: nothing is fetched, run or read outside them, and listing never fails."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.host.depth.guards import Guard, forget_packages, stub_packages  # noqa: E402
from tests.host.tiny import depth_networks  # noqa: E402

FOLDER = "geometry_estimation"


@pytest.fixture
def models(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    """A models path of the host's of its own, with one network."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path)], {".safetensors"}))
    depth_networks.make_depth_anything(tmp_path / "anything")
    return tmp_path


@pytest.fixture
def guard(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    """Sockets are closed, packages that would fetch or run something are there, and every opened file is noted."""
    guard = Guard(models)
    stub_packages(monkeypatch, guard)
    yield guard
    forget_packages()


@pytest.fixture
def loader(host):
    return host["Stereo_LoadDepthModel"]


def options(loader) -> list[str]:
    return loader.INPUT_TYPES()["required"]["model_name"][1]["options"]


def load(loader, name: str = "anything"):
    with torch.inference_mode():
        return loader.execute(name, "default").args[0]


def refusal(loader, name: str = "anything") -> str:
    """What a person reads: the validation's answer, which is also what running it raises."""
    answer = loader.validate_inputs(name)
    with pytest.raises(ValueError) as caught:
        load(loader, name)
    assert str(caught.value) == answer
    return answer


def edit_backbone(folder: Path, **changes: object) -> None:
    backbone = json.loads((folder / "config.json").read_text())["backbone_config"]
    depth_networks.edit_config(folder, backbone_config={**backbone, **changes})


# Listing


def test_what_cannot_be_read_is_left_out_and_told_once(loader, models: Path, caplog, pack) -> None:
    pack("nodes.depth.folders")._tell_once.cache_clear()
    for name in ("nested", "directory", "pipe", "huge", "loop", "away"):
        shutil.copytree(models / "anything", models / name)
        (models / name / "config.json").unlink()
    (models / "nested/config.json").write_text("[" * 100_000)
    (models / "directory/config.json").mkdir()
    os.mkfifo(models / "pipe/config.json")
    (models / "huge/config.json").write_text(json.dumps({"model_type": "dpt", "x": "y" * 5_000_000}))
    (models / "loop/config.json").symlink_to("config.json")
    (models / "away/config.json").symlink_to(models / "anything/config.json")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert options(loader) == ["anything"]
    for name in ("nested", "directory", "pipe", "huge", "loop", "away"):
        told = repr(str(models / name))
        assert sum(told in record.getMessage() for record in caplog.records) == 1


def test_a_real_folder_is_visited_once(loader, models: Path) -> None:
    (models / "anything" / "loop").symlink_to(models)
    (models / "again").symlink_to(models / "anything")
    (models / "itself").symlink_to("itself")
    assert options(loader) == ["again"] or options(loader) == ["anything"]
    assert loader.validate_inputs("again") is True and loader.validate_inputs("anything") is True


def test_a_link_to_everything_ends(loader, models: Path, monkeypatch, pack, caplog) -> None:
    folders = pack("nodes.depth.folders")
    monkeypatch.setattr(folders, "_MOST_FOLDERS", 20)
    for number in range(30):
        (models / "z" / str(number)).mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert options(loader) == ["anything"]
    assert "searched in the first 20 folders" in caplog.text


def test_a_folder_linked_from_another_disk_is_a_model(loader, models: Path, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("disk")
    shutil.move(models / "anything", other / "anything")
    (models / "linked").symlink_to(other)
    assert options(loader) == ["linked/anything"]
    load(loader, "linked/anything")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions bind no administrator")
def test_a_folder_without_permission_is_left_out(loader, models: Path) -> None:
    (models / "closed").mkdir(mode=0)
    assert options(loader) == ["anything"]


def test_a_folder_that_cannot_be_listed_is_left_out(loader, models: Path, monkeypatch) -> None:
    (models / "closed").mkdir()
    listdir = os.listdir

    def refusing(path: str | Path) -> list[str]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    assert options(loader) == ["anything"]


def test_a_name_that_is_no_text_is_left_out(loader, models: Path) -> None:
    try:
        shutil.copytree(models / "anything", os.fsdecode(os.fsencode(models) + b"/\xff"))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert options(loader) == ["anything"]


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000, "\0", "a\0b", "\ud800"])
def test_a_name_that_no_folder_can_have_is_refused(name: str, loader, models: Path) -> None:  # noqa: ARG001
    answer = refusal(loader, name)
    assert "does not exist" in answer and len(answer) < 400 and answer.encode()


# Nothing is fetched, compiled or run


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "resnet50", "use_timm_backbone": True, "backbone_config": None},
        {"backbone": "some/hub", "use_pretrained_backbone": True},
        {"backbone": "some/hub", "backbone_config": None},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet50"}},
        {"backbone_config": {"model_type": "timm_wrapper", "architecture": "hf_hub:some/hub"}},
        {"backbone_config": {"model_type": "llama"}},
        {"backbone_config": "some/hub"},
        {"backbone_config": [1]},
        {"_attn_implementation": "kernels-community/flash-attn"},
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation_internal": {"": "sdpa", "backbone_config": "kernels-community/x"}},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        {"model_type": "timm_wrapper"},
    ],
)
def test_a_request_for_something_from_elsewhere_is_refused(change: dict, loader, models: Path, guard: Guard) -> None:
    depth_networks.edit_config(models / "anything", **change)
    with guard:
        answer = refusal(loader)
    assert answer.startswith("model_name: models/geometry_estimation/anything: config.json ")


@pytest.mark.parametrize(
    "change",
    [{"_attn_implementation": "kernels-community/flash-attn"}, {"use_timm_backbone": True}, {"backbone": "some/hub"}],
)
def test_a_backbone_may_ask_for_nothing_either(change: dict, loader, models: Path, guard: Guard) -> None:
    edit_backbone(models / "anything", **change)
    with guard:
        refusal(loader)


def test_whatever_else_a_folder_holds_is_left_alone(loader, models: Path, guard: Guard) -> None:
    folder = models / "anything"
    (folder / "evil.py").write_text(f"open({str(models / 'ran')!r}, 'w')\n")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "some/hub"}))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(guard.call))
    more = {"AutoConfig": "evil.Evil", "AutoModelForDepthEstimation": "evil.Evil"}
    depth_networks.edit_config(
        folder,
        auto_map=more,
        trust_remote_code=True,
        fusion_config={"patch_embeddings": True},
        transformers_weights="../../elsewhere.safetensors",
        custom_pipelines={"depth": {"impl": "evil.Evil"}},
        use_kernels=True,
        name_or_path="some/hub",
    )
    edit_backbone(folder, auto_map=more, transformers_weights="pytorch_model.bin")
    depth_networks.edit_config(folder, "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.Evil"})
    with guard:
        network = load(loader).patcher.model.network
    assert not (models / "ran").exists()
    for key in ("auto_map", "fusion_config", "transformers_weights", "custom_pipelines", "use_kernels"):
        assert not getattr(network.config, key, None) and not getattr(network.config.backbone_config, key, None)


def test_the_guard_sees_what_must_not_be(guard: Guard, models: Path) -> None:
    """Also that transformers does use the packages when it is asked to."""
    (models.parent / "outside").write_text("")
    with pytest.raises(AssertionError, match="a file outside"), guard:
        (models.parent / "outside").read_text()
    with pytest.raises(AssertionError, match=r"socket\.(connect|getaddrinfo)"), guard:
        with pytest.raises(OSError):
            socket.create_connection(("localhost", 9))
    with pytest.raises(AssertionError, match="unpickled"), guard:
        pickle.loads(pickle.dumps(os.getcwd))
    timm = {"model_type": "timm_backbone", "backbone": "resnet50"}
    config = transformers.AutoConfig.for_model("depth_anything", backbone_config=timm)
    with pytest.raises(AssertionError, match=r"timm\.create_model"), guard:
        with pytest.raises(Exception):  # noqa: B017
            transformers.AutoModelForDepthEstimation.from_config(config)


# Only safetensors, only inside the folder


def split(folder: Path, weight_map: dict) -> None:
    """Name the weights in an index, in place of one file."""
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.mark.parametrize(
    "name",
    ["x.bin", "../../x.safetensors", "/tmp/x.safetensors", "sub/x.safetensors", "C:x.safetensors", "..\\x.safetensors"],
)
def test_an_index_may_name_safetensors_in_the_folder_only(name: str, loader, models: Path, guard: Guard) -> None:
    folder = models / "anything"
    keys = list(load_file(folder / "model.safetensors"))
    split(folder, {**dict.fromkeys(keys, "part.safetensors"), keys[-1]: name})
    torch.save({}, folder / "x.bin")
    with guard:
        assert "only safetensors files in the same folder are read" in refusal(loader)


@pytest.mark.parametrize("weight_map", [None, [], {}, {"a": 3}, {"a": None}, "part.safetensors"])
def test_an_index_without_files_is_refused(weight_map: object, loader, models: Path) -> None:
    split(models / "anything", weight_map)
    assert "model.safetensors.index.json does not say in which files the weights are" in refusal(loader)


def test_an_index_that_names_a_missing_file_is_refused(loader, models: Path) -> None:
    split(models / "anything", {"a": "gone.safetensors"})
    assert "'gone.safetensors' cannot be read (it is not a file)" in refusal(loader)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_link_out_of_the_folder_is_refused(file: str, loader, models: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside") / file
    shutil.move(models / "anything" / file, outside)
    (models / "anything" / file).symlink_to(outside)
    assert says_link(refusal(loader), file)
    shutil.copy(outside, models / "anything" / "beside")
    (models / "anything" / file).unlink()
    (models / "anything" / file).symlink_to("beside")
    load(loader)


def says_link(text: str, file: str) -> bool:
    return file in text and "cannot be read (it is a link that leads out of the folder)" in text


@pytest.mark.parametrize("lie", ["length", "offsets", "shape", "dtype", "nesting", "empty", "float8", "int8"])
def test_a_weights_file_that_lies_is_refused(lie: str, loader, models: Path) -> None:
    file = models / "anything" / "model.safetensors"
    raw = file.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    first = next(key for key in header if key != "__metadata__")
    match lie:
        case "length":
            raw = (2**62).to_bytes(8, "little") + raw[8:]
        case "offsets":
            header[first]["data_offsets"] = [0, 2**40]
        case "shape":
            header[first]["shape"] = [2**40, 2**40]
        case "dtype":
            header[first]["dtype"] = "F17"
        case "nesting":
            header["__metadata__"] = {"a": [[[[]]]]}
        case "empty":
            raw = b""
    if quantized := {"float8": torch.float8_e4m3fn, "int8": torch.int8}.get(lie):
        save_file({key: value.to(quantized) for key, value in load_file(file).items()}, file)
    elif lie in ("length", "empty"):
        file.write_bytes(raw)
    else:
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    with pytest.raises(ValueError, match=r"^model_name: anything: the weights could not be loaded \("):
        load(loader)


# Bounds


def test_a_network_without_memory_for_it_is_refused_before_it_is_built(loader, models, monkeypatch) -> None:  # noqa: ARG001
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_, **__: 2**20)
    with pytest.raises(ValueError, match=r"Load Depth Model.* GiB.*Set weight_dtype to fp16, or"):
        load(loader)


def test_weights_much_smaller_than_described_are_refused_before_memory_is_taken(loader, models, monkeypatch) -> None:  # noqa: ARG001
    edit_backbone(models / "anything", hidden_size=1024)
    depth_networks.edit_config(models / "anything", reassemble_hidden_size=1024)
    monkeypatch.setattr(transformers.DepthAnythingForDepthEstimation, "from_pretrained", lambda *_, **__: pytest.fail())
    with pytest.raises(ValueError, match=r"anything: the weights could not be loaded \(they are \d+ numbers, and"):
        load(loader)


def test_the_rehearsal_can_be_interrupted(loader, models, monkeypatch) -> None:  # noqa: ARG001
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        load(loader)


def test_models_that_are_not_in_use_make_room(pack, monkeypatch) -> None:
    import comfy.model_management as management

    free = {"meta": 2**20, "cpu": 2**40}
    monkeypatch.setattr(management, "get_torch_device", lambda: torch.device("meta"))
    monkeypatch.setattr(management, "get_free_memory", lambda device: free[device.type])
    monkeypatch.setattr(management, "free_memory", lambda needed, device: free.update({device.type: needed}))
    pack("nodes.host").expect_memory("Node", "a clip", 2**30, working=2**30)
    with pytest.raises(ValueError, match="Node: a clip needs about 2048.0 GiB of memory"):
        pack("nodes.host").expect_memory("Node", "a clip", 2**41, working=2**30)


def test_a_clip_without_memory_for_its_depth_is_refused_before_the_run(host, loader, models, monkeypatch) -> None:  # noqa: ARG001
    import comfy.model_management

    model = load(loader)
    monkeypatch.setattr(type(model), "infer", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_, **__: 2**20)
    with pytest.raises(
        ValueError, match=r"Depth Estimate: a clip of 20 frames of 98x70 needs about .* GiB.*Lower resolution or"
    ):
        host["Stereo_DepthEstimate"].execute(torch.rand(20, 70, 98, 3), model, "clip", False, 0, 4, 0.0)


def test_interrupt_works_within_a_chunk(host, loader, models, monkeypatch) -> None:  # noqa: ARG001
    import comfy.model_management as management

    model = load(loader)
    parts = []
    network = model.patcher.model.network
    hook = network.backbone.register_forward_hook(lambda *_: management.interrupt_current_processing(True))
    network.head.register_forward_hook(lambda *_: parts.append("head"))
    with pytest.raises(management.InterruptProcessingException):
        host["Stereo_DepthEstimate"].execute(torch.rand(1, 70, 98, 3), model, "clip", False, 0, 4, 0.0)
    assert not parts and not management.processing_interrupted()
    hook.remove()
    host["Stereo_DepthEstimate"].execute(torch.rand(1, 70, 98, 3), model, "clip", False, 0, 4, 0.0)
    assert not any(part._forward_pre_hooks for part in network.modules())
