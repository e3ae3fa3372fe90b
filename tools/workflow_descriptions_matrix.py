"""The shipped workflows in which a video model and a multi-view model make all views of all frames (Diffusion²)."""

from __future__ import annotations

from typing import Any

from tools.workflow_parts import Node, group, node, note

_SVD = {
    "name": "svd_xt.safetensors",
    "url": "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/resolve/main/svd_xt.safetensors",
    "directory": "checkpoints",
}
_SV3D = {
    "name": "sv3d_p.safetensors",
    "url": "https://huggingface.co/stabilityai/sv3d/resolve/main/sv3d_p.safetensors",
    "directory": "checkpoints",
}
_VIEWS, _FRAMES, _SIDE, _FPS = 21, 25, 576, 6
_SPACING = 17.14  # 21 views around the object
_MODELS = (
    "Put `svd_xt.safetensors` (SVD-XT) and `sv3d_p.safetensors` (SV3D_p) into `models/checkpoints`; both come from "
    "Stability AI under their own licences. One run takes 21 + 25 model calls in each of 55 steps: try 10 steps first."
)


def _loaders(column: int, y: int) -> dict[str, Node]:
    """Both checkpoints, each with its vision encoder and its VAE."""
    load = "ImageOnlyCheckpointLoader"
    return {
        "svd": node(load, column, y, size=[360, 110], model=_SVD, ckpt_name=_SVD["name"]),
        "sv3d": node(load, column, y + 170, size=[360, 110], model=_SV3D, ckpt_name=_SV3D["name"]),
    }


def _schedule(column: int, y: int) -> dict[str, Node]:
    """One schedule for both strips and the matrix."""
    return {
        "sigmas": node(
            "BasicScheduler",
            column,
            y,
            {"model": ["svd", "MODEL"]},
            [360, 120],
            scheduler="karras",  # over the model's own range, 700 to 0.002
            steps=50,
            denoise=1.0,
        ),
        "euler": node("KSamplerSelect", column, y + 180, size=[360, 60], sampler_name="euler"),
    }


def _scaled(column: int, y: int, image: list[str]) -> Node:
    """A picture or clip cut to the square that both models take."""
    return node(
        "ImageScale",
        column,
        y,
        {"image": image},
        [360, 150],
        upscale_method="lanczos",
        width=_SIDE,
        height=_SIDE,
        crop="center",
    )


def _taken(column: int, y: int, image: list[str], index: int, length: int) -> Node:
    return node("ImageFromBatch", column, y, {"image": image}, [360, 90], batch_index=index, length=length)


def _strip(
    column: int, y: int, key: str, model: list[str], conditioning: Node, cfg: float, vae: str
) -> dict[str, Node]:
    """A strip: its conditioning, a sampler, its pictures."""
    sampled = node(
        "SamplerCustom",
        column,
        y,
        {
            "model": model,
            "positive": [f"{key}_conditioning", "positive"],
            "negative": [f"{key}_conditioning", "negative"],
            "sampler": ["euler", "SAMPLER"],
            "sigmas": ["sigmas", "SIGMAS"],
            "latent_image": [f"{key}_conditioning", "latent"],
        },
        [360, 260],
        add_noise=True,
        noise_seed=1,
        control_after_generate="fixed",
        cfg=cfg,
    )
    return {
        f"{key}_conditioning": conditioning,
        f"{key}_sample": sampled,
        key: node(
            "VAEDecode", column, y + 320, {"samples": [f"{key}_sample", "output"], "vae": [vae, "VAE"]}, [360, 60]
        ),
    }


def _orbit_inputs(image: list[str]) -> dict[str, list[str]]:
    return {"clip_vision": ["sv3d", "CLIP_VISION"], "init_image": image, "vae": ["sv3d", "VAE"]}


def _video(column: int, image: list[str]) -> dict[str, Node]:
    """The reference view's video, sampled from its first picture; conditioning in ``column``, sampler in the next."""
    conditioning = node(
        "SVD_img2vid_Conditioning",
        column,
        500,
        {"clip_vision": ["svd", "CLIP_VISION"], "init_image": image, "vae": ["svd", "VAE"]},
        [360, 280],
        width=_SIDE,
        height=_SIDE,
        video_frames=_FRAMES,
        motion_bucket_id=127,
        fps=_FPS,
        augmentation_level=0.02,
    )
    guidance = node("VideoLinearCFGGuidance", column, 840, {"model": ["svd", "MODEL"]}, [360, 60], min_cfg=1.5)
    return {
        "guidance": guidance,
        **_strip(column + 1, 500, "video", ["guidance", "MODEL"], conditioning, 3.0, "svd"),
    }


