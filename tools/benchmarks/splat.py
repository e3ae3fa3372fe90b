"""4D Gaussians on ray-traced truth: oracles, still and moving scenes, two eyes, other viewers, speed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import torch

from stereo_core.splat_options import Motion

from .splat_eyes import print_eyes
from .splat_fits import MOVING, SIZE, print_fits, print_large
from .splat_job import print_job
from .splat_speed import print_growth, print_oracles, print_speed
from .splat_truth import SCENES
from .splat_untuned import SHARES, print_untuned
from .splat_viewers import print_viewers
from .table import machine

PARTS = {
    "oracles": (print_oracles,),
    "fits": (print_fits, print_large),
    "eyes": (print_eyes,),
    "viewers": (print_viewers,),
    "speed": (print_speed, print_growth, print_job),
}
_SINGLE = {"large": (print_large,), "drawing": (print_speed,), "growth": (print_growth,), "job": (print_job,)}
_UNTUNED = "untuned"  # of interest where a default is in doubt


def main(options: Sequence[str] = ()) -> None:
    """Print the tables of the parts that are named, or of PARTS."""
    scenes = {name.replace(" ", "_"): (partial(print_fits, [name]),) for name in SCENES}
    known = {**PARTS, **_SINGLE, **scenes, _UNTUNED: ()}
    parser = argparse.ArgumentParser(prog="bench.py splat", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(known)}; default: {', '.join(PARTS)}")
    more = parser.add_argument_group(_UNTUNED, "Other scenes, by the form of motion; an hour with all three shares.")
    more.add_argument("--motion", nargs="+", choices=[form.value for form in Motion], help="default: all of them")
    more.add_argument("--warm-up", nargs="+", type=_share, default=SHARES, metavar="SHARE", help="0 to 1, of the steps")
    more.add_argument("--size", type=int, default=SIZE, metavar="PX", help="of the pictures; default: %(default)s")
    more.add_argument("--gaussians", type=int, default=MOVING.gaussians, metavar="N", help="default: %(default)s")
    more.add_argument("--iterations", type=int, default=MOVING.iterations, metavar="N", help="default: %(default)s")
    parsed = parser.parse_args(options)
    chosen = parsed.parts or list(PARTS)
    if unknown := set(chosen) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    forms = tuple(map(Motion, parsed.motion or Motion))
    known[_UNTUNED] = (partial(print_untuned, parsed.warm_up, parsed.size, parsed.gaussians, parsed.iterations, forms),)
    torch.set_num_threads(1)
    print(f"## Gaussians from an image matrix\n\n{machine('cpu')}.\n", flush=True)
    for part in chosen:
        for print_part in known[part]:
            print_part()


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share of the steps. Take one above 0 and below 1, such as 0.35")
    return share
