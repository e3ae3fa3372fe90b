"""Save the shipped workflows again through ComfyUI's real frontend, and with them their API form in tools/prompts.

    python tools/workflows.py [NAME ...] [--arrange] [--screenshots FOLDER]
    python tools/workflows.py [NAME ...] --check [--screenshots FOLDER]

Run it after a node has changed, or after a workflow was edited in the frontend and saved over its file. With --arrange
nobody needs to place nodes: put each into the frame of its step, upper ones above lower ones, and the rest follows (see
tools/frontend/arrangement.py). Without it, what was arranged in the frontend stays. --check saves nothing: it opens the
workflows in the host's frontend and in the newest one that is published, in both renderers of each. Needs Node.js. The
thumbnails are drawn by tools/thumbnails.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.frontend.arrangement import ArrangementError, arranged, unarranged  # noqa: E402
from tools.frontend.browser import BrowserError, browse, missing  # noqa: E402
from tools.frontend.newest import newest_frontend  # noqa: E402
from tools.host import workflow_file  # noqa: E402
from tools.host.server import running  # noqa: E402
from tools.host.workflow_file import Info, Prompt  # noqa: E402
from tools.setup import environment  # noqa: E402
from tools.setup.home import SetupError  # noqa: E402
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
    for file, saved in (
        (workflow_file.file_of(name), resaved(workflow_file.load(name), answer["workflow"])),
        (workflow_file.prompt_file_of(name), api_form(answer["prompt"], info)),
    ):
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        workflow_file.store(file, saved)
        told += [f"{file.parent.name}: {change}" for change in changes(before, saved)]
    return told


def arrange(url: str, names: list[str]) -> None:
    """Arrange workflows in their files, with room for both of the frontend's renderers.

    Args:
        url: of a running server.
        names: of the workflows.

    Raises:
        ArrangementError, BrowserError: nothing is saved.
    """
    jobs = [
        {"name": name, "workflow": unarranged(workflow_file.load(name)), "vue": vue, "measure": True}
        for vue in (False, True)
        for name in names
    ]
    answers = browse(url, jobs)
    done = {}
    for name, *both in zip(names, answers[: len(names)], answers[len(names) :], strict=True):
        sizes = {
            id: (max(answer["sizes"][id][0] for answer in both), max(answer["sizes"][id][1] for answer in both))
            for id in both[0]["sizes"]
        }
        try:
            done[name] = arranged(workflow_file.load(name), sizes)
        except ArrangementError as error:
            raise ArrangementError(f"{name}: {error}") from error
    for name, workflow in done.items():
        workflow_file.store(workflow_file.file_of(name), workflow)


def looks(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """Jobs that draw each workflow in both renderers: as it opens, and the whole graph."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        {
            "name": name,
            "workflow": workflow_file.load(name),
            "vue": renderer == "vue",
            "view": str((folder / f"{name}.{renderer}.png").resolve()),
            "screenshot": str((folder / f"{name}.{renderer}.whole.png").resolve()),
        }
        for renderer in ("classic", "vue")
        for name in names
    ]


def check(names: list[str], screenshots: Path | None) -> list[str]:
    """Open workflows in the pinned and in the newest frontend, and return what is wrong.

    Raises:
        BrowserError, SetupError: a frontend cannot be had or opened.
    """
    version, newest = newest_frontend()
    wrong = []
    for frontend, arguments in (("pinned", ()), (version, ("--front-end-root", str(newest)))):
        with running(cpu=True, arguments=arguments) as server:
            info = server.object_info()
            for vue in (False, True):
                jobs = [{"name": name, "workflow": workflow_file.load(name), "vue": vue} for name in names]
                where = f"{frontend} frontend, {'Nodes 2.0' if vue else 'classic'}"
                if screenshots:
                    folder = screenshots / frontend / ("vue" if vue else "classic")
                    folder.mkdir(parents=True, exist_ok=True)
                    for job in jobs:
                        job["view"] = str((folder / f"{job['name']}.png").resolve())
                for name, answer in zip(names, browse(server.url, jobs), strict=True):
                    prompt = changes(workflow_file.load_prompt(name), api_form(answer["prompt"], info))
                    wrong += [f"{name} ({where}): unknown node {node}" for node in answer["missing"]]
                    wrong += [f"{name} ({where}): {error}" for error in answer["errors"]]
                    # A newer frontend tells more about each node; what is computed is in the inputs.
                    wrong += [f"{name} ({where}): prompt: {change}" for change in prompt if "._meta." not in change]
                print(f"{where}: {len(names)} opened", flush=True)
    return wrong


def main() -> int:
    """Save the named workflows, or all."""
    parser = argparse.ArgumentParser(
        prog="python tools/workflows.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--arrange", action="store_true", help="place nodes and links first")
    parser.add_argument("--check", action="store_true", help="open them in the pinned and the newest frontend only")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="for pictures of each graph")
    options = parser.parse_args()
    known = workflow_file.names()
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no workflow {', '.join(sorted(unknown))}; shipped are: {', '.join(known)}")
    environment.enter(__file__)
    names = options.names or known
    try:
        prepare()
        if reason := missing():
            raise BrowserError(reason)
        if options.check:
            for line in (wrong := check(names, options.screenshots)):
                print(line)
            return int(bool(wrong))
        with running(cpu=True) as server:
            if options.arrange:
                arrange(server.url, names)
            jobs = [{"name": name, "workflow": workflow_file.load(name)} for name in names]
            info, answers = server.object_info(), browse(server.url, jobs)
            if options.screenshots:
                browse(server.url, looks(options.screenshots, names))
        for name, answer in zip(names, answers, strict=True):
            told = save(name, answer, info)
            print(f"{name}: {len(told)} changes" if told else f"{name}: unchanged")
            for change in told[:SHOWN]:
                print(f"  {change[:200]}")
            if len(told) > SHOWN:
                print("  ...")
    except (ArrangementError, BrowserError, NodePackagesError, SetupError) as error:
        print(f"Not saved: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
