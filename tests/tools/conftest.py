from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.host import run_folder, server  # noqa: F401  # so that their HOME is replaced, too
from tools.setup import environment, interpreters, node_packages  # noqa: F401  # so that their HOME is replaced, too


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty set-up folder in place of the clone's own; no named host."""
    folder = tmp_path / ".host"
    folder.mkdir()
    for name, module in list(sys.modules.items()):
        if name.startswith("tools.") and hasattr(module, "HOME"):
            monkeypatch.setattr(module, "HOME", folder)
    for variable in ("COMFYUI_PATH", "LATENT_STEREO_READY", "LATENT_STEREO_HOME", "PIP_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return folder
