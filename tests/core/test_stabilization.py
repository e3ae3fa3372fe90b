"""Scale and shift jitter goes; everything else stays."""

from __future__ import annotations

import pytest
import torch
from skimage import data
from torch.nn import functional

from stereo_core.metrics import flicker
from stereo_core.stabilization import stabilize, steady_frame

from .kept_states import LENGTHS, taken_up_again

FRAMES = 16


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Real picture and disparity, (1, 3, 125, 180) in [0, 1] and (1, 1, 125, 180) in [0, 1]."""
    left, _, disparity = data.stereo_motorcycle()
    picture = torch.from_numpy(left).movedim(-1, 0)[None] / 255
    near = torch.from_numpy(disparity).nan_to_num(0, 0, 0)[None, None]
    picture = functional.interpolate(picture, size=(125, 180), mode="area")
    return picture, functional.interpolate(near / near.max(), size=(125, 180), mode="nearest-exact")


@pytest.fixture(scope="module")
def still() -> tuple[torch.Tensor, torch.Tensor]:
    picture, near = scene()
    return picture.repeat(FRAMES, 1, 1, 1), near.repeat(FRAMES, 1, 1, 1)


def jitter(frames: int = FRAMES) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scale = 1 + 0.1 * torch.randn(frames, 1, 1, 1, generator=generator)
    shift = 0.05 * torch.randn(frames, 1, 1, 1, generator=generator)
    scale[0], shift[0] = 1, 0
    return scale, shift


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_equal_frames_come_back_to_the_bit(still, dtype):
    images, raw = still
    stable = stabilize(raw.to(dtype), images)
    assert stable.dtype == dtype
    assert torch.equal(stable, raw.to(dtype))


def test_frames_that_stay_equal_after_a_jump_stay_equal_to_the_bit(still):
    images, raw = still
    raw = raw.clone()
    raw[3:] = raw[3:] * 1.3 + 0.2
    stable = stabilize(raw, images)
    assert (stable[3:] == stable[3]).all()
    torch.testing.assert_close(stable, still[1], rtol=0, atol=1e-5)


def test_jitter_on_a_still_clip_goes(still):
    images, raw = still
    scale, shift = jitter()
    jittered = scale * raw + shift
    stable = stabilize(jittered, images)
    before, after = (flicker(depth, images).mean() for depth in (jittered, stable))
    assert before > 0.05
    assert after < before / 1e5
    torch.testing.assert_close(stable, raw, rtol=0, atol=1e-5)


def test_with_noise_what_stays_is_the_noise_and_the_depth_is_not_flattened(still):
    images, raw = still
    scale, shift = jitter()
    noisy = raw + 0.03 * torch.randn(raw.shape, generator=torch.Generator().manual_seed(1))
    stable = stabilize(scale * noisy + shift, images)
    assert flicker(stable, images).mean() < 1.02 * flicker(noisy, images).mean()
    torch.testing.assert_close(stable.std((1, 2, 3)), noisy.std((1, 2, 3)), rtol=0.02, atol=0)
    torch.testing.assert_close(stable.mean((1, 2, 3)), noisy.mean((1, 2, 3)), rtol=0, atol=0.01)


def with_object(images: torch.Tensor, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A near box that comes in from the left and ends up covering a third of the frame."""
    images, raw = images.clone(), raw.clone()
    background = torch.ones_like(raw, dtype=torch.bool)
    for index in range(4, len(images)):
        box = (index, slice(None), slice(40, None), slice(0, 4 * index))
        images[box], raw[box], background[box] = 0.8, 2.0, False
    return images, raw, background


def test_a_near_object_that_enters_does_not_move_the_background(still):
    images, raw, background = with_object(*still)
    assert torch.equal(stabilize(raw, images), raw)
    scale, shift = jitter()
    stable = stabilize(scale * raw + shift, images)
    assert ((stable - raw).abs() * background).max() < 1e-4


def test_depth_that_moves_alone_is_left_to_move(still):
    images, raw = still
    raw = raw.clone()
    raw[5:, :, 40:, :60] += 0.5  # under a picture that does not change
    assert torch.equal(stabilize(raw, images), raw)


