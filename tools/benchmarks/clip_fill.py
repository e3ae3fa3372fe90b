"""Holes of clips filled from other frames against holes filled frame by frame: error, flicker, cuts and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core import clip_motion
from stereo_core.clip_filling import ClipSettings, render_clip
from stereo_core.optical_flow import optical_flow
from stereo_core.rendering import render_view

from .clip_bound import fill_along_known_motion
from .clip_scenes import REACH, VIDEO, Clip, Occluder, bunny, compose, photograph, sintel, telescope
from .table import machine, print_table

FRAMES = 20
STILL = Occluder(speed=0)
# How much is held from frame to frame: the default first.
FORMS = (
    ClipSettings(),
    *(replace(ClipSettings(), steady=share) for share in (0.9, 0.97)),
)
# Columns at the right border in which the strip that enters lies.
_BORDER = 10
# Columns beside a hole in which the background that is seen there counts as beside it: as wide as the holes are.
_BESIDE = round(Occluder.disparity)
# Decibel that clips should gain where what lies behind is seen elsewhere.
_ASKED = 3.0


def _fading(t: int) -> float:
    return 1 - 0.03 * t


CASES: dict[str, Callable[[], Clip]] = {
    "rabbit (tuned on), camera pans, object moves": lambda: compose(bunny(70, FRAMES, 3), Occluder(), 3),
    "rabbit, static camera, object moves": lambda: compose(bunny(95, FRAMES), Occluder()),
    "the same, light fades by half": lambda: compose(bunny(95, FRAMES), Occluder(), light=_fading),
    "rabbit rises fast behind the object": lambda: compose(bunny(20, FRAMES), Occluder()),
    "telescope, slow dolly, object moves": lambda: compose(telescope(290, FRAMES), Occluder()),
    "telescope, camera pans, object stands": lambda: compose(telescope(290, FRAMES, 3), STILL, 3),
    "Sintel, camera and people move": lambda: compose(sintel(), Occluder(speed=8)),
    "coffee, camera pans, object stands": lambda: compose(photograph("coffee", FRAMES, 4), STILL, 4),
    "rabbit, static camera, object stands": lambda: compose(bunny(95, FRAMES), STILL),
}


class Measured(NamedTuple):
    """What was found for a clip.

    Attributes:
        gain: of the part that is seen elsewhere, in dB.
        errors: for the holes' parts, the PSNR of the single frames and of the clip.
        changes: from frame to frame in holes, of both and of what is behind; and of the background that the rendered
            views show, beside the holes and everywhere.
        held: for each of ``FORMS`` the PSNR of all holes and the change in them.
        bound: the PSNR of the part that is seen elsewhere, filled along the known motion and with the best in
            hindsight; only where the gain is less than asked for.
    """

    gain: float
    errors: list[float]
    changes: list[float]
    held: list[tuple[float, float]]
    bound: list[float]


def main() -> None:
    """Print the tables."""
    print(f"## Holes of clips\n\n{machine('cpu')}. {FRAMES} frames of 640x360, quality best, reach 16.\n")
    if not VIDEO.is_dir():
        print(f"{VIDEO.parts[-3]}/data/video is not beside the project: no clips.\n")
        return
    with torch.inference_mode():
        found = {name: _measure(make()) for name, make in CASES.items()}
        columns = ["seen elsewhere, frame", "clip", "gain", "other holes, frame", "clip", "border, frame", "clip"]
        rows = [
            [name, *_shown(of.errors[:2]), f"{of.gain:+.1f}".replace("+nan", "-"), *_shown(of.errors[2:])]
            for name, of in found.items()
        ]
        print_table(["PSNR in holes", *columns], rows)
        print("Seen elsewhere: what lies behind is seen within 16 frames, moving with the camera.\n")
        columns = ["frame", "clip", "its motion known", "best in hindsight"]
        rows = [[name, *_shown(of.errors[:2] + of.bound)] for name, of in found.items() if of.bound]
        print_table([f"seen elsewhere, gain below {_ASKED:g} dB", *columns], rows)
        columns = ["frame", "clip", "what is behind", "beside the holes", "visible part"]
        rows = [[name, *_shown(of.changes)] for name, of in found.items()]
        print_table(["change from frame to frame in holes, of 255", *columns], rows)
        _leave_one_out({name: of.held for name, of in found.items()})
        _cuts()
        _times()


def _shown(figures: list[float]) -> list[str]:
    return [f"{figure:.1f}".replace("nan", "-") for figure in figures]


def _measure(clip: Clip) -> Measured:
    alone = render_clip(clip.image, clip.disparity, settings=ClipSettings(reach=0))
    with flow_found_once():
        views = [render_clip(clip.image, clip.disparity, settings=form).image for form in FORMS]
    found, hole = views[0], alone.hole
    border = torch.zeros_like(hole)
    border[..., -_BORDER:] = True
    inner = hole & ~border
    seen = inner & clip.elsewhere
    errors = [
        _psnr(image, clip.truth, part)
        for part in (seen, inner & ~clip.elsewhere, hole & border)
        for image in (alone.image, found)
    ]
    visible = ~hole & (alone.image - clip.truth).abs().amax(1, keepdim=True).lt(0.02)
    beside = visible & F.max_pool2d(inner.float(), (1, 2 * _BESIDE + 1), 1, (0, _BESIDE)).bool()
    measured = (alone.image, inner), (found, inner), (clip.truth, inner), (found, beside), (found, visible)
    changes = [_change(image, part, clip.pan) for image, part in measured]
    held = [(_psnr(view, clip.truth, hole), _change(view, inner, clip.pan)) for view in views]
    gain = errors[1] - errors[0]
    bounds = fill_along_known_motion(clip.truth, alone.image, hole, REACH) if gain < _ASKED else ()
    return Measured(gain, errors, changes, held, [_psnr(image, clip.truth, seen) for image in bounds])


@contextmanager
def flow_found_once() -> Iterator[None]:
    """Let the flow of the same pictures be found only once."""
    known: dict[bytes, Tensor] = {}

    def remembered(first: Tensor, second: Tensor) -> Tensor:
        key = torch.stack([first, second]).numpy().tobytes()
        if key not in known:
            known[key] = optical_flow(first, second)
        return known[key]

    clip_motion.optical_flow = remembered
    try:
        yield
    finally:
        clip_motion.optical_flow = optical_flow


def _leave_one_out(held: dict[str, list[tuple[float, float]]]) -> None:
    """Print how each clip fares with the form that has the highest mean PSNR on the others."""
    rows = []
    for name, found in held.items():
        others = [of for other, of in held.items() if other != name]
        totals = [sum(of[form][0] for of in others) for form in range(len(FORMS))]
        best = totals.index(max(totals))
        form = f"{FORMS[best].steady:g}"
        psnrs, changes = ([found[index][part] for index in (0, best)] for part in (0, 1))
        rows.append([name, form, *(f"{of:.2f}" for of in (*psnrs, *changes))])
    columns = ["chosen by the others", "PSNR of all holes", "so chosen", "change", "so chosen"]
    print_table(["how much is held", *columns], rows)


def _psnr(image: Tensor, truth: Tensor, part: Tensor) -> float:
    """Return the PSNR of all frames together, NaN where ``part`` is empty."""
    return -10 * (image - truth)[part.expand_as(image)].square().mean().log10().item()


def _change(image: Tensor, part: Tensor, pan: int) -> float:
    """Root mean square change in ``part`` of both frames, along the camera's motion."""
    before, both = image[:-1].roll(-pan, -1), part[1:] & part[:-1].roll(-pan, -1)
    if pan:
        both[..., -pan:] = False
    return 255 * (image[1:] - before)[both.expand_as(before)].square().mean().sqrt().item()


