"""Whether the stereo that is asked for is the stereo that is made: every shift, fill and renewal, without a network."""

from __future__ import annotations

import torch

from . import stereo_autoencoder, stereo_gaussian, stereo_photos
from .table import machine


def main() -> None:
    """Print every table."""
    print(f"## Stereo by exact denoisers\n\n{machine('cpu')}\n")
    with torch.inference_mode():
        stereo_gaussian.main()
    stereo_photos.main()
    stereo_autoencoder.main()
    print(
        "What this cannot tell: attention between the views needs a trained network, as do prompts and guidance. These "
        "denoisers know edges, local looks and the surface next to a hole, not what a scene holds; and PSNR in a hole "
        "prefers a dull filling to a sharp one that differs."
    )


if __name__ == "__main__":
    main()
