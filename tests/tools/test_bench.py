"""The command of the benchmarks, without a benchmark."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import bench


@pytest.fixture(autouse=True)
def kept_signals() -> Iterator[None]:
    """The command sets what these do; the tests go on with what they did."""
    kept = {name: signal.getsignal(getattr(signal, name)) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)}
    yield
    for name, handler in kept.items():
        signal.signal(getattr(signal, name), handler)


def stand_in(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None]) -> None:
    """In place of the table of depth, in an environment that is complete."""
    monkeypatch.setattr(bench.importlib, "import_module", lambda _: SimpleNamespace(main=main))
    monkeypatch.setattr(bench.environment, "enter", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["bench.py", "depth"])


def test_ctrl_c_ends_every_table_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped() -> None:
        raise KeyboardInterrupt

    stand_in(monkeypatch, stopped)
    assert bench.main() == 130
    assert "Stopped." in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once")
def test_a_run_that_is_ended_takes_its_folder_with_it(monkeypatch: pytest.MonkeyPatch):
    made: list[Path] = []

    def ended() -> None:
        with tempfile.TemporaryDirectory() as base:
            made.append(Path(base))
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, lambda *_: None)  # else the tests would end, too
    stand_in(monkeypatch, ended)
    with pytest.raises(SystemExit) as stopped:
        bench.main()
    assert stopped.value.code == 128 + signal.SIGTERM and not made[0].exists()
