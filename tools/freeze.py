"""Keep what this version of the pack promises in the tests, for all later versions: run it when a version is published.

    python tools/freeze.py

Writes the shipped workflows, their prompts and the nodes' contract to tests/host/frozen/VERSION. From then on the tests
open them in the frontend, and ask that they mean what they meant.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.host import workflow_file  # noqa: E402
from tools.setup.home import ROOT  # noqa: E402

CONTRACT = ROOT / "tests" / "host" / "schema_contract.json"


def version() -> str:
    """The version that pyproject.toml names."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def freeze(folder: Path) -> int:
    """Write everything into a new folder; return how many workflows there are."""
    for name in workflow_file.names():
        for kind, content in (("workflows", workflow_file.load(name)), ("prompts", workflow_file.load_prompt(name))):
            file = folder / kind / f"{name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    (folder / CONTRACT.name).write_text(CONTRACT.read_text(encoding="utf-8"), encoding="utf-8")
    return len(workflow_file.names())


def main() -> int:
    """Freeze this version, once."""
    argparse.ArgumentParser(
        prog="python tools/freeze.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    folder = workflow_file.FROZEN / version()
    if folder.exists():
        print(f"{version()} is kept already. Raise the version in pyproject.toml first.", file=sys.stderr)
        return 1
    print(f"{freeze(folder)} workflows of {version()} in {folder.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
