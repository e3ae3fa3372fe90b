"""What the benches of a user's own models have in common."""

from __future__ import annotations

import pytest


@pytest.fixture
def own_folders(host: dict[str, type], monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """The host, whose lists of folders are afterwards what they were."""
    import folder_paths

    known = folder_paths.folder_names_and_paths
    for kind, (folders, suffixes) in list(known.items()):
        monkeypatch.setitem(known, kind, (list(folders), suffixes))
    return host
