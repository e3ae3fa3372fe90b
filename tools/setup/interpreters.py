"""A command run on every Python that the project supports, each with a set-up of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tools.setup.environment import NEWEST_PYTHON, OLDEST_PYTHON, READY
from tools.setup.home import HOME, dotted, remove_tree, run_child, say

SUPPORTED = [(OLDEST_PYTHON[0], minor) for minor in range(OLDEST_PYTHON[1], NEWEST_PYTHON[1] + 1)]
INTERRUPTED = 130


def run_on_all(command: list[str]) -> int:
    """Run ``python *command`` on one Python after another and say for each how it went.

    Each is set up below .host/pythons as in a fresh clone, and taken away again: one at a time needs its 6 GB.
    Downloads are shared.

    Returns:
        0, or 1 when one failed or there is none; 130 after Ctrl-C.
    """
    folder, results, code = HOME / "pythons", [], 0
    remove_tree(folder)
    folder.mkdir(parents=True)
    try:
        for version in SUPPORTED:
            name = f"Python {dotted(version)}"
            python = find_python(version)
            if python is None:
                results.append(f"{name}  skipped: not found (uv python install, pyenv install or a package brings it)")
                continue
            say(f"\n{name}: {python}")
            start = time.monotonic()
            place = folder / dotted(version)
            code = run_child([str(python), *command], variables(place))
            results.append(f"{name}  {f'failed ({code})' if code else 'passed'} in {time.monotonic() - start:.0f} s")
            remove_tree(place)
            if code == INTERRUPTED:
                return code
    finally:
        remove_tree(folder)
        say("\n" + "\n".join(results))
    return 0 if any("passed" in line for line in results) and not any("failed" in line for line in results) else 1


def variables(place: Path) -> dict[str, str]:
    """The person's variables, for a command that sets itself up in ``place``."""
    kept = {name: value for name, value in os.environ.items() if name != READY}
    return {"PIP_CACHE_DIR": str(HOME / "pythons" / "downloads")} | kept | {"LATENT_STEREO_HOME": str(place)}


def find_python(version: tuple[int, int]) -> Path | None:
    """Return a Python of this version that runs: on the PATH, from pyenv or uv, or as the launcher of Windows says."""
    # Not one without the GIL: PyTorch has no packages for it in every version.
    code = (
        "import sys, sysconfig; free = sysconfig.get_config_var('Py_GIL_DISABLED')\n"
        "print(*sys.version_info[:2], sep='.', end='t\\n' if free else '\\n'); print(sys.executable)"
    )
    for candidate in candidates(dotted(version)):
        try:
            answer = subprocess.run([*candidate, "-c", code], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        lines = answer.stdout.splitlines()
        if answer.returncode == 0 and lines[0] == dotted(version):
            return Path(lines[1])
    return None


def candidates(version: str) -> Iterator[list[str]]:
    yield [getattr(sys, "_base_executable", sys.executable)]
    for name in (f"python{version}", "python3", "python"):
        if found := shutil.which(name):
            yield [found]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python")
    for folder in (*pyenv.glob(f"versions/{version}.*"), *uv.glob(f"cpython-{version}.*")):
        yield [str(folder / "bin" / "python3")]
    if sys.platform == "win32":
        yield ["py", f"-{version}"]
