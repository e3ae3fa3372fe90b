"""Whether an error is clear: it names something that the user sees, and says what to do."""

from __future__ import annotations

import re

from tests.host.fuzz.catalogue import OURS, Catalogue
from tests.host.fuzz.graphs import Graph, above

_ADVICE = re.compile(
    r"(?:^|[.:;,]\s|\bor\s|\band\s)(?:Add|Choose|Connect|Crop|Decode|Disconnect|Encode|Give|Keep|Leave|Let|Load|Lower|"
    r"Make|Pad|Pick|Raise|Record|Remove|Replace|Replay|Run|Sample|Scale|Set|Start|Switch|Take|Turn|Use|Write)\b",
    re.IGNORECASE,
)
_INTERNAL = re.compile(r"\bndim\b|\btensors?\b|\bdtype\b|Traceback|object at 0x|\bNone\b|latent columns|\bassert")
_LONGEST = 420


def complaint(error: BaseException, graph: Graph, key: str, catalogue: Catalogue) -> str:
    """Return what is unclear about the error that a node ended with; "" if it is clear."""
    if type(error) is not ValueError:
        return type(error).__name__
    message = str(error)
    if "\n" in message.strip() or len(message) > _LONGEST:
        return "long message"
    if _INTERNAL.search(message):
        return f"internal word {_INTERNAL.search(message).group()!r}"
    if not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in _seen(graph, key, catalogue)):
        return "names no input and no node"
    if not _ADVICE.search(message):
        return "says not what to do"
    return ""


def _seen(graph: Graph, key: str, catalogue: Catalogue) -> set[str]:
    """What the user sees of a node and of ours before it: inputs and titles."""
    names: set[str] = set()
    for one in {key, *above(graph, key)}:
        kind = graph[one]["class_type"]
        if one == key or kind.startswith(OURS):
            names |= set(graph[one]["inputs"])
            node = catalogue.classes[kind]
            names |= {node.define_schema().display_name} if hasattr(node, "define_schema") else {kind}
    return names - {None, ""}
