"""Print the benchmark tables: python tools/bench.py, all of them, or one of TABLES by its name."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment  # noqa: E402

TABLES = (
    "quality",
    "edges",
    "tiles",
    "texture",
    "composite",
    "clip_fill",
    "stereo",
    "speed",
    "sampling",
    "video",
    "composition",
    "depth",
    "steadying",
    "splat",
    "film",
    "memory",
)
# With options of their own; hours on a CPU, or on files that must be named.
ASKING = ("toy", "rod", "stereodiffusion", "clips", "matrices")
IN_PARTS = ("splat",)  # of TABLES, which print the parts that are named after them


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the benchmark tables.")
    parser.add_argument(
        "table",
        nargs="?",
        metavar="TABLE",
        choices=(*TABLES, *ASKING, "all"),
        default="all",
        help=f"one of: {', '.join(TABLES)}; default: all of them. With options of its own: {', '.join(ASKING)} --help",
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    table, options = parsed.table, parsed.options
    if options and table not in (*ASKING, *IN_PARTS):
        parser.error(f"unrecognized arguments: {' '.join(options)}")
    environment.enter(__file__)
    environment.stop_on_signals()  # what was made for this run goes with it
    try:
        return _run(table, options)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130


def _run(table: str, options: Sequence[str]) -> int:
    if table == "all":
        # Each in a process of its own, whose memory is its own: some load the host, each with its own options.
        return max(subprocess.run([sys.executable, __file__, name]).returncode for name in TABLES)
    # Only inside the environment: the benchmarks import torch and scikit-image.
    main_of = importlib.import_module(f"tools.benchmarks.{table}").main
    return (main_of(options) if table in (*ASKING, *IN_PARTS) else main_of()) or 0


if __name__ == "__main__":
    sys.exit(main())
