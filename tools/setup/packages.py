"""Python packages: a virtual environment in .host/venv with what requirements.lock pins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tools.setup.home import HOME, ROOT, SetupError, child_variables, remove_tree, run_watched, say

LOCK = ROOT / "tools" / "requirements.lock"


def venv_python() -> Path:
    return HOME / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install_packages(python: Path) -> None:
    """Make the virtual environment and install requirements.lock into it, or finish doing so."""
    (HOME / "packages.json").unlink(missing_ok=True)
    if not works(python):
        say("Making a virtual environment in .host/venv")
        remove_tree(HOME / "venv")
        said: list[str] = []
        try:
            run_watched([sys.executable, "-m", "venv", str(HOME / "venv")], said.append)
        finally:
            made = works(python)
            if not made:
                remove_tree(HOME / "venv")
        if not made:
            raise SetupError(explain_venv("".join(said)))
    forget_half_installed(HOME / "venv")
    say("Installing the Python packages (once; several GB with CUDA on Linux, under 1 GB elsewhere)")
    run_pip(
        python,
        ["install", "--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK)],
        "the Python packages",
    )
    remove_tree(HOME / "cache" / "pip")


def explain_venv(output: str) -> str:
    if "ensurepip" in output:
        return (
            "This Python cannot make virtual environments. Install its venv package "
            "(Debian, Ubuntu: apt install python3-venv), then run the command again."
        )
    return f"The virtual environment could not be made: {output.strip()}"


def works(python: Path) -> bool:
    """Whether the environment's interpreter runs and finds its packages; not so after its Python was replaced."""
    if not python.is_file():
        return False
    return subprocess.run([str(python), "-c", "import pip"], env=child_variables(), capture_output=True).returncode == 0


def forget_half_installed(venv: Path) -> None:
    """Remove the records of packages whose installation was cut off, so that pip installs them again.

    pip takes a package with a METADATA file for installed; it writes INSTALLER after all other files.
    """
    for metadata in venv.rglob("*.dist-info"):
        if not (metadata / "INSTALLER").is_file():
            remove_tree(metadata)


def run_pip(python: Path, arguments: list[str], what: str) -> None:
    """Run pip with its output in .host/setup.log and a short line per large download.

    Raises:
        SetupError: with the likely cause; downloads made so far are kept in .host/cache for the next run.
    """
    command = [str(python), "-m", "pip", *arguments]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if not os.environ.get("PIP_CACHE_DIR"):
        # Downloads stay in the clone until the set-up is finished, so that a cut-off one goes on from there.
        command += ["--cache-dir", str(HOME / "cache" / "pip")]
    said: list[str] = []
    remove_leftovers()
    try:
        with open(HOME / "setup.log", "a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"\n{time.asctime()} pip {' '.join(arguments)}\n")

            def watch(line: str) -> None:
                log.write(line)
                said.append(line)
                show_progress(line)

            failed = run_watched(command, watch)
    finally:
        remove_leftovers()
    if failed:
        raise SetupError(explain_pip("".join(said), what))


def remove_leftovers() -> None:
    """Remove what a pip that was ended left in the temporary folder: several GB."""
    for folder in (HOME / "tmp").glob("pip-*"):
        remove_tree(folder)


def show_progress(line: str) -> None:
    match = re.match(r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?([\w.]+)-\S*(?: \(([\d.]+ [MG]B)\))?", line)
    if match and match[2] and float(match[2].split()[0]) >= 50:
        say(f"  {match[1]} ({match[2]})")
    elif line.startswith("Installing collected packages"):
        say("  unpacking; this takes a few minutes")


def explain_pip(output: str, what: str) -> str:
    """Name the cause of a failed pip run from its output."""
    text = output.lower()
    again = "then run the command again"
    log = f"(Everything pip said: {HOME / 'setup.log'})"
    if "no space left" in text or "errno 28" in text or "not enough space" in text:
        return f"The disk of {HOME} is full. Free some space, {again}. {log}"
    if "do not match the hashes" in text or "hashes are required" in text:
        return (
            f"A download does not have the expected checksum; it was not installed. Check the network, {again}. {log}"
        )
    cut_off = ("connection", "getaddrinfo", "name resolution", "name or service", "timed out", "unreachable", "proxy")
    if any(word in text for word in cut_off):
        return f"No connection to the package registry, so {what} could not be fetched. Connect, {again}. {log}"
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or output.splitlines()[-1:]
    return f"{what[0].upper()}{what[1:]} could not be installed: {' '.join(errors[:1])} {log}"
