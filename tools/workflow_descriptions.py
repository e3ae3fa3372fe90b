"""What the shipped workflows consist of; `tools/workflows.py` has the real frontend save them."""

from __future__ import annotations

from typing import Any

Node = dict[str, Any]

_COLUMN, _TOP = 420, 40
_NOTE_COLORS = ["#432", "#653"]
_GROUP_COLOR = "#3f789e"
_OURS = {"cnr_id": "latent-stereo", "ver": "0.1.0"}
_CORE = {"cnr_id": "comfy-core", "ver": "0.30.0"}
_DEPTH_MODEL = {
    "name": "depth_anything_3_mono_large.safetensors",
    "url": "https://huggingface.co/Comfy-Org/Depth-Anything-3/resolve/main/"
    "geometry_estimation/depth_anything_3_mono_large.safetensors",
    "directory": "geometry_estimation",
}
_CHECKPOINT = {
    "name": "v1-5-pruned-emaonly-fp16.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/"
    "v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints",
}


def _node(
    type: str,
    column: int,
    y: int,
    inputs: dict[str, list[str]] | None = None,
    size: list[int] | None = None,
    model: dict[str, str] | None = None,
    **widgets: Any,
) -> Node:
    """One node; ``inputs`` maps an input to [key of the node it comes from, name of that node's output]."""
    properties = dict(_OURS if type.startswith("Stereo_") else _CORE)
    if model:
        properties["models"] = [model]  # type: ignore[assignment]  # the frontend offers to fetch it when it is missing
    return {
        "type": type,
        "pos": [column * _COLUMN, _TOP + y],
        "size": size,
        "inputs": inputs or {},
        "widgets": widgets,
        "properties": properties,
    }


def _note(column: int, y: int, text: str, height: int = 200, width: int = 380) -> Node:
    return {
        "type": "MarkdownNote",
        "pos": [column * _COLUMN, _TOP + y],
        "size": [width, height],
        "widgets": {"text": text},
        "color": _NOTE_COLORS,
    }


def _group(title: str, column: int, y: int, height: int, columns: int = 1) -> dict[str, Any]:
    box = [column * _COLUMN - 20, _TOP + y - 80, columns * _COLUMN - 20, height]
    return {"title": title, "color": _GROUP_COLOR, "box": box}


def _outputs(column: int, left: list[str], right: list[str]) -> dict[str, Node]:
    """Both views to the files that everybody wants: SBS and anaglyph."""
    views = {"left": left, "right": right}
    return {
        "sbs": _node("Stereo_SBSCombine", column, 0, views, [360, 420], format="full_sbs"),
        "anaglyph": _node("Stereo_SBSCombine", column, 480, views, [360, 420], format="anaglyph_dubois"),
        "save_sbs": _node(
            "SaveImage", column + 1, 0, {"images": ["sbs", "image"]}, [360, 420], filename_prefix="stereo/full_sbs"
        ),
        "save_anaglyph": _node(
            "SaveImage",
            column + 1,
            480,
            {"images": ["anaglyph", "image"]},
            [360, 420],
            filename_prefix="stereo/anaglyph_dubois",
        ),
    }


_ABOUT_SHIFT = (
    "**Change first**\n\n"
    "- `max_disparity`: how deep the picture is, in percent of its width. The node shows the result in per mille; "
    "20 to 30 ‰ suits most screens, less for big ones.\n"
    "- `convergence`: which depth lies on the screen. 0 (far) puts all in front of it, 1 (near) all behind.\n"
    "- `format` of Stereo Combine: what your screen or glasses need.\n"
)


