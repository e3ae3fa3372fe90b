"""Procedural scenes with exact stereo truth: a seed gives a scene, its two views, disparity and occlusions.

Both views are traced from the same geometry; no view is warped from the other. Plain torch and numpy.
"""

from __future__ import annotations

from .render import Pair, render_clips, render_scenes
from .worlds import PALETTES, World, make_worlds, moved

__all__ = ["PALETTES", "Pair", "World", "make_worlds", "moved", "render_clips", "render_scenes"]
