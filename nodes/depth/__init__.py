"""Depth networks, where they come from, and what takes detail or flicker out of their maps."""
