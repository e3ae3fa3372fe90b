from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.host.tiny import families


@pytest.fixture(scope="session")
def loaded(host: dict[str, type]) -> Callable[[str], Any]:  # noqa: ARG001  # only then can the host be imported
    """A family's MODEL by its name."""
    return families.load


@pytest.fixture(scope="session")
def couple(host: dict[str, type]) -> Callable[..., Any]:
    """Cross-View Attention as a function with its defaults."""

    def patch(model: Any, mode: str, start: float = 0, end: float = 1, blocks: str = "", temporal: bool = False) -> Any:
        return host["Stereo_CrossViewAttentionPatch"].execute(model, mode, start, end, blocks, temporal).result[0]

    return patch
