"""Raw inverse depth of a clip from a network of this pack or of the host, or from geometry that the host made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import comfy.model_management
import comfy.model_patcher
import comfy.utils
import torch
from comfy.ldm.moge.model import MoGeModel
from torch import Tensor, nn

from ...stereo_core.depth_tiles import Tiling, tiled_inverse_depth, tiled_size, tiles_of
from .depthcrafter import DepthCrafterModel
from .host_geometry import depth_of_geometry, run_da3, run_moge
from .networks import DepthModel
from .video_networks import VideoDepthModel

CHUNK = 256
"""Frames of a scene after which a model for single frames starts over, so that one can go on from there."""

# Maps of a picture that are held at once while its tiles are put together.
_MERGING = 12

Source = DepthModel | VideoDepthModel | DepthCrafterModel | MoGeModel | comfy.model_patcher.ModelPatcher | dict


def raw_inverse_depth(
    frames: Tensor, source: Source, resolution: int, batch_size: int, starts: Sequence[int], tiles: int = 1
) -> Tensor:
    """Estimate the inverse depth of a clip, or take it from geometry, in the source's own scale.

    Args:
        frames: (T, 3, H, W) in [0, 1].
        source: a model, or the geometry that a node of the host made of these frames.
        resolution: longest side in pixels at which a model runs; 0 for its own.
        batch_size: frames in one call of a model.
        starts: 0, and the frames that no call of a model takes together with those before, as scenes begin.
        tiles: along the longer side of a picture, that a model for single frames looks at besides.

    Returns:
        (T, 1, h, w) float32 on the CPU, larger is nearer, 0 at infinity; of the size that the source works at, or of
        its tiles put together.

    Raises:
        ValueError: geometry of another number of frames, a source of another kind, or tiles for one that has none.
    """
    _expect_tiles(source, tiles)
    if isinstance(source, dict):
        return depth_of_geometry(frames, source)
    progress = comfy.utils.ProgressBar(len(frames))
    inverse = None
    for start, end in itertools.pairwise([*starts, len(frames)]):
        scene = frames[start:end].split(1)
        found_all = stream_inverse_depth(scene, end - start, source, resolution, batch_size, tiles)
        for frame, found in enumerate(found_all, start):
            if inverse is None:
                inverse = found.new_empty(len(frames), *found.shape[1:])
            inverse[frame] = found[0]
            progress.update(1)
    return inverse


def _expect_tiles(source: Source, tiles: int) -> None:
    if tiles > 1 and (isinstance(source, dict) or is_steady(source)):
        raise ValueError("tiles: geometry and models made for clips have none. Set tiles to 1, or raise resolution.")


def stream_inverse_depth(
    pictures: Iterable[Tensor], frames: int, source: Source, resolution: int, batch_size: int, tiles: int = 1
) -> Iterator[Tensor]:
    """Estimate the inverse depth of one scene, whose pictures are looked at once, in their order.

    Of the pictures a batch is held, or a window of Video Depth Anything. DepthCrafter holds the latents of all of
    them, about a byte for each pixel of the size at which it runs.

    Args:
        pictures: (1, 3, H, W) in [0, 1] each.
        frames: how many they are.
        source: a model.
        resolution, batch_size, tiles: as for ``raw_inverse_depth``.

    Yields:
        (1, 1, h, w) float32 on the CPU for each picture, as ``raw_inverse_depth`` gives it.

    Raises:
        ValueError: geometry, or a source of another kind.
    """
    if is_steady(source):
        with _interruptible(source.patcher.model):
            for part in source.scene(pictures, frames, resolution, batch_size):
                yield from part.split(1)
        return
    if isinstance(source, dict):
        raise ValueError("depth: geometry holds a clip as a whole. Connect the model itself.")
    infer, network = _model(source, resolution)

    def on_cpu(batch: Tensor) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        return infer(batch.contiguous()).to("cpu", torch.float32)

    with _interruptible(network):
        for batch, counts in _batches(pictures, batch_size):
            inverse = tiled_inverse_depth(torch.cat(batch).float().contiguous(), on_cpu, Tiling(tiles))
            for found, count in zip(inverse.split(1), counts, strict=True):
                yield from itertools.repeat(found, count)


def _batches(pictures: Iterable[Tensor], size: int) -> Iterator[tuple[list[Tensor], list[int]]]:
    """Gather ``size`` pictures and how often each comes: one that repeats the one before is not computed again."""
    batch: list[Tensor] = []
    counts: list[int] = []
    for number, picture in enumerate(pictures):
        starts_over = number % CHUNK == 0
        if batch and not starts_over and torch.equal(picture, batch[-1]):
            counts[-1] += 1
            continue
        if batch and (starts_over or len(batch) == size):
            yield batch, counts
            batch, counts = [], []
        batch.append(picture)
        counts.append(1)
    if batch:
        yield batch, counts


def is_steady(source: Source) -> bool:
    """Tell whether a source is made for clips, so that its depth holds still without help."""
    return isinstance(source, VideoDepthModel | DepthCrafterModel)


def memory_needed(frames: Tensor, source: Source, resolution: int, batch_size: int, tiles: int = 1) -> tuple[int, int]:
    """Return the bytes that the depth of a clip takes, and those that its network needs besides.

    The first holds the maps at the size of the source, three times while they are put together, and the pictures made
    of them; or those of a batch, while its tiles are put together. Takes what ``raw_inverse_depth`` takes.

    Raises:
        ValueError: as ``raw_inverse_depth``, for tiles.
    """
    _expect_tiles(source, tiles)
    count, _, height, width = frames.shape
    one = map_bytes((height, width), source, resolution, tiles)
    maps, merging = count * one, _MERGING * min(batch_size, count) * one if tiles > 1 else 0
    pictures = count * height * width * 3 * comfy.model_management.intermediate_dtype().itemsize
    working = network_memory(min(batch_size, count), (height, width), source, resolution)
    return max(3 * maps, 2 * maps + pictures, maps + merging), working


def map_bytes(size: tuple[int, int], source: Source, resolution: int, tiles: int = 1) -> int:
    """Return the bytes of the map that a source gives of a picture of this size (H, W)."""
    if isinstance(source, DepthModel):
        tile = tuple(side.stop - side.start for side in tiles_of(size, Tiling(tiles))[0])
        size = tiled_size(size, source.map_size(*tile, resolution), Tiling(tiles))
    return math.prod(size) * torch.float32.itemsize


def network_memory(batch_size: int, size: tuple[int, int], source: Source, resolution: int) -> int:
    """Return the bytes that a source's network needs for pictures of this size (H, W).

    They are 0 on a graphics card, where the host makes room and running out ends no more than the run; and for the
    host's networks, which say nothing of it.
    """
    told = isinstance(source, DepthModel | VideoDepthModel) and source.patcher.load_device.type == "cpu"
    return source.memory_needed(batch_size, *size, resolution) if told else 0


def _model(source: Source, resolution: int) -> tuple[Callable[[Tensor], Tensor], nn.Module]:
    """Return how frames become inverse depth, and the network that does it."""
    if isinstance(source, DepthModel):
        return lambda frames: source.infer(frames, resolution), source.patcher.model
    if isinstance(source, MoGeModel):
        return lambda frames: run_moge(source, frames, resolution), source.model
    if isinstance(source, comfy.model_patcher.ModelPatcher):
        return lambda frames: run_da3(source, frames, resolution), source.model
    raise ValueError(
        f"source: got {type(source).__name__}. Connect Load Depth Model, Load Depth Anything 3, Load MoGe Model, "
        "or geometry made by Depth Anything 3 or MoGe."
    )


@contextmanager
def _interruptible(network: nn.Module) -> Iterator[None]:
    """Let the user interrupt a run of ``network`` at every one of its parts: one run can take minutes."""

    def stop(*_: object) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()

    hooks = [part.register_forward_pre_hook(stop) for part in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
