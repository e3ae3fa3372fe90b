"""Several processes at one film: ``python -m tests.host.film.crowd COUNT WORDS``, with words of ``tools/film.py``.

They are forked from one that has loaded the host, which takes most of the time. The exit code says how many of them
were killed, or counts all where one failed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import torch

from tools import film, film_run


def main(count: int, words: list[str]) -> int:
    options = film.parse(words)
    with tempfile.TemporaryDirectory() as base:
        host = film_run.load(Path(base), options)
        workers = [_worker(host, options) for _ in range(count)]
        ended = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
    return sum(code < 0 for code in ended) if all(code <= 0 for code in ended) else count


def _worker(host: dict[str, type], options: object) -> int:
    worker = os.fork()
    if worker:
        return worker
    code = 1
    try:
        with torch.inference_mode():
            code = film_run.make(host, options)
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
