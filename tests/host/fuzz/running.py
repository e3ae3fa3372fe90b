"""Runs graphs node by node in this process, and says what is wrong with a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.host.fuzz.catalogue import OURS, Catalogue, fits
from tests.host.fuzz.fingerprints import fingerprint, finite
from tests.host.fuzz.given import GIVEN
from tests.host.fuzz.graphs import Graph, above, links
from tests.host.fuzz.messages import complaint

_SECONDS = 5.0
"""After so long a run is interrupted, as a person would; that it then stops is part of what is tested."""


@dataclass
class Outcome:
    """What became of a graph.

    Attributes:
        ended: ``worked``, ``refused`` by a clear error, ``stopped`` by the interrupt, ``host`` where the host's own
            nodes fail at this without ours, or ``fault``.
        node: the id of the node that it ended at, if not all ran.
        said: the error's message, or what is wrong.
        where: of a fault: two graphs with the same one have the same fault.
        values: the outputs of the nodes, by id.
    """

    ended: str = "worked"
    node: str = ""
    said: str = ""
    where: str = ""
    values: dict[str, tuple[Any, ...]] = field(default_factory=dict)


def run_graph(graph: Graph, catalogue: Catalogue) -> Outcome:
    """Run all nodes of a graph in their order, until one does not work."""
    outcome = Outcome()
    with _interrupted_after(_SECONDS):
        for key in graph:
            _run_node(graph, key, catalogue, outcome)
            if outcome.ended != "worked":
                break
    return outcome


def call(node: type, inputs: dict[str, Any]) -> tuple[Any, ...]:
    """Execute a node as the host does; return its outputs."""
    if hasattr(node, "define_schema"):
        result = node.execute(**inputs)
        result = getattr(result, "args", result)
        # Of a list the host runs the nodes behind once for each; here the first stands for all.
        outputs = node.define_schema().outputs
        result = [v[0] if one.is_output_list else v for one, v in zip(outputs, result or (), strict=False)]
    else:
        result = getattr(node(), node.FUNCTION)(**inputs)
        result = result["result"] if isinstance(result, dict) else result
    return tuple(result or ())


def _run_node(graph: Graph, key: str, catalogue: Catalogue, outcome: Outcome) -> None:
    from comfy.model_management import InterruptProcessingException

    node, kind = graph[key], graph[key]["class_type"]
    linked = {name: outcome.values[link[0]][link[1]] for name, link in links(node).items()}
    if kind in GIVEN:
        outcome.values[key] = (GIVEN[kind].make(**node["inputs"]),)
        return
    before = {name: fingerprint(value) for name, value in linked.items()}
    concerned = kind.startswith(OURS) or any(_acts(graph[one], catalogue) for one in above(graph, key))
    try:
        outputs = call(catalogue.classes[kind], {**node["inputs"], **linked})
    except InterruptProcessingException:
        outcome.ended, outcome.node = "stopped", key
        outputs = ()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is judged
        outputs = ()
        outcome.node, outcome.said = key, f"{type(error).__name__}: {error}"
        wrong = complaint(error, graph, key, catalogue)
        if not wrong:
            outcome.ended = "refused"
        elif not concerned or _fails_without_ours(graph, key, catalogue):
            outcome.ended = "host"
        else:
            outcome.ended, outcome.where = "fault", f"{kind}: {wrong} {_origin(error)}"
    changed = [name for name, value in linked.items() if fingerprint(value) != before[name]]
    if changed and concerned and kind.startswith(OURS):
        outcome.ended, outcome.node = "fault", key
        outcome.said = outcome.where = f"{kind} changes its input {changed[0]} in place"
    if outcome.ended == "worked" and concerned and finite(list(linked.values())) and not finite(outputs):
        outcome.node = key
        outcome.ended = "host" if _gives_nan_without_ours(graph, key, catalogue) else "fault"
        outcome.said = outcome.where = f"{kind} gives NaN or infinity for finite input"
    outcome.values[key] = outputs


def without_ours(graph: Graph, key: str, catalogue: Catalogue) -> Graph:
    """The part of a graph that ends at a node, where what ours did to models, samplers, latents and conditioning is
    left out: in its place stands what they were given."""
    plain: Graph = {}
    stands: dict[tuple[str, int], list[Any]] = {}
    for one in [one for one in graph if one in above(graph, key)] + [key]:
        node = graph[one]
        inputs = {
            name: stands.get((value[0], value[1]), value) if isinstance(value, list) else value
            for name, value in node["inputs"].items()
        }
        plain[one] = {**node, "inputs": inputs}
        if one == key:
            plain[one] = _twin(node["class_type"], inputs, catalogue) or plain[one]
        if not _acts(node, catalogue):
            continue
        kind = catalogue.kinds[node["class_type"]]
        for slot, given in enumerate(kind.outputs):
            same = [
                inputs[socket.name] for socket in kind.sockets if socket.name in inputs and fits(socket.kind, given)
            ]
            if same:
                stands[one, slot] = same[0]
            elif given == "SAMPLER":
                plain[f"{one}.{slot}"] = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}}
                stands[one, slot] = [f"{one}.{slot}", 0]
    return {one: node for one, node in plain.items() if one in above(plain, key) or one == key}


def _acts(node: dict[str, Any], catalogue: Catalogue) -> bool:
    """Whether this is one of ours that changes what the host's nodes do: it gives a sampler, a model or a latent made
    of another one, or conditioning with a ControlNet in it."""
    kind = catalogue.kinds[node["class_type"]]
    given = {socket.kind for socket in kind.sockets if socket.name in node["inputs"]}
    made = set(kind.outputs)
    changed = (
        "SAMPLER" in made or made & given & {"MODEL", "LATENT"} or ("CONDITIONING" in made and "CONTROL_NET" in given)
    )
    return kind.ours and bool(changed)


def _twin(name: str, inputs: dict[str, Any], catalogue: Catalogue) -> dict[str, Any] | None:
    """The host's node that makes the plain run of one of ours, or one like it, with the same inputs."""
    kind = catalogue.kinds[name]
    if not kind.ours:
        return None
    linked = {
        asked: [inputs[socket.name] for socket in kind.sockets if socket.kind == asked and socket.name in inputs]
        for asked in ("MODEL", "CONDITIONING", "LATENT")
    }
    if "guider" in inputs:
        twin = "SamplerCustomAdvanced"
    elif all(linked.values()):
        plain = {"seed": 1, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
        ends = {"positive": linked["CONDITIONING"][0], "negative": linked["CONDITIONING"][-1]}
        inputs = {**plain, "model": linked["MODEL"][0], **ends, "latent_image": linked["LATENT"][0], **inputs}
        twin = "KSampler"
    else:
        return None
    known = catalogue.kinds[twin]
    names = [*(socket.name for socket in known.sockets), *(widget.name for widget in known.widgets)]
    return {"class_type": twin, "inputs": {name: inputs[name] for name in names}}


def _fails_without_ours(graph: Graph, key: str, catalogue: Catalogue) -> bool:
    """Whether the host fails in the same way alone: with its own nodes, or with its patches on the model of ours."""
    name = graph[key]["class_type"]
    if name.startswith(OURS):
        inputs = [graph[one] for one in above(graph, key)]
        families = {node["inputs"].get("family", node["inputs"].get("name")) for node in inputs if _of_a_family(node)}
        mixed = len(families) > 1 and all(node["class_type"] in GIVEN for node in inputs)
        if mixed or _twin(name, graph[key]["inputs"], catalogue) is None:
            return False  # nothing of the host's is there to blame: the input is to be checked
    plain = without_ours(graph, key, catalogue)
    return _same(plain, graph) or run_graph(plain, catalogue).ended in ("host", "refused")


def _gives_nan_without_ours(graph: Graph, key: str, catalogue: Catalogue) -> bool:
    plain = without_ours(graph, key, catalogue)
    if _same(plain, graph):
        return False
    outcome = run_graph(plain, catalogue)
    return outcome.ended != "worked" or not finite(outcome.values[key])


def _of_a_family(node: dict[str, Any]) -> bool:
    return node["class_type"] in ("Given_Model", "Given_Conditioning")


def _same(part: Graph, graph: Graph) -> bool:
    return all(graph.get(one) == node for one, node in part.items())


def _origin(error: BaseException) -> str:
    """The innermost line of the pack or of the host that an error came through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "latent-stereo" in file or "comfy" in file.lower():
            found = f"{file.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    import comfy.model_management

    timer = threading.Timer(seconds, comfy.model_management.interrupt_current_processing)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        comfy.model_management.interrupt_current_processing(False)
