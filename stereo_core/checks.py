"""Checks of what a public function is given."""

from __future__ import annotations

from torch import Tensor


def expect_shape(name: str, tensor: Tensor, axes: str, **sizes: int) -> None:
    """Raise unless ``tensor`` has the shape that ``axes`` spells.

    Args:
        name: the argument's name, for the message.
        tensor: any tensor.
        axes: one word an axis; a number stands for that size, a letter for ``sizes[letter]`` or,
            when it is not given, for any size of at least one. ``"B 1 H W"``, for example.
        sizes: sizes that letters must have.

    Raises:
        ValueError: another number of axes, a size that does not fit, or an empty axis.
    """
    words = axes.split()
    fits = tensor.ndim == len(words) and all(
        size == (int(word) if word.isdigit() else sizes.get(word, size)) and size > 0
        for word, size in zip(words, tensor.shape, strict=True)
    )
    if not fits:
        known = ", ".join(f"{letter}={size}" for letter, size in sizes.items())
        raise ValueError(
            f"{name}: expected ({', '.join(words)}){f' with {known}' if known else ''}, got {tuple(tensor.shape)}."
        )


def expect_finite(name: str, tensor: Tensor) -> None:
    """Raise ``ValueError`` if ``tensor``, which holds at least one value, holds NaN or infinity."""
    # The extremes are NaN where any value is; looking at them is ten times faster than at every value.
    if not all(extreme.isfinite() for extreme in tensor.aminmax()):
        raise ValueError(
            f"{name}: holds NaN or infinite values. Make it again without them; a model or VAE that runs in half "
            "precision often gives them."
        )


def describe_latent(latent: Tensor) -> str:
    """Say what a latent (B, C, H, W) or (B, C, T, H, W) holds, for a message."""
    count, channels, *frames, height, width = latent.shape
    clip = f", {frames[0]} frames long" if frames else ""
    number = "one latent" if count == 1 else f"{count} latents"
    return f"{number} of {width}x{height} with {channels} channels{clip}"
