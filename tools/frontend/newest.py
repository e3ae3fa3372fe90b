"""The newest frontend that is published, beside the one that the pinned host names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools.setup.home import HOME, remove_tree
from tools.setup.packages import run_pip

PACKAGE = "comfyui_frontend_package"


def newest_frontend() -> tuple[str, Path]:
    """Fetch it, and return its version and its folder for the host's ``--front-end-root``.

    Raises:
        SetupError: there is no connection.
    """
    folder = HOME / "newest_frontend"
    remove_tree(folder)
    arguments = ["install", "--no-deps", "--target", str(folder), PACKAGE.replace("_", "-")]
    run_pip(Path(sys.executable), arguments, "the newest frontend")
    (info,) = folder.glob(f"{PACKAGE}-*.dist-info")
    found = re.search(r"-([\d.]+)\.dist-info$", info.name)
    return found[1] if found else "of unknown version", folder / PACKAGE / "static"
