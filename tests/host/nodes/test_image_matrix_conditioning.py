"""Image Matrix Conditioning and Orbit Conditioning in the real host, held against the host's own nodes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import load
from tests.host.tiny.guides import clip_vision

VIEWS, FRAMES, HEIGHT, WIDTH = 3, 4, 64, 72
WIDGETS = {
    "motion_bucket_id": 90,
    "fps": 8,
    "augmentation_level": 0.02,
    "seed": 5,
    "elevation": 12.5,
    "guidance_first": 1.5,
    "guidance_last": 3.0,
    "multiview_guidance": 2.5,
    "azimuths": "",
}


@pytest.fixture(scope="module")
def encoders(host: dict[str, type]) -> dict[str, Any]:
    """A vision encoder and a VAE for each model, all different."""
    assert host
    with torch.inference_mode():
        return {
            "video_clip_vision": clip_vision(1),
            "video_vae": load_vae("picture", seed=2),
            "multiview_clip_vision": clip_vision(3),
            "multiview_vae": load_vae("picture", seed=4),
        }


@pytest.fixture(scope="module")
def models(host: dict[str, type]) -> dict[str, Any]:
    """SV3D_p and SV3D_u by the host's own loader."""
    assert host
    return {kind: load(kind) for kind in ("sv3d_p", "sv3d_u")}


