"""The real frontend in a headless browser, driven by `tools/frontend/frontend.mjs`."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tools.setup.environment import HOME, ROOT, child_variables

SCRIPT = ROOT / "tools" / "frontend" / "frontend.mjs"
STOP_SECONDS = 20
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


def browse(url: str, jobs: list[dict[str, Any]], timeout: float = 1000, script: Path = SCRIPT) -> list[dict[str, Any]]:
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
    with subprocess.Popen(
        [shutil.which("node") or "node", str(script), url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
    ) as process:
        try:
            out, error = process.communicate(json.dumps(jobs).encode(), timeout)
        except subprocess.TimeoutExpired:
            raise BrowserError(f"The browser was not done with {len(jobs)} jobs in {timeout:.0f} seconds.") from None
        finally:
            end(process)
    answers = [json.loads(line) for line in out.decode(errors="replace").splitlines()]
    if len(answers) != len(jobs) or "failed" in answers[-1]:
        said = answers[-1].get("failed") if answers else None
        raise BrowserError(said or error.decode(errors="replace")[-2000:])
    return answers


def end(process: subprocess.Popen[bytes]) -> None:
    """End the driver, which ends its browser when it is asked: one that is left would keep the machine busy."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    process.kill()