def pan(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A camera that stands for four frames and then moves by ``step`` columns per frame."""
    picture, near = scene()
    wide, deep = (functional.interpolate(t, scale_factor=2, mode="nearest") for t in (picture, near))
    places = [0] * 4 + [step * index for index in range(FRAMES - 4)]
    return tuple(torch.cat([t[..., place : place + 180] for place in places]) for t in (wide, deep))


@pytest.mark.parametrize("step", [1, 3, 8])
def test_jitter_goes_under_a_moving_camera_too_and_nothing_drifts(step):
    images, raw = pan(step)
    torch.testing.assert_close(stabilize(raw, images), raw, rtol=0, atol=0.03)
    scale, shift = jitter()
    jittered = scale * raw + shift
    stable = stabilize(jittered, images)

    def changes(depth: torch.Tensor) -> torch.Tensor:
        return (depth[5:, ..., : 180 - step] - depth[4:-1, ..., step:]).abs().mean()

    assert changes(stable) < 0.05 * changes(jittered)
    assert (stable - raw).abs().mean() < 0.5 * (jittered - raw).abs().mean()


def test_a_correction_from_before_the_camera_moved_fades_slowly():
    images, raw = pan(3)
    raw[2:] = raw[2:] * 1.25 - 0.1
    stable = stabilize(raw, images)
    before, now = (stable[4:-1, ..., 3:], stable[5:, ..., :-3])
    assert (now - before).abs().mean() < 0.004
    torch.testing.assert_close(stable[2:4], (raw[2:4] + 0.1) / 1.25, rtol=0, atol=1e-4)


def test_pictures_that_have_nothing_in_common_keep_the_correction():
    images = torch.rand(3, 3, 60, 90, generator=torch.Generator().manual_seed(2))
    raw = torch.rand(3, 1, 60, 90, generator=torch.Generator().manual_seed(3))
    assert torch.equal(stabilize(raw, images), raw)


def test_a_dolly_keeps_its_growing_scale():
    picture, near = scene()
    images, raw = [], []
    for index in range(30):
        zoom = 1 + 0.01 * index
        height, width = int(125 / zoom), int(180 / zoom)
        window = (..., slice((125 - height) // 2, (125 + height) // 2), slice((180 - width) // 2, (180 + width) // 2))
        images.append(functional.interpolate(picture[window], size=(125, 180), mode="bilinear"))
        raw.append(functional.interpolate(zoom * near[window], size=(125, 180), mode="nearest"))
    clip, depth = torch.cat(images), torch.cat(raw)
    torch.testing.assert_close(stabilize(depth, clip).std((1, 2, 3)), depth.std((1, 2, 3)), rtol=0.06, atol=0)


def test_a_cut_starts_over(still):
    images, raw = still
    raw = torch.cat([raw[:3], 1.5 * raw[:3] - 0.2])
    starts = torch.tensor([True, False, False, True, False, False])
    assert torch.equal(stabilize(raw, images[:6], starts), raw)
    assert not torch.equal(stabilize(raw, images[:6]), raw)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("frames", LENGTHS)
def test_frame_by_frame_with_a_saved_state_it_is_the_whole_clip_to_the_bit(frames, dtype):
    (picture, near), (scale, shift) = scene(), jitter(frames)
    images, raw = picture.expand(frames, -1, -1, -1), (near * scale + shift).to(dtype)
    starts = [index in (0, 1, 6) for index in range(frames)]
    state, found = None, []
    for index in range(frames):
        frame, state = steady_frame(raw[[index]], images[[index]], None if starts[index] else state)
        found.append(frame)
        state = taken_up_again(state)
    assert torch.equal(torch.cat(found), stabilize(raw, images, torch.tensor(starts)))


def test_images_of_another_size_serve(still):
    images, raw = still
    small = functional.interpolate(raw, size=(60, 90), mode="nearest-exact")
    scale, shift = jitter()
    torch.testing.assert_close(stabilize(scale * small + shift, images), small, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("scales", "corrected"),
    [
        ([1, 1.25, 3], [1, 1.25, 1.25]),  # too large a step
        ([1, 1.8, 3.2, 5.8, 10.4], [1, 1.8, 3.2, 5.8, 5.8]),  # small steps that lead too far
        ([1, 0.6, 0.35, 0.2, 0.1], [1, 0.6, 0.35, 0.2, 0.2]),
    ],
)
def test_a_frame_that_cannot_be_fitted_keeps_the_correction_of_the_frame_before(still, scales, corrected):
    images, raw = still[0][: len(scales)], still[1][: len(scales)] * torch.tensor(scales).view(-1, 1, 1, 1)
    expected = raw / torch.tensor(corrected).view(-1, 1, 1, 1)
    torch.testing.assert_close(stabilize(raw, images), expected, rtol=1e-4, atol=1e-5)


def test_a_frame_without_depth_stays_flat_and_leaves_no_trace_on_the_frames_before_it(still):
    images, raw = still[0][:3], still[1][:3].clone()
    raw[2] = 0.25
    stable = stabilize(raw, images)
    assert torch.equal(stable[:2], raw[:2])
    assert (stable[2] == stable[2, 0, 0, 0]).all()
    assert raw[0].min() <= stable[2].min() <= raw[0].max()


def test_a_picture_without_texture_changes_nothing():
    raw = torch.rand(3, 1, 20, 20)
    assert torch.equal(stabilize(raw, torch.full((3, 3, 20, 20), 0.5)), raw)


def test_bad_input_is_refused(still):
    images, raw = still
    with pytest.raises(ValueError, match=r"raw: expected \(B, 1, H, W\), got \(16, 3, 125, 180\)"):
        stabilize(images, images)
    with pytest.raises(ValueError, match=r"images: expected \(B, C, H, W\) with B=16, got \(15, 3, 125, 180\)"):
        stabilize(raw, images[1:])
    with pytest.raises(ValueError, match=r"scene_starts: expected \(B\) with B=16, got \(2,\)"):
        stabilize(raw, images, torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="raw: holds NaN or infinite"):
        stabilize(torch.full_like(raw, torch.nan), images)
