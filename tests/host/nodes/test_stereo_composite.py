"""Stereo Composite in the real host, value by value."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tools.host.node_inputs import gather

GEOMETRY = {"max_disparity": 10.0, "convergence": 0.0, "exponent": 1.0}
WIDGETS = {**GEOMETRY, "feather": 1.0, "color_match": "local", "quality": "fast"}
HEIGHT, WIDTH = 96, 144


def picture(frames: int = 1, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Smooth pictures in [0.25, 0.65] with some fine detail."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        functional.interpolate(
            torch.rand(frames, 3, size, size + 3, generator=generator), (height, width), mode="bicubic"
        )
        for size in (4, 12, 36)
    ]
    mixed = sum(layers) / len(layers)
    return (0.25 + 0.4 * (mixed - mixed.min()) / (mixed.max() - mixed.min())).movedim(1, -1).contiguous()


def depth(frames: int = 1) -> Tensor:
    """A block in front of a wall that stands behind the screen's plane."""
    near = torch.full((frames, HEIGHT, WIDTH, 3), 0.1)
    near[:, 24:72, 60:110] = 0.8
    return near


def composite(host: dict[str, type], image: Tensor, near: Tensor, diffusion: Tensor, **widgets: Any) -> Any:
    inputs = gather("Stereo_StereoComposite", near, {**WIDGETS, **widgets})
    return host["Stereo_StereoComposite"].execute(image, diffusion=diffusion, **inputs).args


def warped(host: dict[str, type], image: Tensor, near: Tensor, **widgets: Any) -> tuple[Tensor, Tensor]:
    """The right view and its holes from Image Stereo Shift, at the same settings."""
    settings = {**GEOMETRY, "balance": 0.0, "quality": "fast", "edge_growth": 0, **widgets}
    inputs = gather("Stereo_ImageStereoShift", near, settings)
    _, right, holes, _ = host["Stereo_ImageStereoShift"].execute(image, **inputs).args
    return right, holes


