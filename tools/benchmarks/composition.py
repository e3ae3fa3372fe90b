"""What score composition costs: the matrix, the evaluations, the memory, and the pack's own share of the time."""

from __future__ import annotations

import ctypes
import gc
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stereo_core.composition_weights import CompositionSettings
from stereo_core.score_composition import compose, count_evaluations
from tools.host.in_process import load_host, pack_module
from tools.host.server import find_host

from .sampling import Peak, Stopwatch, now
from .table import machine, print_table

VIEWS, FRAMES, LATENT, STEPS = 21, 25, 72, 50  # as in Diffusion²
SMALL = (2, 3, 8)  # views, frames and latent size of the run on a CPU, with networks of one level
SMALL_STEPS = 2
MIB = 2**20
WIDGETS = {
    "preset": "custom",
    "weight": 0.5,
    "weight_schedule": "constant",
    "weight_end": 0.0,
    "view_weights": "uniform",
    "repeat_until": 0.0,
    "repeat_noise": "paper",
    "video_alone_from": 1.0,
}
# Levels, residual blocks and attention of SVD; and the least that the host takes for it.
_FULL = {
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth_output": [1] * 9 + [0] * 3,
    "transformer_depth_middle": 1,
}
_SMALL = {
    "num_res_blocks": [8],
    "channel_mult": [1],
    "transformer_depth_output": [0] * 9,
    "transformer_depth_middle": -2,
}


def main() -> None:
    """Print the matrix and its evaluations, then one step at full size on a GPU, or a small run on a CPU."""
    cuda = torch.cuda.is_available()
    views, frames, size = (VIEWS, FRAMES, LATENT) if cuda else SMALL
    steps = 1 if cuda else SMALL_STEPS
    count = count_evaluations(VIEWS, FRAMES, STEPS)
    print(f"## Score composition, {VIEWS} views by {FRAMES} frames, latent {LATENT}x{LATENT}, {STEPS} steps\n")
    matrix = VIEWS * FRAMES * 4 * LATENT * LATENT * 4
    print(
        f"One copy of the matrix: {matrix / 1e6:.1f} MB in float32. Evaluations: {count.rows} of the video model, ",
        end="",
    )
    print(f"{count.columns} of the multi-view model ({VIEWS} + {FRAMES} a step, and as many for each of 5 repeats).\n")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        own_work("cuda" if cuda else "cpu", matrix)
        host = load_host(find_host(), Path(folder), cpu=not cuda)
        node, options = (host[f"Stereo_ScoreComposition{part}"] for part in ("Sampler", "Options"))
        models = {"video": random_model(768, cuda), "multiview": random_model(1280, cuda)}
        given = conditioning(views, frames, size)
        sigmas = schedule(steps)
        kind = "full networks" if cuda else "networks of one level"
        print(f"{machine('cuda' if cuda else 'cpu')}. {kind} with random weights, ", end="")
        print(f"{views} x {frames} at {size}x{size}, {steps} steps, guidance, one strip at once.\n")

        def run(**widgets: Any) -> Tensor:
            arguments = (models["video"], models["multiview"], given, sigmas, 0)
            chosen = options.execute(**{**WIDGETS, **widgets}).args[0]
            return node.execute(*arguments, chunk=1, keep_video=False, options=chosen).args[0]["samples"]

        run()  # brings the weights where they are used
        watches = [Stopwatch(model.model.diffusion_model) for model in models.values()]
        rows = [measure("one model evaluation", lambda: run_alone(models["video"], given, sigmas), watches)]
        rows += [measure("both models", run, watches)]
    print_table(["", "seconds", "outside the networks", "peak memory beside the weights"], rows)
    if cuda:
        passes = count.rows / VIEWS
        print(f"The whole run: {passes:.0f} times the last line, {passes * float(rows[-1][1]) / 60:.0f} minutes.\n")


def own_work(device: str, size: int) -> None:
    """Print what a step of the whole matrix costs beside its evaluations, which here cost nothing."""
    start = torch.zeros(VIEWS, FRAMES, 4, LATENT, LATENT, device=device)
    levels = torch.tensor([2.0, 1.0], device=device)
    once = CompositionSettings(repeat_until=0)
    compose(start, levels, _unchanged, _unchanged, once)
    _give_back()
    peak, begin = Peak(), now()
    compose(start, levels, _unchanged, _unchanged, once)
    seconds = now() - begin
    print(f"The composition itself: {seconds:.2f} s a step, {peak.bytes() / size + 1:.1f} copies of the matrix.\n")