def _matrix(column: int, orbit: list[str], video: list[str], azimuths: str | list[str]) -> dict[str, Node]:
    """The matrix, and what is looked at of it: a way through views and time, and an overview."""
    inputs = {
        "view_strip": orbit,
        "frame_strip": video,
        "video_clip_vision": ["svd", "CLIP_VISION"],
        "video_vae": ["svd", "VAE"],
        "multiview_clip_vision": ["sv3d", "CLIP_VISION"],
        "multiview_vae": ["sv3d", "VAE"],
    }
    widgets = {}
    if isinstance(azimuths, str):
        widgets["azimuths"] = azimuths
    else:
        inputs["azimuths"] = azimuths
    view = {"matrix": ["matrix", "matrix"], "vae": ["svd", "VAE"]}
    return {
        "conditioning": node(
            "Stereo_ImageMatrixConditioning",
            column,
            0,
            inputs,
            [360, 460],
            seed=1,
            control_after_generate="fixed",
            **widgets,
        ),
        "matrix": node(
            "Stereo_ScoreCompositionSampler",
            column,
            540,
            {
                "video_model": ["svd", "MODEL"],
                "multiview_model": ["sv3d", "MODEL"],
                "conditioning": ["conditioning", "conditioning"],
                "sigmas": ["sigmas", "SIGMAS"],
            },
            [360, 420],
            seed=1,
            control_after_generate="fixed",
        ),
        "way": node(
            "Stereo_ImageMatrixView",
            column + 1,
            0,
            view,
            [360, 330],
            show="path",
            view=-1,
            frame=0,
            last_view=0,
            last_frame=-1,
            length=_FRAMES,
        ),
        "sheet": node("Stereo_ImageMatrixView", column + 1, 410, view, [360, 330], show="contact_sheet", every=4),
        "clip": node("CreateVideo", column + 1, 820, {"images": ["way", "image"]}, [360, 110], fps=float(_FPS)),
        "save_clip": node(
            "SaveVideo", column + 2, 0, {"video": ["clip", "VIDEO"]}, [360, 330], filename_prefix="stereo/matrix_path"
        ),
        "save_sheet": node(
            "SaveImage",
            column + 2,
            410,
            {"images": ["sheet", "image"]},
            [360, 420],
            filename_prefix="stereo/matrix_sheet",
        ),
    }


def _matrix_groups(column: int, step: int) -> list[dict[str, Any]]:
    return [
        group(f"Step {step} - All views of all frames", column, 0, 1060),
        group(f"Step {step + 1} - What to look at, and files", column + 1, 0, 1060, 2),
    ]


_ABOUT_VIEW = (
    "- `show` of Image Matrix View: a view's video, a frame's orbit, a stereo pair, a path.\n"
    "- `seed` of each sampler, and `motion_bucket_id`: how much moves.\n"
    "\n**Keep it**: Save Latent at `matrix` of Score Composition Sampler; Load Latent and Image Matrix View with "
    f"`views` {_VIEWS} show it again without sampling.\n"
)


def image_to_4d() -> dict[str, Any]:
    """A picture to all views of all frames: SV3D makes its orbit, SVD its video, both together the matrix."""
    picture = ["picture", "IMAGE"]
    conditioning = node(
        "Stereo_OrbitConditioning",
        1,
        0,
        {**_orbit_inputs(picture), "model": ["sv3d", "MODEL"]},
        [360, 320],
        width=_SIDE,
        height=_SIDE,
        views=_VIEWS,
        spacing=_SPACING,
    )
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        **_loaders(0, 460),
        **_schedule(0, 800),
        "about": note(
            0,
            1160,
            "# Picture to 4D\n\nDiffusion²: SV3D makes the orbit of the object, SVD the video of its own view; then "
            "both sample every view of every frame together. The picture: one object in the middle of a square on "
            "white, nine tenths of its side.\n\n" + _MODELS + "\n\n**Change first**\n\n"
            "- `spacing` of Orbit Conditioning: 17.14 turns around the object once. For stereo 3: then set `show` to "
            "*stereo* and connect Stereo Combine.\n" + _ABOUT_VIEW,
            430,
            780,
        ),
        **_strip(2, 0, "orbit", ["sv3d", "MODEL"], conditioning, 2.5, "sv3d"),
        **_video(1, picture),
        **_matrix(3, ["orbit", "IMAGE"], ["video", "IMAGE"], ["orbit_conditioning", "azimuths"]),
    }
    groups = [
        group("Step 1 - Picture, models, schedule", 0, 0, 1160),
        group("Step 2 - Orbit", 1, 0, 480, 2),
        group("Step 3 - Video", 1, 500, 560, 2),
        *_matrix_groups(3, 4),
    ]
    return {"nodes": nodes, "groups": groups}


