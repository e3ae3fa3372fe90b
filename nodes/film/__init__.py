"""Stereo films of any length, from file to file, in constant memory: plan, depth, views, segments, joining."""
