"""How good a stereo clip is: by networks that the host loads where they are given, and by what needs no weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from stereo_core.metrics import consistency
from stereo_core.optical_flow import optical_flow, sample_along
from stereo_core.warping import forward_warp

from .kept_figures import as_number
from .own_models import admit, naming

CLIP_T, CLIP_F, MET3R, FEATURES = "CLIP-T", "CLIP-F", "MEt3R", "features along d"
PSNR, SSIM, WARPING, IN_HOLES = "PSNR co-visible", "SSIM co-visible", "warping error", "the same, holes"
MEASURES = (CLIP_T, CLIP_F, MET3R, FEATURES, PSNR, SSIM, WARPING, IN_HOLES)
# Of flow forward and back: what is hidden in the next frame does not count (Sundaram et al., 2010, eq. 5).
_SHARE, _LEAST = 0.01, 0.5
_MET3R_FROM = "git+https://github.com/mohammadasim98/met3r"
_MET3R_SIZE = 224  # the least that DINOv2's patches of 14 pixels and MASt3R's of 16 both divide
# What a package raises that is not whole, or fetches what is not to be had.
_BROKEN = (AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_CLIP = "Take the whole model.safetensors of openai/clip-vit-large-patch14."
_VISION = "Give CLIP's ViT-L, H or G, or DINOv2's large or giant."

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Judges:
    """Networks that judge; ``None`` where their files are not given.

    Attributes:
        text: the embedding (1, D) of a prompt.
        pictures: those (T, D) of pictures (T, 3, H, W) in [0, 1].
        features: a grid (T, C, g, g) of the same.
        met3r: the distance of left and right pictures (T, 3, H, W).
    """

    text: Callable[[str], Tensor] | None = None
    pictures: Callable[[Tensor], Tensor] | None = None
    features: Callable[[Tensor], Tensor] | None = None
    met3r: Callable[[Tensor, Tensor], float] | None = None


def load_judges(host: dict[str, Any], clip: list[Path] | None, features: Path | None) -> Judges:
    """Load what is given.

    Args:
        host: node classes by id.
        clip: one file of CLIP with its text and its vision part, or one of each.
        features: a vision encoder whose features are compared; ``None`` takes CLIP's.

    Raises:
        ValueError: a file is not what it should be.
    """
    found: dict[str, Any] = {}
    seen = None
    if clip:
        found["text"] = _text_encoder(host, clip[0])
        _projection(clip[-1], ("visual_projection.weight", "visual.proj"), "visual", "text")
        seen = _vision(host, "--clip", clip[-1])
        found["pictures"] = lambda pictures: seen.encode_image(_image(pictures))["image_embeds"]
        _cosine(found["text"](""), found["pictures"](torch.zeros(1, 3, 16, 16)), "--clip")  # which asks if they fit
    looked = seen if features is None else _vision(host, "--features", features)
    if looked is not None:
        found["features"] = lambda pictures: grid_of(looked.encode_image(_image(pictures), crop=False))
    if find_spec("met3r"):
        found["met3r"] = _met3r()
    return Judges(**found)


def missing(clip: list[Path] | None, features: Path | None) -> list[str]:
    """Say which measures are left out, and what they need."""
    lines = []
    if not clip:
        lines.append(
            f"{CLIP_T} and {CLIP_F} are left out: download model.safetensors of openai/clip-vit-large-patch14 from "
            "Hugging Face, to any folder, and name the file with --clip."
        )
        if features is None:
            lines.append(
                f"{FEATURES} is left out: it needs --clip, or --features with model.safetensors of "
                "facebook/dinov2-large."
            )
    if not find_spec("met3r"):
        lines.append(
            f"{MET3R} is left out: the package met3r is not installed. To have it, stop here and type\n"
            f"{sys.executable} -m pip install --no-build-isolation {_MET3R_FROM}\n"
            "It is built with PyTorch3D by CUDA's compiler, and fetches MASt3R, DINOv2 and FeatUp when it is first "
            "used."
        )
    return lines


def measure(judges: Judges, prompt: str, left: Tensor, right: Tensor, disparity: Tensor) -> Figures:
    """Measure a right clip.

    Args:
        judges: the networks that are there.
        prompt: of the clip.
        left, right: (T, 3, H, W) in [0, 1].
        disparity: (T, 1, H, W) of the left clip, in columns, that the right one was made with.
    """
    found: dict[str, Tensor | float] = {}
    if judges.text is not None and judges.pictures is not None:
        embedded = judges.pictures(right)
        found[CLIP_T] = 100 * _cosine(judges.text(prompt), embedded, "--clip").mean()
        found[CLIP_F] = 100 * _cosine(judges.pictures(left), embedded, "--clip").mean()
    if judges.met3r is not None:
        found[MET3R] = 100 * judges.met3r(left, right)
    if judges.features is not None:
        found[FEATURES] = 100 * feature_distance(judges.features(left), judges.features(right), disparity)
    agreed = consistency(left, right, disparity)
    found |= {PSNR: agreed.psnr.mean(), SSIM: agreed.ssim.mean()}
    holes = ~forward_warp(left, disparity).filled
    found |= dict(zip((WARPING, IN_HOLES), warping_errors(right, holes), strict=True))
    return {name: as_number(torch.as_tensor(value)) for name, value in found.items()}


def measure_left(judges: Judges, prompt: str, left: Tensor) -> Figures:
    """What can be said of the left clip alone."""
    found = {WARPING: warping_errors(left, torch.zeros_like(left[:, :1], dtype=torch.bool))[0]}
    if judges.text is not None and judges.pictures is not None:
        found[CLIP_T] = 100 * _cosine(judges.text(prompt), judges.pictures(left), "--clip").mean()
    return {name: as_number(value) for name, value in found.items()}


def feature_distance(left: Tensor, right: Tensor, disparity: Tensor) -> Tensor:
    """Compare what a network sees in both views, along the known disparity. This measure is ours.

    At each cell of the right view that the left one shows, 1 minus the cosine of its features and the left view's,
    read where the disparity says that it comes from.

    Args:
        left, right: (T, C, g, g) features of the whole pictures.
        disparity: (T, 1, H, W) of the left view, in columns of the picture.

    Returns:
        The mean over all such cells of all frames, 0 to 2; NaN without any.
    """
    (down, cells), (height, width) = left.shape[-2:], disparity.shape[-2:]
    rows, columns = (((torch.arange(n) + 0.5) * (size / n)).long() for n, size in ((down, height), (cells, width)))
    here = torch.arange(width, dtype=torch.float32).expand(disparity.shape)
    origin, seen = (part[..., rows, :][..., columns] for part in forward_warp(here, disparity.cpu()))
    across = (origin - columns) * (cells / width)
    read, _ = sample_along(left.float().cpu(), torch.cat([across, torch.zeros_like(across)], dim=1))
    distance = 1 - F.cosine_similarity(read, right.float().cpu(), dim=1)
    return distance[seen[:, 0]].mean()


def warping_errors(clip: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how much a clip changes along its own motion from frame to frame.

    The mean absolute difference between a frame and the next one read along the optical flow between them, in steps
    of 255, where the flow back agrees that both show the same; as EvalCrafter and others have it, with TV-L1's flow.

    Args:
        clip: (T, 3, H, W) in [0, 1].
        holes: (T, 1, H, W) bool.

    Returns:
        Of all pixels and of those in holes; NaN without any, such as of one frame.
    """
    changes, counted = [clip.new_zeros(0)], [clip.new_zeros(0)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for pair in zip(clip[:-1, None], clip[1:, None], holes[:-1], strict=True):
        one, two, hole = (part.to(device) for part in pair)
        flow, back = optical_flow(one, two), optical_flow(two, one)
        ahead, inside = sample_along(two.float(), flow)
        returned, _ = sample_along(back, flow)
        squares = [each.square().sum(dim=1, keepdim=True) for each in (flow + returned, flow, returned)]
        trusted = inside & (squares[0] < _SHARE * (squares[1] + squares[2]) + _LEAST)
        change = 255 * (ahead - one).abs().mean(dim=1, keepdim=True)
        changes.append(change[trusted].cpu())
        counted.append(change[trusted & hole].cpu())
    return torch.cat(changes).mean(), torch.cat(counted).mean()


def grid_of(output: Any) -> Tensor:
    """The tokens (T, C, g, g) of the last layer but one of the host's vision encoders, without the class token."""
    tokens = output["penultimate_hidden_states"]
    side = int((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, -side * side :].movedim(1, -1).unflatten(-1, (side, side))


def _text_encoder(host: dict[str, Any], file: Path) -> Callable[[str], Tensor]:
    projection = _projection(file, ("text_projection", "text_projection.weight"), "text", "pictures").float()
    encoder = host["CLIPLoader"]().load_clip(admit("text_encoders", file), "stable_diffusion")[0]

    def embed(prompt: str) -> Tensor:
        literal = (
            prompt.replace("\\", "").replace("(", "\\(").replace(")", "\\)")
        )  # the host weighs what is in brackets
        # Of CLIP-L the host never gives the projected one.
        pooled = encoder.encode_from_tokens(encoder.tokenize(literal), return_pooled="unprojected")[1]
        return F.linear(pooled.float().cpu(), projection)

    return embed


def _projection(file: Path, endings: tuple[str, ...], of: str, other: str) -> Tensor:
    """The weights (D, width) that make text and pictures comparable; without them the host would go on all the same.

    Raises:
        ValueError: there are none.
    """
    with naming("--clip", file, _CLIP), safe_open(file, "pt") as weights:
        name = next((name for name in weights.keys() if name.endswith(endings)), None)  # noqa: SIM118
        if name is None:
            raise ValueError(
                f"--clip: {file} has no {of}_projection, so its {of} cannot be compared with {other}. {_CLIP}"
            )
        found: Tensor = weights.get_tensor(name)
    return found if name.endswith(".weight") else found.T  # as OpenCLIP has it


def _vision(host: dict[str, Any], option: str, file: Path) -> Any:
    with naming(option, file, _VISION):
        try:
            return host["CLIPVisionLoader"]().load_clip(admit("clip_vision", file))[0]
        except RuntimeError as error:
            raise ValueError(f"{option}: ComfyUI finds no vision encoder in {file}. {_VISION}") from error


def _met3r() -> Callable[[Tensor, Tensor], float]:
    """MEt3R with DINOv2, as StereoCrafter-Zero has it, tried once on two pictures.

    Raises:
        ValueError: the package is there, but not what it is made of, or it does not work.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def distance(left: Tensor, right: Tensor) -> float:
        size = (_MET3R_SIZE, _MET3R_SIZE)
        pair = [F.interpolate(view, size, mode="bicubic", antialias=True).clamp(0, 1) for view in (left, right)]
        frames = torch.stack(pair, dim=1).to(device) * 2 - 1
        return float(torch.stack([metric(images=frame[None])[0].mean() for frame in frames]).mean())

    try:
        with torch.inference_mode(False):
            metric = import_module("met3r").MEt3R(img_size=_MET3R_SIZE, feature_backbone="dinov2").to(device)
        distance(*torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    except _BROKEN as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{MET3R}: the package met3r is installed, but does not work: {said.rstrip('. ')}. It needs PyTorch3D, and "
            "fetches MASt3R, DINOv2 and FeatUp when it is first used: let it do so once, or uninstall met3r to leave "
            f"{MET3R} out."
        ) from error
    return distance


def _cosine(a: Tensor, b: Tensor, option: str) -> Tensor:
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"{option}: text has {a.shape[-1]} values and pictures {b.shape[-1]}. Give text and vision of one CLIP."
        )
    return F.cosine_similarity(a.float().cpu(), b.float().cpu(), dim=-1)


def _image(core: Tensor) -> Tensor:
    return core.movedim(1, -1).contiguous()
