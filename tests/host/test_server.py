"""The server as the commands use it, with the real host."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tools.host.in_process import pack_schemas
from tools.host.server import Interrupted, PromptError, Server
from tools.host.workflow_file import load_prompt

PICTURE = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 255}}


def save(source: str) -> dict:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": "test/picture"}}


def test_the_pack_is_loaded_the_way_the_host_loads_packs(server: Server) -> None:
    modules = {i["python_module"] for name, i in server.object_info().items() if name.startswith("Stereo_")}
    assert modules == {"custom_nodes.latent-stereo"}


def test_a_prompt_runs_and_its_files_are_found(server: Server) -> None:
    seen = []
    (file,) = server.run({"1": PICTURE, "2": save("1")}, lambda *event: seen.append(event))
    assert file.node == "2" and file.kind == "images"
    assert file.path.is_file() and file.path.parent == server.base / "output" / "test"
    assert server.view(file.path.name, "test") == file.path.read_bytes()
    assert [node for node, *_ in seen] == ["1", "2"]


def test_a_refused_prompt_names_the_node_and_the_input(server: Server) -> None:
    wrong = {"1": PICTURE | {"inputs": PICTURE["inputs"] | {"width": -3}}, "2": save("1")}
    with pytest.raises(PromptError, match=r"EmptyImage \(node 1\): .*width") as caught:
        server.run(wrong)
    assert caught.value.node_errors["1"]["class_type"] == "EmptyImage"
    status, answer = server.queue(wrong)
    assert status == 400 and "1" in answer["node_errors"]


def test_an_unknown_node_is_named(server: Server) -> None:
    with pytest.raises(PromptError, match="Missing_Node"):
        server.run({"1": {"class_type": "Missing_Node", "inputs": {}}, "2": save("1")})


def test_a_failure_while_running_names_the_node_and_leaves_the_server_alive(server: Server) -> None:
    with pytest.raises(PromptError, match=r"Probe_Fail \(node 7\): .*The probe failed as asked\."):
        server.run({"7": {"class_type": "Probe_Fail", "inputs": {}}})
    assert server.run({"1": PICTURE, "2": save("1")})


def test_only_the_base_directory_is_written_to(server: Server, host_path: Path) -> None:
    arguments = server.get("/system_stats")["system"]["argv"]
    assert str(server.base) in arguments
    newest = max(f.stat().st_mtime for f in host_path.rglob("*"))
    assert newest < server.log.stat().st_ctime
    assert not list(host_path.rglob("__pycache__"))


def test_interrupt_stops_a_running_prompt(server: Server) -> None:
    seen = []

    def stop_at_the_first_step(_node: str, value: int, maximum: int) -> None:
        seen.append((value, maximum))
        if value == 1:
            server.interrupt()

    with pytest.raises(Interrupted):
        server.run({"1": {"class_type": "Probe_Wait", "inputs": {"steps": 5000}}}, stop_at_the_first_step)
    assert max(value for value, maximum in seen if maximum == 5000) < 1000
    assert server.run({"1": PICTURE, "2": save("1")})


def test_pictures_on_nodes_come_again_where_nothing_is_computed_anew(server: Server) -> None:
    """As on a page that is opened again: the host shows what it kept, of nodes that say so."""
    prompt = load_prompt("image_depth_to_stereo")
    server.run(prompt)
    server.run(prompt)
    *_, again = server.get("/history").values()
    shown = {prompt[id]["class_type"] for id in again["outputs"]}
    assert {"Stereo_StereoStrength", "Stereo_ImageStereoShift"} <= shown


def test_nodes_that_show_something_say_that_it_is_kept(host: dict[str, type]) -> None:
    silent = [
        id
        for id, schema in pack_schemas(host).items()
        if "ui=" in inspect.getsource(host[id]) and not (schema.has_intermediate_output or schema.is_output_node)
    ]
    assert not silent, silent
