"""The set-up: what a person is told, and what is left behind for the next run."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.setup import environment
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
        assert not home_module._try_lock(second.fileno())
    with open(home / "setup.lock", "a+b") as second:
        assert home_module._try_lock(second.fileno())


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
