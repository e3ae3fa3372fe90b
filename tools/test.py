"""Run all tests, setting up what they need: python tools/test.py [pytest arguments]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment, node_packages  # noqa: E402


def main() -> int:
    environment.enter(__file__)
    try:
        node_packages.prepare()
    except node_packages.NodePackagesError as error:
        # Where nobody looks at the skipped tests, a browser that could not be installed must not go unnoticed.
        if os.environ.get("CI", "").lower() == "true" and node_packages.has_node():
            print(f"\n{error}", file=sys.stderr)
            return 1
        environment.say(f"Tests with a browser are skipped: {error}")
    except OSError as error:
        print(f"\n{environment.explain_os_error(error)}", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    return environment.run_child(command, environment.child_variables(), cwd=environment.ROOT)


if __name__ == "__main__":
    sys.exit(main())
