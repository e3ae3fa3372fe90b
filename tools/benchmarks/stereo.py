"""Whether the stereo that is asked for is the stereo that is made: every shift, fill and renewal, without a network."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import torch

from . import stereo_autoencoder, stereo_gaussian, stereo_photos
from .table import machine


def main() -> None:
    """Print every table."""
    print(f"## Stereo by exact denoisers\n\n{machine('cpu')}\n", flush=True)
    # A process for every core and one thread in each: the figures do not depend on how many there are.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, torch.set_num_threads, (1,)) as pool:
        for show in [part.submit(pool) for part in (stereo_gaussian, stereo_photos, stereo_autoencoder)]:
            show()
    print(
        "What this cannot tell: attention between the views needs a trained network, as do prompts and guidance. These "
        "denoisers know edges, local looks and the surface beside a hole, not what a scene holds; and PSNR in a hole "
        "prefers a dull filling to a sharp one that differs."
    )


if __name__ == "__main__":
    main()
