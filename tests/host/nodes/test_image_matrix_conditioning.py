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
    "augmentation_level": 0.02,
    "seed": 5,
    "guidance_first": 1.5,
    "guidance_last": 3.0,
    "multiview_guidance": 2.5,
}
MOTION = {"motion_bucket_id": 90, "fps": 8}
PUBLISHED = {"motion_bucket_id": 127, "fps": 25}
ELEVATION = 12.5
TURN = 360 - 2**-15  # the number in float32 below 360, of which the host takes remainders


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
    """SVD, SV3D_p and SV3D_u by the host's own loader."""
    assert host
    return {kind: load(kind) for kind in ("svd", "sv3d_p", "sv3d_u")}


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


def assert_same(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    """Two CONDITIONINGs of one entry say the same."""
    ((token, options),), ((expected_token, expected),) = ours, theirs
    torch.testing.assert_close(token, expected_token)
    assert options.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(options[name], value, atol=atol, rtol=1.3e-6)
        else:
            assert options[name] == value, name


def sampled_with(**settings: Any) -> Any:
    """A positive that carries these settings."""
    return [[torch.zeros(1, 1, 1024), {"concat_latent_image": torch.zeros(1, 4, 8, 8), **settings}]]


@pytest.mark.parametrize("augmentation", [0.0, 0.02])
@pytest.mark.parametrize(("video_positive", "motion"), [(sampled_with(**MOTION), MOTION), (None, PUBLISHED)])
def test_a_row_is_what_svd_is_told_about_its_view(
    host: dict[str, type], encoders: dict[str, Any], augmentation: float, video_positive: Any, motion: dict[str, int]
):
    """The noise on a picture from black to white, 0 to 1, is half of the paper's, whose pictures are -1 to 1."""
    from comfy_extras.nodes_video_model import SVD_img2vid_Conditioning

    orbit, reference = pictures(VIEWS, 1), pictures(1, 8)
    settings = {"augmentation_level": augmentation, "video_positive": video_positive, "reference": reference}
    given = condition(host, encoders, orbit, **settings)
    assert len(given.rows) == VIEWS and len(given.columns) == FRAMES
    assert given.latent_size == (4, HEIGHT // 8, WIDTH // 8)
    torch.manual_seed(WIDGETS["seed"])
    for row, view in zip(given.rows, [*orbit[:-1], reference[0]], strict=True):
        *both, _ = SVD_img2vid_Conditioning().encode(
            encoders["video_clip_vision"],
            view[None],
            encoders["video_vae"],
            WIDTH,
            HEIGHT,
            FRAMES,
            motion["motion_bucket_id"],
            motion["fps"],
            augmentation / 2,
        )
        for conditioning in both:
            conditioning[0][1]["augmentation_level"] = augmentation  # what is told stays the paper's number
        assert_same(row.positive, both[0])
        assert_same(row.negative, both[1])
        assert row.guidance == pytest.approx((1.5, 2.0, 2.5, 3.0))


def told(model: Any, positive: Any, entries: int) -> Tensor:
    """What the host's model embeds of a conditioning beside the picture."""
    noise = torch.zeros(entries, 4, HEIGHT // 8, WIDTH // 8)
    settings = {**positive[0][1], "cross_attn": positive[0][0]}
    return model.model.extra_conds(noise=noise, device="cpu", **settings)["y"].cond


def test_svd_embeds_24_frames_per_second_and_the_augmentation_of_the_published_code(
    host: dict[str, type], encoders: dict[str, Any], models: dict[str, Any]
):
    network = models["svd"].model
    embedded = torch.cat([network.embedder(torch.tensor([value])) for value in (24.0, 127.0, 0.02)], dim=1)
    given = condition(host, encoders)
    assert all(torch.equal(told(models["svd"], row.positive, 1), embedded.flatten()[None]) for row in given.rows)


def test_a_column_is_what_sv3d_is_told_about_its_frame(host: dict[str, type], encoders: dict[str, Any]):
    """But for SV3D's trace of noise, which the host leaves out, and the reference view's angle."""
    video = pictures(FRAMES, 2)
    from comfy_extras.nodes_stable3d import SV3D_Conditioning

    encoder = (encoders["multiview_clip_vision"], video[:1], encoders["multiview_vae"], WIDTH, HEIGHT, VIEWS, ELEVATION)
    given = condition(host, encoders, video=video, orbit_positive=SV3D_Conditioning.execute(*encoder).args[0])
    assert given.azimuths == (0, 180, 360)
    for frame, column in enumerate(given.columns):
        both = SV3D_Conditioning.execute(encoder[0], video[frame : frame + 1], *encoder[2:]).args[:2]
        for conditioning in both:
            conditioning[0][1].update(augmentation_level=1e-5, azimuth=[0, 180, TURN])
        assert_same(column.positive, both[0], atol=1e-4)
        assert_same(column.negative, both[1])
        assert column.guidance == (2.5,) * VIEWS


def test_sv3d_is_told_the_trace_of_noise_that_it_gets(host: dict[str, type], encoders: dict[str, Any]):
    class Listening:
        def encode(self, images: Tensor) -> Tensor:
            self.heard = images
            return encoders["multiview_vae"].encode(images)

    vae, video = Listening(), pictures(FRAMES, 2)
    condition(host, {**encoders, "multiview_vae": vae}, video=video)
    assert float((vae.heard - video).std()) == pytest.approx(0.5e-5, rel=0.05)


def test_the_users_own_picture_replaces_the_orbits_last(host: dict[str, type], encoders: dict[str, Any]):
    """Without one, the video's first frame is it. Of another size, it is scaled as the host's nodes scale it."""
    orbit, video = pictures(VIEWS, 1), pictures(FRAMES, 2)
    by_video = condition(host, encoders, torch.cat([orbit[:-1], video[:1]]), video)
    assert_rows(condition(host, encoders, orbit, video), by_video)
    large = pictures(1, 9, 100, 90)
    small = torch.nn.functional.interpolate(large.movedim(-1, 1)[..., 10:90, :], (HEIGHT, WIDTH), mode="bilinear")
    by_own = condition(host, encoders, torch.cat([orbit[:-1], small.movedim(1, -1)]), video, reference=large)
    assert_rows(condition(host, encoders, orbit, video, reference=large), by_own)
    with pytest.raises(AssertionError):
        assert_rows(by_own, by_video)


def assert_rows(ours: Any, theirs: Any) -> None:
    for row, expected in zip(ours.rows, theirs.rows, strict=True):
        assert_same(row.positive, expected.positive)


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


def test_cameras_and_motion_come_with_the_strips_conditioning(host: dict[str, type], encoders: dict[str, Any]):
    """Nothing is typed twice: the matrix is told what its strips were sampled with."""
    positive, *_ = orbit(host, encoders, spacing=3.0, elevation=ELEVATION)
    given = condition(host, encoders, orbit_positive=positive, video_positive=sampled_with(**MOTION))
    assert given.azimuths == (354, 357, 360)
    for entry in (side[0][1] for column in given.columns for side in (column.positive, column.negative)):
        assert entry["azimuth"] == positive[0][1]["azimuth"] == [354, 357, TURN]
        assert entry["elevation"] == positive[0][1]["elevation"] == [ELEVATION] * VIEWS
        assert not MOTION.keys() & entry.keys()
    for entry in (side[0][1] for row in given.rows for side in (row.positive, row.negative)):
        assert MOTION.items() <= entry.items() and "azimuth" not in entry


def test_strips_of_ones_own_lie_evenly_around_with_a_level_camera(host: dict[str, type], encoders: dict[str, Any]):
    given = condition(host, encoders)
    assert given.azimuths == (120, 240, 360)
    entry = given.columns[0].positive[0][1]
    assert (entry["azimuth"], entry["elevation"]) == ([120, 240, TURN], [0, 0, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": pictures(2, 2, 64, 64)}, "view_strip is 72x64 and frame_strip is 64x64"),
        ({"orbit": pictures(2, 1, 60, 64), "video": pictures(2, 2, 60, 64)}, "64x60. Scale both"),
        ({"orbit": pictures(0, 1)}, "view_strip: the batch is empty"),
        ({"reference": pictures(0, 1)}, "reference: the batch is empty"),
        (
            {"orbit_positive": sampled_with(azimuth=[357, 360], elevation=[0, 0])},
            "orbit_positive is for 2 views and view_strip has 3 pictures",
        ),
        (
            {"orbit_positive": sampled_with(azimuth=[0, 120, 240], elevation=[0, 0, 0])},
            "orbit_positive: the last view is at 240 degrees",
        ),
        ({"orbit_positive": sampled_with(**MOTION)}, "orbit_positive: it carries no azimuth and no elevation"),
        ({"video_positive": sampled_with(fps=6)}, "video_positive: it carries no motion_bucket_id. Connect"),
        ({"video_positive": []}, "video_positive: holds no prompt"),
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

    with pytest.raises(ValueError, match=r"video_vae makes latents of 9x8 .*multiview_vae of 5x4 "):
        condition(host, {**encoders, "multiview_vae": Halved()})


@pytest.mark.parametrize("name", ["video_vae", "multiview_vae"])
def test_a_vae_of_clips_is_refused(host: dict[str, type], encoders: dict[str, Any], name: str):
    with pytest.raises(ValueError, match=f"^{name}: makes one latent of several frames. Connect the VAE of SVD"):
        condition(host, {**encoders, name: load_vae("video")})


def orbit(host: dict[str, type], encoders: dict[str, Any], **changes: Any) -> Any:
    given = {"views": VIEWS, "spacing": 3.0, "elevation": 10.0, "azimuths": "", "width": WIDTH, "height": HEIGHT}
    encoder = encoders["multiview_clip_vision"]
    image = changes.pop("init_image", pictures(1, 6))
    node = host["Stereo_OrbitConditioning"]
    return node.execute(encoder, image, encoders["multiview_vae"], **{**given, **changes}).args


def test_an_orbit_at_the_hosts_azimuths_is_the_hosts(host: dict[str, type], encoders: dict[str, Any]):
    """But for the trace of noise, and the reference view's angle."""
    from comfy_extras.nodes_stable3d import SV3D_Conditioning

    image = pictures(1, 6, 80, 80)
    ours = orbit(host, encoders, init_image=image, azimuths="0 180 360")
    theirs = SV3D_Conditioning.execute(
        encoders["multiview_clip_vision"], image, encoders["multiview_vae"], WIDTH, HEIGHT, VIEWS, 10.0
    ).args
    for conditioning in theirs[:2]:
        conditioning[0][1].update(augmentation_level=1e-5, azimuth=[0, 180, TURN])
    assert_same(ours[0], theirs[0], atol=1e-4)
    assert_same(ours[1], theirs[1])
    assert torch.equal(ours[2]["samples"], theirs[2]["samples"])


@pytest.mark.parametrize("azimuths", ["-6, -3, 0", "354 357 360", "3"])
def test_sv3d_p_embeds_the_reference_view_as_a_full_turn(
    host: dict[str, type], encoders: dict[str, Any], models: dict[str, Any], azimuths: str
):
    """As the published code tells it: no angle below 0, and no jump from 357 to 0 between two neighbours."""
    for positive in orbit(host, encoders, azimuths=azimuths, model=models["sv3d_p"])[:2]:
        angles = told(models["sv3d_p"], positive, VIEWS)[:, -512:]
        expected = models["sv3d_p"].model.embedder_512(torch.deg2rad(torch.tensor([354.0, 357.0, 360.0])))
        torch.testing.assert_close(angles, expected, rtol=0, atol=1e-6)


def test_sv3d_u_is_refused(host: dict[str, type], encoders: dict[str, Any], models: dict[str, Any]):
    with pytest.raises(ValueError, match="SV3D_u"):
        orbit(host, encoders, model=models["sv3d_u"])
    orbit(host, encoders, model=models["sv3d_u"], spacing=120.0)  # its own


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_image": pictures(2, 6)}, "init_image holds 2 pictures"),
        ({"spacing": 130.0}, "spacing: 3 views 130 degrees apart"),
        ({"azimuths": "3, 6"}, "names 2 views for 3"),
        ({"init_image": pictures(1, 6, 40, 1)}, "init_image is 1x40, of which nothing is left .* 72x64. Connect"),
        ({"init_image": pictures(1, 6, 1, 24), "width": 24}, "init_image is 24x1, of which nothing is left"),
    ],
)
def test_an_orbit_that_does_not_fit_is_refused(
    host: dict[str, type], encoders: dict[str, Any], changes: dict[str, Any], message: str
):
    with pytest.raises(ValueError, match=message):
        orbit(host, encoders, **changes)
