"""SplatSave: a moving scene to files that viewers of Gaussian splats play."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from comfy_api.latest import Types, io, ui

from ...stereo_core.splat_files import ply, splatv, splatv_bytes
from ...stereo_core.splat_scene import SplatScene
from ..delivery.file_inputs import prefix_input
from ..delivery.output_files import OutputFiles, written, written_folder
from ..host import each_frame, show_text
from .host_splats import Framed, read_splat, splat_input

_PLY_BYTES = 17 * 4  # of a Gaussian
_HEAD = 2**12


class SplatFormat(str, Enum):
    """How a moving scene is filed."""

    PLY_SEQUENCE = "ply_sequence"
    SPLATV = "splatv"


class SplatSave(io.ComfyNode):
    """Write a file for each frame, or one that moves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatSave",
            display_name="Save Splat 4D",
            category="stereo/multiview",
            description="Saves a moving scene of Gaussians for viewers: a folder with a file for each frame, or one "
            "file that browsers play.",
            search_aliases=["gaussian splat", "4D", "ply", "splatv", "SuperSplat", "export", "3DGS"],
            is_output_node=True,
            inputs=[
                splat_input(),
                io.Combo.Input(
                    "format",
                    options=SplatFormat,
                    default=SplatFormat.PLY_SEQUENCE.value,
                    tooltip="ply_sequence: a folder of numbered .ply files, exact at each frame; SuperSplat plays "
                    "them.\nsplatv: one file that moves, for splaTV in a browser. Its paths are cubics, and the node "
                    "says how far off they are.",
                ),
                prefix_input("%year%, %month% and %day%"),
            ],
            outputs=[],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, splat: SplatScene | Types.SPLAT, format: str, filename_prefix: str) -> io.NodeOutput:
        framed, files = read_splat(splat), OutputFiles(filename_prefix, 0, 0)
        if SplatFormat(format) is SplatFormat.SPLATV:
            results, told = _save_splatv(framed, files)
        else:
            results, told = _save_sequence(framed.scene, files)
        show_text(cls, told)
        return io.NodeOutput(ui={"files": results})


def _save_splatv(framed: Framed, files: OutputFiles) -> tuple[list[ui.SavedResult], str]:
    scene = framed.scene
    files.expect_room(splatv_bytes(scene.count) + _HEAD)
    path, made = files.next("", SplatFormat.SPLATV.value), splatv(scene, framed.middle)
    with written(path) as partial:
        partial.write_bytes(made.data)
    share = 100 / scene.orbit.radius
    return [files.result(path)], (
        f"{path.name}: paths are off by {share * made.error.typical:.2g} % of the camera's distance, at most by "
        f"{share * made.error.worst:.2g} %, and rotations by {made.error.degrees:.2g}°"
    )


def _save_sequence(scene: SplatScene, files: OutputFiles) -> tuple[list[ui.SavedResult], str]:
    files.expect_room(scene.frames * (scene.count * _PLY_BYTES + _HEAD))
    folder = _free_folder(files)
    last = max(scene.frames - 1, 1)
    name = folder.name.rstrip("_")
    names = [f"{name}_{frame + 1:04}.ply" for frame in range(scene.frames)]
    with written_folder(folder) as partial:
        for frame in each_frame(scene.frames):
            (partial / names[frame]).write_bytes(ply(scene, frame / last))
    results = [files.result(folder / file) for file in names]
    for result in results:
        result["subfolder"] = str(Path(result["subfolder"]) / folder.name)
    return results, f"{folder.name}: {names[0]} to {names[-1]}"


def _free_folder(files: OutputFiles) -> Path:
    while (folder := files.next("", "ply").with_suffix("")).exists():
        pass
    return folder
