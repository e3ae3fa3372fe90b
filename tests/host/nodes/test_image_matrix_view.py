"""Image Matrix View in the real host: which cells it shows, and that it decodes no others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

VIEWS, FRAMES = 3, 4
LOOK = {
    "view": -1,
    "frame": 0,
    "spacing": 1,
    "last_view": 0,
    "last_frame": -1,
    "length": 25,
    "views": 0,
}


class Painter:
    """A VAE that paints every latent in the colour it holds, and notes what it was given."""

    latent_channels = 4

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def decode(self, samples: Tensor) -> Tensor:
        self.calls.append(samples[:, 0, 0, 0].int().tolist())
        return samples[:, :3].repeat_interleave(8, -1).repeat_interleave(8, -2).movedim(1, -1)


def painted() -> dict[str, Any]:
    """A matrix whose cells are numbered."""
    cells = torch.arange(VIEWS * FRAMES).float().reshape(-1, 1, 1, 1).expand(-1, 4, 4, 5)
    return {"samples": cells, "stereo_matrix": (VIEWS, FRAMES)}


def look(host: dict[str, type], show: str, **changes: Any) -> tuple[list[int], list[list[int]], Tensor]:
    """The colour of each picture shown, what the VAE was given in each call, and the pictures."""
    vae = Painter()
    image = host["Stereo_ImageMatrixView"].execute(painted(), vae, show, **{**LOOK, **changes}).args[0]
    return image[:, 0, 0, 0].int().tolist(), vae.calls, image


@pytest.mark.parametrize(
    ("show", "changes", "shown", "calls"),
    [
        ("view", {}, [8, 9, 10, 11], [[8, 9, 10, 11]]),
        ("view", {"view": 0}, [0, 1, 2, 3], [[0, 1, 2, 3]]),
        ("frame", {"frame": 2}, [2, 6, 10], [[2, 6, 10]]),
        ("stereo", {}, [4, 5, 6, 7, 8, 9, 10, 11], [[4, 5, 6, 7], [8, 9, 10, 11]]),
        ("stereo", {"spacing": 2}, [0, 1, 2, 3, 8, 9, 10, 11], [[0, 1, 2, 3], [8, 9, 10, 11]]),
        ("path", {"length": 4}, [8, 5, 6, 3], [[8, 5, 6, 3]]),
        ("path", {"length": 6, "last_frame": 0}, [8, 8, 4, 4, 0, 0], [[8, 4, 0]]),
    ],
)
def test_only_what_is_shown_is_decoded(
    host: dict[str, type], show: str, changes: dict[str, Any], shown: list[int], calls: list[list[int]]
):
    assert look(host, show, **changes)[:2] == (shown, calls)


def test_the_stereo_pair_goes_into_stereo_combine(host: dict[str, type]):
    _, _, image = look(host, "stereo")
    combined = host["Stereo_SBSCombine"].execute(image, "full_sbs", False).args[0]
    assert combined[:, 0, 0, 0].tolist() == [4, 5, 6, 7] and combined[:, 0, -1, 0].tolist() == [8, 9, 10, 11]


def sheet(host: dict[str, type], **widgets: Any) -> tuple[list[list[int]], Tensor]:
    """What the VAE was given in each call, and the sheet."""
    vae = Painter()
    image = host["Stereo_ImageMatrixSheet"].execute(painted(), vae, views=0, **widgets).args[0]
    return vae.calls, image


def test_the_contact_sheet_shows_and_decodes_every_nth_cell(host: dict[str, type]):
    calls, image = sheet(host, every=2, cell_width=20)
    assert calls == [[0, 2], [8, 10]]
    assert image.shape == (1, 2 * 16 + 4, 2 * 20 + 4, 3)
    assert [[image[0, y, x, 0].item() for x in (0, 24)] for y in (0, 20)] == [[0, 2], [8, 10]]
    calls, _ = sheet(host, every=1, cell_width=16)
    assert sum(map(len, calls)) == VIEWS * FRAMES


def test_a_saved_matrix_is_seen_again(host: dict[str, type]):
    """Load Latent gives the samples alone."""
    node, vae = host["Stereo_ImageMatrixView"], Painter()
    samples = torch.arange(6.0).reshape(-1, 1, 1, 1).expand(-1, 4, 4, 5)
    image = node.execute({"samples": samples}, vae, "view", **{**LOOK, "view": 1, "views": 3}).args[0]
    assert image[:, 0, 0, 0].tolist() == [2, 3]
    with pytest.raises(ValueError, match="views is 4 and matrix holds 6 latents"):
        node.execute({"samples": samples}, vae, "view", **{**LOOK, "views": 4})


def test_a_latent_that_is_no_matrix_is_refused(host: dict[str, type]):
    node = host["Stereo_ImageMatrixView"]
    samples = torch.zeros(5, 4, 4, 4)
    with pytest.raises(ValueError, match="not an image matrix"):
        node.execute({"samples": samples}, Painter(), "view", **LOOK)
    with pytest.raises(ValueError, match="holds 5 latents but is marked as 3 views by 4 frames"):
        node.execute({"samples": samples, "stereo_matrix": (3, 4)}, Painter(), "view", **LOOK)
    with pytest.raises(ValueError, match="view is 3, and there are 3"):
        look(host, "view", view=3)
