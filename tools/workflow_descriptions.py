"""What the shipped workflows consist of; `tools/workflows.py` has the real frontend save them."""

from __future__ import annotations

from typing import Any

from tools.workflow_descriptions_composed import COMPOSED_DESCRIPTIONS
from tools.workflow_descriptions_diffusion import DIFFUSION_DESCRIPTIONS
from tools.workflow_descriptions_matrix import MATRIX_DESCRIPTIONS
from tools.workflow_descriptions_video import VIDEO_DESCRIPTIONS
from tools.workflow_parts import ABOUT_SHIFT, CHECKPOINT, DEPTH_MODEL, group, node, note, outputs


def image_depth_to_stereo() -> dict[str, Any]:
    """A picture and its depth map to both views, SBS and anaglyph."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "depth": node("LoadImage", 0, 460, size=[360, 400], image="example.png"),
        "about": note(
            0,
            940,
            "# Picture and depth map to stereo\n\nLoad a picture above and its depth map below it: white is near, the "
            "same size. No model is needed. Without a depth map use the workflow *image_to_stereo*.\n\n" + ABOUT_SHIFT,
            330,
            780,
        ),
        "shift": node(
            "Stereo_ImageStereoShift",
            1,
            0,
            {"image": ["picture", "IMAGE"], "depth": ["depth", "IMAGE"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
        ),
        **outputs(2, ["shift", "left"], ["shift", "right"]),
        "save_left": node("SaveImage", 4, 0, {"images": ["shift", "left"]}, [360, 420], filename_prefix="stereo/left"),
        "save_right": node(
            "SaveImage", 4, 480, {"images": ["shift", "right"]}, [360, 420], filename_prefix="stereo/right"
        ),
    }
    groups = [
        group("Step 1 - Picture and depth", 0, 0, 960),
        group("Step 2 - Shift", 1, 0, 960),
        group("Step 3 - Formats and files", 2, 0, 1000, 3),
    ]
    return {"nodes": nodes, "groups": groups}


def image_to_stereo() -> dict[str, Any]:
    """A picture alone: depth estimated by a model of the host, then as above."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "model": node("LoadDA3Model", 0, 460, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "about": note(
            0,
            660,
            "# Picture to stereo\n\nDepth Estimate takes any depth model that the host or **Load Depth Model** loads. "
            "This one is Depth Anything 3: put `depth_anything_3_mono_large.safetensors` into "
            "`models/geometry_estimation`.\n\n" + ABOUT_SHIFT,
            380,
            780,
        ),
        "depth": node(
            "Stereo_DepthEstimate",
            1,
            0,
            {"image": ["picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "show_depth": node("PreviewImage", 1, 280, {"images": ["depth", "depth"]}, [360, 300]),
        "shift": node(
            "Stereo_ImageStereoShift",
            2,
            0,
            {"image": ["picture", "IMAGE"], "depth": ["depth", "depth"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
        ),
        **outputs(3, ["shift", "left"], ["shift", "right"]),
    }
    groups = [
        group("Step 1 - Picture and depth", 0, 0, 680, 2),
        group("Step 2 - Shift", 2, 0, 680),
        group("Step 3 - Formats and files", 3, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def video_to_stereo() -> dict[str, Any]:
    """A clip with its sound to a half side-by-side clip."""
    nodes = {
        "video": node("LoadVideo", 0, 0, size=[360, 360], file="example.mp4"),
        "parts": node("GetVideoComponents", 0, 420, {"video": ["video", "VIDEO"]}, [360, 110]),
        "model": node("LoadDA3Model", 0, 590, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "about": note(
            0,
            800,
            "# Video to stereo\n\nDepth is estimated frame by frame and held still over each scene, so that nothing "
            "flickers. Sound and frame rate are kept. Load the clip in **Load Video**; put "
            "`depth_anything_3_mono_large.safetensors` into `models/geometry_estimation`.\n\n"
            + ABOUT_SHIFT
            + "- `quality`: *best* for the finest edges, at a third of the speed.\n",
            400,
            780,
        ),
        "depth": node(
            "Stereo_DepthEstimate",
            1,
            0,
            {"image": ["parts", "images"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "shift": node(
            "Stereo_ImageStereoShift",
            2,
            0,
            {"image": ["parts", "images"], "depth": ["depth", "depth"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
            quality="fast",
        ),
        "sbs": node(
            "Stereo_SBSCombine",
            3,
            0,
            {"left": ["shift", "left"], "right": ["shift", "right"]},
            [360, 420],
            format="half_sbs",
        ),
        "clip": node(
            "CreateVideo",
            3,
            480,
            {"images": ["sbs", "image"], "audio": ["parts", "audio"], "fps": ["parts", "fps"]},
            [360, 120],
        ),
        "save": node("SaveVideo", 4, 0, {"video": ["clip", "VIDEO"]}, [360, 460], filename_prefix="stereo/half_sbs"),
    }
    groups = [
        group("Step 1 - Clip and depth", 0, 0, 800, 2),
        group("Step 2 - Shift", 2, 0, 800),
        group("Step 3 - Format and file", 3, 0, 800, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def latent_shift_inpaint() -> dict[str, Any]:
    """A latent shifted into the right view, its holes repainted by an ordinary KSampler."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 340], image="example.png"),
        "depth": node("LoadImage", 0, 400, size=[360, 340], image="example.png"),
        "about": note(
            0,
            840,
            "# Latent shift, holes repainted\n\nThe picture's latent is shifted into the right view; the noise mask "
            "makes an ordinary KSampler repaint only what the left view does not show. The left view stays as it was "
            "encoded. Load a picture and its depth map (white is near, the same size), describe the picture in the "
            "prompt, and take any checkpoint.\n\n"
            "**Change first**\n\n- the prompt, and `denoise` of KSampler: higher paints more freely.\n"
            "- `max_disparity` and `convergence`, as in the other workflows.\n"
            "- `fill` of Latent Stereo Shift: what the sampler starts from inside the holes.\n",
            380,
            780,
        ),
        "checkpoint": node(
            "CheckpointLoaderSimple", 1, 0, size=[360, 110], model=CHECKPOINT, ckpt_name=CHECKPOINT["name"]
        ),
        "positive": node(
            "CLIPTextEncode",
            1,
            170,
            {"clip": ["checkpoint", "CLIP"]},
            [360, 140],
            text="a photograph, sharp, natural light",
        ),
        "negative": node(
            "CLIPTextEncode", 1, 370, {"clip": ["checkpoint", "CLIP"]}, [360, 140], text="blurry, text, watermark"
        ),
        "encode": node("VAEEncode", 1, 570, {"pixels": ["picture", "IMAGE"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        "shift": node(
            "Stereo_LatentStereoShift",
            2,
            0,
            {"samples": ["encode", "LATENT"], "depth": ["depth", "IMAGE"]},
            [360, 560],
            max_disparity=4.0,
            convergence=0.5,
            fill="left",
            control_after_generate="fixed",
        ),
        "sample": node(
            "KSampler",
            3,
            0,
            {
                "model": ["checkpoint", "MODEL"],
                "positive": ["positive", "CONDITIONING"],
                "negative": ["negative", "CONDITIONING"],
                "latent_image": ["shift", "stereo"],
            },
            [360, 480],
            seed=1,
            control_after_generate="fixed",
            steps=20,
            cfg=6.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=0.8,
        ),
        "decode": node("VAEDecode", 3, 540, {"samples": ["sample", "LATENT"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        "sbs": node("Stereo_SBSCombine", 4, 0, {"left": ["decode", "IMAGE"]}, [360, 420], format="full_sbs"),
        "save_sbs": node(
            "SaveImage", 5, 0, {"images": ["sbs", "image"]}, [360, 420], filename_prefix="stereo/latent_full_sbs"
        ),
    }
    groups = [
        group("Step 1 - Picture, depth, model", 0, 0, 840, 2),
        group("Step 2 - Shift", 2, 0, 840),
        group("Step 3 - Repaint the holes", 3, 0, 840),
        group("Step 4 - Format and file", 4, 0, 840, 2),
    ]
    return {"nodes": nodes, "groups": groups}


DESCRIPTIONS = {
    description.__name__: description
    for description in (
        image_depth_to_stereo,
        image_to_stereo,
        video_to_stereo,
        latent_shift_inpaint,
        *DIFFUSION_DESCRIPTIONS,
        *VIDEO_DESCRIPTIONS,
        *MATRIX_DESCRIPTIONS,
        *COMPOSED_DESCRIPTIONS,
    )
}
