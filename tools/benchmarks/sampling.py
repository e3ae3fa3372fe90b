"""What the pair costs: sampling at the shape of SD 1.5 with random weights, against the plain sampler."""

from __future__ import annotations

import ctypes
import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from torch import Tensor

from tools.host.in_process import load_host
from tools.host.node_inputs import gather
from tools.host.server import find_host

from .table import machine, print_table

LATENT = 64  # columns and rows: 512 x 512 pixels
SHIFT_AT = 0.2
WIDGETS = {
    "max_disparity": 9.0,
    "convergence": 0.0,
    "exponent": 1.0,
    "shift_at": SHIFT_AT,
    "fill": "left",
    "mask_every": 0.2,
    "shift_both": False,
    "shift": "sub_column",
}


def main() -> None:
    """Print seconds, how many of them pass outside the network, and the cost against its evaluations alone."""
    cuda = torch.cuda.is_available()
    steps, repeats = (50, 3) if cuda else (5, 1)  # a CPU takes half a minute for a step
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        host = load_host(find_host(), Path(folder), cpu=not cuda)
        model = random_sd15()
        print(f"## Sampling at 512x512 at the shape of SD 1.5, {steps} steps, batch 1, no guidance\n")
        print(f"{machine('cuda' if cuda else 'cpu')}. Medians of {repeats} interleaved runs.\n")
        sampling_runs(host, model, 1)["plain, one view"]()  # brings the weights where they are used
        rows = measure(model, sampling_runs(host, model, steps), steps, repeats)
    header = ["", "seconds", "outside the network", "of its evaluations alone"]
    print_table([*header, "peak memory beside the weights"], rows)


def random_sd15() -> Any:
    """The full SD 1.5 U-Net with random weights, through the host's loader."""
    import comfy.ops
    import comfy.sd
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    network = UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=320,
        num_res_blocks=[2, 2, 2, 2],
        channel_mult=[1, 2, 4, 4],
        transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        transformer_depth_output=[1] * 9 + [0] * 3,
        transformer_depth_middle=1,
        context_dim=768,
        num_heads=8,
        legacy=False,
        use_spatial_transformer=True,
        dtype=torch.float16,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )
    generator = torch.Generator().manual_seed(0)

    def drawn(shape: torch.Size) -> Tensor:
        fan_in = shape[1:].numel() if len(shape) > 1 else 4
        return torch.empty(shape).normal_(std=fan_in**-0.5, generator=generator).half()

    return comfy.sd.load_diffusion_model_state_dict({n: drawn(t.shape) for n, t in network.state_dict().items()})


def sampling_runs(host: dict[str, Any], model: Any, steps: int) -> dict[str, Callable[[], Tensor]]:
    """The plain sampler with one view and with two, and the pair without and with coupling."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    depth = torch.linspace(0, 1, 512).expand(1, 512, 512).unsqueeze(-1).expand(-1, -1, -1, 3)
    depth = (depth * 6).floor() / 6
    generator = torch.Generator().manual_seed(1)
    words = [[torch.randn(1, 77, 768, generator=generator), {}]]
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", steps)
    euler = comfy.samplers.sampler_object("euler")
    pair = host["Stereo_StereoShiftSampler"].execute(**gather("Stereo_StereoShiftSampler", depth, WIDGETS)).args[0]

    def coupled(mode: str) -> Any:
        return host["Stereo_CrossViewAttentionPatch"].execute(model, mode, 0.0, 1.0, "", False).args[0]

    def run(patched: Any, sampler: Any, batch: int = 1) -> Callable[[], Tensor]:
        latent = {"samples": torch.zeros(batch, 4, LATENT, LATENT)}
        return lambda: SamplerCustom.execute(patched, True, 0, 1.0, words, words, sampler, sigmas, latent).args[0]

    return {
        "plain, one view": run(model, euler),
        "pair, left_kv": run(coupled("left_kv"), pair),
        "pair, joint": run(coupled("joint"), pair),
        "plain, batch of two": run(model, euler, batch=2),
    }


def measure(model: Any, runs: dict[str, Callable[[], Tensor]], steps: int, repeats: int) -> list[list[str]]:
    """Run everything in turns; return the table's rows."""
    watch = Stopwatch(model.model.diffusion_model)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    memory: dict[str, list[int]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            peak = Peak()
            watch.seconds, start = 0.0, now()
            run()
            found[name].append((now() - start, watch.seconds))
            memory[name].append(peak.bytes())
    total, inside = ({name: median(times[i] for times in found[name]) for name in runs} for i in (0, 1))
    one, two = inside["plain, one view"] / steps, inside["plain, batch of two"] / steps
    alone = round(SHIFT_AT * steps)
    both = (steps - alone) * two
    evaluations = {
        "plain, one view": steps * one,
        "pair, left_kv": steps * one + both,  # the left view by itself first
        "pair, joint": alone * one + both,  # which is to change it
        "plain, batch of two": steps * two,
    }
    rows = []
    for name in runs:
        expected = evaluations[name]
        row = [name, f"{total[name]:.2f}", f"{1 - inside[name] / total[name]:.1%}", f"{total[name] / expected:.3f}x"]
        rows.append([*row, f"{max(memory[name]) / 2**20:.0f} MiB"])
    return rows


class Peak:
    """The most memory held since it was made, beyond what was held then."""

    def __init__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return
        _give_back()
        self._most, self._running = 0, True
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while self._running:
            self._most = max(self._most, self._process.memory_info().rss)
            time.sleep(0.005)

    def bytes(self) -> int:
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() - self._before
        self._running = False
        self._thread.join()
        return self._most - self._before


def _give_back() -> None:
    """Have the C library return what was freed, or the next run would use it again unseen."""
    gc.collect()
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


class Stopwatch:
    """Counts the seconds that the model's own network takes."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.seconds = 0.0
        self._start = 0.0
        network.register_forward_pre_hook(self._enter)
        network.register_forward_hook(self._leave)

    def _enter(self, *_: object) -> None:
        self._start = now()

    def _leave(self, *_: object) -> None:
        self.seconds += now() - self._start


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
