"""Printing of GitHub-flavoured tables and of the machine that the figures belong to."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import torch


def machine(device: str) -> str:
    """Name the machine: processor, cores that torch uses, versions."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return f"{name}, {os.cpu_count()} cores, {counted(torch.get_num_threads(), 'thread')}, torch {torch.__version__}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are figures."""
    add = open_table(header)
    for row in rows:
        add(row)
    print()


def open_table(header: Sequence[str]) -> Callable[[Sequence[str]], None]:
    """Print the head of a table, and return what prints a row at once, for those that take long."""

    def add(row: Sequence[str]) -> None:
        print(f"| {' | '.join(row)} |", flush=True)

    add(header)
    print(f"|---|{'---:|' * (len(header) - 1)}")
    return add


def counted(count: int, one: str) -> str:
    """Name a number of things whose plural ends with s."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
