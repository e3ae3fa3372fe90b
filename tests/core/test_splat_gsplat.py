"""gsplat draws the pictures of a fit where it agrees with this pack; a stand-in with its signature takes its place.

That the real one means the same by its arguments was seen once: its own projection in torch (gsplat 1.5.3,
``_fully_fused_projection``) gives 500 Gaussians the same means to 2e-5 pixels, and the same depths, inverse covariances
and compensations to 3e-5.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core import splat_gsplat
from stereo_core.cameras import Camera, Orbit
from stereo_core.splat_fitting import fit
from stereo_core.splat_gsplat import fitting_rasterizer
from stereo_core.splat_options import FitOptions
from stereo_core.splatting import Gaussians, rasterize

BACKGROUND = (1.0, 0.5, 0.25)
CAMERA = Orbit(elevation=10).camera(37, 48, 32)


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,  # noqa: N803
    width: int,
    height: int,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    packed: bool = True,  # noqa: ARG001
    backgrounds: Tensor | None = None,
    rasterize_mode: str = "classic",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """As gsplat's: one picture (1, H, W, 3) and its alpha (1, H, W, 1)."""
    assert (eps2d, near_plane, rasterize_mode) == (1 / 12, 0.01, "antialiased") and backgrounds is not None
    assert opacities.shape == means.shape[:1] and viewmats.shape == (1, 4, 4) and Ks.shape == (1, 3, 3)
    turned, moved = viewmats[0, :3, :3], viewmats[0, :3, 3]
    center = float(Ks[0, 0, 2]), float(Ks[0, 1, 2])
    camera = Camera(turned, -turned.T @ moved, float(Ks[0, 0, 0]), center, width, height)
    seen = rasterize(Gaussians(means, quats, scales, opacities[:, None], colors), camera, backgrounds[0], cut=1 / 255)
    return seen.color.movedim(0, -1)[None], seen.alpha.movedim(0, -1)[None], {}


def scattered(count: int = 400) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    shapes = {"positions": 3, "rotations": 4, "scales": 3, "opacities": 1, "colors": 3}
    values = {name: torch.rand(count, size, generator=generator) for name, size in shapes.items()}
    values["positions"] -= 0.5
    values["rotations"] -= 0.5
    values["scales"] = values["scales"] * 0.05 + 0.01
    return Gaussians(**values)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    def install(function: Callable[..., Any]) -> None:
        module = ModuleType("gsplat")
        module.rasterization = function
        monkeypatch.setitem(sys.modules, "gsplat", module)
        monkeypatch.setattr(splat_gsplat, "_may_ask", lambda _: True)

    return install


def test_what_agrees_is_used_and_draws_the_same(installed: Callable[[Callable[..., Any]], None]):
    installed(rasterization)
    gaussians = scattered()
    draw = fitting_rasterizer(gaussians, CAMERA, BACKGROUND)
    assert draw is not rasterize
    made, ours = draw(gaussians, CAMERA, BACKGROUND), rasterize(gaussians, CAMERA, BACKGROUND)
    assert (made.color - ours.color).abs().mean() < 0.002 and (made.alpha - ours.alpha).abs().mean() < 0.002
    assert made.color.shape == ours.color.shape and made.alpha.shape == ours.alpha.shape


def exchanged(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Quaternions taken for xyzw."""
    return rasterization(**{**given, "quats": given["quats"].roll(1, -1)})


def without_gradients(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Nothing flows back to the rotations."""
    return rasterization(**{**given, "quats": given["quats"].detach()})


def not_a_number(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    color, alpha, more = rasterization(**given)
    return color * torch.nan, alpha, more


def older(means: Tensor, quats: Tensor) -> None:
    """Another version, without what is asked of it."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (exchanged, "its pictures differ by 0.0"),
        (without_gradients, "its gradients of rotations differ by 100 %"),
        (not_a_number, "its pictures differ by nan"),
        (older, "TypeError: older"),
    ],
)
def test_what_differs_is_told_and_not_used(
    installed: Callable[[Callable[..., Any]], None],
    caplog: pytest.LogCaptureFixture,
    function: Callable[..., Any],
    said: str,
):
    installed(function)
    with caplog.at_level(logging.WARNING):
        assert fitting_rasterizer(scattered(), CAMERA, BACKGROUND) is rasterize
    assert [record.message for record in caplog.records][0].startswith(f"gsplat is installed and is not used: {said}")


def test_it_is_asked_on_cuda_alone_and_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    assert fitting_rasterizer(scattered(4), CAMERA, BACKGROUND) is rasterize
    assert not splat_gsplat._may_ask(torch.device("cpu"))
    monkeypatch.setattr(splat_gsplat, "find_spec", lambda _: None)
    assert not splat_gsplat._may_ask(torch.device("cuda"))
    monkeypatch.setattr(splat_gsplat, "find_spec", str)
    assert splat_gsplat._may_ask(torch.device("cuda"))


def test_a_fit_draws_by_it(installed: Callable[[Callable[..., Any]], None]):
    calls = []

    def counted(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        calls.append(given["width"])
        return rasterization(**given)

    installed(counted)
    images = torch.ones(4, 1, 3, 16, 16)
    images[..., 5:11, 5:11] = 0.2
    orbit = Orbit(azimuths=(0.0, 90.0, 180.0, 270.0))
    fit(images, orbit, FitOptions(gaussians=30, iterations=3, warm_up=3, held_out=0))
    assert len(calls) == 4  # the trial and the steps