def image_depth_to_stereo() -> dict[str, Any]:
    """A picture and its depth map to both views, SBS and anaglyph."""
    nodes = {
        "picture": _node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "depth": _node("LoadImage", 0, 460, size=[360, 400], image="example.png"),
        "about": _note(
            0,
            940,
            "# Picture and depth map to stereo\n\nLoad a picture above and its depth map below it: white is near, the "
            "same size. No model is needed. Without a depth map use the workflow *image_to_stereo*.\n\n" + _ABOUT_SHIFT,
            330,
            780,
        ),
        "shift": _node(
            "Stereo_ImageStereoShift",
            1,
            0,
            {"image": ["picture", "IMAGE"], "depth": ["depth", "IMAGE"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
        ),
        **_outputs(2, ["shift", "left"], ["shift", "right"]),
        "save_left": _node("SaveImage", 4, 0, {"images": ["shift", "left"]}, [360, 420], filename_prefix="stereo/left"),
        "save_right": _node(
            "SaveImage", 4, 480, {"images": ["shift", "right"]}, [360, 420], filename_prefix="stereo/right"
        ),
    }
    groups = [
        _group("Step 1 - Picture and depth", 0, 0, 960),
        _group("Step 2 - Shift", 1, 0, 960),
        _group("Step 3 - Formats and files", 2, 0, 1000, 3),
    ]
    return {"nodes": nodes, "groups": groups}


def image_to_stereo() -> dict[str, Any]:
    """A picture alone: depth estimated by a model of the host, then as above."""
    nodes = {
        "picture": _node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "model": _node("LoadDA3Model", 0, 460, size=[360, 90], model=_DEPTH_MODEL, model_name=_DEPTH_MODEL["name"]),
        "about": _note(
            0,
            660,
            "# Picture to stereo\n\nDepth Estimate takes any depth model that the host or **Load Depth Model** loads. "
            "This one is Depth Anything 3: put `depth_anything_3_mono_large.safetensors` into "
            "`models/geometry_estimation`.\n\n" + _ABOUT_SHIFT,
            380,
            780,
        ),
        "depth": _node(
            "Stereo_DepthEstimate",
            1,
            0,
            {"image": ["picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "show_depth": _node("PreviewImage", 1, 280, {"images": ["depth", "depth"]}, [360, 300]),
        "shift": _node(
            "Stereo_ImageStereoShift",
            2,
            0,
            {"image": ["picture", "IMAGE"], "depth": ["depth", "depth"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
        ),
        **_outputs(3, ["shift", "left"], ["shift", "right"]),
    }
    groups = [
        _group("Step 1 - Picture and depth", 0, 0, 680, 2),
        _group("Step 2 - Shift", 2, 0, 680),
        _group("Step 3 - Formats and files", 3, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def video_to_stereo() -> dict[str, Any]:
    """A clip with its sound to a half side-by-side clip."""
    nodes = {
        "video": _node("LoadVideo", 0, 0, size=[360, 360], file="example.mp4"),
        "parts": _node("GetVideoComponents", 0, 420, {"video": ["video", "VIDEO"]}, [360, 110]),
        "model": _node("LoadDA3Model", 0, 590, size=[360, 90], model=_DEPTH_MODEL, model_name=_DEPTH_MODEL["name"]),
        "about": _note(
            0,
            800,
            "# Video to stereo\n\nDepth is estimated frame by frame and held still over each scene, so that nothing "
            "flickers. Sound and frame rate are kept. Load the clip in **Load Video**; put "
            "`depth_anything_3_mono_large.safetensors` into `models/geometry_estimation`.\n\n"
            + _ABOUT_SHIFT
            + "- `quality`: *best* for the finest edges, at a third of the speed.\n",
            400,
            780,
        ),
        "depth": _node(
            "Stereo_DepthEstimate",
            1,
            0,
            {"image": ["parts", "images"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "shift": _node(
            "Stereo_ImageStereoShift",
            2,
            0,
            {"image": ["parts", "images"], "depth": ["depth", "depth"]},
            [360, 560],
            max_disparity=3.0,
            convergence=0.5,
            quality="fast",
        ),
        "sbs": _node(
            "Stereo_SBSCombine",
            3,
            0,
            {"left": ["shift", "left"], "right": ["shift", "right"]},
            [360, 420],
            format="half_sbs",
        ),
        "clip": _node(
            "CreateVideo",
            3,
            480,
            {"images": ["sbs", "image"], "audio": ["parts", "audio"], "fps": ["parts", "fps"]},
            [360, 120],
        ),
        "save": _node("SaveVideo", 4, 0, {"video": ["clip", "VIDEO"]}, [360, 460], filename_prefix="stereo/half_sbs"),
    }
    groups = [
        _group("Step 1 - Clip and depth", 0, 0, 800, 2),
        _group("Step 2 - Shift", 2, 0, 800),
        _group("Step 3 - Format and file", 3, 0, 800, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def latent_shift_inpaint() -> dict[str, Any]:
    """A latent shifted into the right view, its holes repainted by an ordinary KSampler."""
    nodes = {
        "picture": _node("LoadImage", 0, 0, size=[360, 340], image="example.png"),
        "depth": _node("LoadImage", 0, 400, size=[360, 340], image="example.png"),
        "about": _note(
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
        "checkpoint": _node(
            "CheckpointLoaderSimple", 1, 0, size=[360, 110], model=_CHECKPOINT, ckpt_name=_CHECKPOINT["name"]
        ),
        "positive": _node(
            "CLIPTextEncode",
            1,
            170,
            {"clip": ["checkpoint", "CLIP"]},
            [360, 140],
            text="a photograph, sharp, natural light",
        ),
        "negative": _node(
            "CLIPTextEncode", 1, 370, {"clip": ["checkpoint", "CLIP"]}, [360, 140], text="blurry, text, watermark"
        ),
        "encode": _node("VAEEncode", 1, 570, {"pixels": ["picture", "IMAGE"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        "shift": _node(
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
        "sample": _node(
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
        "decode": _node(
            "VAEDecode", 3, 540, {"samples": ["sample", "LATENT"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
        "sbs": _node("Stereo_SBSCombine", 4, 0, {"left": ["decode", "IMAGE"]}, [360, 420], format="full_sbs"),
        "save_sbs": _node(
            "SaveImage", 5, 0, {"images": ["sbs", "image"]}, [360, 420], filename_prefix="stereo/latent_full_sbs"
        ),
    }
    groups = [
        _group("Step 1 - Picture, depth, model", 0, 0, 840, 2),
        _group("Step 2 - Shift", 2, 0, 840),
        _group("Step 3 - Repaint the holes", 3, 0, 840),
        _group("Step 4 - Format and file", 4, 0, 840, 2),
    ]
    return {"nodes": nodes, "groups": groups}


DESCRIPTIONS = {
    description.__name__: description
    for description in (image_depth_to_stereo, image_to_stereo, video_to_stereo, latent_shift_inpaint)
}
