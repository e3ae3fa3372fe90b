"""Extra channels of every kind: the right view's are the left one's, moved as the picture is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import equivariant as tiny
from tests.host.tiny import sampling
from tests.host.tiny import stereo_video as video
from tests.host.tiny.families import FAMILIES, load
from tools.host.node_inputs import gather

pytestmark = pytest.mark.usefixtures("host")

HEIGHT, WIDTH, COLUMNS = 4, 8, 2
FLAT = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0}


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def half_mask(*shape: int) -> Tensor:
    """Repaint the right half."""
    mask = torch.zeros(shape)
    mask[..., shape[-1] // 2 :] = 1.0
    return mask


def guide(watched: tiny.Watched, sampler: Any, samples: Tensor, mask: Tensor | None, width: int, inputs: Any) -> Tensor:
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(watched.model())
    guider.set_conds(tiny.prompt(0.4, width, **inputs), tiny.prompt(-0.2, width, **inputs))
    guider.set_cfg(2.0)
    noise = comfy.sample.prepare_noise(samples, 5)
    sigmas = sampling.schedule(watched.name, 3)
    return guider.sample(noise, samples, sampler, sigmas, mask, disable_pbar=True, seed=5)


def pair(
    name: str,
    inputs: dict[str, Any],
    samples: Tensor | None = None,
    mask: Tensor | None = None,
    shift: str = "sub_column",
    width: int = 768,
    **widgets: Any,
) -> tuple[tiny.Watched, Tensor]:
    """The pair by Stereo Shift Sampler from the first step on, and what its evaluations were given."""
    watched = tiny.Watched(name)
    samples = torch.zeros(1, 4, HEIGHT, WIDTH) if samples is None else samples
    settings = {**FLAT, "shift_at": 0.0, "mask_every": 0.0, "fill": "background", "shift": shift, **widgets}
    stereo = sampling.stereo("euler", tiny.near(*samples.shape[-2:]), **settings)
    return watched, guide(watched, stereo, samples, mask, width, inputs)


def alone(name: str, inputs: dict[str, Any], samples: Tensor, mask: Tensor | None = None, width: int = 768) -> Any:
    """The right view alone beside a recorded left one."""
    recorder, watched = sampling.recorder("euler"), tiny.Watched(name)
    guide(watched, recorder, samples, mask, width, inputs)
    watched.given.clear()
    settings = {**FLAT, "iterations": 1, "restart_until": 0.0, "fill": "background", "shift": "sub_column"}
    maps = tiny.near(*samples.shape[-2:])
    sampler = video.restart(recorder.trajectory, "euler", maps, **settings)
    return watched, guide(watched, sampler, samples, mask, width, inputs)


def sides(given: dict[str, Any], name: str, entries: int = 1) -> tuple[Tensor, Tensor]:
    """A condition of the left and of the right view, in the last evaluation's first prompt."""
    value = given[name]
    assert len(given["x"]) == len(value), f"{name} of {len(value)} entries for {len(given['x'])} of x"
    return value[:entries], value[entries : 2 * entries]


