"""Save the shipped workflows again through ComfyUI's real frontend, and with them their API form in tools/prompts.

    python tools/workflows.py [NAME ...] [--screenshots FOLDER]

Run it after a node has changed, or after a workflow was edited in the frontend and saved over its file. What was
arranged there stays. Needs Node.js. The thumbnails are drawn by tools/thumbnails.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.frontend.browser import BrowserError, browse, missing  # noqa: E402
from tools.host import workflow_file  # noqa: E402
from tools.host.server import running  # noqa: E402
from tools.host.workflow_file import Info, Prompt  # noqa: E402
from tools.setup import environment  # noqa: E402
from tools.setup.node_packages import NodePackagesError, prepare  # noqa: E402

# What the person who arranged the graph decides. The frontend changes some of it whenever it loads a file.
ARRANGEMENT = ("id", "groups", "extra")
ARRANGEMENT_OF_A_NODE = ("pos", "size")
SHOWN = 10  # changes of a workflow


def resaved(shipped: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow as the frontend saves it, arranged as in its file.

    Args:
        shipped: what the file holds.
        saved: what the frontend made of it.
    """
    places = {node["id"]: {key: node[key] for key in ARRANGEMENT_OF_A_NODE} for node in shipped["nodes"]}
    nodes = [node | places[node["id"]] for node in saved["nodes"]]
    for node in nodes:
        # The frontend writes this for a node without widgets that was loaded, not for one that was just added.
        if node.get("widgets_values") == []:
            del node["widgets_values"]
    return {**saved, **{key: shipped[key] for key in ARRANGEMENT}, "nodes": nodes}


def api_form(prompt: Prompt, info: Info) -> Prompt:
    """A prompt without the widgets that only the page has, such as a player: it appears where the clip is found.

    Args:
        prompt: from the frontend.
        info: the server's description of its nodes.
    """
    known = {kind: {name for section in info[kind]["input"].values() for name in section} for kind in info}
    return {
        id: {
            **node,
            # A widget that belongs to a choice is named choice.widget.
            "inputs": {k: v for k, v in node["inputs"].items() if k.split(".")[0] in known[node["class_type"]]},
        }
        for id, node in prompt.items()
    }


def changes(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield where two JSON values differ: ``nodes[3].widgets_values[0]: 1.0 -> 2.0``."""
    if isinstance(old, list) and isinstance(new, list):
        parts = dict(enumerate(old)), dict(enumerate(new))
        where = f"{place}[{{}}]"
    elif isinstance(old, dict) and isinstance(new, dict):
        parts = old, new
        where = f"{place}.{{}}" if place else "{}"
    else:
        if old != new:
            yield f"{place}: {old} -> {new}"
        return
    before, after = parts
    for key in {**before, **after}:
        if key not in before:
            yield f"{where.format(key)}: new: {after[key]}"
        elif key not in after:
            yield f"{where.format(key)}: gone: {before[key]}"
        else:
            yield from changes(before[key], after[key], where.format(key))


def save(name: str, answer: Mapping[str, Any], info: Info) -> list[str]:
    """Save a workflow and its API form from the frontend's answer; return what changed.

    Raises:
        BrowserError: a node is unknown, or the page reported errors; nothing is saved.
    """
    if answer["missing"] or answer["errors"]:
        raise BrowserError(f"{name}: nodes missing: {answer['missing']}, errors in the page: {answer['errors']}")
    told = []
    for folder, saved in (
        (workflow_file.WORKFLOWS, resaved(workflow_file.load(name), answer["workflow"])),
        (workflow_file.PROMPTS, api_form(answer["prompt"], info)),
    ):
        file = folder / f"{name}.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        file.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
        told += [f"{folder.name}: {change}" for change in changes(before, saved)]
    return told


def main() -> int:
    """Save the named workflows, or all."""
    parser = argparse.ArgumentParser(
        prog="python tools/workflows.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="for a picture of each graph")
    options = parser.parse_args()
    known = workflow_file.names()
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no workflow {', '.join(sorted(unknown))}; shipped are: {', '.join(known)}")
    environment.enter(__file__)
    names = options.names or known
    jobs: list[dict[str, Any]] = [{"name": name, "workflow": workflow_file.load(name)} for name in names]
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            job["screenshot"] = str((options.screenshots / f"{job['name']}.png").resolve())
    try:
        prepare()
        if reason := missing():
            raise BrowserError(reason)
        with running(cpu=True) as server:
            info, answers = server.object_info(), browse(server.url, jobs)
        for name, answer in zip(names, answers, strict=True):
            told = save(name, answer, info)
            print(f"{name}: {len(told)} changes" if told else f"{name}: unchanged")
            for change in told[:SHOWN]:
                print(f"  {change[:200]}")
            if len(told) > SHOWN:
                print("  ...")
    except (BrowserError, NodePackagesError) as error:
        print(f"Not saved: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
