"""The shipped workflows in which a video model makes the second view (StereoCrafter-Zero)."""

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

_WAN21 = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/"
_WAN22 = "https://huggingface.co/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/"


def _model(address: str, directory: str, name: str) -> dict[str, str]:
    return {"name": name, "url": f"{address}{directory}/{name}", "directory": directory}


_SVD = {
    "name": "svd_xt.safetensors",
    "url": "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/resolve/main/svd_xt.safetensors",
    "directory": "checkpoints",
}
_TEXT = _model(_WAN21, "text_encoders", "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
_VAE = _model(_WAN21, "vae", "wan_2.1_vae.safetensors")
_WAN21_T2V = _model(_WAN21, "diffusion_models", "wan2.1_t2v_1.3B_fp16.safetensors")
_HIGH = _model(_WAN22, "diffusion_models", "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors")
_LOW = _model(_WAN22, "diffusion_models", "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors")

_PROMPT = "a fox walks through deep snow past the camera, pine trees behind, morning light"
_UNWANTED = "blurry, overexposed, still picture, text, watermark, deformed"
_WAN_CONDITIONS = {"positive": ["positive", "CONDITIONING"], "negative": ["negative", "CONDITIONING"]}


def _outputs(column: int, fps: int) -> dict[str, Node]:
    """Both views of the decoded clip to an SBS and an anaglyph video."""
    nodes = {}
    for number, (key, form) in enumerate((("sbs", "full_sbs"), ("anaglyph", "anaglyph_dubois"))):
        top = 480 * number
        nodes[key] = node("Stereo_SBSCombine", column, top, {"left": ["decode", "IMAGE"]}, [360, 420], format=form)
        nodes[f"{key}_clip"] = node(
            "CreateVideo", column + 1, top, {"images": [key, "image"]}, [360, 110], fps=float(fps)
        )
        nodes[f"save_{key}"] = node(
            "SaveVideo",
            column + 1,
            top + 170,
            {"video": [f"{key}_clip", "VIDEO"]},
            [360, 250],
            filename_prefix=f"stereo/video_{form}",
        )
    return nodes


def _loaders(column: int, networks: dict[str, dict[str, str]], frames: int) -> dict[str, Node]:
    """Wan's network or networks, text encoder, autoencoder, prompts, and an empty clip."""
    nodes = {}
    y = 0
    for key, model in networks.items():
        nodes[key] = node("UNETLoader", column, y, size=[360, 90], model=model, unet_name=model["name"])
        y += 150
    return nodes | {
        "clip": node("CLIPLoader", column, y, size=[360, 110], model=_TEXT, clip_name=_TEXT["name"], type="wan"),
        "vae": node("VAELoader", column, y + 170, size=[360, 60], model=_VAE, vae_name=_VAE["name"]),
        "positive": node("CLIPTextEncode", column, y + 290, {"clip": ["clip", "CLIP"]}, [360, 140], text=_PROMPT),
        "negative": node("CLIPTextEncode", column, y + 490, {"clip": ["clip", "CLIP"]}, [360, 140], text=_UNWANTED),
        "empty": node(
            "EmptyHunyuanLatentVideo",
            column,
            y + 690,
            size=[360, 130],
            width=832,
            height=480,
            length=frames,
            batch_size=1,
        ),
    }


def _depth(column: int, y: int, clip: str) -> dict[str, Node]:
    """One depth map for each frame of the left clip, without the fine detail that latents cannot follow."""
    return {
        "model": node("LoadDA3Model", column, y, size=[360, 90], model=DEPTH_MODEL, model_name=DEPTH_MODEL["name"]),
        "estimate": node(
            "Stereo_DepthEstimate",
            column,
            y + 150,
            {"image": [clip, "IMAGE"], "source": ["model", "DA3_MODEL"]},
            [360, 220],
            range="clip",
        ),
        "depth": node(
            "Stereo_DissolveDepth",
            column,
            y + 430,
            {"depth": ["estimate", "depth"]},
            [360, 520],
            method="gaussian",
            radius=1.0,
        ),
    }


def _schedule(column: int, y: int, model: list[str], steps: int, scheduler: str) -> dict[str, Node]:
    return {
        "noise": node("RandomNoise", column, y, size=[360, 90], noise_seed=1, control_after_generate="fixed"),
        "select": node("KSamplerSelect", column, y + 150, size=[360, 60], sampler_name="euler_ancestral"),
        "sigmas": node(
            "BasicScheduler",
            column,
            y + 270,
            {"model": model},
            [360, 120],
            scheduler=scheduler,
            steps=steps,
            denoise=1.0,
        ),
    }


def _guider(column: int, y: int, model: list[str], cfg: float, **conditions: list[str]) -> Node:
    return node("CFGGuider", column, y, {"model": model, **(conditions or _WAN_CONDITIONS)}, [360, 110], cfg=cfg)


def _record(column: int, y: int, part: dict[str, str] | None = None) -> Node:
    """The left view, its states kept; ``part`` replaces the keys of the nodes of a schedule that is not split."""
    key = {"noise": "noise", "guider": "guider", "latent": "empty", "sigmas": "sigmas", **(part or {})}
    inputs = {
        "noise": [key["noise"], "NOISE"],
        "guider": [key["guider"], "GUIDER"],
        "sampler": ["select", "SAMPLER"],
        "sigmas": [key["sigmas"], key.get("levels", "SIGMAS")],
        "latent_image": [key["latent"], key.get("output", "LATENT")],
    }
    if "before" in key:
        inputs["before"] = [key["before"], "trajectory"]
    return node("Stereo_LeftTrajectory", column, y, inputs, [360, 160])


def _sample(column: int, y: int, sampler: list[str], levels: str, **keys: str) -> Node:
    """A part of a split schedule."""
    key = {"noise": "noise", "guider": "guider", "latent": "empty", "output": "LATENT", **keys}
    inputs = {
        "noise": [key["noise"], "NOISE"],
        "guider": [key["guider"], "GUIDER"],
        "sampler": sampler,
        "sigmas": ["split", levels],
        "latent_image": [key["latent"], key["output"]],
    }
    return node("SamplerCustomAdvanced", column, y, inputs, [360, 120])


def image_to_stereo_video() -> dict[str, Any]:
    """A picture to a stereo clip by SVD: the left clip recorded, its depth dissolved, then the pair."""
    conditions = {"positive": ["condition", "positive"], "negative": ["condition", "negative"]}
    nodes = {
        "picture": node("LoadImage", 0, 0, size=[360, 400], image="example.png"),
        "checkpoint": node("ImageOnlyCheckpointLoader", 0, 460, size=[360, 110], model=_SVD, ckpt_name=_SVD["name"]),
        "linear": node("VideoLinearCFGGuidance", 0, 630, {"model": ["checkpoint", "MODEL"]}, [360, 60], min_cfg=1.0),
        "condition": node(
            "SVD_img2vid_Conditioning",
            0,
            750,
            {
                "clip_vision": ["checkpoint", "CLIP_VISION"],
                "init_image": ["picture", "IMAGE"],
                "vae": ["checkpoint", "VAE"],
            },
            [360, 260],
            width=1024,
            height=576,
            video_frames=25,
            motion_bucket_id=127,
            fps=6,
            augmentation_level=0.0,
        ),
        "about": note(
            0,
            1090,
            "# Picture to stereo video\n\nStereoCrafter-Zero with Stable Video Diffusion, without training: Left "
            "Trajectory makes the left clip and keeps how it came about. Its depth is estimated and dissolved, and "
            "Stereo Video KSampler makes the right clip beside it: the first steps several times (noisy restart), "
            "the others with the holes harmonised (iterative refinement). The left clip stays as it was, to the "
            "bit.\n\n"
            "**Change first**\n\n- the picture, and `motion_bucket_id`: how much moves.\n"
            + ABOUT_GEOMETRY
            + "- `steps` (the paper takes 50), `cfg`, sampler and scheduler: **the same for the left clip and in "
            "Stereo Video KSampler**.\n"
            "- `preset`: the resolution of the paper nearest to yours; `strength` of Dissolve Depth with it.\n"
            "- `iterations` and `most_repeats`: fewer are faster.\n",
            400,
            780,
        ),
        **_schedule(1, 0, ["linear", "MODEL"], 20, "karras"),
        "guider": _guider(1, 450, ["linear", "MODEL"], 2.5, **conditions),
        "left": _record(1, 620, {"latent": "condition", "output": "latent"}),
        "left_clip": node(
            "VAEDecode", 1, 840, {"samples": ["left", "output"], "vae": ["checkpoint", "VAE"]}, [360, 60]
        ),
        **_depth(2, 0, "left_clip"),
        "pair": node(
            "Stereo_StereoVideoKSampler",
            3,
            0,
            {
                "model": ["linear", "MODEL"],
                **conditions,
                "latent_image": ["condition", "latent"],
                "depth": ["depth", "depth"],
                "trajectory": ["left", "trajectory"],
            },
            [360, 960],
            seed=1,
            control_after_generate="fixed",
            steps=20,
            cfg=2.5,
            sampler_name="euler_ancestral",
            scheduler="karras",
            denoise=1.0,
            max_disparity=6.0,
            convergence=0.3,
            preset="576x1024",
        ),
        "decode": node("VAEDecode", 4, 0, {"samples": ["pair", "stereo"], "vae": ["checkpoint", "VAE"]}, [360, 60]),
        **_outputs(5, 6),
    }
    nodes["depth"] = node(
        "Stereo_DissolveDepth",
        2,
        430,
        {
            "depth": ["estimate", "depth"],
            "model": ["checkpoint", "MODEL"],
            "vae": ["checkpoint", "VAE"],
            "positive": ["condition", "positive"],
        },
        [360, 520],
        method="dissolve",
        strength=45,
    )
    groups = [
        group("Step 1 - Picture and model", 0, 0, 1110),
        group("Step 2 - Left clip, recorded", 1, 0, 1110),
        group("Step 3 - Its depth", 2, 0, 1110),
        group("Step 4 - Both clips", 3, 0, 1110, 2),
        group("Step 5 - Formats and files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def text_to_stereo_video() -> dict[str, Any]:
    """A prompt to a stereo clip by Wan 2.1: the left clip as KSampler makes it, its depth, then one node."""
    settings = {
        "seed": 1,
        "control_after_generate": "fixed",
        "steps": 30,
        "cfg": 6.0,
        "sampler_name": "euler_ancestral",
        "scheduler": "simple",
        "denoise": 1.0,
    }
    inputs = {"model": ["network", "MODEL"], **_WAN_CONDITIONS, "latent_image": ["empty", "LATENT"]}
    nodes = {
        **_loaders(0, {"network": _WAN21_T2V}, 33),
        "about": note(
            0,
            1150,
            "# Text to stereo video\n\nStereoCrafter-Zero in one node, without training: KSampler makes the left clip, "
            "Depth Estimate finds its depth, Disparity Propagate steadies it along the motion, Dissolve Depth "
            "takes the fine detail out, and Stereo Video KSampler makes both clips from the same seed. Any video model "
            "works: Wan, HunyuanVideo, LTXV, SVD.\n\n"
            "**Change first**\n\n- the prompt, `length` (4 n + 1 frames), and `seed`: **the same in both samplers**, "
            "as are `steps`, `cfg`, `sampler_name` and `scheduler`.\n"
            + ABOUT_GEOMETRY
            + "- to sample the left clip only once: record it with **Left Trajectory** instead of KSampler, as the "
            "workflow *image_to_stereo_video* does, and connect `trajectory`.\n"
            "- `iterations` and `most_repeats`: fewer are faster. Disparity Propagate takes about a second a frame on "
            "a CPU; bypass it (Ctrl+B) if the depth does not flicker.\n",
            330,
            780,
        ),
        "left": node("KSampler", 1, 0, inputs, [360, 480], **settings),
        "left_clip": node("VAEDecode", 1, 540, {"samples": ["left", "LATENT"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_depth(2, 0, "left_clip"),
        "steady": node(
            "Stereo_DisparityPropagate",
            2,
            430,
            {"image": ["left_clip", "IMAGE"], "depth": ["estimate", "depth"]},
            [360, 160],
            averaging="consistent",
        ),
        "depth": node(
            "Stereo_DissolveDepth", 2, 650, {"depth": ["steady", "depth"]}, [360, 430], method="gaussian", radius=1.0
        ),
        "pair": node(
            "Stereo_StereoVideoKSampler",
            3,
            0,
            {**inputs, "depth": ["depth", "depth"]},
            [360, 960],
            **settings,
            max_disparity=6.0,
            convergence=0.3,
            preset="576x1024",
        ),
        "decode": node("VAEDecode", 4, 0, {"samples": ["pair", "stereo"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_outputs(5, 16),
    }
    groups = [
        group("Step 1 - Model and prompt", 0, 0, 1180),
        group("Step 2 - Left clip", 1, 0, 1180),
        group("Step 3 - Its depth", 2, 0, 1180),
        group("Step 4 - Both clips", 3, 0, 1180, 2),
        group("Step 5 - Formats and files", 5, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def split_experts() -> dict[str, Any]:
    """Wan 2.2's two networks on one split schedule: restart with the first, refinement with the second."""
    nodes = {
        **_loaders(0, {"high": _HIGH, "low": _LOW}, 33),
        "about": note(
            0,
            1300,
            "# Stereo video with two experts\n\nWan 2.2 has a network for the noisy steps and one for the others. Left "
            "Trajectory records each part of the left clip, the second one continuing the first (`before`), so that "
            "both know their place in the whole schedule. The pair is made in the same two parts: noisy restart with "
            "the first network, iterative refinement with the second, both coupled by Cross-View Attention.\n\n"
            "**Change first**\n\n- the prompt and `length` (4 n + 1 frames).\n"
            + ABOUT_GEOMETRY
            + "- `steps` of BasicScheduler and `step` of SplitSigmas: where the second network takes over; 10 of 20 "
            "for this model.\n"
            "- `preset` of Iterative Refine Sampler: the resolution of the paper nearest to yours.\n",
            330,
            780,
        ),
        "shift_high": node("ModelSamplingSD3", 1, 0, {"model": ["high", "MODEL"]}, [360, 60], shift=5.0),
        "shift_low": node("ModelSamplingSD3", 1, 120, {"model": ["low", "MODEL"]}, [360, 60], shift=5.0),
        **_schedule(1, 240, ["shift_high", "MODEL"], 20, "simple"),
        "split": node("SplitSigmas", 1, 690, {"sigmas": ["sigmas", "SIGMAS"]}, [360, 80], step=10),
        "no_noise": node("DisableNoise", 1, 830, size=[360, 40]),
        **geometry(1, 980),
        "guider": _guider(2, 0, ["shift_high", "MODEL"], 3.5),
        "left_high": _record(2, 170, {"sigmas": "split", "levels": "high_sigmas"}),
        "guider_low": _guider(2, 390, ["shift_low", "MODEL"], 3.5),
        "left": _record(
            2,
            560,
            {
                "noise": "no_noise",
                "guider": "guider_low",
                "sigmas": "split",
                "levels": "low_sigmas",
                "latent": "left_high",
                "output": "output",
                "before": "left_high",
            },
        ),
        "left_clip": node("VAEDecode", 2, 780, {"samples": ["left", "output"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_depth(3, 0, "left_clip"),
        "couple_high": node(
            "Stereo_CrossViewAttentionPatch", 4, 0, {"model": ["shift_high", "MODEL"]}, [360, 140], mode="left_query"
        ),
        "pair_high": _guider(4, 200, ["couple_high", "model"], 3.5),
        "restart": node(
            "Stereo_NoisyRestartSampler",
            4,
            370,
            {
                "depth": ["depth", "depth"],
                "trajectory": ["left", "trajectory"],
                "sampler": ["select", "SAMPLER"],
                **GEOMETRY,
            },
            [360, 560],
        ),
        "sample_high": _sample(4, 990, ["restart", "sampler"], "high_sigmas", guider="pair_high"),
        "couple_low": node(
            "Stereo_CrossViewAttentionPatch", 5, 0, {"model": ["shift_low", "MODEL"]}, [360, 140], mode="left_query"
        ),
        "pair_low": _guider(5, 200, ["couple_low", "model"], 3.5),
        "refine": node(
            "Stereo_IterativeRefineSampler",
            5,
            370,
            {
                "depth": ["depth", "depth"],
                "trajectory": ["left", "trajectory"],
                "sampler": ["select", "SAMPLER"],
                **GEOMETRY,
            },
            [360, 560],
            preset="576x1024",
        ),
        "sample": _sample(
            5,
            990,
            ["refine", "sampler"],
            "low_sigmas",
            noise="no_noise",
            guider="pair_low",
            latent="sample_high",
            output="output",
        ),
        "decode": node("VAEDecode", 5, 1170, {"samples": ["sample", "output"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_outputs(6, 16),
    }
    groups = [
        group("Step 1 - Models, prompt, schedule", 0, 0, 1320, 2),
        *geometry_groups(1, 980),
        group("Step 2 - Left clip, recorded in two parts", 2, 0, 1320),
        group("Step 3 - Its depth", 3, 0, 1320),
        group("Step 4 - Both clips: restart", 4, 0, 1320),
        group("Step 5 - Both clips: refinement", 5, 0, 1320),
        group("Step 6 - Formats and files", 6, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


def restart_then_plain() -> dict[str, Any]:
    """Noisy restart on the first steps, an ordinary sampler of the host for all the others."""
    nodes = {
        **_loaders(0, {"network": _WAN21_T2V}, 33),
        "about": note(
            0,
            1050,
            "# Restart, then an ordinary sampler\n\nOnly the first steps decide where things stand. Noisy Restart "
            "Sampler takes these, several times, until the right clip agrees with the left one; then any sampler of "
            "the host finishes both clips, which are a batch of two. This is the fastest way, and shows how the "
            "stereo samplers mix with all others.\n\n"
            "**Change first**\n\n- the prompt and `length` (4 n + 1 frames).\n"
            + ABOUT_GEOMETRY
            + "- `step` of SplitSigmas: where the ordinary sampler takes over. `restart_until` is a share of all "
            "steps: 0.1 of 30 are the 3 before the split.\n"
            "- `iterations`: more make the stereo stronger.\n- the second KSamplerSelect: any sampler.\n",
            330,
            780,
        ),
        **_schedule(1, 0, ["network", "MODEL"], 30, "simple"),
        "split": node("SplitSigmas", 1, 450, {"sigmas": ["sigmas", "SIGMAS"]}, [360, 80], step=3),
        **geometry(1, 620),
        "guider": _guider(2, 0, ["network", "MODEL"], 6.0),
        "left": _record(2, 170),
        "left_clip": node("VAEDecode", 2, 390, {"samples": ["left", "output"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_depth(3, 0, "left_clip"),
        "couple": node(
            "Stereo_CrossViewAttentionPatch", 4, 0, {"model": ["network", "MODEL"]}, [360, 140], mode="left_query"
        ),
        "pair_guider": _guider(4, 200, ["couple", "model"], 6.0),
        "restart": node(
            "Stereo_NoisyRestartSampler",
            4,
            370,
            {
                "depth": ["depth", "depth"],
                "trajectory": ["left", "trajectory"],
                "sampler": ["select", "SAMPLER"],
                **GEOMETRY,
            },
            [360, 560],
        ),
        "sample_high": _sample(5, 0, ["restart", "sampler"], "high_sigmas", guider="pair_guider"),
        "no_noise": node("DisableNoise", 5, 180, size=[360, 40]),
        "plain": node("KSamplerSelect", 5, 280, size=[360, 60], sampler_name="dpmpp_2m"),
        "sample": _sample(
            5,
            400,
            ["plain", "SAMPLER"],
            "low_sigmas",
            noise="no_noise",
            guider="pair_guider",
            latent="sample_high",
            output="output",
        ),
        "decode": node("VAEDecode", 5, 580, {"samples": ["sample", "output"], "vae": ["vae", "VAE"]}, [360, 60]),
        **_outputs(6, 16),
    }
    groups = [
        group("Step 1 - Model, prompt, schedule", 0, 0, 1070, 2),
        *geometry_groups(1, 620),
        group("Step 2 - Left clip, recorded", 2, 0, 1070),
        group("Step 3 - Its depth", 3, 0, 1070),
        group("Step 4 - Both clips", 4, 0, 1070, 2),
        group("Step 5 - Formats and files", 6, 0, 1000, 2),
    ]
    return {"nodes": nodes, "groups": groups}


VIDEO_DESCRIPTIONS = (image_to_stereo_video, text_to_stereo_video, split_experts, restart_then_plain)