def _cuts() -> None:
    """Say whether anything crosses a cut, and whether pictures that are no clip are left alone."""
    clips = [compose(bunny(95, 6), Occluder()), compose(telescope(290, 6), Occluder())]
    together = render_clip(*(torch.cat([clip[part] for clip in clips]) for part in (0, 1))).image
    apart = torch.cat([render_clip(clip.image, clip.disparity).image for clip in clips])
    print(f"Two scenes in one clip are what each is alone, to the bit: {'yes' if together.equal(apart) else 'NO'}.\n")
    shots = [clips[0], clips[1], compose(sintel()[:1], Occluder()), compose(photograph("coffee", 1, 0), Occluder())]
    image, disparity = (torch.cat([shot[part][:1] for shot in shots]) for part in (0, 1))
    same = render_clip(image, disparity).image.equal(render_view(image, disparity).image)
    print(f"Unrelated pictures in a batch are what each is alone, to the bit: {'yes' if same else 'NO'}.\n")


def _times() -> None:
    clip = compose(bunny(70, 8, 3), Occluder(), 3)
    rows = []
    for height, width in ((540, 960), (1080, 1920)):
        image = F.interpolate(clip.image, (height, width), mode="bilinear")
        disparity = F.interpolate(clip.disparity, (height, width), mode="nearest-exact") * (width / 640)
        seconds = []
        for reach in (0, 16):
            start = time.perf_counter()
            render_clip(image, disparity, settings=ClipSettings(reach=reach))
            seconds.append((time.perf_counter() - start) / len(image))
        rows.append([f"{width}x{height}", *(f"{s:.2f} s" for s in seconds), f"{seconds[1] / seconds[0]:.1f}"])
    print_table(["one frame of eight", "frame by frame", "from the clip", "times"], rows)


if __name__ == "__main__":
    main()