@pytest.fixture
def inpainting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SD 1.x as the host loads its inpainting models."""
    model = sampling.load("sd15").model
    for name in ("concat_keys", "blank_inpaint_image_like"):
        monkeypatch.setattr(model, name, getattr(model, name, None), raising=False)
    model.set_inpaint()
    return model


@pytest.mark.parametrize("named", [True, False], ids=["InpaintModelConditioning", "noise mask alone"])
def test_an_inpainting_model_sees_the_right_views_mask_and_picture(inpainting: Any, named: bool):
    latent, mask = random(1, 4, HEIGHT, WIDTH), half_mask(1, 1, 8 * HEIGHT, 8 * WIDTH)
    inputs = {"concat_latent_image": latent, "concat_mask": mask} if named else {}
    watched, _ = pair("sd15", inputs, latent, half_mask(1, 1, HEIGHT, WIDTH))
    left, right = sides(watched.given[-1], "c_concat")
    assert torch.equal(left[:, 1:], inpainting.process_latent_in(latent))
    assert torch.equal(left[0, 0, 0], half_mask(WIDTH))
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS))
    assert (right[:, 0, :, -COLUMNS:] == 1).all(), "the holes must be painted"
    if named:
        grey = inpainting.blank_inpaint_image_like(torch.ones_like(right[:, 1:]))
        torch.testing.assert_close(right[:, 1:, :, -COLUMNS:], grey[..., -COLUMNS:])
    again, _ = alone("sd15", inputs, latent, half_mask(1, 1, HEIGHT, WIDTH))
    assert torch.equal(again.given[-1]["c_concat"][:1], right)


def test_flux_fill_sees_the_right_views_mask_in_pixels(monkeypatch: pytest.MonkeyPatch):
    network = sampling.load("flux").model.diffusion_model
    monkeypatch.setitem(network._modules, "img_in", torch.nn.Linear((16 + 16 + 64) * network.patch_size**2, 1))
    latent, mask = random(1, 16, HEIGHT, WIDTH), torch.zeros(1, 1, 8 * HEIGHT, 8 * WIDTH)
    mask[..., 26:38] = 1.0
    inputs = {"concat_latent_image": latent, "concat_mask": mask, "pooled_output": torch.zeros(1, 64)}
    watched, _ = pair("flux", inputs, latent, width=64)
    left, right = sides(watched.given[-1], "c_concat")
    torch.testing.assert_close(right[:, :16, :, :-COLUMNS], tiny.moved(left[:, :16], COLUMNS))
    pixels = [torch.nn.functional.pixel_shuffle(view[:, 16:], 8)[0, 0, 5] for view in (left, right)]
    assert pixels[0].nonzero().flatten().tolist() == [*range(26, 38)]
    assert pixels[1].nonzero().flatten().tolist() == [*range(26 - 16, 38 - 16), *range(64 - 16, 64)]


def test_flux_canny_and_depth_see_the_right_views_lines(monkeypatch: pytest.MonkeyPatch):
    network = sampling.load("flux").model.diffusion_model
    monkeypatch.setitem(network._modules, "img_in", torch.nn.Linear(32 * network.patch_size**2, 1))
    latent = random(1, 16, HEIGHT, WIDTH)
    inputs = {"concat_latent_image": latent, "pooled_output": torch.zeros(1, 64)}
    watched, _ = pair("flux", inputs, latent, width=64)
    left, right = sides(watched.given[-1], "c_concat")
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS))
    assert not torch.equal(left, right)


def clip_inputs(frames: int = 3) -> dict[str, Any]:
    """What the host's WanVaceToVideo makes of a clip to follow, and of a mask of its right half."""
    mask = half_mask(frames, 8 * HEIGHT, 8 * WIDTH).view(frames, HEIGHT, 8, WIDTH, 8)
    mask = mask.permute(2, 4, 0, 1, 3).reshape(1, 64, frames, HEIGHT, WIDTH)
    return {"vace_frames": [random(1, 32, frames, HEIGHT, WIDTH)], "vace_mask": [mask], "vace_strength": [1.0]}


def test_vace_sees_the_right_views_clip_and_mask():
    inputs = clip_inputs()
    kept = [value[0].clone() for value in (inputs["vace_frames"], inputs["vace_mask"])]
    watched, _ = pair("wan_vace", inputs, torch.zeros(1, 16, 3, HEIGHT, WIDTH), width=64)
    left, right = sides(watched.given[-1], "vace_context")
    assert left.shape[1:] == (1, 96, 3, HEIGHT, WIDTH)
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS))
    assert (right[:, :, 32:, ..., -COLUMNS:] == 1).all(), "the holes must be made"
    assert torch.equal(inputs["vace_frames"][0], kept[0]) and torch.equal(inputs["vace_mask"][0], kept[1])


