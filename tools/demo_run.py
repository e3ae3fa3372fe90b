"""What the demo does inside the environment: prepare the input, run the workflow, collect and measure the output."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stereo_core.metrics import psnr, ssim
from tools import environment, workflow_file
from tools.middlebury import Pair, motorcycle, save_depth
from tools.progress import Bar
from tools.server import OutputFile, Server
from tools.workflow_file import Prompt, WorkflowError, nodes_of

SHIFT = "Stereo_ImageStereoShift"


def run(options: argparse.Namespace) -> None:
    """Run the demo: the Middlebury pair, or the files that the options name."""
    workflow = workflow_file.load(environment.ROOT / "workflows" / f"{options.workflow}.json")
    pair = motorcycle() if options.image is None and options.video is None else None
    if pair is not None:
        print("Middlebury 2014 Motorcycle, from scikit-image: a photograph and its true disparity")
    print("Starting ComfyUI", flush=True)
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        prompt = workflow_file.to_prompt(workflow, server.object_info())
        if pair is not None:
            use_pair(server, prompt, pair, Path(folder))
        else:
            use_files(server, prompt, options)
        if options.max_disparity is not None:
            set_widgets(prompt, SHIFT, max_disparity=options.max_disparity)
        start = time.perf_counter()
        with Bar(prompt) as bar:
            files = server.run(prompt, bar)
        seconds = time.perf_counter() - start
        saved = collect(files, prompt, options.output)
    for name, path in saved.items():
        print(f"  {name:<16} {path}")
    if pair is not None and "right" in saved:
        print(compare(saved["right"], pair))
    print(f"{seconds:.1f} seconds for the workflow")


def use_pair(server: Server, prompt: Prompt, pair: Pair, folder: Path) -> None:
    """Give the pair to the loaders and set the shift so that the depth map's white means its largest disparity."""
    Image.fromarray(pair.left).save(folder / "motorcycle.png")
    save_depth(pair.disparity, folder / "motorcycle_depth.png")
    fill_loaders(server, prompt, folder / "motorcycle.png", folder / "motorcycle_depth.png")
    percent = 100 * float(pair.disparity.max()) / pair.left.shape[1]
    set_widgets(prompt, SHIFT, max_disparity=percent, convergence=0.0, exponent=1.0)


def use_files(server: Server, prompt: Prompt, options: argparse.Namespace) -> None:
    if options.image is not None:
        fill_loaders(server, prompt, options.image, options.depth)
    if options.video is not None:
        videos = nodes_of(prompt, "LoadVideo")
        if not videos:
            raise WorkflowError(f"The workflow {options.workflow} loads no video. Leave --video out.")
        for node in videos:
            prompt[node]["inputs"]["file"] = server.place(options.video)


def fill_loaders(server: Server, prompt: Prompt, picture: Path, depth: Path | None) -> None:
    """Put the picture and the depth map into the workflow's image loaders.

    Raises:
        WorkflowError: the workflow has no loader for one of them.
    """
    into_depth = {
        entry["inputs"]["depth"][0] for entry in prompt.values() if isinstance(entry["inputs"].get("depth"), list)
    }
    loaders = nodes_of(prompt, "LoadImage")
    pictures = [node for node in loaders if node not in into_depth]
    depths = [node for node in loaders if node in into_depth]
    if not pictures:
        raise WorkflowError("This workflow loads no picture. Leave --image out.")
    if depth is not None and not depths:
        raise WorkflowError("This workflow loads no depth map. Leave --depth out.")
    for node in pictures:
        prompt[node]["inputs"]["image"] = server.place(picture, f"picture{picture.suffix}")
    for node in depths if depth is not None else []:
        prompt[node]["inputs"]["image"] = server.place(depth, f"depth{depth.suffix}")


def set_widgets(prompt: Prompt, class_type: str, **values: float) -> None:
    """Set widgets on all nodes of one type.

    Raises:
        WorkflowError: the workflow has no such node.
    """
    nodes = nodes_of(prompt, class_type)
    if not nodes:
        raise WorkflowError(f"This workflow has no {class_type} node to set {', '.join(values)} on.")
    for node in nodes:
        prompt[node]["inputs"].update(values)


def collect(files: list[OutputFile], prompt: Prompt, folder: Path) -> dict[str, Path]:
    """Copy the saved files into ``folder`` under the names that the workflow's save nodes carry."""
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Path] = {}
    for file in files:
        prefix = prompt[file.node]["inputs"].get("filename_prefix")
        if prefix is None:
            continue  # a preview
        name = prefix.split("/")[-1]
        if name in saved:
            name = file.path.stem.rstrip("_")
        saved[name] = (folder / f"{name}{file.path.suffix}").resolve()
        shutil.copyfile(file.path, saved[name])
        file.path.unlink()
    return saved


def compare(right: Path, pair: Pair) -> str:
    """Return PSNR and SSIM of the made right view against the photographed one, in words."""
    with Image.open(right) as image:
        made = _tensor(np.asarray(image.convert("RGB")))
    truth = _tensor(pair.right)
    quality, structure = _number(psnr(made, truth)), _number(ssim(made, truth))
    return f"right view against the photographed one: PSNR {quality:.2f} dB, SSIM {structure:.4f}"


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def _number(value: torch.Tensor | float) -> float:
    return float(torch.as_tensor(value).mean())
