"""Run the tests, setting up what they need.

python tools/test.py                 all of them
python tools/test.py core            those that need no ComfyUI: the core and the tools
python tools/test.py host            those with ComfyUI, without a browser
python tools/test.py browser         those with ComfyUI's frontend in a headless browser
python tools/test.py --pythons       the set-up and the core's tests on every Python from 3.10 that is on this machine

Further arguments go to pytest. The tests run in as many processes as there are cores, at most 4,
each with one thread; with -n, -p or --pdb among the arguments, in one or as -n says.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment, interpreters, node_packages  # noqa: E402

LANES = {
    "core": ["tests/core", "tests/tools"],
    "host": ["tests/host", "-m", "not browser"],
    "browser": ["tests/host", "-m", "browser"],
}
WITHOUT_BROWSER = ("core", "host")
MOST_PROCESSES = 4  # each holds its own ComfyUI in memory


def main() -> int:
    arguments = sys.argv[1:]
    lane = arguments.pop(0) if arguments and arguments[0] in LANES else None
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if lane is None and arguments[:1] == ["--pythons"]:
        environment.stop_on_signals()
        return interpreters.run_on_all([__file__, "core", *arguments[1:]])
    environment.enter(__file__)
    try:
        if lane not in WITHOUT_BROWSER:
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
    command = [sys.executable, "-m", "pytest", *LANES.get(lane or "", []), *processes(arguments), *arguments]
    # The tests of a file share what is slow to make; processes share the cores, so none takes all of them.
    variables = environment.child_variables() | ({"OMP_NUM_THREADS": "1"} if "--dist" in command else {})
    return environment.run_child(command, variables, cwd=environment.ROOT)


def processes(arguments: list[str]) -> list[str]:
    """Pytest's arguments for several processes; none where the person's say how to run, or there is but one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(cores, MOST_PROCESSES)
    if count == 1 or any(argument.startswith(("-n", "-p", "--pdb", "--numprocesses")) for argument in arguments):
        return []
    return ["-n", str(count), "--dist", "loadfile"]


if __name__ == "__main__":
    sys.exit(main())
