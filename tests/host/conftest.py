"""The real host for these tests: in this process (``host``, ``pack``) and as a running server (``server``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tools.frontend.browser import missing
from tools.host.in_process import load_host, pack_module
from tools.host.server import Server, ServerError, find_host
from tools.setup.environment import ROOT, SetupError


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradients: runs outside inference mode, in which the host executes nodes.")


@pytest.fixture(autouse=True)
def inference_mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """As the host executes nodes."""
    with torch.inference_mode(request.node.get_closest_marker("gradients") is None):
        yield


@pytest.fixture(scope="session")
def host_path() -> Path:
    """The host's folder; without one the test is skipped."""
    try:
        return find_host()
    except (ServerError, SetupError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def host(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, type]:
    """Node classes by id, the host's and this pack's, in this process, on the CPU or as HOST_ARGUMENTS says."""
    named = os.environ.get("HOST_ARGUMENTS")
    return load_host(host_path, tmp_path_factory.mktemp("in_process"), cpu=named is None, more=(named or "").split())


@pytest.fixture(scope="session")
def pack(host: dict[str, type]) -> Callable[[str], ModuleType]:  # noqa: ARG001  # it loads the pack
    """A module of the loaded pack by its name below the pack, such as ``nodes.host``."""
    return pack_module


@pytest.fixture(scope="session")
def server(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for the whole session, on the CPU, in its own base directory, with the probe nodes."""
    probes = Path(__file__).parent / "probes"
    base = tmp_path_factory.mktemp("server")
    with Server(base, host=host_path, cpu=True, packs=(probes,)) as running:
        yield running


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """A folder for what the browser shows; without a browser the test is skipped, and in CI it fails."""
    if reason := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No browser was opened: {reason}.")
    folder = ROOT / ".host" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
