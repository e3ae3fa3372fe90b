"""Write the locales of the nodes from the translations of their English texts.

    python tools/locales.py [--check] [--missing LANGUAGE]

tools/translations/LANGUAGE.json maps every English name, description and tooltip to its translation; one text is
translated once, wherever it stands. locales/LANGUAGE/nodeDefs.json is what the host reads. --missing prints what a
language lacks, as JSON to fill in. After a text of a node has changed, its old translation is told as unused.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.host.in_process import load_host, pack_schemas  # noqa: E402
from tools.host.server import find_host  # noqa: E402
from tools.setup import environment  # noqa: E402

TRANSLATIONS = environment.ROOT / "tools" / "translations"
LOCALES = environment.ROOT / "locales"


def texts(schemas: Mapping[str, Any]) -> list[str]:
    """All English texts of the nodes, each once, in the order in which they come."""
    found = (text for schema in schemas.values() for text in _texts_of(schema))
    return list(dict.fromkeys(text for text in found if text))


def _texts_of(schema: Any) -> Iterator[str | None]:
    yield from (schema.display_name, schema.description)
    for value in schema.inputs:
        yield from (value.id, value.tooltip)
    for value in schema.outputs:
        yield from (value.display_name, value.tooltip)


def locale(schemas: Mapping[str, Any], translations: Mapping[str, str]) -> dict[str, Any]:
    """What the host's locales/LANGUAGE/nodeDefs.json holds; texts without a translation are left out.

    A tooltip ends with the input's own name, since messages and workflows use that.
    """
    nodes = {}
    for id, schema in schemas.items():
        inputs = {
            value.id: _present(
                name=translations.get(value.id), tooltip=_with_name(translations.get(value.tooltip), value.id)
            )
            for value in schema.inputs
        }
        outputs = {
            str(place): _present(name=translations.get(value.display_name), tooltip=translations.get(value.tooltip))
            for place, value in enumerate(schema.outputs)
        }
        nodes[id] = _present(
            display_name=translations.get(schema.display_name),
            description=translations.get(schema.description),
            inputs=_present(**inputs),
            outputs=_present(**outputs),
        )
    return {id: node for id, node in nodes.items() if node}


def _with_name(tooltip: str | None, name: str) -> str | None:
    return f"{tooltip}\n[{name}]" if tooltip else None


def _present(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part}


def dump(value: Any) -> str:
    """JSON as these files have it."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def languages() -> list[str]:
    """Those that are translated."""
    return sorted(file.stem for file in TRANSLATIONS.glob("*.json"))


def load(language: str) -> dict[str, str]:
    """Return a language's translations by their English texts."""
    return json.loads((TRANSLATIONS / f"{language}.json").read_text(encoding="utf-8"))


def complaints(schemas: Mapping[str, Any], language: str) -> list[str]:
    """What a language lacks, holds in vain, or has not been written to its locale."""
    known, english = load(language), texts(schemas)
    told = [f"missing: {text}" for text in english if not known.get(text)]
    told += [f"unused: {text}" for text in known if text not in english]
    file = LOCALES / language / "nodeDefs.json"
    if not file.is_file() or file.read_text(encoding="utf-8") != dump(locale(schemas, known)):
        told.append(f"{file.relative_to(environment.ROOT)} is not what python tools/locales.py writes")
    return [f"{language}: {each}" for each in told]


def main() -> int:
    """Write the locales and tell what is missing or unused."""
    parser = argparse.ArgumentParser(
        prog="python tools/locales.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is missing or stale")
    parser.add_argument("--missing", metavar="LANGUAGE", help="print what it lacks, as JSON to fill in")
    options = parser.parse_args()
    environment.enter(__file__)
    with tempfile.TemporaryDirectory() as folder:
        schemas = pack_schemas(load_host(find_host(), Path(folder)))
    if options.missing:
        known = load(options.missing) if options.missing in languages() else {}
        print(dump({text: "" for text in texts(schemas) if not known.get(text)}))
        return 0
    told: list[str] = []
    for language in languages():
        if not options.check:
            file = LOCALES / language / "nodeDefs.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dump(locale(schemas, load(language))), encoding="utf-8")
        told += complaints(schemas, language)
    print("\n".join(told) or "All languages are complete.")
    return 1 if told and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
