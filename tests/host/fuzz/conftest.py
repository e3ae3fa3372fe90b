"""Counts what became of the random graphs."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    ends = Counter(end for report in reports for name, end in report.user_properties if name == "fuzz")
    if ends:
        told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        terminalreporter.write_line(f"{sum(ends.values())} random graphs: {told}")
