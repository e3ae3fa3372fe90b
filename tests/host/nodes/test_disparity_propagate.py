"""Steady Depth along Motion in the real host: with RAFT from the host's own loader, and without a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

WIDGETS = {"averaging": "mean", "reach": 0, "resolution": 480}
# The smallest size RAFT takes.
SIDE = 128


@pytest.fixture
def steadied(host):
    return lambda image, depth, **inputs: (
        host["Stereo_DisparityPropagate"].execute(depth, image, **{**WIDGETS, **inputs}).args[0]
    )


@pytest.fixture
def modules(pack) -> tuple[Any, Any]:
    """The node's module and the one that finds the flow, as the host loaded them."""
    return pack("nodes.disparity_propagate"), pack("nodes.depth.clip_flow")


@pytest.fixture(scope="module")
def raft(host, tmp_path_factory: pytest.TempPathFactory):  # noqa: ARG001
    """RAFT-large with random weights, from a file by the host's loader."""
    import folder_paths
    from comfy_extras.nodes_void import OpticalFlowLoader
    from torchvision.models.optical_flow import raft_large

    folder = tmp_path_factory.mktemp("optical_flow")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(raft_large(weights=None, progress=False).state_dict(), folder / "raft.safetensors")
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setitem(folder_paths.folder_names_and_paths, "optical_flow", ([str(folder)], {".safetensors"}))
        return OpticalFlowLoader.execute("raft.safetensors").args[0]


def clip(frames: int, height: int = 48, width: int = 64, step: int = 2, seed: int = 0) -> Tensor:
    """A textured picture that moves to the right by ``step`` columns a frame, (T, H, W, 3), with 8-bit values."""
    noise = torch.rand(1, 3, 12, 16 + frames, generator=torch.Generator().manual_seed(seed))
    wide = torch.nn.functional.interpolate(noise, (height, width + step * frames), mode="bicubic").clamp(0, 1)
    starts = [step * (frames - index) for index in range(frames)]
    moving = torch.cat([wide[..., start : start + width] for start in starts])
    return (moving * 255).round().div(255).movedim(1, -1)


def grey(image: Tensor) -> Tensor:
    return image.mean(-1, keepdim=True).expand(-1, -1, -1, 3)


def noisy(depth: Tensor, amount: float = 0.1) -> Tensor:
    noise = amount * torch.randn(depth.shape[:-1], generator=torch.Generator().manual_seed(1)).unsqueeze(-1)
    return (depth + noise).clamp(0, 1)


@pytest.mark.parametrize("averaging", ["mean", "consistent"])
def test_noise_falls_on_a_moving_clip_without_a_model(steadied, averaging: str) -> None:
    image = clip(8)
    true, depth = grey(image), noisy(grey(image))
    steady = steadied(image, depth, averaging=averaging)
    assert steady.shape == depth.shape and steady.dtype == torch.float32 and torch.equal(*steady[..., :2].unbind(-1))
    inner = (slice(None), slice(8, -8), slice(16, -16))
    before, after = ((d - true)[inner].square().mean().sqrt() for d in (depth, steady))
    assert after < before / 2


def test_a_still_clip_and_a_single_picture_stay(steadied, modules, monkeypatch) -> None:
    """To the last bit but one: the mean of three equal channels is not quite their value."""
    monkeypatch.setattr(modules[1], "optical_flow", None)  # equal frames: nothing is to be found
    image, depth = clip(1), grey(clip(1, seed=1))
    assert (steadied(image, depth) - depth).abs().max() < 1e-7
    steady = steadied(image.repeat(5, 1, 1, 1), depth.repeat(5, 1, 1, 1), averaging="consistent")
    assert (steady - depth).abs().max() < 1e-7 and (steady == steady[0]).all()


def test_a_bypassed_node_hands_on_the_depth(host) -> None:
    # The host's page takes the first input of the output's type.
    inputs = host["Stereo_DisparityPropagate"].define_schema().inputs
    assert next(each.id for each in inputs if each.io_type == "IMAGE") == "depth"


def test_nothing_crosses_a_cut(steadied) -> None:
    first, second = clip(4), 1 - clip(4, seed=7)
    depth = noisy(grey(torch.cat([first, second])))
    together = steadied(torch.cat([first, second]), depth)
    assert torch.equal(together, torch.cat([steadied(first, depth[:4]), steadied(second, depth[4:])]))