def _unchanged(strips: Tensor, *_: object) -> Tensor:
    return strips


def _give_back() -> None:
    """Hand freed memory back to the system, so that what is taken next is seen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def measure(name: str, run: Any, watches: list[Stopwatch]) -> list[str]:
    """Run once; return the table's row."""
    for watch in watches:
        watch.seconds = 0.0
    _give_back()
    peak, start = Peak(), now()
    run()
    seconds, inside = now() - start, sum(watch.seconds for watch in watches)
    return [name, f"{seconds:.2f}", f"{1 - inside / seconds:.1%}", f"{peak.bytes() / MIB:.0f} MiB"]


def random_model(told: int, full: bool) -> Any:
    """SVD's U-Net, told 768 values beside the picture, or SV3D_p's, told 1280; through the host's loader."""
    import comfy.ops
    import comfy.sd
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    network = UNetModel(
        image_size=32,
        in_channels=8,
        out_channels=4,
        model_channels=320,
        **(_FULL if full else _SMALL),
        transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        context_dim=1024,
        num_heads=-1,
        num_head_channels=64,
        num_classes="sequential",
        adm_in_channels=told,
        use_linear_in_transformer=True,
        use_spatial_transformer=True,
        extra_ff_mix_layer=True,
        use_spatial_context=True,
        merge_strategy="learned_with_images",
        merge_factor=0.0,
        video_kernel_size=[3, 1, 1],
        use_temporal_resblock=True,
        use_temporal_attention=True,
        disable_temporal_crossattention=False,
        legacy=False,
        dtype=torch.float16,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )
    generator = torch.Generator().manual_seed(told)

    def drawn(shape: torch.Size) -> Tensor:
        fan_in = shape[1:].numel() if len(shape) > 1 else 4
        return torch.empty(shape).normal_(std=fan_in**-0.5, generator=generator).half()

    return comfy.sd.load_diffusion_model_state_dict({n: drawn(t.shape) for n, t in network.state_dict().items()})


def conditioning(views: int, frames: int, size: int) -> Any:
    """Random pictures and vision embeddings for every strip."""
    made = pack_module("nodes.matrix.conditioning")
    generator = torch.Generator().manual_seed(1)

    def words(**extra: Any) -> list[list[Any]]:
        picture = torch.randn(1, 4, size, size, generator=generator)
        return [[torch.randn(1, 1, 1024, generator=generator), {"concat_latent_image": picture, **extra}]]

    def strips(count: int, scales: tuple[float, ...], **extra: Any) -> tuple[Any, ...]:
        return tuple(made.Strip(words(**extra), words(**extra), scales) for _ in range(count))

    along = tuple(torch.linspace(1.5, 3.0, frames).tolist())
    clip = {"motion_bucket_id": 127, "fps": 24, "augmentation_level": 0.02}
    orbit = {"elevation": [0.0] * views, "azimuth": [360 / views * (view + 1) for view in range(views)]}
    rows = strips(views, along, **clip)
    return made.MatrixConditioning(rows, strips(frames, (2.5,) * views, **orbit))


def schedule(steps: int) -> Tensor:
    from comfy_extras.nodes_custom_sampler import KarrasScheduler

    return KarrasScheduler.execute(steps, 700.0, 0.002, 7.0).args[0]


def run_alone(model: Any, given: Any, sigmas: Tensor) -> Tensor:
    """One evaluation of one strip, by the host's own sampler."""
    import comfy.sample
    import comfy.samplers

    row = given.rows[0]
    noise = torch.randn(len(row.guidance), *row.positive[0][1]["concat_latent_image"].shape[1:])
    euler, rest = comfy.samplers.sampler_object("euler"), (row.positive, row.negative, torch.zeros_like(noise))
    return comfy.sample.sample_custom(model, noise, 3.0, euler, sigmas[-2:], *rest, disable_pbar=True, seed=0)
