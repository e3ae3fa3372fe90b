"""What a stereo clip costs, with random weights: model evaluations, seconds and memory, against the plain clip."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stereo_core.iterative_refinement import RefineSettings
from stereo_core.noisy_restart import RestartSettings
from tools.host.in_process import load_host
from tools.host.node_inputs import gather
from tools.host.server import find_host

from .sampling import Peak, now
from .table import machine, print_table

SAMPLER, SCHEDULER = "euler_ancestral", "simple"
DEFAULTS = {
    "seed": 0,
    "cfg": 1.0,
    "sampler_name": SAMPLER,
    "scheduler": SCHEDULER,
    "denoise": 1.0,
    "max_disparity": 6.0,
    "convergence": 0.3,
    "exponent": 1.0,
    "attention": "left_query",
    "preset": "custom",
    "iterations": 7,
    "restart_until": 0.1,
    "warp_every": 0.1,
    "last_warp": 0.68,
    "most_repeats": 8,
    "fewest_repeats": 3,
    "form": "unrepeated",
    "fill": "background",
    "shift": "sub_column",
}
"""Stereo Video KSampler's, with StereoCrafter-Zero's fractions of the steps."""

BRIEF = {"restart_until": 0.25, "iterations": 2, "most_repeats": 2, "fewest_repeats": 1}
"""Everything once, for memory: how often a step is taken does not change its peak."""


@dataclass(frozen=True)
class Shape:
    """A model and a clip.

    Attributes:
        name: for people.
        network: makes the model's network on the meta device.
        latent: one clip's.
        told: the conditioning's token, its width last, and the other entries' shapes.
        config: what the host cannot read off the weights.
        frames: of one view in the model's batch; 1 where clips have an axis of their own.
    """

    name: str
    network: Callable[[], torch.nn.Module]
    latent: tuple[int, ...]
    told: tuple[int, ...]
    entries: dict[str, tuple[int, ...]]
    config: dict[str, Any]
    frames: int = 1

    def load(self) -> Any:
        """The model with random weights, through the host's loader."""
        import comfy.sd

        generator = torch.Generator().manual_seed(0)

        def drawn(shape: torch.Size) -> Tensor:
            fan_in = shape[1:].numel() if len(shape) > 1 else 4
            return torch.empty(shape, dtype=torch.float16).normal_(std=fan_in**-0.5, generator=generator)

        weights = {name: drawn(tensor.shape) for name, tensor in self.network().state_dict().items()}
        metadata = {"config": json.dumps({"transformer": self.config})}
        return comfy.sd.load_diffusion_model_state_dict(weights, metadata=metadata)

    def conditioning(self) -> list[list[Any]]:
        """What the model is told."""
        generator = torch.Generator().manual_seed(1)
        entries = {name: torch.randn(shape, generator=generator) for name, shape in self.entries.items()}
        return [[torch.randn(self.told, generator=generator), entries]]


def wan(name: str, size: tuple[int, int, int], dim: int, ffn: int, layers: int, heads: int, text: int) -> Shape:
    """Wan 2.1 text to video on a latent of (T, H, W)."""

    def network() -> torch.nn.Module:
        import comfy.ops
        from comfy.ldm.wan.model import WanModel

        return WanModel(
            model_type="t2v",
            in_dim=16,
            out_dim=16,
            dim=dim,
            ffn_dim=ffn,
            freq_dim=256,
            text_dim=text,
            num_layers=layers,
            num_heads=heads,
            dtype=torch.float16,
            device="meta",
            operations=comfy.ops.disable_weight_init,
        )

    return Shape(name, network, (1, 16, *size), (1, 77, text), {}, {"num_heads": heads, "text_dim": text})


