"""The set-up: what a person is told, and what is left behind for the next run."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.setup import environment, packages
from tools.setup import home as home_module
from tools.setup.environment import Environment, SetupError, prepare

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def steps(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the two long steps by notes of having been called."""
    called: list[str] = []

    def install(python: Path) -> None:
        called.append("packages")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    def fetch(_: Path) -> Path:
        called.append("host")
        return home / "ComfyUI"

    monkeypatch.setattr(environment, "install_packages", install)
    monkeypatch.setattr(environment, "works", Path.is_file)
    monkeypatch.setattr(environment, "pinned_host", fetch)
    monkeypatch.setattr(environment, "check_disk", lambda: None)
    return called


def test_the_packages_are_installed_once(steps: list[str], home: Path) -> None:
    assert prepare() == prepare() == Environment(environment.venv_python(), home / "ComfyUI")
    assert steps.count("packages") == 1


def test_another_lock_installs_again(steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    (tmp_path / "lock").write_text("torch==99\n")
    monkeypatch.setattr(environment, "LOCK", tmp_path / "lock")
    prepare()
    assert steps.count("packages") == 2


def test_an_interrupted_set_up_goes_on_in_the_next_run(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = environment.install_packages

    def interrupted(python: Path) -> None:
        whole(python)
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "install_packages", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare()
    monkeypatch.setattr(environment, "install_packages", whole)
    prepare()
    assert steps == ["packages", "packages", "host"]


def test_a_half_written_stamp_counts_as_none(steps: list[str], home: Path) -> None:
    prepare()
    (home / "packages.json").write_text('{"python":')
    prepare()
    assert steps.count("packages") == 2


@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "is full. Free some space"), (errno.EACCES, "No permission to write")]
)
def test_a_failing_disk_is_told(steps: list[str], monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    def full(_: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(environment, "install_packages", full)
    with pytest.raises(SetupError, match=said):
        prepare()
    assert not steps


@pytest.mark.parametrize("place", [".", "tmp", "venv"])
def test_a_file_in_the_place_of_a_folder_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(environment, "check_disk", lambda: None)
    if place == ".":
        home.rmdir()
    file = home / place
    file.write_text("mine")
    if place == "venv":  # it is taken for a broken one and replaced
        monkeypatch.setattr(packages, "run_pip", lambda *_: None)
        monkeypatch.setattr(packages, "run_watched", lambda *_: 0)
        with pytest.raises(SetupError, match="virtual environment could not be made"):
            prepare()
        return
    with pytest.raises(SetupError, match="is in the way of a folder. Move or delete it, then run") as told:
        prepare()
    assert str(file) in str(told.value) and file.read_text() == "mine"


def test_what_was_half_made_when_it_was_stopped_is_removed(
    steps: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: Path) -> Path:
        for name in ("ComfyUI.partial", "download"):
            (home / name).mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "pinned_host", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare()
    assert {f.name for f in home.iterdir()} == {"setup.lock", "packages.json", "venv"} and steps == ["packages"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends them by its own means")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stopped_set_up_leaves_no_process(home: Path, name: str, code: int) -> None:
    script = (
        "import signal\n"  # which may be ignored where the tests run, as they are in the background
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from tools.setup import environment, home\n"
        "grandchild = 'exec > \"$LATENT_STEREO_HOME/pipe\"; echo up; exec sleep 20'\n"
        "environment.prepare = lambda: home.run_watched(['sh', '-c', f\"sh -c '{grandchild}' & wait\"], print)\n"
        "environment.enter('anything.py')"
    )
    variables = home_module.child_variables() | {"LATENT_STEREO_HOME": str(home), "PYTHONPATH": str(environment.ROOT)}
    os.mkfifo(home / "pipe")
    pipe = os.open(home / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # it ends when the grandchild does
    process = subprocess.Popen([sys.executable, "-c", script], env=variables, stderr=subprocess.PIPE)
    select.select([pipe], [], [], 30)
    assert os.read(pipe, 9) == b"up\n"
    process.send_signal(getattr(signal, name))
    said = process.communicate()[1].decode()
    assert select.select([pipe], [], [], 5)[0] and os.read(pipe, 9) == b""
    os.close(pipe)
    advice = f"\nStopped. Run the command again to continue, or delete {home}.\n"
    assert process.returncode == code and said == (advice if name == "SIGINT" else "")


def test_the_set_up_lies_where_the_variable_says(tmp_path: Path) -> None:
    variables = home_module.child_variables() | {"LATENT_STEREO_HOME": str(tmp_path / "it's")}
    code = "from tools.setup.home import HOME; print(ascii(str(HOME)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=environment.ROOT, capture_output=True, text=True
    )
    assert answer.stdout.strip() == ascii(str(tmp_path / "it's"))


def test_stamps_that_are_written_at_once_do_not_meet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, partial = os.replace, []

    def meanwhile(source: str, target: Path) -> None:
        if not partial:
            partial.append(source)
            home_module.write_stamp("cuda", "second")
        replace(source, target)

    monkeypatch.setattr(home_module.os, "replace", meanwhile)
    home_module.write_stamp("cuda", "first")
    assert home_module.read_stamp("cuda") == "first" and [f.name for f in home.iterdir()] == ["cuda.json"]


def test_too_little_space_is_told_before_anything_is_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 10**9)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SetupError, match=r"has 1\.0 GB free; the set-up needs about \d+ GB"):
        prepare()
    assert not (home / "venv").exists()


def test_a_wrong_python_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "NEWEST_PYTHON", (3, 9))
    with pytest.raises(SetupError, match=r"This is Python 3\.\d+; the commands need Python 3\.10 to 3\.9"):
        prepare()
    assert not list(home.iterdir())


