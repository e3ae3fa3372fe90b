"""Nodes between finished views and the people who see them, and what those nodes are made of: packed files, viewers."""
