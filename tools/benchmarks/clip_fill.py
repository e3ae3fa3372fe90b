"""Holes of clips filled from other frames against holes filled frame by frame: error, flicker, cuts and time."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.clip_filling import ClipSettings, render_clip
from stereo_core.rendering import render_view

from .clip_scenes import VIDEO, Clip, Occluder, bunny, compose, photograph, sintel, telescope
from .table import machine, print_table

FRAMES = 20
STILL = Occluder(speed=0)
# Columns at the right border in which the strip that enters lies.
_BORDER = 10


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


def main() -> None:
    """Print the tables."""
    print(f"## Holes of clips\n\n{machine('cpu')}. {FRAMES} frames of 640x360, quality best, reach 16.\n")
    if not VIDEO.is_dir():
        print(f"{VIDEO.parts[-3]}/data/video is not beside the project: no clips.\n")
        return
    with torch.inference_mode():
        rows = [_row(name, make()) for name, make in CASES.items()]
        columns = ["seen elsewhere, frame", "clip", "gain", "other holes, frame", "clip", "border, frame", "clip"]
        print_table(["PSNR in holes", *columns], [row[:8] for row in rows])
        print("Seen elsewhere: what lies behind is seen within 16 frames, moving with the camera.\n")
        columns = ["frame", "clip", "what is behind", "visible part"]
        print_table(["change from frame to frame in holes, of 255", *columns], [[row[0], *row[8:]] for row in rows])
        _cuts()
        _times()


def _row(name: str, clip: Clip) -> list[str]:
    alone, found = (render_clip(clip.image, clip.disparity, settings=ClipSettings(reach=r)) for r in (0, 16))
    hole = alone.hole
    border = torch.zeros_like(hole)
    border[..., -_BORDER:] = True
    parts = [hole & ~border & clip.elsewhere, hole & ~border & ~clip.elsewhere, hole & border]
    errors = [[_psnr(view.image, clip.truth, part) for view in (alone, found)] for part in parts]
    gain = errors[0][1] - errors[0][0]
    inner = hole & ~border
    visible = ~hole & (alone.image - clip.truth).abs().amax(1, keepdim=True).lt(0.02)
    changes = [
        _change(view, part, clip.pan)
        for view, part in ((alone.image, inner), (found.image, inner), (clip.truth, inner), (clip.truth, visible))
    ]
    (a, b), *others = errors
    figures = [f"{a:.1f}", f"{b:.1f}", f"{gain:+.1f}", *(f"{e:.1f}" for pair in others for e in pair)]
    return [name, *(f.replace("nan", "-").replace("+-", "-") for f in figures), *(f"{c:.1f}" for c in changes)]


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
