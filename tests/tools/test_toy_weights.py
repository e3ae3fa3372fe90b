"""The weights in the repository are those that their card describes."""

from __future__ import annotations

import hashlib

import pytest

from tools.toy.weights import CARD, CONDITIONS, FOLDER, UNET, VAE


@pytest.mark.skipif(not FOLDER.is_dir(), reason="there are no trained weights here")
def test_the_weights_are_those_of_the_card():
    card = (FOLDER / CARD).read_text(encoding="utf-8")
    for name in (UNET, VAE, CONDITIONS):
        line = next(line for line in card.splitlines() if line.startswith(f"| `{name}` "))
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() in line
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 40e6
