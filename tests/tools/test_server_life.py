"""Starting and stopping a server, with a host that misbehaves on demand."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tools.host import client as client_module
from tools.host import server as server_module
from tools.host.run_folder import run_folder
from tools.host.server import PromptError, Server, ServerError
from tools.setup.home import ROOT, child_variables

pytestmark = pytest.mark.usefixtures("home")
FAKE = Path(__file__).parent / "fake_host"


def fake(base: Path, seconds: float = 30) -> Server:
    return Server(base, host=FAKE, cpu=True, quiet_seconds=seconds)


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
    told = r"(?s)neither answered nor wrote anything for 1 seconds .* run the command\s+again"
    with pytest.raises(ServerError, match=told):
        server.start()
    assert not server.alive


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows a process cannot be asked")
def test_one_that_stood_still_is_started_once_more_and_its_log_says_where(
    tmp_path: Path, behave: Callable[[str], None]
) -> None:
    behave("never ready once")
    with fake(tmp_path / "base", seconds=4) as server:
        assert 'main.py", line' in server.log_tail(1000)


def test_a_host_that_is_slow_is_waited_for_as_long_as_it_writes(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("slow")
    with fake(tmp_path / "base", seconds=2) as server:
        assert server.alive


def test_a_pack_that_does_not_load_is_an_error(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("pack fails")
    with pytest.raises(ServerError, match=r"(?s)could not load the pack.*a pack's own fault"):
        fake(tmp_path / "base").start()


def test_a_host_that_dies_while_running_is_quoted(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("die while running")
    with fake(tmp_path / "base") as server, pytest.raises(ServerError, match="Killed by the fake"):
        server.run({})


def test_a_run_has_a_time_limit(tmp_path: Path) -> None:
    with fake(tmp_path / "base") as server, pytest.raises(ServerError, match="reported nothing for 1 seconds"):
        server.run({}, timeout=0.6)


def test_a_run_whose_events_are_lost_ends_when_the_server_has_its_record(
    tmp_path: Path, behave: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ASK_SECONDS", 0.1)
    behave("recorded")
    with fake(tmp_path / "base") as server:
        assert server.run({}, timeout=30) == []
    behave("failure recorded")
    with fake(tmp_path / "base") as server, pytest.raises(PromptError, match="as recorded"):
        server.run({}, timeout=30)


def test_no_run_listens_under_the_name_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host forgets a websocket's name when it ends, although the next run may have come under it by then."""
    monkeypatch.setattr(client_module, "ASK_SECONDS", 0.1)
    names: list[str] = []
    with fake(tmp_path / "base") as server:
        monkeypatch.setattr(server, "queue", lambda _, name: names.append(name) or (400, {}))
        for _ in range(2):
            with pytest.raises(PromptError):
                server.run({})
    assert len(set(names)) == 2


def test_the_pack_is_copied_without_what_is_not_part_of_it(tmp_path: Path) -> None:
    target = tmp_path / "custom_nodes" / "latent-stereo"
    (target / "left_over").mkdir(parents=True)
    server_module.mirror_pack(target)
    assert (target / "__init__.py").is_file() and (target / "nodes" / "__init__.py").is_file()
    assert {f.name for f in target.iterdir()} <= {name.split("/")[0] for name in server_module.PACK_FILES}
    assert not list(target.rglob("__pycache__"))


def test_models_are_found_where_a_person_put_them(home: Path, tmp_path: Path) -> None:
    host = tmp_path / "ComfyUI"
    (host / "models" / "checkpoints").mkdir(parents=True)
    (tmp_path / "base").mkdir()
    pinned = Server(tmp_path / "base", host=home / "ComfyUI")
    assert pinned._write_model_paths() is None
    file = Server(tmp_path / "base", host=host)._write_model_paths()
    checkpoints = {"checkpoints": str(host / "models" / "checkpoints")}
    assert file is not None and yaml.safe_load(file.read_text("utf-8")) == {"host": checkpoints}
    mine = server_module.models_folder() / "it's 深度 \U0001f600"
    mine.mkdir(parents=True)
    file = pinned._write_model_paths()
    assert file is not None and yaml.safe_load(file.read_text("utf-8")) == {"base": {mine.name: str(mine)}}


def test_each_run_has_a_folder_of_its_own(home: Path) -> None:
    with run_folder() as one, run_folder() as two:
        (one / "server.log").touch()
        assert one != two and one.is_dir() and two.is_dir()
    assert not list((home / "runs").iterdir())


def test_the_folder_of_a_failed_run_stays_for_its_log_until_the_next(home: Path) -> None:
    with pytest.raises(ServerError), run_folder() as failed:
        (failed / "server.log").touch()
        raise ServerError
    assert (failed / "server.log").is_file()
    with pytest.raises(KeyboardInterrupt), run_folder():
        assert not failed.exists()
        raise KeyboardInterrupt
    assert not list((home / "runs").iterdir())


def test_the_folder_of_another_process_stays_while_it_runs(home: Path) -> None:
    code = (
        "from tools.host.run_folder import run_folder\nwith run_folder() as folder: print(ascii(str(folder))); input()"
    )
    variables = child_variables() | {"LATENT_STEREO_HOME": str(home), "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    other = subprocess.Popen([sys.executable, "-uc", code], env=variables, stdin=pipe, stdout=pipe, text=True)
    with other:
        assert other.stdout is not None
        folder = Path(ast.literal_eval(other.stdout.readline()))
        with run_folder():
            assert folder.is_dir()
        other.kill()
        other.wait()
        with run_folder():
            assert not folder.exists()


def test_without_a_host_it_says_how_to_get_one() -> None:
    with pytest.raises(ServerError, match="Run python tools/demo.py, or set COMFYUI_PATH"):
        server_module.find_host()
