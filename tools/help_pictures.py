"""Draw the pictures of the help pages: what goes into each node, and what comes out of it.

    python tools/help_pictures.py [NODE ...]

What needs no diffusion model is run in the host on real pictures; the rest is drawn and says so. NODE is the name of a
class, such as ImageStereoShift. A page shows its two pictures below its first paragraphs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment

environment.enter(__file__)

from PIL import Image  # noqa: E402  # only inside the environment

from tools.help.diagrams import diagrams  # noqa: E402
from tools.help.runs import results  # noqa: E402
from tools.help.sheet import drawn  # noqa: E402
from tools.host.in_process import load_host  # noqa: E402
from tools.host.server import find_host  # noqa: E402

PICTURES = environment.ROOT / "web" / "docs" / "pictures"
QUALITY = 66


def files(node: str) -> tuple[Path, Path]:
    """The two pictures of a node, by the name of its class."""
    return PICTURES / f"{node}_in.webp", PICTURES / f"{node}_out.webp"


def main() -> None:
    """Draw and save the pictures of the named nodes, or of all."""
    parser = argparse.ArgumentParser(
        prog="python tools/help_pictures.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="default: all")
    names = parser.parse_args().nodes
    pictures: dict[str, tuple[Image.Image, ...]] = {
        node: tuple(drawn(*each) for each in both) for node, both in diagrams().items()
    }
    if not names or set(names) - pictures.keys():
        with tempfile.TemporaryDirectory() as folder:
            pictures |= results(load_host(find_host(), Path(folder)))
    if unknown := set(names) - pictures.keys():
        parser.error(f"there are no pictures of {', '.join(sorted(unknown))}; of these: {', '.join(sorted(pictures))}")
    PICTURES.mkdir(exist_ok=True)
    for node in names or pictures:
        for file, picture in zip(files(node), pictures[node], strict=True):
            picture.save(file, quality=QUALITY, method=6)
    size = sum(file.stat().st_size for file in PICTURES.iterdir())
    print(f"{len(list(PICTURES.iterdir()))} pictures, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