def test_the_model_gives_the_flow_that_the_host_makes_of_it(raft, steadied, modules, monkeypatch) -> None:
    from comfy_extras.void_noise_warp import RaftOpticalFlow

    image = clip(3, SIDE, SIDE)
    found = []
    propagate = modules[0].propagate
    monkeypatch.setattr(modules[0], "propagate", lambda depth, flows, *_, **__: (found.extend(flows), depth.clone())[1])
    steadied(image, grey(image), flow_model=raft)
    frames, host_raft = image.movedim(-1, 1), RaftOpticalFlow(raft.model, device=raft.load_device)
    assert len(found) == 2
    for index, pair in enumerate(found):
        forward, backward = host_raft(*frames[index : index + 2]), host_raft(*frames[index : index + 2].flip(0))
        torch.testing.assert_close(pair.forward, forward, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(pair.backward, backward, rtol=1e-3, atol=1e-3)
        assert forward.abs().max() > 1e-2
    monkeypatch.setattr(modules[0], "propagate", propagate)
    assert not torch.equal(steadied(image, noisy(grey(image)), flow_model=raft), steadied(image, noisy(grey(image))))


def test_the_model_is_untouched_and_takes_any_size(raft, steadied) -> None:
    import comfy.model_management as management

    before = {name: weight.clone() for name, weight in raft.model.state_dict().items()}
    image, sizes = clip(2, 30, 50), []
    hook = raft.model.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape)))
    try:
        assert steadied(image, grey(image), flow_model=raft, resolution=40).shape == (2, 30, 50, 3)
    finally:
        hook.remove()
    assert sizes == [(2, 3, 128, 216)]  # as small as RAFT goes, and of the same shape
    after = raft.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert any(loaded.model is raft for loaded in management.current_loaded_models)
    management.unload_all_models()


def test_a_model_that_gives_no_numbers_is_refused(raft, steadied, monkeypatch) -> None:
    image = clip(2)
    monkeypatch.setattr(raft.model, "forward", lambda a, _: [torch.full((2, 2, *a.shape[-2:]), torch.nan)])
    with pytest.raises(ValueError, match="flow_model gave values that are not finite. Load another file"):
        steadied(image, grey(image), flow_model=raft)


def test_the_motion_is_found_at_the_resolution_asked_for(steadied, modules, monkeypatch) -> None:
    sizes = []
    monkeypatch.setattr(
        modules[1], "optical_flow", lambda a, _: (sizes.append(tuple(a.shape)), torch.zeros(2, 2, *a.shape[-2:]))[1]
    )
    image = clip(2, 48, 64)
    for resolution in (0, 32, 480):
        steadied(image, grey(image), resolution=resolution)
    assert sizes == [(2, 3, 48, 64), (2, 3, 24, 32), (2, 3, 48, 64)]


def test_depth_of_another_size_keeps_its_size(steadied) -> None:
    image = clip(3)
    depth = grey(torch.rand(3, 97, 127, 1))  # within 2 percent of the shape of the clip
    assert steadied(image, depth).shape == (3, 97, 127, 3)


def test_reach_and_averaging_arrive(steadied, modules, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        modules[0],
        "propagate",
        lambda depth, _, averaging, reach, *__, **___: (seen.append((averaging.value, reach)), depth.clone())[1],
    )
    image = clip(2)
    steadied(image, grey(image), averaging="consistent", reach=3)
    assert seen == [("consistent", 3)]


def test_progress_counts_the_pairs(steadied, monkeypatch) -> None:
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    steadied(clip(5), grey(clip(5)))
    assert seen[-1] == (4, 4)


def test_interrupt_stops_between_pairs(steadied, modules, monkeypatch) -> None:
    import comfy.model_management as management

    calls = []

    def flow(first: Tensor, _: Tensor) -> Tensor:
        calls.append(1)
        management.interrupt_current_processing(True)
        return torch.zeros(2, 2, *first.shape[-2:])

    monkeypatch.setattr(modules[1], "optical_flow", flow)
    with pytest.raises(management.InterruptProcessingException):
        steadied(clip(6), grey(clip(6)))
    assert len(calls) == 1 and not management.processing_interrupted()


def test_interrupt_stops_while_depth_is_carried(steadied, modules, monkeypatch) -> None:
    import comfy.model_management as management

    flows = modules[0].clip_flows
    monkeypatch.setattr(
        modules[0], "clip_flows", lambda *args: (flows(*args), management.interrupt_current_processing(True))[0]
    )
    with pytest.raises(management.InterruptProcessingException):
        steadied(clip(3), grey(clip(3)))
    assert not management.processing_interrupted()


def test_half_precision_intermediates_are_kept(steadied, monkeypatch) -> None:
    import comfy.model_management as management

    monkeypatch.setattr(management, "intermediate_dtype", lambda: torch.float16)
    image = clip(3).half()
    steady = steadied(image, grey(image))
    assert steady.dtype == torch.float16 and steady.isfinite().all()


def test_bad_input_gives_one_clear_error(steadied) -> None:
    image = clip(3)
    with pytest.raises(ValueError, match="depth holds 2 maps for 3 frames of image. Give one for each frame"):
        steadied(image, grey(clip(2)))
    with pytest.raises(ValueError, match="depth is 64x30 and image is 64x48, another shape. Make the depth maps"):
        steadied(image, grey(clip(3, 30, 64)))
    with pytest.raises(ValueError, match="image: the batch is empty"):
        steadied(image[:0], grey(image))
    with pytest.raises(ValueError, match="depth: .*NaN"):
        steadied(image, grey(image) * torch.nan)
    with pytest.raises(ValueError, match="image: .*NaN or infinite"):
        steadied(image * torch.nan, grey(image))
    with pytest.raises(ValueError, match="depth: values must lie between 0"):
        steadied(image, grey(image) * 255)
    with pytest.raises(ValueError, match="median"):
        steadied(image, grey(image), averaging="median")
