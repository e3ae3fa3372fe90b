"""Load Depth Model: what is listed, what is refused and in which words, and that nothing is fetched or unpickled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.host.tiny import depth_networks  # noqa: E402
from tools.host.server import PromptError, Server  # noqa: E402

FOLDER = "geometry_estimation"


@pytest.fixture
def models(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001
    """A models path of the host's of its own, with two networks, one in a folder of its publisher's."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path)], {".safetensors"}))
    depth_networks.make_dpt(tmp_path / "Tiny" / "dpt")
    depth_networks.make_depth_anything(tmp_path / "anything")
    return tmp_path


@pytest.fixture
def loader(host):
    return host["Stereo_LoadDepthModel"]


def options(loader) -> list[str]:
    return loader.INPUT_TYPES()["required"]["model_name"][1]["options"]


def load(loader, name: str = "anything", dtype: str = "default"):
    with torch.inference_mode():
        return loader.execute(name, dtype).args[0]


def refusal(loader, name: str) -> str:
    """What a person reads: the validation's answer, which is also what running it raises."""
    answer = loader.validate_inputs(name)
    with pytest.raises(ValueError) as caught:
        load(loader, name)
    assert str(caught.value) == answer
    return answer


def test_folders_are_listed_with_forward_slashes(loader, models: Path) -> None:
    (models / "other.safetensors").touch()
    shutil.copytree(models / "anything", models / "pickled")
    (models / "pickled" / "model.safetensors").rename(models / "pickled" / "pytorch_model.bin")
    shutil.copytree(models / "anything", models / "language")
    depth_networks.edit_config(models / "language", model_type="llama")
    assert options(loader) == ["anything", "Tiny/dpt"]
    assert loader.validate_inputs("Tiny/dpt") is True and loader.validate_inputs("Tiny\\dpt") is True


def test_every_models_path_is_searched(loader, models: Path, monkeypatch, tmp_path_factory) -> None:
    import folder_paths

    other = tmp_path_factory.mktemp("other")
    shutil.move(models / "Tiny", other / "Tiny")
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, FOLDER, ([str(models), str(other), "/not/there"], {".safetensors"})
    )
    assert options(loader) == ["anything", "Tiny/dpt"]
    load(loader, "Tiny/dpt")


def test_a_missing_model_names_the_folder_and_the_files(loader, models: Path) -> None:  # noqa: ARG001
    assert refusal(loader, "Depth-Anything-V2-Small-hf") == (
        "model_name: models/geometry_estimation/Depth-Anything-V2-Small-hf does not exist. Put the model's "
        "config.json, preprocessor_config.json and model.safetensors into that folder."
    )


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(file: str, loader, models: Path) -> None:
    (models / "anything" / file).unlink()
    assert f"models/geometry_estimation/anything has no {file}. Put it there" in refusal(loader, "anything")


def test_pickled_weights_are_not_read(loader, models: Path) -> None:
    folder = models / "anything"
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert says(refusal(loader, "anything"), "has no model.safetensors", ".bin, .pth) are not read")


def says(text: str, *parts: str) -> bool:
    return all(part in text for part in parts)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "..\\x", "/etc", "C:\\models", "", "."])
def test_names_outside_the_models_folder_are_refused(name, loader, models: Path) -> None:
    (models.parent / "x").mkdir(exist_ok=True)
    assert "is not a folder below models/geometry_estimation" in refusal(loader, name)


def test_a_linked_name_is_judged_when_it_runs(loader, models: Path) -> None:  # noqa: ARG001
    assert loader.validate_inputs() is True
    with pytest.raises(ValueError, match="None is not a folder below models/geometry_estimation"):
        load(loader, None)


