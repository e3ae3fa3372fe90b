"""A small diffusion model of our own: the scenes it learns, its training, and the files it is saved to."""