def test_cameras_and_pictures_to_start_from_are_the_same_for_both_eyes():
    picture, camera = random(1, 16, 3, HEIGHT, WIDTH), random(1, 24, 3, 8 * HEIGHT // 8, WIDTH)
    inputs = {"concat_latent_image": picture, "camera_conditions": camera}
    watched, _ = pair("wan_camera", inputs, torch.zeros(1, 16, 3, HEIGHT, WIDTH), width=64)
    for name in ("c_concat", "camera_conditions"):
        left, right = sides(watched.given[-1], name)
        assert torch.equal(left, right) and left.any(), name


def test_the_mask_that_a_video_model_sees_is_the_right_views():
    """LTXV is told what is kept token by token."""
    latent, mask = random(1, 128, 2, HEIGHT, WIDTH), half_mask(1, 1, 2, HEIGHT, WIDTH)
    inputs = {"frame_rate": 25.0}
    watched, _ = pair("ltxv", inputs, latent, mask, width=64)
    left, right = sides(watched.given[-1], "denoise_mask")
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS))
    assert (right[..., -COLUMNS:] == 1).all() and not left[..., :2].any()


def test_a_frame_that_a_model_is_given_whole_stays_whole():
    """Wan 2.2 5B takes one noise level for each frame: of a picture with noise in its holes it would take the noise."""
    latent, mask = random(1, 48, 2, HEIGHT, WIDTH), torch.ones(1, 1, 2, HEIGHT, WIDTH)
    mask[:, :, 0] = 0.0
    watched, samples = pair("wan22_5b", {}, latent, mask, width=64)
    for view in sides(watched.given[-1], "denoise_mask"):
        assert not view[:, :, 0].any() and view[:, :, 1].all()
    left, right = samples[:, :, 0].chunk(2)
    torch.testing.assert_close(right[..., :-COLUMNS], tiny.moved(left, COLUMNS), atol=1e-4, rtol=1e-4)
    mask[:, :, 0, 0] = 1.0
    watched, _ = pair("wan22_5b", {}, latent, mask, width=64)
    _, right = sides(watched.given[-1], "denoise_mask")
    assert (right[..., -COLUMNS:] == 1).all() and not right[:, :, 0, 1:, :-COLUMNS].any()


def test_without_disparity_nothing_changes(inpainting: Any):  # noqa: ARG001
    latent, mask = random(1, 4, HEIGHT, WIDTH), half_mask(1, 1, HEIGHT, WIDTH)
    inputs = {"concat_latent_image": latent, "concat_mask": half_mask(1, 1, 8 * HEIGHT, 8 * WIDTH)}
    watched, samples = pair("sd15", inputs, latent, mask, "truncated", max_disparity=0.0)
    assert torch.equal(*sides(watched.given[-1], "c_concat")) and torch.equal(*samples.chunk(2))
    clip = torch.zeros(1, 16, 3, HEIGHT, WIDTH)
    vace, samples = pair("wan_vace", clip_inputs(), clip, shift="truncated", width=64, max_disparity=0.0)
    assert torch.equal(*sides(vace.given[-1], "vace_context")) and torch.equal(*samples.chunk(2))


def test_shifted_both_ways_both_views_channels_move(inpainting: Any):  # noqa: ARG001
    latent = random(1, 4, HEIGHT, WIDTH)
    inputs = {"concat_latent_image": latent, "concat_mask": half_mask(1, 1, 8 * HEIGHT, 8 * WIDTH)}
    watched, _ = pair("sd15", inputs, latent, shift="truncated", shift_both=True)
    left, right = sides(watched.given[-1], "c_concat")
    torch.testing.assert_close(right[..., 1:-COLUMNS], tiny.moved(left, COLUMNS)[..., 1:])


def test_conditions_for_both_views_are_taken_as_they_are():
    """As Depth Conditioning gives them: the right view's own, not the left one's moved."""
    channel = random(2, 1, HEIGHT, WIDTH)
    for watched, _ in (
        pair("sd2_depth", {"noise_concat": channel}, width=1024),
        alone("sd2_depth", {"noise_concat": channel}, torch.zeros(1, 4, HEIGHT, WIDTH), width=1024),
    ):
        given = watched.given[-1]["c_concat"]
        right = given[1:2] if len(given) == 4 else given[:1]
        assert torch.equal(right, channel[1:])