def test_only_one_sets_up_at_a_time(home: Path) -> None:
    with home_module.only_one_setup(), open(home / "setup.lock", "a+b") as second:
        assert not home_module.try_lock(second.fileno())
    with open(home / "setup.lock", "a+b") as second:
        assert home_module.try_lock(second.fileno())


def test_children_write_inside_the_clone(home: Path) -> None:
    variables = home_module.child_variables()
    for name in ("TMPDIR", "TEMP", "TMP", "PYTHONPYCACHEPREFIX", "XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME"):
        assert home in Path(variables[name]).parents
    code = "import tempfile; print(tempfile.gettempdir())"
    answer = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert Path(answer.stdout.strip()).samefile(home / "tmp")


def test_inside_the_environment_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.READY, "1")
    monkeypatch.setattr(environment, "prepare", lambda: pytest.fail("set up again"))
    environment.enter("anything.py")


def test_a_failed_set_up_is_one_message_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failing() -> Environment:
        raise SetupError("Two plain words.")

    monkeypatch.setattr(environment, "prepare", failing)
    with pytest.raises(SystemExit) as left:
        environment.enter("anything.py")
    assert left.value.code == 1 and capfd.readouterr().err == "\nTwo plain words.\n"


@pytest.fixture
def entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], object]:
    """Run a script through enter() and return its exit code."""
    ready = Environment(Path(sys.executable), tmp_path / "ComfyUI")
    monkeypatch.setattr(environment, "prepare", lambda: ready)

    def enter(code: str, arguments: list[str]) -> object:
        script = tmp_path / "script.py"
        script.write_text(code, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
        with pytest.raises(SystemExit) as left:
            environment.enter(str(script))
        return left.value.code

    return enter


def test_the_command_gets_its_arguments_and_its_exit_code_is_passed_on(
    entered: Callable[[str, list[str]], object], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['COMFYUI_PATH'], os.environ[%r]); sys.exit(7)"
    assert entered(code % environment.READY, ["--image", "a b.png"]) == 7
    assert capfd.readouterr().out.strip() == f"['--image', 'a b.png'] {tmp_path / 'ComfyUI'} 1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to pass on")
def test_a_killed_command_reports_it_as_shells_do(entered: Callable[[str, list[str]], object]) -> None:
    assert entered("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", []) == 128 + 15


def test_the_lock_pins_every_package_by_checksum_and_names_no_server() -> None:
    text = environment.LOCK.read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 90
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[^\s;]+", entry) and "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_lock_has_what_the_list_asks_for() -> None:
    locked = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", environment.LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    asked = (environment.ROOT / "tools" / "requirements.in").read_text(encoding="utf-8").splitlines()
    for line in asked:
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            name = re.split(r"[=<>~]", name)[0].lower()
            assert name in locked and version in ("", locked[name])


def test_packages_of_a_python_that_was_replaced_are_installed_again(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare()
    monkeypatch.setattr(environment, "works", lambda _: False)
    prepare()
    assert steps.count("packages") == 2
