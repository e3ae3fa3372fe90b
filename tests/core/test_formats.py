"""Packing two views into one picture and taking them out again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from stereo_core.formats import SPLITTABLE, StereoFormat, Trim, combine, split, trimmed
from stereo_core.metrics import psnr

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
LOSSLESS = [StereoFormat.FULL_SBS, StereoFormat.CROSS_EYED, StereoFormat.FULL_TB, StereoFormat.WIGGLE]
INTERLEAVED = [StereoFormat.INTERLACED_ROWS, StereoFormat.INTERLACED_COLUMNS, StereoFormat.CHECKERBOARD]
ANAGLYPHS = [form for form in StereoFormat if form.value.startswith("anaglyph")]


def views(batch: int = 3, channels: int = 3, height: int = 6, width: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(batch, channels, height, width, generator=generator) for _ in range(2))
    return left, right


def depth(left: torch.Tensor) -> torch.Tensor:
    return torch.rand(len(left), 1, *left.shape[-2:], generator=torch.Generator().manual_seed(1)).to(left.dtype)


def test_names_and_order_are_what_saved_workflows_hold():
    assert [form.value for form in StereoFormat] == [
        "full_sbs",
        "half_sbs",
        "cross_eyed",
        "full_tb",
        "half_tb",
        "anaglyph_dubois",
        "anaglyph_color",
        "anaglyph_half_color",
        "anaglyph_gray",
        "anaglyph_green_magenta",
        "anaglyph_amber_blue",
        "interlaced_rows",
        "interlaced_columns",
        "checkerboard",
        "rgb_depth",
        "wiggle",
    ]


def test_side_by_side_puts_left_on_the_left_and_cross_eyed_on_the_right():
    left, right = views()
    packed = combine(left, right, StereoFormat.FULL_SBS)
    assert torch.equal(packed[..., :8], left)
    assert torch.equal(packed[..., 8:], right)
    assert torch.equal(combine(left, right, StereoFormat.CROSS_EYED), torch.cat([right, left], -1))


def test_top_bottom_puts_left_on_top():
    left, right = views()
    assert torch.equal(combine(left, right, StereoFormat.FULL_TB), torch.cat([left, right], -2))


def test_half_formats_average_pairs():
    left, right = views()
    packed = combine(left, right, StereoFormat.HALF_SBS)
    assert packed.shape == left.shape
    torch.testing.assert_close(packed[..., :4], (left[..., 0::2] + left[..., 1::2]) / 2)
    torch.testing.assert_close(packed[..., 4:], (right[..., 0::2] + right[..., 1::2]) / 2)
    packed = combine(left, right, StereoFormat.HALF_TB)
    torch.testing.assert_close(packed[..., :3, :], (left[..., 0::2, :] + left[..., 1::2, :]) / 2)
    torch.testing.assert_close(packed[..., 3:, :], (right[..., 0::2, :] + right[..., 1::2, :]) / 2)


@pytest.mark.parametrize("format", StereoFormat)
@pytest.mark.parametrize(("height", "width"), [(75, 101), (74, 101), (75, 100), (1, 1)])
def test_width_and_height_come_out_even_and_nothing_is_stretched(format, height, width):
    """The last column and row are repeated, as a picture that had them would be packed."""
    left, right = views(height=height, width=width)
    rows, columns = ([*range(side), *[side - 1] * (side % 2)] for side in (height, width))
    even_left, even_right = (view[..., rows, :][..., columns] for view in (left, right))
    packed = combine(left, right, format, depth(left))
    assert packed.shape[-1] % 2 == 0 and packed.shape[-2] % 2 == 0
    beside = depth(left)[..., rows, :][..., columns]
    assert torch.equal(packed, combine(even_left, even_right, format, beside))


@pytest.mark.parametrize("format", SPLITTABLE)
@pytest.mark.parametrize(
    ("height", "width", "what"),
    [(6, 8, Trim.NONE), (6, 7, Trim.COLUMN), (5, 8, Trim.ROW), (1, 1, Trim.COLUMN_AND_ROW)],
)
def test_views_of_odd_size_come_back(format, height, width, what):
    sources = views(height=height, width=width)
    for view, source in zip(split(combine(*sources, format), format), sources, strict=True):
        back = trimmed(view, what)
        assert back.shape == source.shape
        if format in LOSSLESS:
            assert torch.equal(back, source)


def test_a_view_is_not_trimmed_away():
    with pytest.raises(ValueError, match="trim: row would leave nothing of a view of 4x1. Set it to none"):
        trimmed(torch.zeros(1, 3, 1, 4), Trim.ROW)


def test_interleaved_formats_start_with_the_left_view():
    left, right = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    rows = combine(left, right, StereoFormat.INTERLACED_ROWS)[0, 0]
    assert rows.tolist() == [[0] * 4, [1] * 4] * 2
    columns = combine(left, right, StereoFormat.INTERLACED_COLUMNS)[0, 0]
    assert columns.tolist() == [[0, 1, 0, 1]] * 4
    board = combine(left, right, StereoFormat.CHECKERBOARD)[0, 0]
    assert board.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]] * 2


def test_wiggle_takes_turns():
    left, right = views()
    packed = combine(left, right, StereoFormat.WIGGLE)
    assert torch.equal(packed, torch.stack([left[0], right[0], left[1], right[1], left[2], right[2]]))


def test_rgb_depth_puts_grey_depth_beside_the_left_view():
    left, _ = views()
    packed = combine(left, None, StereoFormat.RGB_DEPTH, depth(left))
    assert torch.equal(packed[..., :8], left)
    assert torch.equal(packed[..., 8:], depth(left).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("format", StereoFormat)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_format_keeps_dtype_and_frames_apart(format, dtype):
    left, right = (view.to(dtype) for view in views())
    packed = combine(left, right, format, depth(left))
    assert packed.dtype == dtype
    one_by_one = [combine(left[i : i + 1], right[i : i + 1], format, depth(left)[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(packed, torch.cat(one_by_one), rtol=0, atol=1e-6)
    if format in SPLITTABLE:
        for view, source in zip(split(packed, format), (left, right), strict=True):
            assert (view.dtype, view.shape) == (dtype, source.shape)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(LOSSLESS),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(DTYPES),
)
def test_lossless_formats_come_back_to_the_bit(layout, shape, dtype):
    sources = [view.to(dtype) for view in views(*shape)]
    height, width = shape[-2:]
    for view, source in zip(split(combine(*sources, layout), layout), sources, strict=True):
        assert torch.equal(view[..., :height, :width], source)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(INTERLEAVED),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(2, 9), st.integers(2, 9)),
)
def test_interleaved_formats_keep_their_own_pixels_and_stay_within_their_neighbours(layout, shape):
    sources = split(combine(*views(*shape), StereoFormat.FULL_SBS), StereoFormat.FULL_SBS)  # of even size
    packed = combine(*sources, layout)
    for view, source in zip(split(packed, layout), sources, strict=True):
        own = packed == source
        assert torch.equal(view[own], source[own])
        assert own.float().mean() >= 1 / 3
        assert view.min() >= source.min() - 1e-6 and view.max() <= source.max() + 1e-6
    again = split(combine(*split(packed, layout), layout), layout)
    assert all(torch.equal(a, b) for a, b in zip(again, split(packed, layout), strict=True))


def test_missing_rows_are_the_mean_of_those_above_and_below():
    left, right = views(height=6)
    one, two = split(combine(left, right, StereoFormat.INTERLACED_ROWS), StereoFormat.INTERLACED_ROWS)
    torch.testing.assert_close(one[..., 1, :], (left[..., 0, :] + left[..., 2, :]) / 2)
    torch.testing.assert_close(two[..., 2, :], (right[..., 1, :] + right[..., 3, :]) / 2)
    assert torch.equal(two[..., 0, :], right[..., 1, :])  # at the border: the one neighbour there is


@pytest.mark.parametrize(
    ("layout", "decibel"),
    [
        (StereoFormat.HALF_SBS, 31.5),
        (StereoFormat.HALF_TB, 31.5),
        (StereoFormat.INTERLACED_ROWS, 30),
        (StereoFormat.INTERLACED_COLUMNS, 30),
        (StereoFormat.CHECKERBOARD, 33),
    ],
)
def test_a_photograph_comes_back_well(layout, decibel):
    left = torch.from_numpy(data.astronaut()).movedim(-1, 0)[None] / 255
    right = left.roll(-7, -1)
    for view, source in zip(split(combine(left, right, layout), layout), (left, right), strict=True):
        assert psnr(view, source).item() > decibel
        assert 0 <= view.min() and view.max() <= 1


@pytest.mark.parametrize("format", ANAGLYPHS)
@pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 1.0])
def test_anaglyphs_keep_grey_grey(format, level):
    grey = torch.full((1, 3, 2, 2), level)
    torch.testing.assert_close(combine(grey, grey, format), grey, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("format", "left_channels"),
    [
        (StereoFormat.ANAGLYPH_DUBOIS, [0]),
        (StereoFormat.ANAGLYPH_COLOR, [0]),
        (StereoFormat.ANAGLYPH_HALF_COLOR, [0]),
        (StereoFormat.ANAGLYPH_GRAY, [0]),
        (StereoFormat.ANAGLYPH_GREEN_MAGENTA, [1]),
        (StereoFormat.ANAGLYPH_AMBER_BLUE, [0, 1]),
    ],
)
def test_each_eye_gets_its_filter(format, left_channels):
    white, black = torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
    right_channels = [channel for channel in range(3) if channel not in left_channels]
    left_only = combine(white, black, format)[0, :, 0, 0]
    assert left_only[left_channels].min() > 0.95
    assert left_only[right_channels].max() < 0.1
    right_only = combine(black, white, format)[0, :, 0, 0]
    assert right_only[right_channels].min() > 0.95
    assert right_only[left_channels].max() < 0.3  # Dubois leaves amber a trace of the right view's light


def test_dubois_mixes_in_linear_light():
    left, right = torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
    left[:, 1] = 0.5  # decodes to 0.2140
    linear = 0.449 * ((0.5 + 0.055) / 1.055) ** 2.4
    expected = 1.055 * linear ** (1 / 2.4) - 0.055
    mixed = combine(left, right, StereoFormat.ANAGLYPH_DUBOIS)[0, :, 0, 0].tolist()
    assert mixed == pytest.approx([expected, 0, 0], abs=1e-6)


def test_plain_anaglyphs_take_channels_and_luma_as_they_are():
    left = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    right = torch.tensor([0.1, 0.3, 0.9]).view(1, 3, 1, 1)
    luma_left, luma_right = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, 0.299 * 0.1 + 0.587 * 0.3 + 0.114 * 0.9
    for format, expected in (
        (StereoFormat.ANAGLYPH_COLOR, [0.2, 0.3, 0.9]),
        (StereoFormat.ANAGLYPH_HALF_COLOR, [luma_left, 0.3, 0.9]),
        (StereoFormat.ANAGLYPH_GRAY, [luma_left, luma_right, luma_right]),
    ):
        assert combine(left, right, format)[0, :, 0, 0].tolist() == pytest.approx(expected)


def test_views_that_do_not_fit_are_refused():
    left, right = views()
    with pytest.raises(ValueError, match="left is 3 pictures of 8x6 and right is 3 pictures of 7x6. Both views must"):
        combine(left, right[..., 1:], StereoFormat.FULL_SBS)
    with pytest.raises(ValueError, match="right: is missing for format half_sbs"):
        combine(left, None, StereoFormat.HALF_SBS)
    with pytest.raises(ValueError, match=r"left: expected \(B, 3, H, W\), got \(3, 4, 6, 8\)"):
        combine(*views(channels=4), StereoFormat.ANAGLYPH_DUBOIS)
    with pytest.raises(ValueError, match=r"left: expected \(B, C, H, W\), got \(6, 8\)"):
        combine(left[0, 0], right[0, 0], StereoFormat.FULL_SBS)
    with pytest.raises(ValueError, match="'sbs' is not a valid StereoFormat"):
        combine(left, right, "sbs")


def test_a_depth_that_does_not_fit_is_refused():
    left, _ = views()
    with pytest.raises(ValueError, match="depth: is missing for format rgb_depth"):
        combine(left, None, StereoFormat.RGB_DEPTH)
    with pytest.raises(ValueError, match=r"depth: expected \(B, 1, H, W\) with B=3, H=6, W=8, got \(2, 1, 6, 8\)"):
        combine(left, None, StereoFormat.RGB_DEPTH, depth(left)[1:])


@pytest.mark.parametrize("layout", [form for form in StereoFormat if form not in SPLITTABLE])
def test_formats_that_lose_a_view_name_those_that_work(layout):
    with pytest.raises(ValueError, match=f"format: {layout.value} does not keep both views. Choose one of full_sbs, "):
        split(torch.zeros(1, 3, 4, 4), layout)


@pytest.mark.parametrize(
    ("shape", "layout", "what"),
    [
        ((1, 3, 4, 5), StereoFormat.FULL_SBS, "5 columns"),
        ((1, 3, 4, 5), StereoFormat.HALF_SBS, "5 columns"),
        ((1, 3, 4, 5), StereoFormat.CROSS_EYED, "5 columns"),
        ((1, 3, 3, 4), StereoFormat.FULL_TB, "3 rows"),
        ((1, 3, 3, 4), StereoFormat.HALF_TB, "3 rows"),
        ((3, 3, 4, 4), StereoFormat.WIGGLE, "3 frames"),
    ],
)
def test_odd_sizes_cannot_hold_two_views(shape, layout, what):
    with pytest.raises(ValueError, match=f"image: {what} cannot hold two equal views in {layout.value}"):
        split(torch.zeros(shape), layout)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 3, 1, 4), StereoFormat.INTERLACED_ROWS),
        ((1, 3, 4, 1), StereoFormat.INTERLACED_COLUMNS),
        ((1, 3, 1, 1), StereoFormat.CHECKERBOARD),
    ],
)
def test_a_single_line_has_no_right_view(shape, layout):
    with pytest.raises(ValueError, match=f"no room for a right view in {layout.value}"):
        split(torch.zeros(shape), layout)
