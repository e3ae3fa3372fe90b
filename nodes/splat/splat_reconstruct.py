"""SplatReconstruct: the second stage of Diffusion², from pictures of views and frames to a scene that moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.splat_memory import fit_bytes
from ...stereo_core.splat_options import FitOptions
from ...stereo_core.splat_scene import WHITE
from ..host import core_to_image, expect_memory, show_text
from ..widgets.sockets import SPLAT_4D, SPLAT_OPTIONS
from .matrix_pictures import Pictures, edge_color, read_images, read_matrix, with_masks
from .reconstruction import ReconstructionOptions, comparison, run_fit, show_last

_DEFAULTS = FitOptions()
_COPIES = 3  # of a matrix's pictures in eight bits: as read, as fitted, and some for the sheet
_OF_COVER = 4  # bytes of a pixel of what the object covers
_OF_A_VIEW = 3 * 4  # of the bytes of its pictures: as read, and scaled, in float32


class SplatReconstruct(io.ComfyNode):
    """Fit moving Gaussians to the pictures of a matrix of views and frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatReconstruct",
            display_name="Splat 4D Reconstruct",
            category="stereo/multiview",
            description="Turns pictures of an object from several sides, over time, into one moving scene that is seen "
            "from anywhere.",
            search_aliases=["gaussian splat", "3DGS", "4D", "diffusion squared", "reconstruct", "image matrix"],
            inputs=[
                # the views
                io.Int.Input(
                    "views",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Number of views in images, or in a matrix from Load Latent.\n0: each of images is a view "
                    "of one moment; a matrix from Score Composition Sampler knows its own.",
                ),
                io.String.Input(
                    "azimuths",
                    default="",
                    tooltip="Degrees of each view, growing to the right, such as -20, 0, 20; or one number, the "
                    "degrees between views, of which the last is at 0.\nEmpty: evenly once around, ending at the "
                    "front. A matrix from Score Composition Sampler knows its own.",
                ),
                io.Float.Input(
                    "elevation",
                    default=0.0,
                    min=-80.0,
                    max=80.0,
                    step=0.1,
                    tooltip="Degrees of the camera above the object's middle, of all views. A matrix from Score "
                    "Composition Sampler knows its own.",
                ),
                # the fit
                io.Int.Input(
                    "size",
                    default=288,
                    min=16,
                    max=2048,
                    step=8,
                    tooltip="Pixels of a picture's smaller side while learning. Larger pictures are scaled down; half "
                    "the size is up to four times faster.",
                ),
                io.Int.Input(
                    "gaussians",
                    default=_DEFAULTS.gaussians,
                    min=32,
                    max=1_000_000,
                    tooltip="Blobs that the scene is made of. More show finer things, and take longer; 1,000 to 3,000 "
                    "are enough for a size of 64.",
                ),
                io.Int.Input(
                    "iterations",
                    default=_DEFAULTS.iterations,
                    min=2,
                    max=1_000_000,
                    tooltip="Pictures that are learned from, one after another; Diffusion² takes 5,000. Minutes on a "
                    "graphics card, and some 20 on a processor at size 256 with 10,000 gaussians.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Seed of where the Gaussians start, and of the pictures' order.",
                ),
                # the pictures
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="All frames of the first view, then of the second, and so on. The object alone on one "
                    "colour, in the middle of the pictures.",
                ),
                io.Latent.Input("matrix", optional=True, tooltip="Instead of images: from Score Composition Sampler."),
                io.Vae.Input("vae", optional=True, tooltip="VAE of the video model, which decodes the matrix."),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="White where the object is, a mask for each picture. Needed where the background is not of "
                    "one colour.",
                ),
                SPLAT_OPTIONS.Input(
                    "options", optional=True, tooltip="From Splat 4D Options: motion, weights, angle of the camera."
                ),
            ],
            outputs=[
                SPLAT_4D.Output(display_name="splat", tooltip="The moving scene, for Splat 4D Stereo and its like."),
                io.Image.Output(
                    display_name="comparison",
                    tooltip="Some views below each other, frames side by side: the pictures, and below them the scene.",
                ),
                io.String.Output(
                    display_name="quality",
                    tooltip="How near it is to the pictures, in dB: to those learned from, and to those held out.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        # the views
        views: int,
        azimuths: str,
        elevation: float,
        # the fit
        size: int,
        gaussians: int,
        iterations: int,
        seed: int,
        # the pictures
        images: Tensor | None = None,
        matrix: dict[str, Any] | None = None,
        vae: Any = None,
        masks: Tensor | None = None,
        options: ReconstructionOptions | None = None,
    ) -> io.NodeOutput:
        if (images is None) == (matrix is None):
            given = "both images and matrix" if matrix is not None else "neither images nor matrix"
            raise ValueError(f"Splat 4D Reconstruct: got {given}. Connect one of them; a scene is made from it.")
        chosen = options or ReconstructionOptions()
        source = (
            read_images(images, views, azimuths, elevation)
            if matrix is None
            else read_matrix(matrix, vae, views, azimuths, elevation)
        )
        source = source if masks is None else with_masks(source, masks)
        fitting = chosen.of_fit(source.orbit, gaussians, iterations, seed)
        _expect_memory(source, size, fitting)
        orbit = replace(source.orbit, fov=chosen.fov)
        pictures, covers = source.read(size)
        background = chosen.background or (edge_color(pictures) if covers is None else WHITE)
        scene = run_fit(pictures, orbit, fitting, background, covers, lambda line: show_text(cls, line))
        compared = comparison(scene, pictures, covers)
        show_last(compared)
        show_text(cls, scene.quality)
        sheet = core_to_image(compared)
        return io.NodeOutput(scene, sheet, scene.quality, ui=ui.PreviewImage(sheet, cls=cls))


def _expect_memory(source: Pictures, size: int, fitting: FitOptions) -> None:
    views, frames = source.size
    height, width = source.scaled(size)
    of_pixel = 3 * _COPIES + (0 if source.cover is None else _OF_COVER)
    kept = of_pixel * views * frames * height * width + _OF_A_VIEW * frames * 3 * source.sides[0] * source.sides[1]
    what = f"{fitting.gaussians} Gaussians for {views} views by {frames} frames of {width}x{height}"
    expect_memory(
        "Splat 4D Reconstruct",
        what,
        kept,
        fit_bytes(fitting, views, frames, height, width),
        advice="Use a smaller size or fewer gaussians.",
    )
