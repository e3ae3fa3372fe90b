"""The real frontend in a headless browser, driven by `tools/frontend/frontend.mjs`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tools.setup.environment import HOME, ROOT, child_variables

SCRIPT = ROOT / "tools" / "frontend" / "frontend.mjs"
MODULES = HOME / "frontend" / "node_modules"


class BrowserError(Exception):
    """The browser or the page in it failed."""


def missing() -> str | None:
    """Say what is missing for a browser, or return None."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (MODULES / "puppeteer-core").is_dir():
        return "the browser's packages are not installed (python tools/test.py does it)"
    if "LATENT_STEREO_CHROMIUM" not in os.environ and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the packaged Chromium is for Linux on x86-64; name another in LATENT_STEREO_CHROMIUM"
    return None


def browse(url: str, jobs: list[dict[str, Any]], timeout: float = 600, script: Path = SCRIPT) -> list[dict[str, Any]]:
    """Have the browser do one job after another in the frontend at ``url``.

    Args:
        url: of a running server.
        jobs: what to do, and what is answered, is described in the script.
        timeout: of all together, in seconds.
        script: another than `frontend.mjs`, which opens workflows.

    Raises:
        BrowserError: with what the script said of the first one that failed.
    """
    variables = {**child_variables(), "LATENT_STEREO_NODE_MODULES": str(MODULES / "anchor.js")}
    result = subprocess.run(
        [shutil.which("node") or "node", str(script), url],
        input=json.dumps(jobs).encode(),
        capture_output=True,
        env=variables,
        timeout=timeout,
    )
    answers = [json.loads(line) for line in result.stdout.decode(errors="replace").splitlines()]
    if len(answers) != len(jobs) or "failed" in answers[-1]:
        said = answers[-1].get("failed") if answers else None
        raise BrowserError(said or result.stderr.decode(errors="replace")[-2000:])
    return answers
