"""The example scenes that the pack ships, rendered here: a picture, its true depth and its true right view."""
