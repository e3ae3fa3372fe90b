"""The inputs of StereoCrafter-Zero: those of its options, and those of every node that samples a clip by them."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.iterative_refinement import RefineSettings
from ...stereo_core.noisy_restart import RestartSettings
from ...stereo_core.stereo_crafter_zero import CrafterForm
from ...stereo_core.video_presets import VideoPreset
from ...stereo_core.view_shift import HoleFill
from .geometry import depth_input
from .shift import fill_input, shift_form_input
from .sockets import TRAJECTORY, VIDEO_OPTIONS

_RESTART, _REFINE = RestartSettings(), RefineSettings()


def left_view_inputs() -> list[io.Input]:
    """``depth`` and ``trajectory``."""
    return [
        depth_input(
            "left clip",
            "Any size of the same shape; one map for each frame of the video or of its latent, or one for all.",
        ),
        TRAJECTORY.Input(
            "trajectory",
            tooltip="x of the left view at all noise levels of the schedule, from Record Left View or DDIM Inversion.\n"
            "The left view follows it exactly.",
        ),
    ]


def options_input() -> io.Input:
    """``options``."""
    return VIDEO_OPTIONS.Input(
        "options",
        optional=True,
        tooltip="From Stereo Video Options or Stereo Refine Options. Without them: StereoCrafter-Zero's settings for "
        "576x1024, placed by the noise.",
    )


def restart_inputs() -> list[io.Input]:
    """``iterations`` and ``restart_until``."""
    return [
        io.Int.Input(
            "iterations",
            default=_RESTART.iterations,
            min=1,
            max=50,
            tooltip="How often the first steps are taken, 1 to 50; StereoCrafter-Zero takes 7 times.\n"
            "More: stronger stereo, more time. A preset counts in 50 steps, and takes fewer steps less often.",
        ),
        io.Float.Input(
            "restart_until",
            default=_RESTART.until,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Fraction of the whole schedule that is restarted, above 0 to 1, for preset custom; at least one "
            "step.\nStereoCrafter-Zero takes 0.1, 5 of 50 steps. 0: none, with every preset.",
        ),
    ]


def preset_input() -> io.Input:
    """``preset``."""
    return io.Combo.Input(
        "preset",
        options=VideoPreset,
        default=VideoPreset.LARGE.value,
        tooltip="StereoCrafter-Zero's settings by resolution, height x width: where the restart ends and the last warp "
        "comes, by the noise; the node shows the steps.\ncustom: restart_until, last_warp and all repeats as set.",
    )


def refine_inputs() -> list[io.Input]:
    """``warp_every``, ``last_warp``, ``most_repeats`` and ``fewest_repeats``."""
    return [
        io.Float.Input(
            "warp_every",
            default=_REFINE.warp_every,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="Fraction of the whole schedule between two warps of the left view into the right one; "
            "StereoCrafter-Zero takes 0.1, 5 of 50 steps.\nMore often: the views agree better, at more cost.",
        ),
        io.Float.Input(
            "last_warp",
            default=_REFINE.last_warp,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Fraction of the whole schedule at which the last warp comes; for preset custom.\n"
            "Later: the views agree better, edges may break. StereoCrafter-Zero takes 0.68, after 34 of 50 steps.",
        ),
        io.Int.Input(
            "most_repeats",
            default=_REFINE.most_repeats,
            min=1,
            max=50,
            tooltip="How often the step after the first warp is taken, 1 to 50; StereoCrafter-Zero takes 8.\n"
            "From there the count falls evenly to fewest_repeats. A preset counts in 50 steps, and repeats fewer steps "
            "less often.",
        ),
        io.Int.Input(
            "fewest_repeats",
            default=_REFINE.fewest_repeats,
            min=1,
            max=50,
            tooltip="How often the step after the last warp is taken, 1 to 50; StereoCrafter-Zero takes 3.",
        ),
    ]


def form_input() -> io.Input:
    """``form``."""
    return io.Combo.Input(
        "form",
        options=CrafterForm,
        default=CrafterForm.UNREPEATED.value,
        tooltip="unrepeated: StereoCrafter-Zero's equations, but no column of the left view is repeated beside "
        "itself, on which video models break.\npaper: its equations as printed. code: those of its published code.",
    )


def hole_inputs() -> list[io.Input]:
    """``fill`` and ``shift``."""
    fills = [HoleFill.LEFT, HoleFill.NOISE, HoleFill.BACKGROUND]
    return [fill_input(fills), shift_form_input()]


def sampler_input(more: str = "") -> io.Input:
    """``sampler``; ``more`` ends its tooltip."""
    return io.Sampler.Input(
        "sampler",
        optional=True,
        tooltip="The sampler that takes the steps. Without one it is euler_ancestral, which is DDIM with noise, as in "
        "StereoCrafter-Zero.\nNot dpm_fast or dpm_adaptive, which choose their own steps."
        + (f"\n{more}" if more else ""),
    )
