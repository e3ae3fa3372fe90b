"""The tables of the help pages say what the nodes' tooltips say: python tools/help_pages.py writes them."""

from __future__ import annotations

import pytest

from tools.frontend.browser import SCRIPT, browse
from tools.help_pages import PAGES, page_with_tables
from tools.host.in_process import pack_schemas
from tools.host.server import Server


@pytest.fixture
def schemas(host: dict[str, type]) -> dict[str, object]:
    return pack_schemas(host)


def test_every_page_has_the_tables_of_its_node(schemas: dict[str, object]):
    stale = []
    for id, schema in schemas.items():
        page = (PAGES / f"{id}.md").read_text(encoding="utf-8")
        if page_with_tables(page, schema) != page:
            stale.append(id)
    assert not stale, "run python tools/help_pages.py"


def test_everything_that_can_be_connected_or_set_is_explained(schemas: dict[str, object]):
    silent = [
        f"{id}.{getattr(value, 'id', None) or value.display_name}"
        for id, schema in schemas.items()
        for value in (*schema.inputs, *schema.outputs)
        if not value.tooltip
    ]
    assert not silent, silent


@pytest.mark.browser
@pytest.mark.usefixtures("screenshots")
def test_pictures_and_tables_fit_the_editors_panel_in_both_renderers(server: Server):
    nodes = ("Stereo_ImageStereoShift", "Stereo_StereoVideoKSampler")
    jobs = [{"node": node, "vue": vue} for vue in (False, True) for node in nodes]
    for answer in browse(server.url, jobs, script=SCRIPT.with_name("help_panel.mjs")):
        assert len(answer["pictures"]) == 2 and len(answer["tables"]) >= 2
        assert all(natural > 0 and 0 < drawn <= answer["panel"] for natural, drawn in answer["pictures"])
        assert all(width <= answer["panel"] for width in answer["tables"])
