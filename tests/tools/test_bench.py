"""The command of the benchmarks, without a benchmark."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import bench


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once")
def test_a_run_that_is_ended_takes_its_folder_with_it(monkeypatch: pytest.MonkeyPatch):
    made: list[Path] = []

    def ended() -> None:
        with tempfile.TemporaryDirectory() as base:
            made.append(Path(base))
            os.kill(os.getpid(), signal.SIGTERM)

    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, lambda *_: None)  # else the tests would end, too
    monkeypatch.setattr(bench.importlib, "import_module", lambda _: SimpleNamespace(main=ended))
    monkeypatch.setattr(bench.environment, "enter", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["bench.py", "depth"])
    try:
        with pytest.raises(SystemExit) as stopped:
            bench.main()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert stopped.value.code == 128 + signal.SIGTERM and not made[0].exists()
