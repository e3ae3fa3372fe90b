"""Starting and stopping a server, with a host that misbehaves on demand."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.host import server as server_module
from tools.host.server import Server, ServerError

pytestmark = pytest.mark.usefixtures("home")
FAKE = Path(__file__).parent / "fake_host"


def fake(base: Path, seconds: float = 30) -> Server:
    return Server(base, host=FAKE, cpu=True, start_seconds=seconds)


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda behaviour: monkeypatch.setenv("FAKE_HOST", behaviour)


def test_it_is_gone_afterwards(tmp_path: Path) -> None:
    with fake(tmp_path / "base") as server:
        assert server.alive and server.get("/system_stats")
        process = server._process
    assert not server.alive
    assert process is not None and process.returncode != -9  # asked, not killed
    with pytest.raises(ServerError, match="does not answer"):
        server.get("/system_stats")


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows a process cannot refuse to be ended")
def test_one_that_does_not_want_to_go_is_killed(
    tmp_path: Path, behave: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    behave("stubborn")
    monkeypatch.setattr(server_module, "STOP_SECONDS", 0.2)
    with fake(tmp_path / "base") as server:
        process = server._process
    assert process is not None and process.returncode == -9


def test_it_is_gone_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), fake(tmp_path / "base") as server:
        raise ZeroDivisionError
    assert not server.alive


def test_a_port_taken_between_choosing_and_binding_is_chosen_anew(
    tmp_path: Path, behave: Callable[[str], None]
) -> None:
    behave("port taken once")
    with fake(tmp_path / "base") as server:
        assert server.alive
    assert (tmp_path / "base" / "tried").is_file()


def test_a_really_occupied_port_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = server_module.free_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1], free()]
        monkeypatch.setattr(server_module, "free_port", lambda: ports.pop(0))
        monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.2)  # the other one accepts, and says nothing
        with fake(tmp_path / "base") as server:
            assert server.alive and not ports


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("another server")
    with pytest.raises(ServerError, match=r"stopped while starting \(exit code 4\)"):
        fake(tmp_path / "base").start()


def test_a_host_that_dies_is_quoted(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("die")
    with pytest.raises(ServerError, match=r"(?s)stopped while starting \(exit code 1\).*the fake is broken"):
        fake(tmp_path / "base").start()


def test_a_host_that_never_answers_is_stopped(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("never ready")
    server = fake(tmp_path / "base", seconds=0.6)
    with pytest.raises(ServerError, match="did not answer within 1 seconds"):
        server.start()
    assert not server.alive


def test_a_pack_that_does_not_load_is_an_error(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("pack fails")
    with pytest.raises(ServerError, match=r"(?s)could not load the pack.*a pack's own fault"):
        fake(tmp_path / "base").start()


def test_a_host_that_dies_while_running_is_quoted(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("die while running")
    with fake(tmp_path / "base") as server, pytest.raises(ServerError, match="Killed by the fake"):
        server.run({})


def test_a_run_has_a_time_limit(tmp_path: Path) -> None:
    with fake(tmp_path / "base") as server, pytest.raises(ServerError, match="longer than 1 seconds"):
        server.run({}, timeout=0.6)


def test_the_pack_is_copied_without_what_is_not_part_of_it(tmp_path: Path) -> None:
    target = tmp_path / "custom_nodes" / "latent-stereo"
    (target / "left_over").mkdir(parents=True)
    server_module.mirror_pack(target)
    assert (target / "__init__.py").is_file() and (target / "nodes" / "__init__.py").is_file()
    assert {f.name for f in target.iterdir()} <= set(server_module.PACK_FILES)
    assert not list(target.rglob("__pycache__"))


def test_the_models_of_a_named_host_are_found_where_they_lie(home: Path, tmp_path: Path) -> None:
    host = tmp_path / "ComfyUI"
    (host / "models" / "checkpoints").mkdir(parents=True)
    server = Server(tmp_path / "base", host=host)
    (tmp_path / "base").mkdir()
    file = server._write_model_paths()
    assert file is not None and str(host / "models" / "checkpoints").replace("\\", "\\\\") in file.read_text()
    assert Server(tmp_path / "base", host=home / "ComfyUI")._write_model_paths() is None


def test_without_a_host_it_says_how_to_get_one() -> None:
    with pytest.raises(ServerError, match="Run python tools/demo.py, or set COMFYUI_PATH"):
        server_module.find_host()
