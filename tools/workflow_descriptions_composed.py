"""The shipped workflow in which score composition makes a stereo clip: a video model and depth (Diffusion²)."""

from __future__ import annotations

from typing import Any

from tools.workflow_parts import (
    ABOUT_GEOMETRY,
    DEPTH_MODEL,
    GEOMETRY,
    Node,
    geometry,
    geometry_groups,
    group,
    node,
    note,
)

_SVD = {
    "name": "svd_xt.safetensors",
    "url": "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/resolve/main/svd_xt.safetensors",
    "directory": "checkpoints",
}
_WIDTH, _HEIGHT, _FRAMES, _FPS = 1024, 576, 25, 6
_SEED = 1


def _condition(column: int, y: int, picture: list[str]) -> Node:
    """One view's conditioning: its first picture."""
    return node(
        "SVD_img2vid_Conditioning",
        column,
        y,
        {"clip_vision": ["checkpoint", "CLIP_VISION"], "init_image": picture, "vae": ["checkpoint", "VAE"]},
        [360, 260],
        width=_WIDTH,
        height=_HEIGHT,
        video_frames=_FRAMES,
        motion_bucket_id=127,
        fps=_FPS,
        augmentation_level=0.0,
    )


def _first(column: int, y: int, clip: list[str]) -> Node:
    return node("ImageFromBatch", column, y, {"image": clip}, [360, 90], batch_index=0, length=1)


def _left(column: int) -> dict[str, Node]:
    """The left clip by itself, as SVD makes it."""
    sampled = node(
        "SamplerCustom",
        column,
        320,
        {
            "model": ["linear", "MODEL"],
            "positive": ["condition", "positive"],
            "negative": ["condition", "negative"],
            "sampler": ["euler", "SAMPLER"],
            "sigmas": ["sigmas", "SIGMAS"],
            "latent_image": ["condition", "latent"],
        },
        [360, 260],
        add_noise=True,
        noise_seed=_SEED,
        control_after_generate="fixed",
        cfg=2.5,
    )
    return {
        "linear": node("VideoLinearCFGGuidance", column, 0, {"model": ["checkpoint", "MODEL"]}, [360, 60], min_cfg=1.0),
        "euler": node("KSamplerSelect", column, 120, size=[360, 60], sampler_name="euler"),
        "left": sampled,
        "left_clip": node(
            "VAEDecode", column, 640, {"samples": ["left", "output"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
    }


def _depth_and_right(column: int) -> dict[str, Node]:
    """Depth of the left clip, and the right picture of its first frame."""
    return {
        "depth_model": node(
            "LoadDA3Model", column, 0, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]
        ),
        "depth": node(
            "Stereo_DepthEstimate",
            column,
            150,
            {"image": ["left_clip", "IMAGE"], "source": ["depth_model", "DA3_MODEL"]},
            [360, 220],
            range="clip",
        ),
        "first": _first(column, 430, ["left_clip", "IMAGE"]),
        "first_depth": _first(column, 580, ["depth", "depth"]),
        "shift": node(
            "Stereo_ImageStereoShift",
            column,
            730,
            {"image": ["first", "IMAGE"], "depth": ["first_depth", "IMAGE"], **GEOMETRY},
            [360, 420],
        ),
    }


def _pair(column: int) -> dict[str, Node]:
    """Both clips together."""
    return {
        "right_condition": _condition(column, 0, ["shift", "right"]),
        "conditioning": node(
            "Stereo_StereoClipConditioning",
            column,
            320,
            {
                "left_positive": ["condition", "positive"],
                "left_negative": ["condition", "negative"],
                "right_positive": ["right_condition", "positive"],
                "right_negative": ["right_condition", "negative"],
                "latent": ["condition", "latent"],
            },
            [360, 200],
            min_guidance=1.0,
            max_guidance=2.5,
        ),
        "expert": node(
            "Stereo_ShiftCoupledViewExpert",
            column,
            580,
            {"model": ["checkpoint", "MODEL"], "depth": ["depth", "depth"], **GEOMETRY},
            [360, 420],
        ),
        "pair": node(
            "Stereo_ScoreCompositionSampler",
            column + 1,
            0,
            {
                "video_model": ["checkpoint", "MODEL"],
                "multiview_model": ["expert", "view_expert"],
                "conditioning": ["conditioning", "conditioning"],
                "sigmas": ["sigmas", "SIGMAS"],
            },
            [360, 420],
            seed=_SEED,
            control_after_generate="fixed",
            repeat_until=0.0,
        ),
        "decode": node(
            "VAEDecode", column + 1, 480, {"samples": ["pair", "matrix"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
    }


def _outputs(column: int) -> dict[str, Node]:
    """Both views to an SBS and an anaglyph video."""
    nodes = {}
    for number, (key, form) in enumerate((("sbs", "full_sbs"), ("anaglyph", "anaglyph_dubois"))):
        top = 480 * number
        nodes[key] = node("Stereo_SBSCombine", column, top, {"left": ["decode", "IMAGE"]}, [360, 420], format=form)
        nodes[f"{key}_clip"] = node(
            "CreateVideo", column + 1, top, {"images": [key, "image"]}, [360, 110], fps=float(_FPS)
        )
        nodes[f"save_{key}"] = node(
            "SaveVideo",
            column + 1,
            top + 170,
            {"video": [f"{key}_clip", "VIDEO"]},
            [360, 250],
            filename_prefix=f"stereo/composed_{form}",
        )
    return nodes


def composed_stereo_video() -> dict[str, Any]:
    """A picture to a stereo clip: SVD makes the left clip, then both clips by SVD and by depth together."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "checkpoint": node("ImageOnlyCheckpointLoader", 0, 460, size=[360, 110], model=_SVD, ckpt_name=_SVD["name"]),
        "sigmas": node(
            "BasicScheduler",
            0,
            630,
            {"model": ["checkpoint", "MODEL"]},
            [360, 120],
            scheduler="karras",
            steps=25,
            denoise=1.0,
        ),
        "condition": _condition(0, 810, ["picture", "IMAGE"]),
        "about": note(
            0,
            1150,
            "# Picture to stereo video by score composition\n\nDiffusion² with two views: Stable Video Diffusion "
            "makes the left clip. Then both clips are sampled together by two experts: SVD, which knows how each view "
            "moves, and a view expert made from the depth of the left clip, which knows how the views belong "
            "together. The left clip comes out as before, up to rounding.\n\n"
            "**Change first**\n\n- the picture, and `motion_bucket_id`, **the same for both views**.\n"
            + ABOUT_GEOMETRY
            + "- `weight`: more ties the right clip to the depth, less leaves it to SVD.\n"
            "- the seed, **the same for the left clip and in Score Composition Sampler**.\n",
            400,
            780,
        ),
        **_left(1),
        **geometry(1, 860),
        **_depth_and_right(2),
        **_pair(3),
        **_outputs(5),
    }
    groups = [
        group("Step 1 - Picture, model, schedule", 0, 0, 1170),
        group("Step 2 - Left clip", 1, 0, 830),
        *geometry_groups(1, 860),
        group("Step 3 - Depth and the right picture", 2, 0, 1250),
        group("Step 4 - Both clips together", 3, 0, 1100, 2),
        group("Step 5 - Files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


COMPOSED_DESCRIPTIONS = (composed_stereo_video,)
