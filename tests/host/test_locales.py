"""Every language says everything that the nodes say, and the host serves it."""

from __future__ import annotations

import pytest

from tools.host.in_process import pack_schemas
from tools.host.server import Server
from tools.locales import complaints, languages, load

LANGUAGES = ["de", "es", "fr", "ja", "ko", "ru", "zh"]


@pytest.fixture
def schemas(host: dict[str, type]) -> dict[str, object]:
    return pack_schemas(host)


def test_the_languages_are_there():
    assert languages() == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_missing_or_stale(schemas: dict[str, object], language: str):
    assert not complaints(schemas, language), "run python tools/locales.py"


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_and_values_stay_as_they_are(language: str):
    for english, translated in load(language).items():
        assert english.count("\n") == translated.count("\n"), english


def test_the_host_serves_them(server: Server):
    served = server.get("/i18n")
    for language in LANGUAGES:
        node = served[language]["nodeDefs"]["Stereo_ImageStereoShift"]
        assert node["display_name"] and node["inputs"]["image"]["tooltip"].endswith("[image]")