def test_damaged_settings_are_reported(loader, models: Path) -> None:
    config = models / "anything" / "config.json"
    whole = config.read_text()
    for text, problem in (
        (whole[:50], "config.json cannot be read (Unterminated string"),
        ("[" * 100_000, "config.json cannot be read (maximum recursion depth exceeded"),
        ("[]", "config.json does not hold a JSON object"),
        ('{"model_type": 3}', "config.json describes no depth network that this node supports (model_type 3)"),
        ('{"model_type": ["dpt"]}', "(model_type ['dpt'])"),
    ):
        config.write_text(text)
        assert says(refusal(loader, "anything"), f"models/{FOLDER}/anything: ", problem)
        assert options(loader) == ["Tiny/dpt"]


@pytest.mark.parametrize(
    "change",
    [
        {"neck_hidden_sizes": "many"},
        {"neck_hidden_sizes": [8, 8, 16, 10**9]},
        {"fusion_hidden_size": 16.5},
        {"reassemble_factors": [4, 2, 1, 0]},
        {"max_depth": float("nan")},
        {"depth_estimation_type": "both"},
        {"patch_size": [14, 14]},
    ],
)
def test_a_setting_out_of_bounds_is_named(change: dict, loader, models: Path) -> None:
    depth_networks.edit_config(models / "anything", **change)
    assert f"anything: config.json sets {next(iter(change))} to " in refusal(loader, "anything")


@pytest.mark.parametrize("change", [{"hidden_size": 0}, {"num_hidden_layers": 10**6}, {"hidden_act": "xielu"}])
def test_a_setting_of_the_backbone_out_of_bounds_is_named(change: dict, loader, models: Path) -> None:
    edit_backbone(models / "anything", **change)
    assert f"backbone_config in config.json sets {next(iter(change))} to " in refusal(loader, "anything")


def edit_backbone(folder: Path, **changes: object) -> None:
    backbone = json.loads((folder / "config.json").read_text())["backbone_config"]
    depth_networks.edit_config(folder, backbone_config={**backbone, **changes})


@pytest.mark.parametrize(
    "change",
    [{"neck_hidden_sizes": [8, 8, 16]}, {"reassemble_factors": [4, 2, 1]}, {"reassemble_hidden_size": 33}],
)
def test_settings_that_do_not_fit_together_are_reported_before_the_run(change: dict, loader, models: Path) -> None:
    depth_networks.edit_config(models / "anything", **change)
    with pytest.raises(ValueError, match=r"^model_name: anything: the (settings|weights) .*Fetch config.json"):
        load(loader)


@pytest.mark.parametrize(
    "change",
    [
        {"size": "big"},
        {"size": 10**9},
        {"size": {"height": 64}},
        {"image_mean": [0.5]},
        {"resample": 77},
        {"image_std": [0, 0, 0]},
        {"ensure_multiple_of": 0},
    ],
)
def test_damaged_preprocessing_is_reported(change: dict, loader, models: Path) -> None:
    depth_networks.edit_config(models / "anything", "preprocessor_config.json", **change)
    assert f"anything: preprocessor_config.json sets {next(iter(change))} to " in refusal(loader, "anything")


def test_cut_off_weights_are_reported(loader, models: Path) -> None:
    file = models / "anything" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"anything: the weights could not be loaded .*Fetch config.json"):
        load(loader)


def test_weights_of_another_network_are_reported(loader, models: Path) -> None:
    shutil.copy(models / "Tiny/dpt/model.safetensors", models / "anything/model.safetensors")
    with pytest.raises(
        ValueError,
        match="anything: the weights could not be loaded .they lack .* tensors that config.json",
    ):
        load(loader)
    depth_networks.edit_config(models / "Tiny/dpt", fusion_hidden_size=24)
    with pytest.raises(ValueError, match=r"Tiny/dpt: the weights could not be loaded .* config.json describes \("):
        load(loader, "Tiny/dpt")


def test_the_unused_half_of_the_first_fusion_layer_may_be_absent(loader, models: Path) -> None:
    """Published DPT files leave it out."""
    file = models / "Tiny/dpt/model.safetensors"
    weights = load_file(file)
    kept = {key: value for key, value in weights.items() if "fusion_stage.layers.0.residual_layer1" not in key}
    assert len(kept) < len(weights)
    save_file(kept, file, {"format": "pt"})
    load(loader, "Tiny/dpt")