def test_prompts_for_both_views_are_taken_as_they_are():
    import comfy.samplers

    texts = torch.stack([torch.full((7, 768), level) for level in (0.2, 0.9)])
    prompts = [[texts, {"pooled_output": None}]]
    guider = comfy.samplers.CFGGuider(tiny.Watched("sd15").model())
    guider.set_conds(prompts, tiny.prompt(0.0))
    latent, sigmas = torch.zeros(1, 4, HEIGHT, WIDTH), sampling.schedule("sd15", 3)
    recorder = sampling.recorder("euler")
    left = guider.sample(torch.zeros_like(latent), latent, recorder, sigmas, disable_pbar=True, seed=5)
    sampler = video.restart(recorder.trajectory, "euler", iterations=1, restart_until=0.0)
    pair = guider.sample(torch.zeros_like(latent), latent, sampler, sigmas, disable_pbar=True, seed=5)
    assert torch.equal(pair[:1], left) and pair[1:].mean() > left.mean() + 0.5


UNKNOWN = {
    "an unknown condition": ({"lines": (1, 3, HEIGHT, WIDTH)}, "positive: holds lines, which lies in the picture"),
    "unknown channels": (
        {"c_concat": (1, 4, HEIGHT, WIDTH)},
        "positive: gives SD15 extra channels",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_cannot_be_moved_is_refused_before_anything_is_sampled(case: str):
    from comfy.conds import CONDNoiseShape

    (name, shape), said = next(iter(UNKNOWN[case][0].items())), UNKNOWN[case][1]
    watched, inputs = tiny.Watched("sd15"), {"model_conds": {name: CONDNoiseShape(torch.zeros(shape))}}
    stereo = sampling.stereo("dpmpp_2m", tiny.near(HEIGHT, WIDTH), **FLAT)
    with pytest.raises(ValueError, match=said):
        guide(watched, stereo, torch.zeros(1, 4, HEIGHT, WIDTH), None, 768, inputs)
    assert not watched.given


def made(kind: str) -> Any:
    """An instance of one of the host's model classes, of which only the class is looked at."""
    import comfy.model_base

    model = object.__new__(getattr(comfy.model_base, kind))
    torch.nn.Module.__init__(model)
    model.concat_keys = ()
    return model


@pytest.mark.parametrize(
    ("kind", "channels", "moves"),
    [
        ("SD15_instructpix2pix", 16, "all"),
        ("SDXL_instructpix2pix", 16, "all"),
        ("HunyuanImage21Refiner", 16, "all"),
        ("HunyuanVideo15_SR_Distilled", 16, "all"),
        ("SVD_img2vid", 16, "nothing"),
        ("Stable_Zero123", 16, "nothing"),
        ("WAN21", 16, "nothing"),
        ("HunyuanVideo15", 16, "nothing"),
        ("CosmosVideo", 16, "nothing"),
        ("WAN21", 32, "first half"),  # Wan Fun Control: the clip that controls, and the picture to start from
        ("CogVideoX", 16, "all"),  # a whole clip to work over
    ],
)
def test_which_models_show_the_picture_in_their_extra_channels(pack: Any, kind: str, channels: int, moves: str):
    placed_inputs = pack("nodes.sampling.placed_inputs")
    clip = random(1, channels, 3, HEIGHT, WIDTH)
    entry = {"concat_latent_image": clip}
    moved = placed_inputs.move_inputs(entry, made(kind), flat_shift(pack, (1, 16, 3, HEIGHT, WIDTH)))
    if moves == "nothing":
        assert not moved
        return
    result = moved["concat_latent_image"]
    parts = channels if moves == "all" else channels // 2
    torch.testing.assert_close(result[:, :parts, ..., :-COLUMNS], tiny.moved(clip[:, :parts], COLUMNS))
    assert torch.equal(result[:, parts:], clip[:, parts:])


def test_other_inputs_that_lie_in_the_picture(pack: Any):
    move = pack("nodes.sampling.placed_inputs").move_inputs
    placed = flat_shift(pack, (1, 16, 3, HEIGHT, WIDTH))
    clip, small = random(1, 16, 3, HEIGHT, WIDTH), random(1, 16, 3, HEIGHT // 2, WIDTH // 2)
    for kind, name, values, columns in (
        ("WAN22_S2V", "control_video", clip, COLUMNS),
        ("WAN22_Animate", "pose_video_latent", clip, COLUMNS),
        ("WAN21_SCAIL", "pose_video_latent", small, COLUMNS // 2),
    ):
        moved = move({name: values}, made(kind), placed)[name]
        torch.testing.assert_close(moved[..., :-columns], tiny.moved(values, columns))
    picture = random(1, 3, 4 * HEIGHT, 4 * WIDTH)
    flat = flat_shift(pack, (1, 4, HEIGHT, WIDTH))
    moved = move({"concat_image": picture}, made("SD_X4Upscaler"), flat)["concat_image"]
    torch.testing.assert_close(moved[..., : -4 * COLUMNS], tiny.moved(picture, 4 * COLUMNS))


def test_people_to_animate_are_refused(pack: Any):
    expect = pack("nodes.sampling.placed_inputs").expect_known
    entry = {"driving_mask_28ch": torch.zeros(1), "model_conds": {}}
    with pytest.raises(ValueError, match="negative: holds masks of the people that SCAIL-2 animates"):
        guider = SimpleNamespace(conds={"negative": [entry]}, inner_model=made("WAN21_SCAIL2"))
        expect(guider, {}, (1, 16, 3, HEIGHT, WIDTH))


def test_a_region_that_moves_by_frame_is_refused_in_context_windows(pack: Any):
    expect = pack("nodes.sampling.placed_inputs").expect_known
    guider = SimpleNamespace(conds={"positive": [{"mask": 1, "model_conds": {}}]}, inner_model=made("WAN21"))
    windows, clip = {"context_handler": SimpleNamespace(context_length=2)}, (1, 16, 3, HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="positive: holds a regional prompt, which moves from frame to frame"):
        expect(guider, windows, clip, True)
    expect(guider, windows, clip, False)
    expect(guider, windows, (1, 16, 2, HEIGHT, WIDTH), True)
    expect(guider, {}, clip, True)


def flat_shift(pack: Any, shape: tuple[int, ...], columns: float = COLUMNS) -> Any:
    """What moves into the right view of a flat picture."""
    core = {name: pack(f"stereo_core.{name}") for name in ("view_shift", "view_pairs", "stereo_depth", "geometry")}
    disparity = torch.full((shape[0], 1, *shape[2:]), float(columns))
    shift = core["view_shift"].ViewShift(disparity, core["view_shift"].ShiftForm.SUB_COLUMN)
    geometry = core["geometry"].StereoGeometry(100.0 * columns / shape[-1], 0.0, 1.0)
    depth = core["stereo_depth"].StereoDepth(torch.ones(1, 1, 8 * shape[-2], 8 * shape[-1]), geometry)
    pairing = core["view_pairs"].RightShifted(shift)
    return pack("nodes.sampling.placed").Placed(pairing, depth, torch.Size(shape), 1)


def test_what_was_made_for_another_model_is_left_alone(host: dict[str, type]):
    """The host's samplers do not read it either."""
    model, latent = load("qwen_image"), {"samples": torch.zeros(1, 16, 1, 4, 8)}
    told = FAMILIES["qwen_image"].conditioning
    foreign = {"vace_frames": [torch.zeros(1, 32, 3, 4, 8)], "vace_mask": [torch.ones(1, 64, 3, 4, 8)]}
    mixed = [[text, {**extras, **foreign}] for text, extras in told(2)]
    inputs = gather("Stereo_StereoKSampler", sampling.depth_step(), {"max_disparity": 30.0})
    run = {"seed": 5, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    node = host["Stereo_StereoKSampler"]
    with_it, without = (
        node.execute(model, told(1), negative, latent, attention="none", **run, **inputs).args[0]["samples"]
        for negative in (mixed, told(2))
    )
    assert torch.equal(with_it, without)
