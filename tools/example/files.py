"""The example that the pack ships, as a pair with its true right view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tools.benchmarks.middlebury import Pair
from tools.setup.environment import ROOT

SHIPPED = ROOT / "nodes" / "examples"
TRUTH = Path(__file__).parent  # what only tests and the demo need
MAX_DISPARITY, CONVERGENCE = 3.0, 0.5  # percent of the width and inverse depth on the screen, of the true right view


def still_life() -> Pair:
    """Read the still life; its disparity is 0 on the screen plane, positive before it."""
    with Image.open(SHIPPED / "still_life.jpg") as left, Image.open(TRUTH / "still_life_right.jpg") as right:
        views = [np.asarray(view.convert("RGB")) for view in (left, right)]
    with Image.open(SHIPPED / "still_life_depth.png") as grey:
        inverse_depth = np.asarray(grey).astype(np.float32) / 65535
    return Pair(*views, MAX_DISPARITY / 100 * inverse_depth.shape[1] * (inverse_depth - CONVERGENCE))
