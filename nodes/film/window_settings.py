"""What the windows of a film are made with, so that a change between two of them is told."""

from __future__ import annotations

import json
from typing import Any

from .work_folder import WorkFolder

_SETTINGS = "settings.json"
_WINDOW = ("Stereo_FilmWindow", "window")  # what is another one at each run
_SHOWN = 3  # changes that are named


def about_changes(folder: WorkFolder, prompt: dict[str, Any] | None, node: str | None) -> list[str]:
    """Say what has changed since the film's first window was made; the first time, keep what it is made with.

    Args:
        folder: of the film, which is begun.
        prompt: the graph that runs, as the host has it.
        node: id of the node that keeps the windows.
    """
    if not prompt or node not in prompt:
        return []
    now = _settings_above(prompt, node)
    path = folder.file(_SETTINGS)
    if not path.exists():
        folder.write(_SETTINGS, json.dumps(now).encode())
        return []
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in {**now, **before} if now.get(key) != before.get(key)]
    if not changed:
        return []
    named = ", ".join(_named(prompt, key) for key in changed[:_SHOWN]) + (" and more" if changed[_SHOWN:] else "")
    return [
        f"Not all windows are made alike: {named} differed when the first was made. Choose another filename_prefix to "
        "make them all as it is now."
    ]


def _settings_above(prompt: dict[str, Any], node: str) -> dict[str, Any]:
    """Return the widgets and links of all nodes that lead to a node, by "id input", but which window is made."""
    found: dict[str, Any] = {}
    seen, waiting = {node}, [node]
    while waiting:
        each = waiting.pop()
        for name, value in prompt[each]["inputs"].items():
            if (prompt[each]["class_type"], name) == _WINDOW:
                continue
            found[f"{each} {name}"] = value
            source = str(value[0]) if isinstance(value, list) and len(value) == 2 else None
            if source in prompt and source not in seen:
                seen.add(source)
                waiting.append(source)
    return found


def _named(prompt: dict[str, Any], key: str) -> str:
    """Return a setting as people know it."""
    node, name = key.split(" ", 1)
    if node not in prompt:
        return f"{name} of a node that is gone"
    title = prompt[node].get("_meta", {}).get("title") or prompt[node]["class_type"]
    return f"{name} of {title}"
