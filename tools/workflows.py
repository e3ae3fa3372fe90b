"""Save the shipped workflows anew through the real frontend, from `workflow_descriptions.py`.

    python tools/workflows.py [NAME ...] [--screenshots FOLDER]

Needs Node.js. Thumbnails are pictures of the result, put beside the workflows by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment

environment.enter(__file__)

from tools.frontend.browser import BrowserError, browse, missing  # noqa: E402  # only inside the environment
from tools.host.server import running  # noqa: E402
from tools.workflow_descriptions import DESCRIPTIONS  # noqa: E402


def tidy(workflow: dict[str, Any]) -> dict[str, Any]:
    """Leave out where the view stood and what only this machine's frontend says."""
    return {**workflow, "extra": {}}


def main() -> int:
    """Save the named workflows, or all."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("names", nargs="*", default=list(DESCRIPTIONS), metavar="NAME")
    arguments.add_argument("--screenshots", type=Path, help="folder for a picture of each graph")
    options = arguments.parse_args()
    reason = missing()
    if reason:
        print(f"No workflow was saved: {reason}.", file=sys.stderr)
        return 1
    with running(cpu=True) as server:
        for name in options.names:
            job: dict[str, Any] = {"action": "build", "description": DESCRIPTIONS[name]()}
            if options.screenshots:
                options.screenshots.mkdir(parents=True, exist_ok=True)
                job["screenshot"] = str((options.screenshots / f"{name}.png").resolve())
            try:
                answer = browse(server.url, job)
            except BrowserError as error:
                print(f"{name} was not saved: {error}", file=sys.stderr)
                return 1
            if answer["missing"] or answer["errors"]:
                print(f"{name} was not saved: {answer['missing']} {answer['errors']}", file=sys.stderr)
                return 1
            file = environment.ROOT / "workflows" / f"{name}.json"
            file.write_text(json.dumps(tidy(answer["workflow"]), indent=1) + "\n", encoding="utf-8")
            print(f"saved {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