def video_to_4d() -> dict[str, Any]:
    """A clip to all views of all its frames: SV3D makes the orbit of its first frame."""
    conditioning = node(
        "SV3D_Conditioning",
        1,
        500,
        _orbit_inputs(["first", "IMAGE"]),
        [360, 220],
        width=_SIDE,
        height=_SIDE,
        video_frames=_VIEWS,
    )
    nodes = {
        "load": node("LoadVideo", 0, 0, size=[360, 400], file="example.mp4"),
        **_loaders(0, 460),
        **_schedule(0, 800),
        "about": note(
            0,
            1160,
            "# Video to 4D\n\nDiffusion²: the clip is the reference view's video, SV3D makes the orbit of its first "
            "frame, and SVD and SV3D together sample every view of every frame. The clip: one object in the middle "
            "on white, still camera, at about 6 frames per second, up to 25 frames.\n\n" + _MODELS + "\n\n"
            "**Change first**\n\n- `length` of Get Image from Batch: how many frames; SVD-XT was trained on 25.\n"
            "- for stereo: Orbit Conditioning with `spacing` 3 in place of SV3D_Conditioning, its `azimuths` into "
            "Image Matrix Conditioning, `show` *stereo*, and Stereo Combine.\n" + _ABOUT_VIEW,
            430,
            780,
        ),
        "components": node("GetVideoComponents", 1, 0, {"video": ["load", "VIDEO"]}, [360, 90]),
        "frames": _taken(1, 150, ["components", "images"], 0, _FRAMES),
        "square": _scaled(2, 0, ["frames", "IMAGE"]),
        "first": _taken(2, 210, ["square", "IMAGE"], 0, 1),
        **_strip(2, 500, "orbit", ["sv3d", "MODEL"], conditioning, 2.5, "sv3d"),
        **_matrix(3, ["orbit", "IMAGE"], ["square", "IMAGE"], ""),
    }
    groups = [
        group("Step 1 - Clip, models, schedule", 0, 0, 1160),
        group("Step 2 - Frames", 1, 0, 480, 2),
        group("Step 3 - Orbit of the first frame", 1, 500, 560, 2),
        *_matrix_groups(3, 4),
    ]
    return {"nodes": nodes, "groups": groups}


def orbit_to_4d() -> dict[str, Any]:
    """An orbit of a still object, set in motion: SVD animates its last view, both models the others."""
    nodes = {
        "load": node("LoadVideo", 0, 0, size=[360, 400], file="example.mp4"),
        **_loaders(0, 460),
        **_schedule(0, 800),
        "about": note(
            0,
            1160,
            "# Orbit to 4D\n\nDiffusion²: a turntable clip of a still object comes to life. SVD animates its last "
            "view, then SVD and SV3D together sample every view of every frame. The orbit: once around in "
            f"{_VIEWS} pictures, evenly, level camera, one object in the middle on white. Of a longer clip only the "
            "first pictures are taken: thin it out before. The last picture is the reference view.\n\n"
            + _MODELS
            + "\n\n**Change first**\n\n- `length` of Get Image from Batch: how many views; SV3D was trained on 21. "
            "`azimuths` of Image Matrix Conditioning is 360 divided by it.\n- `elevation` of Image Matrix "
            "Conditioning, where the camera was not level.\n" + _ABOUT_VIEW,
            430,
            780,
        ),
        "components": node("GetVideoComponents", 1, 0, {"video": ["load", "VIDEO"]}, [360, 90]),
        "views": _taken(1, 150, ["components", "images"], 0, _VIEWS),
        "square": _scaled(2, 0, ["views", "IMAGE"]),
        "last": _taken(2, 210, ["square", "IMAGE"], -1, 1),
        **_video(1, ["last", "IMAGE"]),
        **_matrix(3, ["square", "IMAGE"], ["video", "IMAGE"], "17.1429"),
    }
    groups = [
        group("Step 1 - Orbit, models, schedule", 0, 0, 1160),
        group("Step 2 - Views", 1, 0, 480, 2),
        group("Step 3 - Video of the last view", 1, 500, 560, 2),
        *_matrix_groups(3, 4),
    ]
    return {"nodes": nodes, "groups": groups}


MATRIX_DESCRIPTIONS = (image_to_4d, video_to_4d, orbit_to_4d)