def test_weights_in_several_files_are_loaded(loader, models: Path) -> None:
    from transformers import AutoModelForDepthEstimation

    folder = models / "anything"
    whole = load(loader).patcher.model.state_dict()
    AutoModelForDepthEstimation.from_pretrained(folder).save_pretrained(folder, max_shard_size="50KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    assert (folder / "model.safetensors.index.json").is_file()
    assert "anything" in options(loader)
    again = load(loader).patcher.model.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


@pytest.mark.parametrize("backbone", [{"backbone": "resnet50", "use_timm_backbone": True}, {"backbone": "some/repo"}])
def test_a_backbone_that_would_be_fetched_is_refused(backbone: dict, loader, models: Path) -> None:
    depth_networks.edit_config(models / "anything", backbone_config=None, **backbone)
    assert says(refusal(loader, "anything"), "anything: config.json names the backbone", "so it would be fetched")


@pytest.mark.parametrize(("dtype", "expected"), [("default", torch.float32), ("bf16", torch.bfloat16)])
def test_weight_dtype_is_obeyed(dtype: str, expected: torch.dtype, loader, models: Path) -> None:  # noqa: ARG001
    model = load(loader, dtype=dtype)
    assert model.dtype == expected and {p.dtype for p in model.patcher.model.parameters()} == {expected}


def test_half_precision_is_the_default_only_where_it_is_safe(loader, models: Path, monkeypatch) -> None:
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "should_use_fp16", lambda *_, **__: True)
    depth_networks.make_zoedepth(models / "zoe")
    assert load(loader, "anything").dtype == torch.float16
    assert load(loader, "zoe").dtype == torch.float32


def test_depth_pro_is_loaded_without_its_lens_guess(loader, models: Path) -> None:
    depth_networks.make_depth_pro(models / "pro")
    assert not any("fov" in key for key in load(loader, "pro").patcher.model.state_dict())


def graph(model: str, frames: int = 2) -> dict:
    return {
        "image": {"class_type": "EmptyImage", "inputs": {"width": 48, "height": 32, "batch_size": frames, "color": 99}},
        "model": {"class_type": "Stereo_LoadDepthModel", "inputs": {"model_name": model, "weight_dtype": "default"}},
        "depth": {
            "class_type": "Stereo_DepthEstimate",
            "inputs": {
                "image": ["image", 0],
                "source": ["model", 0],
                "range": "scene",
                "stabilize": True,
                "resolution": 0,
                "batch_size": 4,
                "percentile": 0.5,
            },
        },
        "save": {"class_type": "SaveImage", "inputs": {"images": ["depth", 0], "filename_prefix": "test/depth"}},
    }


def test_the_server_refuses_a_missing_model_and_goes_on(server: Server) -> None:
    status, answer = server.queue(graph("not-there"))
    assert status == 400
    (error,) = answer["node_errors"]["model"]["errors"]
    assert "models/geometry_estimation/not-there does not exist. Put the model's config.json" in error["details"]
    with pytest.raises(PromptError, match=r"Stereo_LoadDepthModel \(node model\).*not-there"):
        server.run(graph("not-there"))

    depth_networks.make_depth_anything(server.base / "models" / FOLDER / "tiny")
    files = server.run(graph("tiny"))
    assert len(files) == 2 and all(file.path.is_file() for file in files)


def test_the_server_refuses_a_source_of_another_type(server: Server) -> None:
    wrong = graph("tiny")
    wrong["depth"]["inputs"]["source"] = ["image", 0]
    status, answer = server.queue(wrong)
    assert status == 400 and "return_type_mismatch" in json.dumps(answer["node_errors"]["depth"])


def test_the_frontend_is_told_of_the_new_folder(server: Server) -> None:
    depth_networks.make_glpn(server.base / "models" / FOLDER / "added" / "later")
    inputs = server.object_info()["Stereo_LoadDepthModel"]["input"]["required"]
    assert "added/later" in inputs["model_name"][1]["options"]
