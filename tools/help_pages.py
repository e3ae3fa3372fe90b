"""Write the tables of inputs and outputs into the nodes' help pages, from the nodes themselves.

    python tools/help_pages.py [--check]

What a socket or widget means is written once, in its tooltip. Everything else on a page is written by hand.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.host.in_process import load_host, pack_schemas  # noqa: E402
from tools.host.server import find_host  # noqa: E402
from tools.setup import environment  # noqa: E402

PAGES = environment.ROOT / "web" / "docs"
# Widgets whose options are the host's own lists: not for a page that must not change with the host.
_MOST_OPTIONS = 8
_OF_THE_HOST = {"folder", "model_name"}  # there may be few of them


def page_with_tables(page: str, schema: Any) -> str:
    """Return a page with the tables of a node's schema below its headings Inputs and Outputs.

    Raises:
        ValueError: a page without one of the headings that its node needs.
    """
    if schema.inputs:
        page = _with_table(page, "Inputs", map(_input_row, schema.inputs))
    if schema.outputs:
        page = _with_table(page, "Outputs", map(_output_row, schema.outputs))
    return page


def _with_table(page: str, heading: str, rows: Iterator[list[str]]) -> str:
    # Two columns: the editor's panel is no wider than a telephone's screen.
    lines = [["name", "meaning"], ["---", "---"], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    found = re.search(rf"^## {heading}\n\n(\|.*\n)*", page, flags=re.MULTILINE)
    if found is None:
        raise ValueError(f"the page has no heading '## {heading}' with an empty line below it.")
    before, after = page[: found.start()], page[found.end() :].lstrip("\n")
    return "\n".join([f"{before}## {heading}\n\n{table}", *(["", after] if after else [""])])


def _input_row(value: Any) -> list[str]:
    values = _values(value)
    return [f"`{value.id}`", f"{_sentence(value.tooltip)}<br>*{_kind(value)}{values and f'; {values}'}*"]


def _output_row(value: Any) -> list[str]:
    return [f"`{value.display_name}`", f"{_sentence(value.tooltip)}<br>*{_kind(value)}*"]


def _sentence(tooltip: str | None) -> str:
    text = re.sub(r"\s+", " ", (tooltip or "").replace("\n", " ")).strip()
    return text.replace("|", "\\|")


def _kind(value: Any) -> str:
    return value.get_io_type().replace(",", " or ")


def _values(value: Any) -> str:
    """The range or options, and the default."""
    parts = []
    options = None if value.id in _OF_THE_HOST else getattr(value, "options", None)
    low, high = getattr(value, "min", None), getattr(value, "max", None)
    if options and len(options) <= _MOST_OPTIONS:
        parts.append(", ".join(f"`{option}`" for option in options))
    elif low is not None and high is not None and math.isfinite(high) and high < 2**31:
        parts.append(f"{low:g} to {high:g}")
    default = getattr(value, "default", None)
    if default is not None and not isinstance(default, str | bool):
        parts.append(f"default {default:g}")
    elif default not in (None, "") and (options is None or len(options) <= _MOST_OPTIONS):
        parts.append(f"default {str(default).lower() if isinstance(default, bool) else f'`{default}`'}")
    if value.optional:
        parts.append("optional")
    return "; ".join(parts)


def main() -> int:
    """Write the pages, or tell which are not as they should be."""
    parser = argparse.ArgumentParser(
        prog="python tools/help_pages.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page would change")
    options = parser.parse_args()
    environment.enter(__file__)
    with tempfile.TemporaryDirectory() as folder:
        schemas = pack_schemas(load_host(find_host(), Path(folder)))
    stale = []
    for id, schema in schemas.items():
        file = PAGES / f"{id}.md"
        before = file.read_text(encoding="utf-8")
        after = page_with_tables(before, schema)
        if after != before:
            stale.append(id)
            if not options.check:
                file.write_text(after, encoding="utf-8")
    print("\n".join(stale) or "All pages are as their nodes have it.")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
