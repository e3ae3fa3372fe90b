"""Install the headless browser's packages into .host/frontend, pinned by tools/frontend/package-lock.json."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess

from tools.setup.home import HOME, ROOT, child_variables, read_stamp, remove_tree, say, write_stamp

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
    lock = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    target = HOME / "frontend"
    if read_stamp("frontend") == lock and (target / "node_modules").is_dir():
        return
    npm = find_npm()
    say("Installing the headless browser (70 MB)")
    partial = HOME / "frontend.partial"
    remove_tree(partial)
    partial.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(SOURCE / name, partial / name)
    cache = HOME / "cache" / "npm"
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", str(cache)]
    result = subprocess.run(
        command, cwd=partial, env=child_variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    with open(HOME / "setup.log", "a", encoding="utf-8") as log:
        log.write(f"\n{' '.join(command)}\n{result.stdout}{result.stderr}")
    if result.returncode:
        errors = re.findall(r"npm error (?!code|errno|A complete log)(.+)", result.stderr)
        reason = errors[0] if errors else result.stderr.strip()[-200:]
        raise NodePackagesError(f"npm could not install the headless browser: {reason} ({HOME / 'setup.log'})")
    remove_tree(target)
    os.replace(partial, target)
    remove_tree(cache)
    write_stamp("frontend", lock)


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
