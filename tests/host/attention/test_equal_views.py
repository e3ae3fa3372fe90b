"""Two equal views come out of every mode as without coupling, in every family: text weighs as much as it did."""

from __future__ import annotations

import pytest

from tests.host.attention.runs import Run
from tests.host.attention.test_families import TRANSFORMERS, UNETS, family
from tests.host.tiny import sampling as tiny
from tests.host.tiny.families import FAMILIES


@pytest.mark.parametrize("name", [name for name in (*UNETS, *TRANSFORMERS) if name in FAMILIES])
def test_every_mode_leaves_equal_views_as_they_are(loaded, couple, name: str):
    run, model = Run(family(name), cfg=1.0, equal=True), loaded(name)
    plain = run(model)
    for mode in ("left_kv", "joint", "right_joint", "left_query"):
        assert tiny.error(run(couple(model, mode)), plain) < 2e-5, mode
