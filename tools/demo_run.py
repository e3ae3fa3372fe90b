"""What the demo does inside the environment: prepare the input, run the workflow, collect and measure the output."""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stereo_core.metrics import psnr, ssim
from tools.benchmarks.middlebury import Pair, motorcycle, save_depth
from tools.example.files import still_life
from tools.host import workflow_file
from tools.host.progress import Bar
from tools.host.run_folder import run_folder
from tools.host.server import OutputFile, Server, models_folder
from tools.host.workflow_file import Prompt, nodes_of
from tools.setup.home import HOME, locked


class WorkflowError(Exception):
    """The workflow cannot be run as asked; the message says what to do."""


def run(options: argparse.Namespace) -> None:
    """Run the demo: the workflow's own example, the Middlebury pair, or the files that the options name."""
    workflow, prompt = workflow_file.load(options.workflow), workflow_file.load_prompt(options.workflow)
    print("Starting ComfyUI", flush=True)
    with run_folder() as base, Server(base) as server, tempfile.TemporaryDirectory() as folder:
        for model in workflow_file.missing_models(workflow, server.object_info()):
            place = models_folder() / model["directory"]
            raise WorkflowError(
                f"The workflow {options.workflow} needs the model {model['name']}. Put it into {place}, or name the "
                "ComfyUI that has it with COMFYUI_PATH."
            )
        truth = fill(server, prompt, options, Path(folder))
        if options.max_disparity is not None:
            truth = None  # it is of another disparity
            set_widgets(prompt, max_disparity=options.max_disparity)
        start = time.perf_counter()
        with Bar(prompt) as bar:
            files = server.run(prompt, bar)
        seconds = time.perf_counter() - start
        with locked(HOME / "output.lock"):  # the files of one run, where two end at once
            saved = collect(files, prompt, options.output)
            quality = compare(saved["right"], truth) if truth is not None and "right" in saved else None
    for name, path in saved.items():
        print(f"  {name:<16} {path}")
    if quality is not None:
        print(quality)
    print(f"{seconds:.1f} seconds for the workflow")


def fill(server: Server, prompt: Prompt, options: argparse.Namespace, folder: Path) -> Pair | None:
    """Put the named files into the workflow's loaders.

    Where none is named the workflow's own example stays, and other loaders get the Middlebury picture.

    Returns:
        The pair, when its true depth is used and the result can be measured against its right view.

    Raises:
        WorkflowError: the workflow has no loader for a named file, or needs a clip and none is named.
    """
    if options.image is not None:
        replace_examples(prompt)
    videos = nodes_of(prompt, "LoadVideo")
    pictures, depths = image_loaders(prompt)
    for option, file, loaders in (
        ("--image", options.image, pictures),
        ("--depth", options.depth, depths),
        ("--video", options.video, videos),
    ):
        if file is not None and not loaders:
            raise WorkflowError(f"The workflow {options.workflow} has no loader for {option}. Leave it out.")
    if videos and options.video is None:
        raise WorkflowError(f"The workflow {options.workflow} works on a clip. Name one with --video.")
    picture, depth, truth = options.image, options.depth, None
    if nodes_of(prompt, "Stereo_ExampleScene"):
        print("The example that comes with the pack: a rendered still life and its true depth")
        truth = still_life()
    if pictures and picture is None:
        print("Middlebury 2014 Motorcycle, from scikit-image: a photograph and its true disparity")
        pair = motorcycle()
        picture = folder / "motorcycle.png"
        Image.fromarray(pair.left).save(picture)
        if depths:
            truth, depth = pair, folder / "motorcycle_depth.png"
            save_depth(pair.disparity, depth)
            # White means the largest disparity, black none.
            percent = 100 * float(pair.disparity.max()) / pair.left.shape[1]
            set_widgets(prompt, max_disparity=percent, convergence=0.0, exponent=1.0)
    if depths and depth is None:
        raise WorkflowError(f"The workflow {options.workflow} needs a depth map. Name it with --depth.")
    for nodes, widget, name, file in (
        (pictures, "image", "picture", picture),
        (depths, "image", "depth", depth),
        (videos, "file", "clip", options.video),
    ):
        for node in nodes:
            prompt[node]["inputs"][widget] = server.place(file, f"{name}{file.suffix}")
    return truth


def replace_examples(prompt: Prompt) -> None:
    """Put Load Image in the place of each Stereo Example, one for the picture and one for the depth."""
    for node in nodes_of(prompt, "Stereo_ExampleScene"):
        loaders = node, f"{node}_depth"
        for entry in prompt.values():
            for name, link in entry["inputs"].items():
                if isinstance(link, list) and link[0] == node:
                    entry["inputs"][name] = [loaders[link[1]], 0]
        for loader in loaders:
            prompt[loader] = {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "Load Image"}}


def image_loaders(prompt: Prompt) -> tuple[list[str], list[str]]:
    """Return the workflow's image loaders: those of pictures, and those linked to an input named depth."""
    linked = [entry["inputs"].get("depth") for entry in prompt.values()]
    into_depth = {link[0] for link in linked if isinstance(link, list)}
    loaders = nodes_of(prompt, "LoadImage")
    return [n for n in loaders if n not in into_depth], [n for n in loaders if n in into_depth]


def set_widgets(prompt: Prompt, **values: float) -> None:
    """Set widgets on every node that shifts.

    Raises:
        WorkflowError: the workflow has no such node.
    """
    shifting = [entry["inputs"] for entry in prompt.values() if "max_disparity" in entry["inputs"]]
    if not shifting:
        raise WorkflowError("This workflow has no node with max_disparity. Leave --max-disparity out.")
    for inputs in shifting:
        inputs.update({name: value for name, value in values.items() if name in inputs})


def collect(files: list[OutputFile], prompt: Prompt, folder: Path) -> dict[str, Path]:
    """Copy the saved files into ``folder`` under the names that the workflow's save nodes gave, without their numbers.

    What headset players go by at the end of a name stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Path] = {}
    for file in files:
        if "filename_prefix" not in prompt[file.node]["inputs"]:
            continue  # a preview
        name = re.sub(r"_\d{5}(?=_)", "", file.path.stem).rstrip("_")
        if name in saved:
            name = file.path.stem.rstrip("_")
        saved[name] = (folder / f"{name}{file.path.suffix}").resolve()
        shutil.copyfile(file.path, saved[name])
        file.path.unlink()
    return saved


def compare(right: Path, pair: Pair) -> str:
    """Return PSNR and SSIM of the made right view against the true one, in words."""
    with Image.open(right) as image:
        made = _tensor(np.asarray(image.convert("RGB")))
    truth = _tensor(pair.right)
    quality, structure = _number(psnr(made, truth)), _number(ssim(made, truth))
    return f"right view against the true one: PSNR {quality:.2f} dB, SSIM {structure:.4f}"


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def _number(value: torch.Tensor | float) -> float:
    return float(torch.as_tensor(value).mean())