@pytest.mark.parametrize("quality", ["fast", "best"])
@pytest.mark.parametrize("match", ["none", "gain", "local"])
def test_shown_pixels_are_the_full_resolution_warps_to_the_bit(host: dict[str, type], match: str, quality: str):
    image, near = picture(2), depth(2)
    small = torch.rand(2, HEIGHT // 2, WIDTH // 2, 3, generator=torch.Generator().manual_seed(1))
    left, right, holes = composite(host, image, near, small, color_match=match, quality=quality, feather=2.0)
    warp, hole = warped(host, image, near, quality=quality)
    assert torch.equal(left, image)
    assert torch.equal(holes, hole) and 0.02 < holes.mean() < 0.3
    assert torch.equal(right[holes == 0], warp[hole == 0])
    assert (right[holes == 1] != warp[hole == 1]).any()


def test_only_the_holes_are_the_diffusion_results(host: dict[str, type]):
    image, near = picture(), depth()
    diffusion = picture(seed=3)
    _, right, holes = composite(host, image, near, diffusion, color_match="none", feather=0.0)
    torch.testing.assert_close(right[holes == 1], diffusion[holes == 1])


def test_without_disparity_the_right_view_is_the_original(host: dict[str, type]):
    image = picture(2)
    left, right, holes = composite(host, image, depth(2), 1 - image, max_disparity=0.0, quality="best")
    assert torch.equal(left, image) and torch.equal(right, image) and not holes.any()


@pytest.mark.parametrize("match", ["gain", "local"])
@pytest.mark.parametrize(
    ("gain", "offset"),
    [((1, 1, 1), (0.12, 0.12, 0.12)), ((1.3, 1.3, 1.3), (0, 0, 0)), ((1.15, 1, 0.8), (0.05, 0, -0.04))],
    ids=["brightness", "gain", "cast"],
)
def test_what_the_generator_did_to_the_colours_is_gone(host: dict[str, type], match: str, gain: Any, offset: Any):
    """The generator shows the true right view at half the size, in other colours."""
    image, near = picture(), depth()
    truth, _ = warped(host, image, near)
    planted = truth * torch.tensor(gain) + torch.tensor(offset)
    small = functional.interpolate(planted.movedim(-1, 1), scale_factor=0.5, mode="area").movedim(1, -1)
    unplanted = functional.interpolate(truth.movedim(-1, 1), scale_factor=0.5, mode="area").movedim(1, -1)
    _, best, _ = composite(host, image, near, unplanted, color_match="none", feather=0.0)
    _, unmatched, holes = composite(host, image, near, small, color_match="none", feather=0.0)
    _, right, _ = composite(host, image, near, small, color_match=match, feather=0.0)
    before, after, least = ((view - truth)[holes == 1].abs().mean() for view in (unmatched, right, best))
    assert before > 0.08 and after < least + 1e-3, (before, after, least)


def test_a_wider_feather_shows_less_of_the_diffusion_result(host: dict[str, type]):
    image, near, diffusion = torch.full((1, HEIGHT, WIDTH, 3), 0.2), depth(), torch.full((1, 48, 72, 3), 0.9)
    shares = [
        composite(host, image, near, diffusion, color_match="none", feather=feather)[1] for feather in (0.0, 1.0, 3.0)
    ]
    for narrow, wide in zip(shares, shares[1:], strict=False):
        assert (narrow >= wide - 1e-6).all() and (narrow > wide + 1e-3).any()


def test_a_pair_in_one_batch_gives_its_right_half(host: dict[str, type]):
    image, near, right_views = picture(2), depth(2), picture(2, seed=4)
    apart = composite(host, image, near, right_views)
    together = composite(host, image, near, torch.cat([picture(2, seed=5), right_views]))
    assert all(torch.equal(one, other) for one, other in zip(apart, together, strict=True))


def test_frames_are_not_mixed(host: dict[str, type]):
    image = torch.cat([picture(seed=seed) for seed in range(3)]) * 2 - 0.4  # unrelated, and full of contrast
    diffusion = torch.cat([image[0:1] * 0.8, image[1:2] * 0.5 + 0.2, image[2:3] * 0.7])
    _, all_right, _ = composite(host, image, depth(), diffusion)
    for frame in range(3):
        one = slice(frame, frame + 1)
        _, right, _ = composite(host, image[one], depth(), diffusion[one])
        torch.testing.assert_close(all_right[one], right)


@pytest.mark.parametrize("match", ["gain", "local"])
def test_a_clip_in_chunks_does_not_flash(host: dict[str, type], match: str):
    """A still clip; the generator's brightness jumps at frame 4, and every frame has its own noise."""
    frames, near = 8, depth(8)
    image = picture().expand(frames, -1, -1, -1)
    truth, _ = warped(host, image, near)
    planted = torch.tensor([0.1 if frame < 4 else -0.1 for frame in range(frames)]).view(-1, 1, 1, 1)
    noise = 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))
    _, right, holes = composite(host, image, near, truth + planted + noise, color_match=match, feather=0.0)
    means = torch.stack([view[hole == 1].mean(0) for view, hole in zip(right, holes, strict=True)])
    assert means.diff(dim=0).abs().max() < 0.004  # one step of an 8-bit picture; the planted flash is 0.2
    assert (right[holes == 1] - truth[holes == 1]).abs().mean() < 0.03


def test_progress_covers_the_clip_and_an_interrupt_stops_it(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management
    import comfy.utils

    reports: list[tuple[int, int]] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: reports.append((value, total)))
    composite(host, picture(3), depth(3), picture(3))
    assert reports[-1] == (6, 6) and [value for value, _ in reports] == sorted(value for value, _ in reports)

    reports.clear()
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        composite(host, picture(3), depth(3), picture(3))
    assert not reports
    composite(host, picture(3), depth(3), picture(3))


def test_half_precision_intermediates_are_kept(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "intermediate_dtype", lambda: torch.float16)
    image = picture().half()
    left, right, _ = composite(host, image, depth().half(), picture(seed=1).half())
    assert left.dtype == right.dtype == torch.float16 and torch.equal(left, image) and right.isfinite().all()


def spoiled(value: float) -> Tensor:
    image = picture()
    image[0, 5, 5, 1] = value
    return image


