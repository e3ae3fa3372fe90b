"""The cuts of a film, found from files of small pictures, are those of the whole clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

Pack = Callable[[str], ModuleType]


def clip(*scenes: int) -> Tensor:
    """(T, 3, 36, 64): scenes of so many frames."""
    shots = [torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(number)) for number in range(len(scenes))]
    shots = [torch.nn.functional.interpolate(shot, (36, 64), mode="bicubic").clamp(0, 1) for shot in shots]
    return torch.cat([shot.expand(frames, -1, -1, -1) for shot, frames in zip(shots, scenes, strict=True)])


@pytest.mark.parametrize("scenes", [(1,), (2,), (1, 1), (3, 4), (1, 9, 1, 5, 20, 14)])
@pytest.mark.parametrize("step", [1, 2, 7, 50])
def test_cuts_are_those_of_the_whole_clip_however_it_is_shared_out(
    pack: Pack, tmp_path: Path, scenes: tuple[int, ...], step: int
):
    module, pictures = pack("nodes.film.analysis"), clip(*scenes)
    paths = [tmp_path / f"{start}.npy" for start in range(0, len(pictures), step)]
    parts = list(zip(paths, pictures.split(step), strict=True))
    for path, part in reversed(parts):  # made by whoever comes first
        module.write_thumbnails(path, part.split(1))
    expected = pack("stereo_core.scenes").find_scene_starts(pictures).nonzero().flatten().tolist()
    assert module.find_scenes(paths) == tuple(expected)
    assert len(expected) == len(scenes) or scenes == (1, 9, 1, 5, 20, 14)
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_file_is_there_once_it_is_whole(pack: Pack, tmp_path: Path):
    def interrupted() -> Iterator[Tensor]:
        yield from clip(3).split(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack("nodes.film.analysis").write_thumbnails(tmp_path / "0.npy", interrupted())
    assert not list(tmp_path.iterdir())
