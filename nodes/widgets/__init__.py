"""Inputs that several nodes share, and the sockets between them."""
