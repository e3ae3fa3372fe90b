"""Print the benchmark tables: python tools/bench.py [quality|speed|sampling|video|composition|toy|all]."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the benchmark tables.")
    parser.add_argument(
        "table",
        nargs="?",
        choices=("quality", "speed", "sampling", "video", "composition", "toy", "all"),
        default="all",
    )
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="the toy model's; default: the shipped ones")
    options = parser.parse_args()
    table = options.table
    environment.enter(__file__)
    # Only inside the environment: these import torch and scikit-image.
    if table in ("quality", "all"):
        from tools.benchmarks import quality

        quality.main()
    if table in ("speed", "all"):
        from tools.benchmarks import speed

        speed.main()
    if table in ("sampling", "all"):
        from tools.benchmarks import sampling

        sampling.main()
    if table == "video":
        from tools.benchmarks import video

        video.main()
    if table == "all":
        # In a process of its own, whose memory is its own: the host is loaded with other attention.
        subprocess.run([sys.executable, __file__, "video"], check=True)
    if table in ("composition", "all"):
        from tools.benchmarks import composition

        composition.main()
    if table in ("toy", "all"):
        from tools.benchmarks import toy

        code = toy.main(options.weights)
        return code if table == "toy" else 0  # the other tables do not need the weights
    return 0


if __name__ == "__main__":
    sys.exit(main())
