"""The headless browser as a process."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tools.frontend.browser import MODULES, end
from tools.setup.environment import ROOT, child_variables

LAUNCH = """
const { launch } = await import(process.argv[1]);
const browser = await launch();
console.log(browser.process().pid);
setInterval(() => {}, 1000);
"""


@pytest.mark.browser
def test_a_driver_that_is_not_done_in_time_takes_its_browser_along(screenshots: Path):  # noqa: ARG001  # it skips
    """One that stayed drew on, and what came after it had no time."""
    driver = (ROOT / "tools" / "frontend" / "chromium.mjs").as_uri()
    variables = {**child_variables(), "LATENT_STEREO_NODE_MODULES": str(MODULES / "anchor.js")}
    command = ["node", "--input-type=module", "-e", LAUNCH, driver]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as process:
        assert process.stdout is not None
        browser = int(process.stdout.readline())
        end(process)
    for _ in range(50):
        if not is_there(browser):
            return
        time.sleep(0.1)
    os.kill(browser, 9)
    pytest.fail("the browser is still there")


def is_there(process: int) -> bool:
    """Whether it runs; one that has ended and that nobody has buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
