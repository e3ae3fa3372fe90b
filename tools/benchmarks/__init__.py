"""Measurements of quality and speed, each printing tables that can be copied."""
