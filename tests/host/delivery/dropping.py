"""Files that a run wrote, dropped on the real frontend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.frontend.browser import browse
from tools.host.server import Server


def drop_files(
    server: Server, prompt: dict[str, Any], names: Mapping[str, str], screenshot: Path
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Run ``prompt`` in the editor, then drop the files ``names``, by kind, of the output folder's ``drop`` on it.

    Returns:
        What the editor ran, and what it has after each file.
    """
    jobs: list[dict[str, Any]] = [{"prompt": prompt, "screenshot": str(screenshot)}]
    for name in names.values():
        url = f"{server.url}/view?filename={name}&subfolder=drop&type=output"
        jobs.append({"file": str(server.base / "output" / "drop" / name), "url": url})
    made, *found = browse(server.url, jobs, script=Path(__file__).with_name("drop.mjs"))
    return made, dict(zip(names, found, strict=True))
