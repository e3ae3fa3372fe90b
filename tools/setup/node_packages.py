"""Install the headless browser's packages into .host/frontend, pinned by tools/frontend/package-lock.json."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess

from tools.setup.home import HOME, ROOT, only_one_setup, read_stamp, remove_tree, run_watched, say, write_stamp

SOURCE = ROOT / "tools" / "frontend"
FILES = ("package.json", "package-lock.json")
OLDEST_NODE = 18


class NodePackagesError(Exception):
    """The packages are not there; the message says why."""


def prepare() -> None:
    """Install the packages unless they are there already.

    Raises:
        NodePackagesError: no Node.js or an old one, or npm failed.
    """
    with only_one_setup():
        lock = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
        if read_stamp("frontend") == lock and (HOME / "frontend" / "node_modules").is_dir():
            return
        npm = find_npm()
        say("Installing the headless browser (70 MB)")
        try:
            install(npm)
        finally:
            remove_tree(HOME / "frontend.partial")
        write_stamp("frontend", lock)


def install(npm: str) -> None:
    """Put the packages into .host/frontend, all or none."""
    partial, cache = HOME / "frontend.partial", HOME / "cache" / "npm"
    remove_tree(partial)
    partial.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(SOURCE / name, partial / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", str(cache)]
    said: list[str] = []
    failed = run_watched(command, said.append, cwd=partial)
    output = "".join(said)
    with open(HOME / "setup.log", "a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"\n{' '.join(command)}\n{output}")
    if failed:
        errors = re.findall(r"npm error (?!code|errno|A complete log)(.+)", output)
        reason = errors[0] if errors else output.strip()[-200:]
        raise NodePackagesError(f"npm could not install the headless browser: {reason} ({HOME / 'setup.log'})")
    remove_tree(HOME / "frontend")
    os.replace(partial, HOME / "frontend")
    remove_tree(cache)


def has_node() -> bool:
    return shutil.which("node") is not None and shutil.which("npm") is not None


def find_npm() -> str:
    """Return the npm command of a Node.js that is new enough.

    Raises:
        NodePackagesError: there is none.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NodePackagesError("Node.js with npm is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    match = re.match(r"v(\d+)", version)
    if match is None or int(match[1]) < OLDEST_NODE:
        raise NodePackagesError(f"Node.js is {version or 'broken'}; the browser needs {OLDEST_NODE} or newer")
    return npm
