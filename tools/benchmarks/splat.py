"""4D Gaussians on ray-traced truth: oracles, still and moving scenes, two eyes, other viewers, speed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import torch

from .splat_eyes import print_eyes
from .splat_fits import print_fits, print_warm_up
from .splat_speed import print_growth, print_job, print_oracles, print_speed
from .splat_truth import SCENES
from .splat_viewers import print_viewers
from .table import machine

PARTS = {
    "oracles": (print_oracles,),
    "fits": (print_fits,),
    "eyes": (print_eyes,),
    "viewers": (print_viewers,),
    "speed": (print_speed, print_growth, print_job),
}
# The fits of one scene alone; and what is of interest where a default is in doubt.
MORE = {name.replace(" ", "_"): (partial(print_fits, [name]),) for name in SCENES} | {"warm_up": (print_warm_up,)}


def main(options: Sequence[str] = ()) -> None:
    """Print the tables of the parts that are named, or of PARTS."""
    known = PARTS | MORE
    parser = argparse.ArgumentParser(prog="bench.py splat", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(known)}; default: {', '.join(PARTS)}")
    chosen = parser.parse_args(options).parts or list(PARTS)
    if unknown := set(chosen) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    print(f"## Gaussians from an image matrix\n\n{machine('cpu')}.\n", flush=True)
    for part in chosen:
        for print_part in known[part]:
            print_part()