def svd_network() -> torch.nn.Module:
    """Stable Video Diffusion's U-Net at its full size, without weights; DepthCrafter's is the same."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    return UNetModel(
        image_size=32,
        in_channels=8,
        out_channels=4,
        model_channels=320,
        num_res_blocks=[2, 2, 2, 2],
        channel_mult=[1, 2, 4, 4],
        transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        transformer_depth_output=[1] * 9 + [0] * 3,
        transformer_depth_middle=1,
        context_dim=1024,
        use_linear_in_transformer=True,
        num_head_channels=64,
        num_classes="sequential",
        adm_in_channels=768,
        legacy=False,
        use_spatial_transformer=True,
        extra_ff_mix_layer=True,
        use_spatial_context=True,
        merge_strategy="learned_with_images",
        merge_factor=0.0,
        video_kernel_size=[3, 1, 1],
        use_temporal_resblock=True,
        use_temporal_attention=True,
        disable_temporal_crossattention=False,
        dtype=torch.float16,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )


def svd(frames: int, height: int, width: int) -> Shape:
    """Stable Video Diffusion at its full size."""

    picture = {"concat_latent_image": (1, 4, height, width)}
    return Shape(f"SVD, {frames} frames", svd_network, (frames, 4, height, width), (1, 1, 1024), picture, {}, frames)


SMALL = wan("Wan, 256 wide, 6 layers", (5, 16, 24), 256, 1024, 6, 2, 256)
FULL = wan("Wan 2.1 1.3B, 33 frames at 480x832", (9, 60, 104), 1536, 8960, 30, 12, 4096)
LONG = (21, 60, 104)  # 81 frames at 480x832


def main() -> None:
    """Print what a stereo clip costs, and whether 81 frames fit into twice the plain clip's memory."""
    cuda = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        # On a CPU the host's own attention takes what memory there is; a GPU's is PyTorch's.
        host = load_host(find_host(), Path(folder), cpu=not cuda, more=["--use-pytorch-cross-attention"])
        print("## Stereo clips, no guidance\n")
        print(f"{machine('cuda' if cuda else 'cpu')}.\n")
        for shape in [FULL, svd(25, 72, 128)] if cuda else [SMALL]:
            measure(host, shape, 20)
        remember(host, wan("the smallest Wan", LONG, 24, 48, 1, 1, 24), 20 if cuda else 4, {} if cuda else BRIEF)
        if cuda:
            remember(host, wan("Wan 2.1 1.3B", LONG, 1536, 8960, 30, 12, 4096), 4, BRIEF)


def measure(host: dict[str, Any], shape: Shape, steps: int) -> None:
    """Count and time the plain clip, its recording, and the pair."""
    clip = Clip(host, shape, steps)
    clip.warm_up()
    rows = []
    found = {}
    for name, run in {
        "plain clip": clip.plain,
        "plain clip, recorded": clip.record,
        "stereo, not coupled": lambda: clip.stereo(attention="none"),
        "stereo, left_query": clip.stereo,
    }.items():
        peak, start = Peak(), now()
        clip.views = 0
        run()
        found[name] = (clip.views, now() - start, peak.bytes())
    each = found["plain clip"][1] / found["plain clip"][0]
    for name, (views, seconds, memory) in found.items():
        rows.append([name, f"{views}", f"{seconds:.1f}", f"{seconds / (views * each):.2f}x", mebibytes(memory)])
    restart = RestartSettings()
    levels = [float(steps - step) for step in range(steps + 1)]  # of any noise: the fractions are of the steps
    first = restart.end(levels, 0, steps)
    repeats = list(RefineSettings().repeats(levels, first).values())
    paper = steps + 2 * (restart.iterations * first + steps - first + sum(times - 1 for times in repeats))
    rows.insert(2, ["StereoCrafter-Zero's count", f"{paper}", f"{paper * each:.1f}", "1.00x", ""])
    print(f"### {shape.name}: latent {'x'.join(map(str, shape.latent))}, {steps} steps\n")
    print_table(["", "views evaluated", "seconds", "of its evaluations alone", "peak memory beside the weights"], rows)
    taken = ", ".join(map(str, repeats))
    print(
        "StereoCrafter-Zero's count: N + L K 2 for the restart + 2 (N - K) for the other steps + 2 for each repeat "
        f"beyond a step's first. N = {steps}, L = {restart.iterations}, K = {first}; steps with a warp before them are "
        f"taken {taken} times. Each 2 is both views; ours evaluates the right one alone where nothing couples them. "
        "The seconds are the plain clip's for as many views.\n"
    )
    trajectory = clip.trajectory
    state = trajectory.states[0].nbytes
    print(
        f"Beside that, on the CPU: the trajectory, {mebibytes(trajectory.nbytes)} "
        f"({mebibytes(trajectory.halved().nbytes)} with precision half). Within the peak: a filling latent for each of "
        f"the K restarted steps, {mebibytes(first * state)} together.\n"
    )