REFUSED = {
    "depth of another shape": ({"near": depth()[:, :, 40:]}, "depth is 104x96, of another shape than the picture"),
    "depth of another count": ({"near": depth(2)}, "depth holds 2 maps for 1 pictures"),
    "diffusion of another shape": (
        {"diffusion": torch.zeros(1, 128, 64, 3)},
        "diffusion is 64x128, of another shape",
    ),
    "diffusion of another count": ({"diffusion": picture(3)}, "diffusion holds 3 pictures and image 1"),
    "no diffusion": ({"diffusion": torch.zeros(0, HEIGHT, WIDTH, 3)}, "diffusion: the batch is empty"),
    "NaN in the diffusion": ({"diffusion": spoiled(float("nan"))}, "diffusion: holds NaN"),
    "NaN in the image": ({"image": spoiled(float("inf"))}, "image: holds NaN or infinite"),
    "NaN in the depth": ({"near": spoiled(float("nan"))}, "depth: holds NaN"),
    "a latent": ({"diffusion": torch.zeros(1, 4, 12, 18)}, "diffusion: has 18 channels"),
    "unknown match": ({"color_match": "most"}, "'most' is not a valid ColorMatch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_one_clear_error(host: dict[str, type], case: str):
    changes, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        composite(host, **{"image": picture(), "near": depth(), "diffusion": picture(seed=1), **changes})


@pytest.mark.parametrize("size", [(90, 136), (48, 72), (400, 600)])
def test_any_size_of_the_same_shape_is_taken(host: dict[str, type], size: tuple[int, int]):
    _, right, _ = composite(host, picture(), depth(), picture(height=size[0], width=size[1]))
    assert right.shape == (1, HEIGHT, WIDTH, 3) and right.isfinite().all()


def odd(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A picture with fine detail, of sides that fit no latent, and its depth."""
    fine = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(7))
    image = functional.interpolate(fine, (height, width), mode="bicubic").clamp(0, 1).movedim(1, -1).contiguous()
    near = torch.full((1, height, width, 3), 0.1)
    near[:, height // 4 : height // 2, width // 3 : width // 2] = 0.8
    return image, near


def hole_error(view: Tensor, truth: Tensor, holes: Tensor) -> float:
    return float((view - truth)[holes == 1].square().mean())


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_what_vae_encode_cropped_is_put_back_in_its_place(
    host: dict[str, type], monkeypatch: pytest.MonkeyPatch, stride: int
):
    """The generator paints the true right view, in other colours, over what VAE Encode leaves of the picture."""
    import nodes
    from tests.host.tiny.autoencoders import load_vae

    vae = load_vae("picture")
    monkeypatch.setattr(vae, "downscale_ratio", stride)
    image, near = odd(159, 223)
    settings = {"max_disparity": 20.0}
    truth = torch.rand(image.shape, generator=torch.Generator().manual_seed(8))
    warp, hole = warped(host, image, near, **settings)
    truth = torch.where(hole[..., None] == 1, truth, warp)
    generated = vae.vae_encode_crop_pixels(truth) * 0.8 + 0.1
    if stride == 8:  # the tiny network's own: its shape, as the host's nodes make it
        latent = nodes.VAEEncode().encode(vae, image)[0]
        assert nodes.VAEDecode().decode(vae, latent)[0].shape == generated.shape
    _, right, holes = composite(host, image, near, generated, feather=0.0, color_match="gain", **settings)
    top, left = (159 % stride) // 2, (223 % stride) // 2
    inside = holes.clone()
    inside[:, :top] = inside[:, top + generated.shape[1] :] = inside[:, :, left + generated.shape[2] :] = 0
    assert inside.sum() > 0.5 * holes.sum() and hole_error(right, truth, inside) < 1e-4


def test_a_scaled_result_of_nearly_the_same_size_goes_on_fitting(host: dict[str, type]):
    image, near = odd(159, 223)
    truth, _ = warped(host, image, near)
    scaled = functional.interpolate(truth.movedim(-1, 1), (152, 216), mode="bicubic", antialias=True).movedim(1, -1)
    _, right, holes = composite(host, image, near, scaled, feather=0.0, color_match="none")
    assert hole_error(right, truth, holes) < 0.5 * hole_error(functional.pad(scaled, (0, 0, 3, 4, 3, 4)), truth, holes)
