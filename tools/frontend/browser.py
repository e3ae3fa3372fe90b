"""The real frontend in a headless browser, driven by `tools/frontend/frontend.mjs`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
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


def browse(url: str, job: dict[str, Any], timeout: float = 400) -> dict[str, Any]:
    """Have the browser do one job on the frontend at ``url``; `frontend.mjs` lists the jobs.

    Raises:
        BrowserError: with what the script said.
    """
    variables = {**child_variables(), "LATENT_STEREO_NODE_MODULES": str(MODULES / "anchor.js")}
    result = subprocess.run(
        [shutil.which("node") or "node", str(SCRIPT), url],
        input=json.dumps(job).encode(),
        capture_output=True,
        env=variables,
        timeout=timeout,
    )
    lines = result.stdout.decode(errors="replace").strip().splitlines()
    answer = json.loads(lines[-1]) if lines else {"failed": result.stderr.decode(errors="replace")[-2000:]}
    if "failed" in answer:
        raise BrowserError(answer["failed"])
    return answer