def remember(host: dict[str, Any], shape: Shape, steps: int, widgets: dict[str, Any]) -> None:
    """Compare the peaks of the plain and the stereo clip of 81 frames."""
    clip = Clip(host, shape, steps)
    clip.warm_up()
    clip.record()
    rows, peaks = [], []
    for run in (
        clip.plain,
        lambda: clip.stereo(attention="none", **widgets),
        lambda: clip.stereo(**widgets),
    ):
        if torch.cuda.is_available():
            peak = Peak()
            run()
        else:
            with Held() as peak:
                run()
        peaks.append(peak.bytes())
    plain, trajectory = peaks[0], 0 if torch.cuda.is_available() else clip.trajectory.nbytes
    for name, memory in zip(("not coupled", "left_query"), peaks[1:], strict=True):
        allowed = 2 * plain + trajectory
        figures = [plain, clip.trajectory.nbytes, memory, allowed]
        rows.append([name, *map(mebibytes, figures), "yes" if memory <= allowed else "NO"])
    print(f"### Memory, {shape.name}, 81 frames at 480x832: latent {'x'.join(map(str, shape.latent))}, {steps} steps\n")
    print_table(["", "plain", "trajectory", "stereo", "allowed", "within"], rows)
    where = "lies on the CPU and is not counted" if torch.cuda.is_available() else "is recorded within the stereo run"
    print(
        f"Peaks of the tensors beside the weights. Allowed is twice the plain clip and the trajectory, which {where}.\n"
    )


class Clip:
    """Runs of one model on one clip.

    Attributes:
        views: evaluated by the model since this was set to 0.
        trajectory: of the last recording.
    """

    views = 0
    trajectory: Any = None

    def __init__(self, host: dict[str, Any], shape: Shape, steps: int) -> None:
        import comfy.samplers

        self._host, self._shape, self._steps = host, shape, steps
        self._model, self._told = shape.load(), shape.conditioning()
        self._sampler = comfy.samplers.sampler_object(SAMPLER)
        sampling = self._model.get_model_object("model_sampling")
        self._sigmas = comfy.samplers.calculate_sigmas(sampling, SCHEDULER, steps)
        self._depth = moving_block(shape.latent)
        self._model.model.diffusion_model.register_forward_pre_hook(self._count)

    def warm_up(self) -> None:
        """Bring the weights where they are used."""
        self._plain(self._sigmas[-2:])

    def plain(self) -> Tensor:
        """The clip as the host samples it."""
        return self._plain(self._sigmas)

    def record(self) -> Tensor:
        """The same, its states kept."""
        from comfy_extras.nodes_custom_sampler import BasicGuider, RandomNoise

        guider = BasicGuider.execute(self._model, self._told).args[0]
        noise = RandomNoise.execute(0).args[0]
        node = self._host["Stereo_LeftTrajectory"]
        out = node.execute(noise, guider, self._sampler, self._sigmas, self._latent(), "full").args
        self.trajectory = out[2]
        return out[0]["samples"]

    def stereo(self, **widgets: Any) -> Tensor:
        """Both views, the left one recorded first."""
        node = self._host["Stereo_StereoVideoKSampler"]
        settings = {**DEFAULTS, "steps": self._steps, **widgets}
        inputs = gather("Stereo_StereoVideoKSampler", self._depth, settings)
        return node.execute(self._model, self._told, self._told, self._latent(), **inputs).args[0]["samples"]

    def _plain(self, sigmas: Tensor) -> Tensor:
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        told, sampler = self._told, self._sampler
        return SamplerCustom.execute(self._model, True, 0, 1.0, told, told, sampler, sigmas, self._latent()).args[0]

    def _latent(self) -> dict[str, Tensor]:
        return {"samples": torch.zeros(self._shape.latent)}

    def _count(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self.views += len(inputs[0]) // self._shape.frames


class Held(TorchDispatchMode):
    """The most that tensors made since then held at once; a process's own size is too rough for small models."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}
        self._now = self._most = 0

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for key, (storage, size) in list(self._held.items()):
            if storage.expired():
                del self._held[key]
                self._now -= size
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                storage = StorageWeakRef(tensor.untyped_storage())
                if storage.cdata not in self._held:
                    self._held[storage.cdata] = storage, tensor.untyped_storage().nbytes()
                    self._now += tensor.untyped_storage().nbytes()
        self._most = max(self._most, self._now)
        return made

    def bytes(self) -> int:
        return self._most


def moving_block(latent: tuple[int, ...]) -> Tensor:
    """Depth maps (T, H, W, 3) of a near block that wanders over a slope, at the latent's own size."""
    frames, (height, width) = latent[2] if len(latent) == 5 else latent[0], latent[-2:]
    maps = torch.linspace(0, 0.4, height)[:, None].expand(frames, height, width).clone()
    for frame in range(frames):
        left = width // 4 + frame * width // (4 * frames)
        maps[frame, height // 4 : -(height // 4), left : left + width // 4] = 1.0
    return maps[..., None].expand(-1, -1, -1, 3).contiguous()


def mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
