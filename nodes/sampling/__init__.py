"""Runs of the host's samplers in steps: recorded, replayed, and as pairs of views."""
