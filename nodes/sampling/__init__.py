"""Runs of the host's samplers, step by step: recorded, replayed, and as pairs of views."""