class Counting:
    """A VAE or CLIP_VISION that notes how many entries each call is given."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: list[int] = []

    def __getattr__(self, name: str) -> Any:
        def called(batch: Tensor) -> Any:
            self.calls.append(len(batch))
            return getattr(self.inner, name)(batch)

        return called


def pictures(count: int, seed: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


def condition(
    host: dict[str, type], encoders: dict[str, Any], orbit: Tensor | None = None, video: Tensor | None = None, **changes
) -> Any:
    orbit = pictures(VIEWS, 1) if orbit is None else orbit
    video = pictures(FRAMES, 2) if video is None else video
    node = host["Stereo_ImageMatrixConditioning"]
    return node.execute(view_strip=orbit, frame_strip=video, **{**encoders, **WIDGETS, **changes}).args[0]


def assert_same(ours: Any, theirs: Any) -> None:
    """Two CONDITIONINGs of one entry say the same."""
    ((token, options),), ((expected_token, expected),) = ours, theirs
    torch.testing.assert_close(token, expected_token)
    assert options.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(options[name], value)
        else:
            assert options[name] == value, name


@pytest.mark.parametrize("augmentation", [0.0, 0.02])
def test_a_row_is_what_svd_is_told_about_its_view(host: dict[str, type], encoders: dict[str, Any], augmentation: float):
    from comfy_extras.nodes_video_model import SVD_img2vid_Conditioning

    orbit = pictures(VIEWS, 1)
    given = condition(host, encoders, orbit, augmentation_level=augmentation)
    assert len(given.rows) == VIEWS and len(given.columns) == FRAMES
    assert given.latent_size == (4, HEIGHT // 8, WIDTH // 8)
    torch.manual_seed(WIDGETS["seed"])
    for view, row in enumerate(given.rows):
        positive, negative, _ = SVD_img2vid_Conditioning().encode(
            encoders["video_clip_vision"],
            orbit[view : view + 1],
            encoders["video_vae"],
            WIDTH,
            HEIGHT,
            FRAMES,
            WIDGETS["motion_bucket_id"],
            WIDGETS["fps"],
            augmentation,
        )
        assert_same(row.positive, positive)
        assert_same(row.negative, negative)
        assert row.guidance == pytest.approx((1.5, 2.0, 2.5, 3.0))


def test_a_column_is_what_sv3d_is_told_about_its_frame(host: dict[str, type], encoders: dict[str, Any]):
    video = pictures(FRAMES, 2)
    from comfy_extras.nodes_stable3d import SV3D_Conditioning

    given = condition(host, encoders, video=video)
    assert not given.custom_azimuths
    for frame, column in enumerate(given.columns):
        positive, negative, _ = SV3D_Conditioning.execute(
            encoders["multiview_clip_vision"],
            video[frame : frame + 1],
            encoders["multiview_vae"],
            WIDTH,
            HEIGHT,
            VIEWS,
            WIDGETS["elevation"],
        ).args
        assert_same(column.positive, positive)
        assert_same(column.negative, negative)
        assert column.guidance == (2.5,) * VIEWS


def test_each_picture_is_encoded_once(host: dict[str, type], encoders: dict[str, Any]):
    counting = {name: Counting(encoder) for name, encoder in encoders.items()}
    condition(host, counting, pictures(11, 1), pictures(9, 2))
    assert {name: sum(one.calls) for name, one in counting.items()} == {
        "video_clip_vision": 11,
        "video_vae": 11,
        "multiview_clip_vision": 9,
        "multiview_vae": 9,
    }
    # In few calls; the host splits the autoencoder's batch by memory.
    assert max(len(one.calls) for one in counting.values()) == 2
    assert counting["video_vae"].calls == [11]


def test_the_pictures_are_left_as_they_were(host: dict[str, type], encoders: dict[str, Any]):
    orbit, video = pictures(VIEWS, 1), pictures(FRAMES, 2)
    condition(host, encoders, orbit, video)
    assert torch.equal(orbit, pictures(VIEWS, 1)) and torch.equal(video, pictures(FRAMES, 2))


def test_azimuths_of_ones_own_reach_the_columns_alone(host: dict[str, type], encoders: dict[str, Any]):
    given = condition(host, encoders, azimuths="-6, -3, 0")
    assert given.custom_azimuths
    assert all(column.positive[0][1]["azimuth"] == [354, 357, 0] for column in given.columns)
    assert all(column.negative[0][1]["azimuth"] == [354, 357, 0] for column in given.columns)
    assert not any("azimuth" in row.positive[0][1] for row in given.rows)
    assert not condition(host, encoders, azimuths="0, 180, 0").custom_azimuths, "the host's full turn by another name"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": pictures(2, 2, 64, 64)}, "view_strip is 72x64 and frame_strip is 64x64"),
        ({"orbit": pictures(2, 1, 60, 64), "video": pictures(2, 2, 60, 64)}, "64x60. Scale both"),
        ({"azimuths": "0, 0"}, "azimuths names 2 views for 3"),
        ({"orbit": pictures(0, 1)}, "view_strip: the batch is empty"),
    ],
)
def test_strips_that_do_not_fit_are_refused(
    host: dict[str, type], encoders: dict[str, Any], changes: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        condition(host, encoders, **changes)


def test_latent_spaces_that_differ_are_refused(host: dict[str, type], encoders: dict[str, Any]):
    class Halved:
        def encode(self, images: Tensor) -> Tensor:
            return encoders["video_vae"].encode(images)[..., ::2, ::2]

    with pytest.raises(ValueError, match=r"video_vae makes latents of \(4, 8, 9\).*multiview_vae of \(4, 4, 5\)"):
        condition(host, {**encoders, "multiview_vae": Halved()})


def orbit(host: dict[str, type], encoders: dict[str, Any], **changes: Any) -> Any:
    given = {"views": VIEWS, "spacing": 3.0, "elevation": 10.0, "azimuths": "", "width": WIDTH, "height": HEIGHT}
    encoder = encoders["multiview_clip_vision"]
    image = changes.pop("init_image", pictures(1, 6))
    node = host["Stereo_OrbitConditioning"]
    return node.execute(encoder, image, encoders["multiview_vae"], **{**given, **changes}).args


def test_an_orbit_at_the_hosts_azimuths_is_the_hosts(host: dict[str, type], encoders: dict[str, Any]):
    from comfy_extras.nodes_stable3d import SV3D_Conditioning

    image = pictures(1, 6, 80, 80)
    ours = orbit(host, encoders, init_image=image, azimuths="0 180 360")
    theirs = SV3D_Conditioning.execute(
        encoders["multiview_clip_vision"], image, encoders["multiview_vae"], WIDTH, HEIGHT, VIEWS, 10.0
    ).args
    for conditioning in theirs[:2]:
        conditioning[0][1]["azimuth"] = [angle % 360 for angle in conditioning[0][1]["azimuth"]]  # as it embeds them
    assert_same(ours[0], theirs[0])
    assert_same(ours[1], theirs[1])
    assert torch.equal(ours[2]["samples"], theirs[2]["samples"])


def test_angles_below_0_reach_sv3d_p_as_those_it_was_trained_on(host: dict[str, type], encoders: dict[str, Any]):
    positive, negative, _, azimuths = orbit(host, encoders, azimuths="-6, -3, 0")
    assert positive[0][1]["azimuth"] == negative[0][1]["azimuth"] == [354, 357, 0]
    assert azimuths == "354.0, 357.0, 0.0"


def test_close_views_reach_sv3d_p(host: dict[str, type], encoders: dict[str, Any], models: dict[str, Any]):
    positive, _, latent, azimuths = orbit(host, encoders, spacing=2.5, model=models["sv3d_p"])
    network = models["sv3d_p"].model
    told = network.extra_conds(
        noise=latent["samples"],
        device="cpu",
        **{**positive[0][1], "cross_attn": positive[0][0]},
    )["y"].cond
    expected = network.embedder_512(torch.deg2rad(torch.tensor([355.0, 357.5, 0.0])))
    torch.testing.assert_close(told[:, -512:], expected)
    assert azimuths == "355.0, 357.5, 0.0"
    given = condition(host, encoders, azimuths=azimuths)
    assert given.columns[0].positive[0][1]["azimuth"] == positive[0][1]["azimuth"]


def test_sv3d_u_is_refused(host: dict[str, type], encoders: dict[str, Any], models: dict[str, Any]):
    with pytest.raises(ValueError, match="SV3D_u"):
        orbit(host, encoders, model=models["sv3d_u"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_image": pictures(2, 6)}, "init_image holds 2 pictures"),
        ({"spacing": 130.0}, "spacing: 3 views 130 degrees apart"),
        ({"azimuths": "3, 6"}, "names 2 views for 3"),
    ],
)
def test_an_orbit_that_does_not_fit_is_refused(
    host: dict[str, type], encoders: dict[str, Any], changes: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        orbit(host, encoders, **changes)
