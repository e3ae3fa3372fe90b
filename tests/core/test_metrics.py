"""Measures of views, checked against the reference implementations and by construction."""

from __future__ import annotations

import importlib.util
import sys
from collections import OrderedDict
from importlib import import_module
from pathlib import Path

import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from stereo_core.metrics import consistency, flicker, load_lpips, lpips, psnr, ssim
from stereo_core.warping import forward_warp

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def pair(batch: int = 3, channels: int = 3, height: int = 40, width: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of a photograph, and the same with noise that differs from frame to frame."""
    photo = torch.from_numpy(data.astronaut()).movedim(-1, 0)[None] / 255
    a = torch.cat([photo[:, :channels, 40 * i : 40 * i + height, 150 : 150 + width] for i in range(batch)])
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(0)) * torch.arange(1, batch + 1).view(
        -1, 1, 1, 1
    )
    return a, (a + 0.04 * noise).clamp(0, 1)


def test_equal_images():
    a, _ = pair()
    assert (psnr(a, a) == torch.inf).all()
    torch.testing.assert_close(ssim(a, a), torch.ones(3))


def test_psnr_of_a_constant_error():
    a, b = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)
    assert psnr(a, b).item() == pytest.approx(20, abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_they_agree_with_scikit_image(channels):
    a, b = pair(channels=channels)
    for one, two, ratio, similarity in zip(a, b, psnr(a, b), ssim(a, b), strict=True):
        first, second = (view.movedim(0, -1).double().numpy() for view in (one, two))
        assert ratio.item() == pytest.approx(peak_signal_noise_ratio(first, second, data_range=1), abs=1e-4)
        expected = structural_similarity(
            first,
            second,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        assert similarity.item() == pytest.approx(expected, abs=1e-5)


def test_ssim_holds_in_dark_and_bright_flat_areas():
    a = torch.full((1, 1, 16, 16), 0.9)
    b = a + 1e-3 * torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    expected = structural_similarity(
        a[0, 0].double().numpy(),
        b[0, 0].double().numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
    )
    assert ssim(a, b).item() == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_only_the_mask_counts(metric):
    a, b = pair()
    mask = torch.zeros(3, 1, 40, 50, dtype=torch.bool)
    mask[..., 25:] = True
    spoilt = b.clone()
    spoilt[..., :15] = 1 - spoilt[..., :15]  # further from the mask than the window reaches
    assert torch.equal(metric(a, b, mask), metric(a, spoilt, mask))
    assert (metric(a, b) != metric(a, spoilt)).all()
    torch.testing.assert_close(metric(a, b, torch.ones_like(mask)), metric(a, b))
    assert metric(a, b, torch.zeros_like(mask)).isnan().all()


def test_a_mask_of_ssim_chooses_window_centres():
    a, b = pair(1)
    mask = torch.zeros(1, 1, 40, 50, dtype=torch.bool)
    mask[..., 12, 31] = True
    window = (..., slice(7, 18), slice(26, 37))
    torch.testing.assert_close(ssim(a, b, mask), ssim(a[window], b[window]))


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_frame_is_measured_by_itself_in_float32(metric, dtype):
    a, b = (view.to(dtype) for view in pair())
    values = metric(a, b)
    assert values.dtype == torch.float32
    assert torch.equal(values, torch.cat([metric(a[i : i + 1], b[i : i + 1]) for i in range(3)]))
    assert len(values.unique()) == 3
    torch.testing.assert_close(values, metric(a.float(), b.float()))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shapes_that_do_not_fit_are_refused(metric):
    a, b = pair()
    with pytest.raises(ValueError, match=r"a: expected \(B, C, H, W\), got \(40, 50\)"):
        metric(a[0, 0], b[0, 0])
    with pytest.raises(ValueError, match=r"b: expected \(B, C, H, W\) with B=3, C=3, H=40, W=50, got \(3, 3, 40, 49\)"):
        metric(a, b[..., 1:])
    with pytest.raises(ValueError, match=r"mask: expected \(B, 1, H, W\) with B=3, H=40, W=50, got \(3, 3, 40, 50\)"):
        metric(a, b, torch.ones_like(a, dtype=torch.bool))


def test_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="a: SSIM needs at least 11x11 pixels"):
        ssim(torch.zeros(1, 3, 10, 11), torch.zeros(1, 3, 10, 11))


def step(height: int = 40, width: int = 50, near: float = 6.0) -> torch.Tensor:
    """A near box before a far wall."""
    disparity = torch.full((1, 1, height, width), 2.0)
    disparity[..., 10:30, 20:35] = near
    return disparity


def test_a_shifted_copy_is_consistent_where_both_eyes_see():
    left, _ = pair(1)
    disparity = step()
    right = forward_warp(left, disparity).image
    result = consistency(left, right, disparity)
    assert result.psnr.item() > 60
    assert result.ssim.item() > 0.99
    # 2 columns leave the frame on each row; the box covers 4 more columns of the wall on its 20 rows.
    assert result.visible.item() == pytest.approx(1 - (2 * 40 + 4 * 20) / (40 * 50), abs=1 / 50)


def test_wrong_disparity_is_inconsistent():
    left, _ = pair(1)
    right = forward_warp(left, step()).image
    assert consistency(left, right, step() + 1).psnr < 35
    assert consistency(left, right, -step()).psnr < 25


def test_no_disparity_compares_the_views_as_they_are():
    a, b = pair()
    result = consistency(a, b, torch.zeros(3, 1, 40, 50))
    torch.testing.assert_close(result.psnr, psnr(a, b))
    torch.testing.assert_close(result.ssim, ssim(a, b))
    assert (result.visible == 1).all()


def test_a_fractional_disparity_reads_between_columns():
    ramp = torch.linspace(0, 1, 50).expand(1, 3, 40, 50)
    right = (ramp + 0.5 / 49).clamp(0, 1)
    assert consistency(ramp[..., :-1], right[..., :-1], torch.full((1, 1, 40, 49), 0.5)).psnr > 80


def test_a_pair_without_common_points_has_no_score():
    a, b = pair(1)
    result = consistency(a, b, torch.full((1, 1, 40, 50), 60.0))
    assert result.visible == 0
    assert result.psnr.isnan().all()


def test_consistency_refuses_bad_disparity():
    a, b = pair(1)
    with pytest.raises(ValueError, match=r"disparity: expected \(B, 1, H, W\) with B=1, H=40, W=50"):
        consistency(a, b, torch.zeros(2, 1, 40, 50))
    with pytest.raises(ValueError, match="disparity: holds NaN"):
        consistency(a, b, torch.full((1, 1, 40, 50), torch.nan))


def test_flicker_is_the_change_where_the_source_stood_still():
    source = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(0)).repeat(4, 1, 1, 1)
    frames = source.clone()
    assert flicker(frames, source).tolist() == [0, 0, 0]
    frames[2] += 0.25
    assert flicker(frames, source).tolist() == pytest.approx([0, 0.25, 0.25])
    source[1:, :, :4] = 0.5  # what moved does not count, the rest does
    frames[1:, :, :4] -= 3
    assert flicker(frames, source).tolist() == pytest.approx([0, 0.25, 0.25])


@pytest.mark.parametrize("dtype", DTYPES)
def test_flicker_takes_depth_and_any_dtype(dtype):
    values = flicker(torch.tensor([0.0, 2.0, 2.0]).to(dtype).view(3, 1, 1, 1), torch.zeros(3, 3, 1, 1, dtype=dtype))
    assert values.dtype == torch.float32
    assert values.tolist() == [2, 0]


def test_flicker_without_anything_still_is_no_number():
    assert flicker(torch.zeros(2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)).isnan().all()


def test_flicker_refuses_a_picture_and_another_clip():
    with pytest.raises(ValueError, match="frames: flicker needs at least 2 frames, got 1"):
        flicker(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"source: expected \(T, C, H, W\) with T=3"):
        flicker(torch.zeros(3, 3, 2, 2), torch.zeros(2, 3, 2, 2))


def backbone(file: Path) -> Path:
    """Weights of the shapes of torchvision's AlexNet as LPIPS reads them, random."""
    generator = torch.Generator().manual_seed(8)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    weights = {f"features.{i}.weight": torch.randn(shape, generator=generator) / 30 for i, shape in shapes.items()}
    weights |= {f"features.{i}.bias": torch.randn(shape[0], generator=generator) for i, shape in shapes.items()}
    torch.save({**weights, "classifier.6.bias": torch.zeros(1000)}, file)
    return file


class Distance(torch.nn.Module):
    """What is used of the package's class: AlexNet cut into slices, and a distance."""

    def __init__(self, net: str, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        assert (net, pnet_rand, verbose) == ("alex", True, False)  # else it fetches weights
        self.net = torch.nn.Module()
        self.net.slice1 = torch.nn.Sequential(OrderedDict([("0", torch.nn.Conv2d(3, 64, 11, 4, 2))]))
        self.net.slice2 = torch.nn.Sequential(OrderedDict([("3", torch.nn.Conv2d(64, 192, 5, 1, 2))]))

    def forward(self, a: torch.Tensor, b: torch.Tensor, normalize: bool) -> torch.Tensor:
        assert normalize  # values are in [0, 1], not [-1, 1]
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    made = type(sys)("lpips")
    made.LPIPS = Distance
    monkeypatch.setitem(sys.modules, "lpips", made)


def test_lpips_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ImportError, match="pip install lpips"):
        load_lpips(backbone(tmp_path / "alexnet.pth"))


@pytest.mark.usefixtures("package")
def test_the_network_of_lpips_gets_weights_that_are_there(tmp_path):
    file = backbone(tmp_path / "alexnet.pth")
    network, weights = load_lpips(file), torch.load(file, weights_only=True)
    assert torch.equal(network.net.slice2.get_submodule("3").weight, weights["features.3.weight"])
    assert torch.equal(network.net.slice1.get_submodule("0").bias, weights["features.0.bias"])
    a = torch.rand(3, 3, 64, 64)
    assert lpips(a, a, network).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"a: expected \(B, 3, H, W\), got \(3, 1, 64, 64\)"):
        lpips(a[:, :1], a[:, :1], network)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"text", None])
def test_a_file_that_is_no_alexnet_is_named(content, tmp_path):
    file = tmp_path / "alexnet.pth"
    torch.save({"features.0.weight": torch.zeros(1)}, file) if content is None else file.write_bytes(content)
    with pytest.raises(ValueError, match="alexnet.pth does not hold the weights of torchvision's AlexNet"):
        load_lpips(file)


@pytest.mark.skipif(importlib.util.find_spec("lpips") is None, reason="the package lpips is not installed")
def test_lpips_is_what_the_package_makes_of_weights_that_it_fetched(tmp_path, monkeypatch):
    file = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    file.parent.mkdir(parents=True)
    torch.manual_seed(8)
    torch.save(import_module("torchvision").models.alexnet().state_dict(), file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # where torch looks first
    a, b = pair(height=64, width=64)
    own, network = import_module("lpips").LPIPS(net="alex", verbose=False), load_lpips(file)
    assert (lpips(a, a, network) == 0).all()
    assert (lpips(a, b, network) > 0).all()
    assert torch.equal(lpips(a, b, network), lpips(a, b, own))
