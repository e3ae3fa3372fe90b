"""Progress of a prompt: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

from tools.host.workflow_file import Prompt


class Bar:
    """Counts the prompt's nodes; long nodes count by their own steps. Use as context manager and callback."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._started: list[str] = []
        self._bar: tqdm | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            shape = "{desc:<28.28} {percentage:3.0f}% |{bar}| {elapsed}"
            self._bar = tqdm(total=len(self._prompt), bar_format=shape, file=sys.stderr)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar is not None:
            if kind is None:
                self._show(len(self._prompt), "done")
            self._bar.close()

    def __call__(self, node: str, value: int, maximum: int) -> None:
        new = node not in self._started
        if new:
            self._started.append(node)
        title = self._prompt.get(node, {}).get("_meta", {}).get("title", node)
        if self._bar is not None:
            self._show(len(self._started) - 1 + min(value / max(maximum, 1), 1), title)
        elif new:
            print(f"  {len(self._started)}/{len(self._prompt)} {title}", flush=True)

    def _show(self, done: float, title: str) -> None:
        assert self._bar is not None
        self._bar.set_description_str(title, refresh=False)
        self._bar.n = done
        self._bar.refresh()
