"""The shipped workflows in which a diffusion model makes the second view."""

from __future__ import annotations

from typing import Any

from tools.workflow_parts import (
    ABOUT_GEOMETRY,
    CHECKPOINT,
    DEPTH_MODEL,
    GEOMETRY,
    Node,
    geometry,
    geometry_groups,
    group,
    node,
    note,
    outputs,
)

_DEPTH_CHECKPOINT = {
    "name": "512-depth-ema.safetensors",
    "url": "https://huggingface.co/sd2-community/stable-diffusion-2-depth/resolve/main/512-depth-ema.safetensors",
    "directory": "checkpoints",
}
_CONTROL_NET = {
    "name": "control_v11f1p_sd15_depth_fp16.safetensors",
    "url": "https://huggingface.co/comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/"
    "control_v11f1p_sd15_depth_fp16.safetensors",
    "directory": "controlnet",
}
_LORA = {
    "name": "lcm-lora-sdv1-5.safetensors",
    "url": "https://huggingface.co/latent-consistency/lcm-lora-sdv1-5/resolve/main/pytorch_lora_weights.safetensors",
    "directory": "loras",
}


def _prompts(column: int, y: int, positive: str, negative: str = "blurry, text, watermark") -> dict[str, Node]:
    clip = {"clip": ["checkpoint", "CLIP"]}
    return {
        "positive": node("CLIPTextEncode", column, y, clip, [360, 140], text=positive),
        "negative": node("CLIPTextEncode", column, y + 200, clip, [360, 140], text=negative),
    }


