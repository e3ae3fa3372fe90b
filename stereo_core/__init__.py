"""Stereo from a single view: geometry, warping, formats, measures. Plain torch, no host.

Axes       B batch (frames), C channels, H rows, W columns, T time.
Layout     core tensors are (B, C, H, W); hosts convert at their own edge.
Values     images [0, 1]; latents in the model's own scale; masks boolean or [0, 1], 1 = act here.
View       the source is the left view; the right view is synthesised.
Depth      inverse_depth in [0, 1], 1 nearest, affine-invariant unless a name says metric.
Disparity  columns of the grid the tensor lives on (latent columns for a latent), larger is nearer,
           positive in front of the screen: x_right = x_left - disparity.
Geometry   disparity = max_disparity / 100 * W * (inverse_depth ** exponent - convergence),
           max_disparity in percent of the width.
Hole       a pixel of the synthesised view that no pixel of the source lands on.
"""
