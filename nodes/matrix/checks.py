"""Checks whether two models and the strips of an image matrix can be composed."""

from __future__ import annotations

import comfy.model_base
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.noise_forms import NoiseForm
from ..host import noise_form
from ..sampling.prompts import expect_prompt
from .conditioning import MatrixConditioning, Strip, refuse_fixed_orbit

# A level that lies no more than a hundredth below another is the same one, rounded.
_CLEARLY_BELOW = 0.99
_ORBITS = (comfy.model_base.SV3D_u, comfy.model_base.SV3D_p)


def expect_models(video: ModelPatcher, multiview: ModelPatcher, expert: bool) -> None:
    """Raise unless the two models can share an image matrix.

    Args:
        video: the model of the rows.
        multiview: the model of the columns.
        expert: whether it is a view expert, which may be the video model itself.

    Raises:
        ValueError: the same model twice, the two swapped, or different latent spaces or noise forms.
    """
    if isinstance(video.model, _ORBITS):
        raise ValueError(
            f"video_model: {type(video.model).__name__} makes orbits, not clips. Connect SVD here, and SV3D to "
            "multiview_model."
        )
    if multiview.is_clone(video) and not expert:
        raise ValueError(
            "multiview_model: is the same model as video_model. Connect a multi-view model such as SV3D or, for two "
            "views, the output of Shift-Coupled View Expert."
        )
    spaces = [model.get_model_object("latent_format") for model in (video, multiview)]
    names = [type(space).__name__ for space in spaces]
    if names[0] != names[1] or spaces[0].scale_factor != spaces[1].scale_factor:
        raise ValueError(
            f"video_model works in the latent space {names[0]} and multiview_model in {names[1]}, but a matrix has "
            "only one. Connect two models that share a latent space, such as SVD and SV3D."
        )
    for name, model, space in zip(("video_model", "multiview_model"), (video, multiview), spaces, strict=True):
        if space.latent_dimensions != 2 or noise_form(model.get_model_object("model_sampling")) is not NoiseForm.VE:
            raise ValueError(
                f"{name}: {type(model.model).__name__} is no model of the kind of SVD, whose frames are single latents "
                "with added noise. Connect SVD or SV3D."
            )


def expect_highest_noise(name: str, model: ModelPatcher, sigmas: Tensor) -> None:
    """Raise unless a schedule begins at a model's highest noise level, since a matrix begins as noise alone.

    Args:
        name: of the model's input, for the message.
        model: the model.
        sigmas: (N + 1,) noise levels, descending.

    Raises:
        ValueError: a first level clearly below it.
    """
    highest, first = float(model.get_model_object("model_sampling").sigma_max), float(sigmas[0])
    if first < _CLEARLY_BELOW * highest:
        raise ValueError(
            f"sigmas: the schedule starts at {first:.4g}, but the matrix starts as pure noise, which for {name} is "
            f"{highest:.4g}. Connect BasicScheduler with the video model, karras and denoise 1, and leave no step out; "
            f"or set sigma_max of KarrasScheduler to {highest:g}."
        )


def expect_strips(
    video: ModelPatcher, multiview: ModelPatcher, conditioning: MatrixConditioning, expert: bool
) -> tuple[int, int]:
    """Return how many views and frames the matrix has, V and F.

    Args:
        video: the model of the rows.
        multiview: the model of the columns.
        conditioning: of every strip.
        expert: whether the multi-view model is a view expert, which uses the rows' conditioning.

    Raises:
        ValueError: strips that do not fit the matrix, or not their model.
    """
    if conditioning.azimuths is not None:
        refuse_fixed_orbit("multiview_model", multiview, conditioning.azimuths)
    views, frames = len(conditioning.rows), len(conditioning.rows[0].guidance)
    if expert and views != 2:
        raise ValueError(
            f"conditioning: has {views} views, and a Shift-Coupled View Expert makes exactly two. "
            "Connect the output of Stereo Clip Conditioning, or a multi-view model."
        )
    if expert and any(multiview.model_options.get(name) for name in ("sampler_cfg_function", "context_handler")):
        raise ValueError(
            "multiview_model: the expert's model brings its own guidance or context windows, which would take both "
            "views for one clip. Connect the model to Shift-Coupled View Expert without that node."
        )
    if not expert and len(conditioning.columns) != frames:
        raise ValueError(
            f"conditioning: has {len(conditioning.columns)} columns for rows of {frames} frames. "
            "Connect the output of Image Matrix Conditioning, made from strips that fit together."
        )
    _expect_each("row", video, conditioning.rows, frames)
    if not expert:
        _expect_each("column", multiview, conditioning.columns, views)
    return views, frames


def _expect_each(kind: str, model: ModelPatcher, strips: tuple[Strip, ...], length: int) -> None:
    guided = "sampler_cfg_function" in model.model_options
    for index, strip in enumerate(strips):
        for sign, prompt in (("positive", strip.positive), ("negative", strip.negative)):
            expect_prompt(f"conditioning: {sign} of {kind} {index}", prompt, model)
        entries = [entry[1] for entry in (*strip.positive, *strip.negative)]
        lists = [entry[key] for entry in entries for key in ("azimuth", "elevation") if key in entry]
        for given in (strip.guidance, *lists):
            if isinstance(given, (list, tuple)) and len(given) != length:
                raise ValueError(
                    f"conditioning: {kind} {index} is for {len(given)} entries, and the matrix has {length} there. "
                    "Make all strips for the same number of views and of frames."
                )
        if any(key in entry for entry in entries for key in ("control", "hooks")):
            raise ValueError(
                f"conditioning: {kind} {index} carries a ControlNet or hooks, which score composition does not "
                "support. Connect the conditioning without them."
            )
        if guided and len(set(strip.guidance)) > 1:
            raise ValueError(
                f"conditioning: guidance goes from {strip.guidance[0]:g} to {strip.guidance[-1]:g} along each {kind}, "
                "and the model brings its own. Connect it without VideoLinearCFGGuidance or whichever node sets it."
            )
