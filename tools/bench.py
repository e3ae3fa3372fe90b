"""Print the benchmark tables: python tools/bench.py [quality|speed|sampling|all]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import environment  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the benchmark tables.")
    parser.add_argument("table", nargs="?", choices=("quality", "speed", "sampling", "all"), default="all")
    table = parser.parse_args().table
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


if __name__ == "__main__":
    main()
