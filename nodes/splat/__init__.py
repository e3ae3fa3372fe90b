"""Moving Gaussians: from an image matrix, to both eyes, to files, and to the host's own splats."""
