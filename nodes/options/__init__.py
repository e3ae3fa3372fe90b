"""Nodes that hold what the methods let one set, for those who want it otherwise."""
