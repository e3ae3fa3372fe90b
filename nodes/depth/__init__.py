"""Depth networks, where they come from, and what removes detail or flicker from their maps."""