def _scaled_picture(column: int, y: int) -> dict[str, Node]:
    """The picture at the size that SD 1.x and 2.x were trained at, and its latent."""
    return {
        "scale": node(
            "ImageScaleToTotalPixels",
            column,
            y,
            {"image": ["picture", "IMAGE"]},
            [360, 130],
            upscale_method="lanczos",
            megapixels=0.25,
            resolution_steps=8,
        ),
        "encode": node(
            "VAEEncode", column, y + 200, {"pixels": ["scale", "IMAGE"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
    }


def text_to_stereo() -> dict[str, Any]:
    """A prompt to a stereo pair: the left view as KSampler makes it, its depth, then the pair from the same seed."""
    settings = {
        "seed": 1,
        "control_after_generate": "fixed",
        "steps": 30,
        "cfg": 7.5,
        "sampler_name": "euler",
        "scheduler": "normal",
    }
    conditions = {
        "model": ["checkpoint", "MODEL"],
        "positive": ["positive", "CONDITIONING"],
        "negative": ["negative", "CONDITIONING"],
        "latent_image": ["empty", "LATENT"],
    }
    nodes = {
        "checkpoint": node(
            "CheckpointLoaderSimple", 0, 0, size=[360, 110], model=CHECKPOINT, ckpt_name=CHECKPOINT["name"]
        ),
        **_prompts(0, 170, "a mountain lake with a wooden boat in front, sharp, natural light"),
        "empty": node("EmptyLatentImage", 0, 570, size=[360, 130], width=512, height=512, batch_size=1),
        "about": note(
            0,
            880,
            "# Text to stereo\n\nStereoDiffusion: KSampler makes the left view, Depth Estimate finds its depth, and "
            "Stereo KSampler makes both views from the same seed. Any picture model works, without training: "
            "SD 1.x, 2.x, SDXL, SD3, Flux, Qwen-Image.\n\n"
            "**Change first**\n\n- the prompt, and `seed`: **the same in both samplers**, as are `steps`, `cfg`, "
            "`sampler_name` and `scheduler`.\n"
            + ABOUT_GEOMETRY
            + "- `attention` of Stereo KSampler: *right_joint* lets the right view keep more of its own.\n",
            380,
            780,
        ),
        "left": node("KSampler", 1, 0, conditions, [360, 480], **settings, denoise=1.0),
        "left_picture": node(
            "VAEDecode", 1, 540, {"samples": ["left", "LATENT"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
        "model": node("LoadDA3Model", 2, 0, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "depth": node(
            "Stereo_DepthEstimate",
            2,
            150,
            {"image": ["left_picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "show_depth": node("PreviewImage", 2, 430, {"images": ["depth", "depth"]}, [360, 300]),
        "pair": node(
            "Stereo_StereoKSampler",
            3,
            0,
            {**conditions, "depth": ["depth", "depth"]},
            [360, 700],
            **settings,
            denoise=1.0,
            max_disparity=6.0,
            convergence=0.3,
        ),
        "decode": node("VAEDecode", 4, 0, {"samples": ["pair", "stereo"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        **outputs(5, ["decode", "IMAGE"]),
    }
    groups = [
        group("Step 1 - Prompt", 0, 0, 820),
        group("Step 2 - Left view and its depth", 1, 0, 820, 2),
        group("Step 3 - Both views", 3, 0, 820, 2),
        group("Step 4 - Formats and files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def image_to_stereo_diffusion() -> dict[str, Any]:
    """A picture to stereo: inverted, replayed as the left view, and only the disocclusion taken from the result."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "model": node("LoadDA3Model", 0, 460, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "depth": node(
            "Stereo_DepthEstimate",
            0,
            610,
            {"image": ["picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "about": note(
            0,
            1010,
            "# Picture to stereo by diffusion\n\nDDIM Inversion finds the states through which the model makes the "
            "picture; Stereo KSampler replays them as the left view and makes the right one along with it. "
            "Stereo Composite keeps every pixel that the picture shows, at full resolution, and takes only what lies "
            "behind its edges from the diffusion result, in the picture's colours.\n\n"
            "**Change first**\n\n- the prompt: what is in the picture.\n"
            + ABOUT_GEOMETRY
            + "- `steps`: the same in BasicScheduler and Stereo KSampler, as is the scheduler. `cfg` stays at 1: so "
            "the picture was inverted.\n- `feather` and `color_match` of Stereo Composite, where the holes show.\n",
            430,
            780,
        ),
        "checkpoint": node(
            "CheckpointLoaderSimple", 1, 0, size=[360, 110], model=CHECKPOINT, ckpt_name=CHECKPOINT["name"]
        ),
        **_prompts(1, 170, "a photograph, sharp, natural light", ""),
        **_scaled_picture(1, 570),
        "sigmas": node(
            "BasicScheduler",
            2,
            0,
            {"model": ["checkpoint", "MODEL"]},
            [360, 120],
            scheduler="normal",
            steps=30,
            denoise=1.0,
        ),
        "inversion": node(
            "Stereo_DDIMInversion",
            2,
            180,
            {
                "model": ["checkpoint", "MODEL"],
                "positive": ["positive", "CONDITIONING"],
                "latent": ["encode", "LATENT"],
                "sigmas": ["sigmas", "SIGMAS"],
            },
            [360, 160],
        ),
        **geometry(2, 460),
        "pair": node(
            "Stereo_StereoKSampler",
            3,
            0,
            {
                "model": ["checkpoint", "MODEL"],
                "positive": ["positive", "CONDITIONING"],
                "negative": ["negative", "CONDITIONING"],
                "latent_image": ["encode", "LATENT"],
                "depth": ["depth", "depth"],
                "trajectory": ["inversion", "trajectory"],
                **GEOMETRY,
            },
            [360, 700],
            seed=1,
            control_after_generate="fixed",
            steps=30,
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", 4, 0, {"samples": ["pair", "stereo"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        "composite": node(
            "Stereo_StereoComposite",
            4,
            130,
            {
                "image": ["picture", "IMAGE"],
                "depth": ["depth", "depth"],
                "diffusion": ["decode", "IMAGE"],
                **GEOMETRY,
            },
            [360, 560],
        ),
        **outputs(5, ["composite", "left"], ["composite", "right"]),
    }
    groups = [
        group("Step 1 - Picture, depth, prompt", 0, 0, 950, 2),
        group("Step 2 - Inversion", 2, 0, 950),
        *geometry_groups(2, 460),
        group("Step 3 - Both views, and the composite", 3, 0, 950, 2),
        group("Step 4 - Formats and files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def depth_to_stereo() -> dict[str, Any]:
    """A depth map and a prompt to a stereo pair, by SD2-depth."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "model": node("LoadDA3Model", 0, 460, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "depth": node(
            "Stereo_DepthEstimate",
            0,
            610,
            {"image": ["picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "about": note(
            0,
            1010,
            "# Depth to stereo\n\nThe shapes of a picture, filled with what the prompt says, for both eyes. "
            "Stable Diffusion 2 depth reads the depth map as a fifth channel; Depth Conditioning gives each eye its "
            "own. Instead of estimating depth, connect **Load Image** with a depth map: white is near.\n\n"
            "**Change first**\n\n- the prompt.\n" + ABOUT_GEOMETRY + "- another model: connect a depth ControlNet to "
            "`control_net` of Depth Conditioning, and take its checkpoint.\n",
            380,
            780,
        ),
        "checkpoint": node(
            "CheckpointLoaderSimple",
            1,
            0,
            size=[360, 110],
            model=_DEPTH_CHECKPOINT,
            ckpt_name=_DEPTH_CHECKPOINT["name"],
        ),
        **_prompts(1, 170, "a marble sculpture in a garden, sharp, natural light"),
        **_scaled_picture(1, 570),
        **geometry(2, 30),
        "conditioning": node(
            "Stereo_DepthConditioning",
            2,
            380,
            {
                "positive": ["positive", "CONDITIONING"],
                "negative": ["negative", "CONDITIONING"],
                "depth": ["depth", "depth"],
                "latent": ["encode", "LATENT"],
                **GEOMETRY,
            },
            [360, 340],
        ),
        "pair": node(
            "Stereo_StereoKSampler",
            3,
            0,
            {
                "model": ["checkpoint", "MODEL"],
                "positive": ["conditioning", "positive"],
                "negative": ["conditioning", "negative"],
                "latent_image": ["encode", "LATENT"],
                "depth": ["depth", "depth"],
                **GEOMETRY,
            },
            [360, 700],
            seed=1,
            control_after_generate="fixed",
            steps=30,
            cfg=9.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", 4, 0, {"samples": ["pair", "stereo"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        **outputs(5, ["decode", "IMAGE"]),
    }
    groups = [
        group("Step 1 - Depth and prompt", 0, 0, 950, 2),
        group("Step 2 - Depth for both eyes", 2, 0, 950),
        *geometry_groups(2, 30),
        group("Step 3 - Both views", 3, 0, 950, 2),
        group("Step 4 - Formats and files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def mixed_stereo() -> dict[str, Any]:
    """The nodes of this pack among others: a LoRA, a ControlNet, and SamplerCustomAdvanced."""
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "model": node("LoadDA3Model", 0, 460, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "depth": node(
            "Stereo_DepthEstimate",
            0,
            610,
            {"image": ["picture", "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
        ),
        "about": note(
            0,
            1010,
            "# Stereo with a LoRA, a ControlNet and a sampler of your own\n\nStereo Shift Sampler wraps any sampler, "
            "Cross-View Attention patches any model, Depth Conditioning takes any depth ControlNet: they go wherever "
            "SAMPLER, MODEL and CONDITIONING go. Here LCM makes the pair in 8 steps; save its LoRA as "
            "`models/loras/lcm-lora-sdv1-5.safetensors`.\n\n"
            "**Change first**\n\n- the prompt, and `strength` of Depth Conditioning.\n"
            + ABOUT_GEOMETRY
            + "- another LoRA: set the sampler, steps and cfg that suit it.\n",
            380,
            780,
        ),
        "checkpoint": node(
            "CheckpointLoaderSimple", 1, 0, size=[360, 110], model=CHECKPOINT, ckpt_name=CHECKPOINT["name"]
        ),
        **_prompts(1, 170, "a city street in the rain at night, sharp, cinematic light"),
        **_scaled_picture(1, 570),
        "lora": node(
            "LoraLoaderModelOnly",
            2,
            0,
            {"model": ["checkpoint", "MODEL"]},
            [360, 90],
            model=_LORA,
            lora_name=_LORA["name"],
            strength_model=1.0,
        ),
        "attention": node(
            "Stereo_CrossViewAttentionPatch", 2, 150, {"model": ["lora", "MODEL"]}, [360, 140], mode="left_kv"
        ),
        **geometry(2, 400),
        "control": node(
            "ControlNetLoader", 2, 740, size=[360, 60], model=_CONTROL_NET, control_net_name=_CONTROL_NET["name"]
        ),
        "conditioning": node(
            "Stereo_DepthConditioning",
            3,
            0,
            {
                "positive": ["positive", "CONDITIONING"],
                "negative": ["negative", "CONDITIONING"],
                "depth": ["depth", "depth"],
                "latent": ["encode", "LATENT"],
                "control_net": ["control", "CONTROL_NET"],
                **GEOMETRY,
            },
            [360, 340],
            strength=0.8,
        ),
        "guider": node(
            "CFGGuider",
            3,
            420,
            {
                "model": ["attention", "model"],
                "positive": ["conditioning", "positive"],
                "negative": ["conditioning", "negative"],
            },
            [360, 110],
            cfg=1.8,
        ),
        "noise": node("RandomNoise", 3, 600, size=[360, 90], noise_seed=1, control_after_generate="fixed"),
        "sigmas": node(
            "BasicScheduler",
            3,
            760,
            {"model": ["attention", "model"]},
            [360, 120],
            scheduler="sgm_uniform",
            steps=8,
            denoise=1.0,
        ),
        "lcm": node("KSamplerSelect", 4, 0, size=[360, 60], sampler_name="lcm"),
        "shift": node(
            "Stereo_StereoShiftSampler",
            4,
            120,
            {"depth": ["depth", "depth"], "sampler": ["lcm", "SAMPLER"], **GEOMETRY},
            [360, 560],
        ),
        "sample": node(
            "SamplerCustomAdvanced",
            5,
            0,
            {
                "noise": ["noise", "NOISE"],
                "guider": ["guider", "GUIDER"],
                "sampler": ["shift", "sampler"],
                "sigmas": ["sigmas", "SIGMAS"],
                "latent_image": ["encode", "LATENT"],
            },
            [360, 120],
        ),
        "decode": node("VAEDecode", 5, 200, {"samples": ["sample", "output"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        **outputs(6, ["decode", "IMAGE"]),
    }
    groups = [
        group("Step 1 - Depth and prompt", 0, 0, 950, 2),
        group("Step 2 - Model and conditioning", 2, 0, 980, 2),
        *geometry_groups(2, 400),
        group("Step 3 - Both views", 4, 0, 980, 2),
        group("Step 4 - Formats and files", 6, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


DIFFUSION_DESCRIPTIONS = (text_to_stereo, image_to_stereo_diffusion, depth_to_stereo, mixed_stereo)
