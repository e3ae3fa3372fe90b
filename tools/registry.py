"""Make the archive that the Comfy Registry gets, and put the publisher's names where they belong.

python tools/registry.py                   the archive in output/registry, its contents and its size
python tools/registry.py --publisher ID    first the names: the publisher's id, and ID/latent-stereo on GitHub
python tools/registry.py --publisher ID --repository OWNER/NAME

Then, in the folder that it names: comfy node validate, comfy node publish. It needs git, and nothing beyond Python.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.host.server import PACK_FILES, PACK_NAME  # noqa: E402
from tools.setup.home import ROOT  # noqa: E402

OUTPUT = ROOT / "output" / "registry"
NAMED = ("pyproject.toml", "README.md")  # the files that hold the publisher's names
PUBLISHER = re.compile(r'^(PublisherId = )"([^"]*)"$', re.MULTILINE)
IGNORED = ".comfyignore\n.ruff_cache/\n"  # what the registry's own checks leave in the folder
REPOSITORY = re.compile(r'^Repository = "https://github\.com/([^"]+)"$', re.MULTILINE)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tools/registry.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--publisher", metavar="ID", help="your publisher id in the Comfy Registry")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="on GitHub; default: ID/latent-stereo")
    options = parser.parse_args(arguments)
    if options.publisher is None and options.repository is not None:
        parser.error("--repository needs --publisher")
    if options.publisher is not None:
        options.repository = options.repository or f"{options.publisher}/{PACK_NAME}"
        if not re.fullmatch(r"[a-zA-Z0-9][\w-]*", options.publisher):
            parser.error(f"{options.publisher} is no publisher id: it has letters, digits and hyphens")
        if not re.fullmatch(r"[a-zA-Z0-9][\w.-]*/[\w.-]+", options.repository):
            parser.error(f"{options.repository} is no repository: name it as OWNER/NAME")
    return options


def fill_in(root: Path, publisher: str, repository: str) -> None:
    """Replace the publisher's id, and the repository in every address, in the files that hold them."""
    before = REPOSITORY.search((root / "pyproject.toml").read_text(encoding="utf-8"))[1]
    for name in NAMED:
        text = (root / name).read_text(encoding="utf-8")
        text = PUBLISHER.sub(rf'\g<1>"{publisher}"', text)
        for site in ("https://github.com/", "https://raw.githubusercontent.com/"):
            text = text.replace(f"{site}{before}", f"{site}{repository}")
        (root / name).write_text(text, encoding="utf-8", newline="\n")


def tracked(root: Path) -> list[str]:
    """The pack's files that git knows: no tests, no tools, and nothing that merely lies about."""
    command = ["git", "ls-files", "-z", "--", *PACK_FILES]
    listed = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (root / name).is_file())


def make_archive(root: Path, output: Path) -> tuple[Path, Path]:
    """Copy the pack's files into a folder, which ``comfy node publish`` takes whole, and zip them.

    Returns:
        The folder and the archive.
    """
    folder, archive = output / PACK_NAME, output / f"{PACK_NAME}.zip"
    shutil.rmtree(folder, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in tracked(root):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
            zipped.write(root / name, name)
    (folder / ".comfyignore").write_text(IGNORED, encoding="utf-8")
    return folder, archive


def main() -> int:
    options = parse()
    if options.publisher is not None:
        fill_in(ROOT, options.publisher, options.repository)
    try:
        folder, archive = make_archive(ROOT, OUTPUT)
    except (FileNotFoundError, subprocess.CalledProcessError):
        print("The list of files comes from git: run this in a clone, with git installed.", file=sys.stderr)
        return 1
    with zipfile.ZipFile(archive) as zipped:
        parts: Counter[str] = Counter()
        for entry in zipped.infolist():
            parts[entry.filename.split("/")[0]] += entry.compress_size
        count = len(zipped.namelist())
    for part, size in parts.most_common():
        print(f"{size / 1000:8.0f} kB  {part}")
    print(f"{archive.stat().st_size / 1000:8.0f} kB  {count} files: {archive.relative_to(ROOT).as_posix()}")
    publisher = PUBLISHER.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[2]
    print(f"\nPublisher: {publisher}. Next, in {folder.relative_to(ROOT).as_posix()}:")
    print("comfy node validate\ncomfy node publish")
    return 0


if __name__ == "__main__":
    sys.exit(main())
