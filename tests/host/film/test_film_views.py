"""The packed pictures of a film against those of Image Stereo Shift and Save Stereo Video on the whole clip."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.host.tiny.sampling import depth_step

HEIGHT, WIDTH, FRAMES = 24, 40, 5
Pack = Callable[[str], ModuleType]


def shift_settings(pack: Pack, screen: str = "value", exponent: float = 1.0, **changes: Any) -> Any:
    """Settings of the loaded pack, whose enumerations are its own."""
    geometry = pack("stereo_core.geometry")
    kinds = {
        "rendering": pack("stereo_core.rendering").Quality,
        "edges": pack("stereo_core.depth_edges").DepthEdges,
        "fill_from": pack("stereo_core.clip_filling").FillFrom,
    }
    return pack("nodes.film.film_settings").ShiftSettings(
        geometry.StereoGeometry(8.0, 0.3, exponent, geometry.Screen(screen)),
        **{name: kinds.get(name, lambda value: value)(value) for name, value in changes.items()},
    )


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("full_sbs", {}),
        ("half_sbs", {"rendering": "fast", "balance": 0.5}),
        ("anaglyph_dubois", {"edges": "as_given", "edge_growth": 1, "balance": 1.0}),
        ("full_tb", {"fill_from": "clip"}),
        ("full_sbs", {"screen": "subject", "exponent": 1.5}),
        ("rgb_depth", {}),
    ],
)
def test_pictures_are_those_of_the_nodes_to_the_bit(
    host: dict[str, type], pack: Pack, form: str, changes: dict[str, Any]
):
    image = torch.rand(FRAMES, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    maps = depth_step(FRAMES, HEIGHT, WIDTH)
    shift = shift_settings(pack, **changes)
    film = pack("nodes.film.film_settings").FilmSettings(
        form=pack("stereo_core.video_formats").video_format(form), shift=shift
    )

    depth = pack("nodes.widgets.geometry").make_depth(maps, film.shift.geometry, picture=image)
    left, right, *_ = (
        host["Stereo_ImageStereoShift"]
        .execute(
            image,
            depth,
            shift.balance,
            shift.rendering.value,
            shift.edge_growth,
            depth_edges=shift.edges.value,
            fill_from=shift.fill_from.value,
        )
        .result
    )
    views = pack("nodes.delivery.video_views").VideoViews.read(film.form, left, right, maps)
    expected = [views.frame(index) for index in range(FRAMES)]

    module = pack("nodes.film.film_views")
    inverse = maps[..., :1].movedim(-1, 1)
    screen = pack("stereo_core.convergence").find_convergence(inverse, shift.geometry, image.movedim(-1, 1))
    frames = (
        module.FilmFrame(
            image[t : t + 1].movedim(-1, 1), inverse[t : t + 1], None if screen is None else screen[t : t + 1]
        )
        for t in range(FRAMES)
    )
    made = [each.picture for each in module.packed_pictures(frames, film)]
    assert len(made) == FRAMES
    assert all(torch.equal(one, other) for one, other in zip(made, expected, strict=True))
